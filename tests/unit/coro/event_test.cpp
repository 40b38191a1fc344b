#include "coro/event.hpp"

#include "support/run.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace awm::coro {
namespace {

using test::run;
using test::settle;

asio::awaitable<void> note_when_set(event& event, std::vector<int>& order, int name) {
  const auto [error] = co_await event.async_wait(as_value);
  order.push_back(error ? -name : name);
}

void start(const asio::any_io_executor& executor, asio::awaitable<void> task) {
  asio::co_spawn(executor, std::move(task), asio::detached);
}

TEST(event, wakes_its_waiters_in_the_order_in_which_they_came) {
  std::vector<int> order;
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    event event(executor);
    for (int name = 1; name <= 3; ++name) start(executor, note_when_set(event, order, name));
    co_await settle();
    EXPECT_TRUE(order.empty());
    event.set();
    EXPECT_TRUE(order.empty()) << "a waiter must not run inside set()";
    co_await settle();
  });
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(event, lets_through_at_once_while_it_is_set_and_not_after_reset) {
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::vector<int> order;
    event event(executor);
    event.set();
    start(executor, note_when_set(event, order, 1));
    co_await settle();
    EXPECT_EQ(order, std::vector{1});
    event.reset();
    start(executor, note_when_set(event, order, 2));
    co_await settle();
    EXPECT_EQ(order, std::vector{1});
    event.set();
    co_await settle();
    EXPECT_EQ(order, (std::vector{1, 2}));
  });
}

TEST(event, a_pulse_wakes_those_that_wait_and_nobody_later) {
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::vector<int> order;
    event event(executor);
    start(executor, note_when_set(event, order, 1));
    co_await settle();
    event.pulse();
    start(executor, note_when_set(event, order, 2));
    co_await settle();
    EXPECT_EQ(order, std::vector{1});
    event.set();
    co_await settle();
  });
}

TEST(event, a_cancelled_wait_leaves_the_others_alone) {
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::vector<int> order;
    event event(executor);
    asio::cancellation_signal cancel;
    start(executor, note_when_set(event, order, 1));
    asio::co_spawn(executor, note_when_set(event, order, 2),
                   asio::bind_cancellation_slot(cancel.slot(), asio::detached));
    start(executor, note_when_set(event, order, 3));
    co_await settle();
    cancel.emit(asio::cancellation_type::terminal);
    co_await settle();
    EXPECT_EQ(order, std::vector{-2});
    event.set();
    co_await settle();
    EXPECT_EQ(order, (std::vector{-2, 1, 3}));
  });
}

TEST(event, destroying_it_completes_its_waiters_with_an_error) {
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::vector<int> order;
    auto doomed = std::make_unique<event>(executor);
    start(executor, note_when_set(*doomed, order, 1));
    co_await settle();
    doomed.reset();
    co_await settle();
    EXPECT_EQ(order, std::vector{-1});
  });
}

TEST(event, works_with_a_callback_and_with_a_slot_that_is_emitted_after_completion) {
  asio::io_context context;
  event event(context.get_executor());
  asio::cancellation_signal cancel;
  int calls = 0;
  event.async_wait(asio::bind_cancellation_slot(cancel.slot(), [&](std::error_code error) {
    EXPECT_FALSE(error);
    ++calls;
  }));
  event.set();
  cancel.emit(asio::cancellation_type::terminal);
  context.run();
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace awm::coro
