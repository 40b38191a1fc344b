#include "mcp/outbox.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace awm::mcp {
namespace {

constexpr std::size_t plenty = 1 << 20;

struct log_of_receipts {
  std::vector<std::pair<std::string, delivery>> settled;
  delivery_receipt operator()(std::string name) {
    return [this, name = std::move(name)](delivery what) { settled.emplace_back(name, what); };
  }
};
using settled_list = std::vector<std::pair<std::string, delivery>>;

TEST(receipt, is_settled_once_whatever_happens_to_it) {
  log_of_receipts log;
  {
    delivery_receipt a = log("a");
    a.write();
    a.write();
    a.drop();
    delivery_receipt b = log("b");
    delivery_receipt moved = std::move(b);
    delivery_receipt overwritten = log("c");
    overwritten = log("d");
  }
  EXPECT_EQ(
      log.settled,
      (settled_list{
          {"a", delivery::written}, {"c", delivery::dropped}, {"d", delivery::dropped}, {"b", delivery::dropped}}));
}

TEST(receipt, of_something_written_can_be_revoked_once) {
  log_of_receipts log;
  {
    delivery_receipt a = log("a");
    a.write();
    delivery_receipt moved = std::move(a);
    EXPECT_TRUE(moved);
    a.revoke();  // NOLINT(bugprone-use-after-move): it must be harmless
    moved.revoke();
    moved.revoke();
    moved.write();
    EXPECT_FALSE(moved);
  }
  EXPECT_EQ(log.settled, (settled_list{{"a", delivery::written}, {"a", delivery::revoked}}));
}

TEST(receipt, revoked_before_it_was_written_is_dropped) {
  log_of_receipts log;
  delivery_receipt a = log("a");
  a.revoke();
  a.write();
  EXPECT_EQ(log.settled, (settled_list{{"a", delivery::dropped}}));
}

TEST(receipt, may_be_destroyed_by_its_own_function) {
  int calls = 0;
  std::optional<delivery_receipt> holder;
  const auto count = [&calls, &holder, text = std::string(100, 'x')](delivery) {
    holder.reset();
    calls += text.size() == 100;
  };
  holder.emplace(count);
  holder->write();
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(holder);
}

TEST(outbox, hands_out_messages_in_order_and_several_at_once) {
  outbox box;
  box.respond(1, "one");
  box.notify("two");
  box.respond("x", "three");
  EXPECT_EQ(box.take(plenty).bytes, "one\ntwo\nthree\n");
  EXPECT_TRUE(box.empty());
  EXPECT_EQ(box.bytes(), 0U);
}

TEST(outbox, takes_no_more_than_asked_but_at_least_one) {
  outbox box;
  for (const char* const text : {"aaaa", "bbbb", "cccc"}) box.respond(nullptr, text);
  EXPECT_EQ(box.take(1).bytes, "aaaa\n");
  EXPECT_EQ(box.take(9).bytes, "bbbb\ncccc\n");
}

TEST(outbox, settles_each_receipt_by_what_was_written_of_its_own_message) {
  log_of_receipts log;
  outbox box;
  box.respond(1, "aaaa", log("first"));
  box.respond(2, "bbbb", log("second"));
  sent_receipts sent;
  sent.begin(std::move(box.take(plenty).receipts));
  EXPECT_TRUE(log.settled.empty());
  sent.end(9);  // the second one's newline is missing
  EXPECT_EQ(log.settled, (settled_list{{"first", delivery::written}, {"second", delivery::dropped}}));
}

TEST(outbox, withdraws_what_is_unsent_of_a_request) {
  log_of_receipts log;
  outbox box;
  box.report(1, "progress 1");
  box.respond(1, "answer 1", log("1"));
  box.respond(2, "answer 2", log("2"));
  EXPECT_TRUE(box.holds(1));
  box.withdraw(1);
  EXPECT_FALSE(box.holds(1));
  EXPECT_EQ(log.settled, (settled_list{{"1", delivery::dropped}}));
  EXPECT_EQ(box.take(plenty).bytes, "answer 2\n");
  EXPECT_EQ(box.bytes(), 0U);
}

TEST(outbox, keeps_only_the_newest_unsent_progress_of_a_request) {
  outbox box;
  box.report(1, "first of 1");
  box.report(2, "of 2");
  box.report(1, "second of 1");
  EXPECT_EQ(box.take(plenty).bytes, "second of 1\nof 2\n");
  box.report(1, "third of 1");
  EXPECT_EQ(box.take(plenty).bytes, "third of 1\n");
  EXPECT_EQ(box.bytes(), 0U);
}

TEST(outbox, drops_notifications_beyond_its_limit) {
  outbox box;
  for (std::size_t i = 0; i < outbox::max_unsent_notifications + 5; ++i) box.notify("n");
  EXPECT_EQ(box.take(plenty).bytes.size(), 2 * outbox::max_unsent_notifications);
  box.notify("again");
  EXPECT_EQ(box.take(plenty).bytes, "again\n");
}

TEST(outbox, never_drops_a_request_of_ours) {
  outbox box;
  for (std::size_t i = 0; i < outbox::max_unsent_notifications; ++i) box.notify("n");
  box.say("asked");
  EXPECT_TRUE(box.take(plenty).bytes.ends_with("n\nasked\n"));
  EXPECT_EQ(box.bytes(), 0U);
}

TEST(outbox, a_batch_leaves_as_one_array_when_it_is_complete) {
  log_of_receipts log;
  outbox box;
  const auto batch = box.open_batch(3);
  box.respond_in(batch, 1, "1", log("1"));
  box.respond_in(batch, 2, "2", log("2"));
  EXPECT_TRUE(box.empty());
  EXPECT_EQ(box.bytes(), 2U);
  box.withdraw(1);
  box.give_up_in(batch);
  EXPECT_EQ(log.settled, (settled_list{{"1", delivery::dropped}}));
  auto chunk = box.take(plenty);
  EXPECT_EQ(chunk.bytes, "[2]\n");
  sent_receipts sent;
  sent.begin(std::move(chunk.receipts));
  sent.end(chunk.bytes.size());
  EXPECT_EQ(log.settled.back(), (std::pair<std::string, delivery>{"2", delivery::written}));
}

TEST(outbox, a_batch_of_which_nothing_is_left_is_not_written) {
  outbox box;
  const auto empty = box.open_batch(1);
  box.give_up_in(empty);
  const auto withdrawn = box.open_batch(1);
  box.respond_in(withdrawn, 1, "1");
  box.withdraw(1);
  EXPECT_TRUE(box.empty());
}

TEST(outbox, clearing_drops_everything) {
  log_of_receipts log;
  outbox box;
  box.respond(1, "1", log("queued"));
  const auto batch = box.open_batch(2);
  box.respond_in(batch, 2, "2", log("in a batch"));
  box.clear();
  EXPECT_EQ(log.settled, (settled_list{{"in a batch", delivery::dropped}, {"queued", delivery::dropped}}));
  EXPECT_FALSE(box.holds(1) || box.holds(2));
  EXPECT_EQ(box.bytes(), 0U);
}

}  // namespace
}  // namespace awm::mcp
