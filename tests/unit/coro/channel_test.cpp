#include "coro/channel.hpp"

#include "world.hpp"

#include <asio/use_future.hpp>

#include <memory>
#include <set>
#include <string>

namespace awm::coro {
namespace {

using test::world;

/// What `next` and those behind it stand for was not sent.
asio::awaitable<void> send_all(channel<int>& to, int& next, int count) {
  for (int i = 0; i < count; ++i) {
    const auto error = co_await to.send(int(next));
    if (error) co_return;
    ++next;
  }
}

asio::awaitable<void> receive_all(channel<int>& from, std::vector<int>& received) {
  for (;;) {
    const auto value = co_await from.receive();
    if (!value) co_return;
    received.push_back(*value);
  }
}

TEST(channel, hands_values_over_in_the_order_in_which_they_were_sent) {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{3}, channel<int>::unbounded}) {
    SCOPED_TRACE(capacity);
    world here;
    channel<int> values(here.executor(), capacity);
    int next = 0;
    std::vector<int> received;
    here.start(send_all(values, next, 10));
    here.start(receive_all(values, received));
    here.run();
    EXPECT_EQ(received, (std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    values.close();
    here.run();
    here.expect_all_ended();
  }
}

TEST(channel, a_rendezvous_does_not_complete_a_send_before_its_receiver_is_there) {
  world here;
  channel<std::string> words(here.executor(), 0);
  std::string word = "word";
  bool sent = false;
  words.async_send(word, [&](std::error_code error) { sent = !error; });
  here.run();
  EXPECT_FALSE(sent);
  EXPECT_EQ(word, "word");
  EXPECT_EQ(words.try_receive(), "word");
  here.run();
  EXPECT_TRUE(sent);
}

TEST(channel, closing_keeps_what_is_buffered_and_refuses_what_comes_later) {
  world here;
  channel<int> values(here.executor(), 2);
  EXPECT_TRUE(values.try_send(1));
  EXPECT_TRUE(values.try_send(2));
  EXPECT_FALSE(values.try_send(3));
  int waiting = 4;
  std::error_code told;
  values.async_send(waiting, [&](std::error_code error) { told = error; });
  values.close();
  values.close();
  EXPECT_FALSE(values.try_send(5));
  std::vector<int> received;
  here.start(receive_all(values, received));
  here.run();
  EXPECT_EQ(told, asio::error::broken_pipe);
  EXPECT_EQ(received, (std::vector{1, 2}));
  std::error_code late;
  values.async_send(waiting, [&](std::error_code error) { late = error; });
  std::error_code at_end;
  values.async_receive([&](std::error_code error, const std::optional<int>& value) {
    at_end = error;
    EXPECT_FALSE(value);
  });
  here.run();
  EXPECT_EQ(late, asio::error::broken_pipe);
  EXPECT_EQ(at_end, asio::error::eof);
  EXPECT_EQ(waiting, 4) << "what was not sent is still its sender's";
}

TEST(channel, closing_wakes_all_receivers) {
  world here;
  channel<int> values(here.executor(), 1);
  std::vector<int> received;
  for (int i = 0; i < 3; ++i) here.start(receive_all(values, received));
  here.run();
  values.close();
  here.run();
  here.expect_all_ended();
}

TEST(channel, carries_what_can_only_be_moved_and_has_no_default) {
  struct parcel {
    explicit parcel(int content) : inside(std::make_unique<int>(content)) {}
    std::unique_ptr<int> inside;
  };
  world here;
  channel<parcel> parcels(here.executor(), 1);
  EXPECT_TRUE(parcels.try_send(parcel(7)));
  int seen = 0;
  parcels.async_receive([&](std::error_code, std::optional<parcel> got) { seen = *got->inside; });
  here.run();
  EXPECT_EQ(seen, 7);
}

TEST(channel, works_with_futures) {
  world here;
  channel<int> values(here.executor(), 1);
  auto received = values.async_receive(asio::use_future);
  EXPECT_TRUE(values.try_send(5));
  here.run();
  EXPECT_EQ(received.get(), 5);
}

TEST(channel, destroying_it_ends_both_sides_and_leaves_unsent_values_with_their_senders) {
  world here;
  auto values = std::make_unique<channel<int>>(here.executor(), 0);
  int value = 3;
  std::error_code of_send;
  values->async_send(value, [&](std::error_code error) { of_send = error; });
  values.reset();
  auto others = std::make_unique<channel<int>>(here.executor(), 0);
  std::error_code of_receive;
  others->async_receive([&](std::error_code error, const std::optional<int>&) { of_receive = error; });
  others.reset();
  here.run();
  EXPECT_EQ(of_send, asio::error::operation_aborted);
  EXPECT_EQ(of_receive, asio::error::operation_aborted);
  EXPECT_EQ(value, 3);
}

template <std::size_t capacity>
struct exchange_of_values {
  explicit exchange_of_values(world& here) : values(here.executor(), capacity) {}
  channel<int> values;
  int next_of_first = 0;
  int next_of_second = 100;
  std::vector<int> received;
};

constexpr int each = 4;

template <std::size_t capacity>
void start_all(world& here, exchange_of_values<capacity>& all) {
  here.start(receive_all(all.values, all.received));
  here.start(send_all(all.values, all.next_of_first, each));
  here.start(receive_all(all.values, all.received));
  here.start(send_all(all.values, all.next_of_second, each));
}

/// Every value that was sent is with a receiver or in the channel, once; every other one is still with its sender.
template <std::size_t capacity>
void expect_nothing_lost(world& here, exchange_of_values<capacity>& all) {
  while (auto left = all.values.try_receive()) all.received.push_back(*left);
  all.values.close();
  here.run();
  here.expect_all_ended();
  const std::multiset<int> found(all.received.begin(), all.received.end());
  std::multiset<int> sent;
  for (int value = 0; value < all.next_of_first; ++value) sent.insert(value);
  for (int value = 100; value < all.next_of_second; ++value) sent.insert(value);
  EXPECT_EQ(found, sent);
}

template <std::size_t capacity>
void cancel_everywhere() {
  const auto check = [](world& here, exchange_of_values<capacity>& all, std::size_t) {
    expect_nothing_lost(here, all);
  };
  EXPECT_GT(test::cancel_at_every_step<exchange_of_values<capacity>>(start_all<capacity>, check), 8U);
  test::cancel_at_random<exchange_of_values<capacity>>(
      100, start_all<capacity>,
      [](world& here, exchange_of_values<capacity>& all, const auto&) { expect_nothing_lost(here, all); });
}

TEST(channel, a_rendezvous_loses_no_value_whoever_is_cancelled_when) {
  cancel_everywhere<0>();
}
TEST(channel, a_bounded_one_loses_no_value_whoever_is_cancelled_when) {
  cancel_everywhere<2>();
}
TEST(channel, an_unbounded_one_loses_no_value_whoever_is_cancelled_when) {
  cancel_everywhere<channel<int>::unbounded>();
}

}  // namespace
}  // namespace awm::coro
