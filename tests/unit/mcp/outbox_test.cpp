#include "mcp/outbox.hpp"

#include <gtest/gtest.h>

namespace awm::mcp {
namespace {

constexpr std::size_t plenty = 1 << 20;

struct log_of_receipts {
  std::vector<std::pair<std::string, bool>> settled;
  delivery_receipt operator()(std::string name) {
    return [this, name = std::move(name)](bool written) { settled.emplace_back(name, written); };
  }
};
using settled_list = std::vector<std::pair<std::string, bool>>;

TEST(receipt, is_settled_once_whatever_happens_to_it) {
  log_of_receipts log;
  {
    delivery_receipt a = log("a");
    a.settle(true);
    a.settle(false);
    delivery_receipt b = log("b");
    delivery_receipt moved = std::move(b);
    delivery_receipt overwritten = log("c");
    overwritten = log("d");
  }
  EXPECT_EQ(log.settled, (settled_list{{"a", true}, {"c", false}, {"d", false}, {"b", false}}));
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
  auto chunk = box.take(plenty);
  EXPECT_TRUE(log.settled.empty());
  chunk.settle(9);  // the second one's newline is missing
  EXPECT_EQ(log.settled, (settled_list{{"first", true}, {"second", false}}));
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
  EXPECT_EQ(log.settled, (settled_list{{"1", false}}));
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
  EXPECT_EQ(log.settled, (settled_list{{"1", false}}));
  auto chunk = box.take(plenty);
  EXPECT_EQ(chunk.bytes, "[2]\n");
  chunk.settle(chunk.bytes.size());
  EXPECT_EQ(log.settled.back(), (std::pair<std::string, bool>{"2", true}));
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

TEST(outbox, clearing_settles_everything_as_not_written) {
  log_of_receipts log;
  outbox box;
  box.respond(1, "1", log("queued"));
  const auto batch = box.open_batch(2);
  box.respond_in(batch, 2, "2", log("in a batch"));
  box.clear();
  EXPECT_EQ(log.settled, (settled_list{{"in a batch", false}, {"queued", false}}));
  EXPECT_FALSE(box.holds(1) || box.holds(2));
  EXPECT_EQ(box.bytes(), 0U);
}

}  // namespace
}  // namespace awm::mcp
