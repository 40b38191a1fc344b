#include "coro/event.hpp"

#include "support/run.hpp"
#include "world.hpp"

#include <asio/bind_executor.hpp>
#include <asio/system_executor.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <thread>
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

struct waiters {
  explicit waiters(test::world& here) : happened(here.executor()), turnstile(here.executor()) {}
  event happened;
  auto_reset_event turnstile;
  int passed = 0;
};

asio::awaitable<void> pass(auto_reset_event& turnstile, int& passed) {
  const auto error = co_await turnstile.wait();
  if (!error) ++passed;
}

TEST(auto_reset_event, each_set_lets_one_pass_and_one_is_kept_for_who_comes_later) {
  test::world here;
  waiters all(here);
  all.turnstile.set();
  all.turnstile.set();
  for (int i = 0; i < 3; ++i) here.start(pass(all.turnstile, all.passed));
  here.run();
  EXPECT_EQ(all.passed, 1) << "setting it twice is setting it once";
  all.turnstile.set();
  all.turnstile.set();
  here.run();
  EXPECT_EQ(all.passed, 3);
  EXPECT_FALSE(all.turnstile.is_set());
}

TEST(auto_reset_event, no_wake_up_is_lost_whoever_is_cancelled_when) {
  const auto set_up = [](test::world& here, waiters& all) {
    for (int i = 0; i < 3; ++i) here.start(pass(all.turnstile, all.passed));
    all.turnstile.set();
  };
  const auto check = [](test::world& here, waiters& all, std::size_t) {
    for (int i = 0; i < 3; ++i) all.turnstile.set();
    here.run();
    here.expect_all_ended();
    EXPECT_GE(all.passed, 2);
    if (all.passed < 3) {
      EXPECT_TRUE(all.turnstile.is_set()) << "what the cancelled one did not take is there for the next";
    }
  };
  EXPECT_GT(test::cancel_at_every_step<waiters>(set_up, check), 9U);
}

asio::awaitable<void> wait_for_both(event& happened, int& passed) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto first = co_await happened.wait();
  const auto second = co_await happened.wait();
  if (!first && !second) ++passed;
}

TEST(event, a_coroutine_that_was_cancelled_before_does_not_wait_for_ever) {
  const auto set_up = [](test::world& here, waiters& all) { here.start(wait_for_both(all.happened, all.passed)); };
  const auto check = [](test::world& here, waiters& all, std::size_t) {
    EXPECT_EQ(here.has_ended(0), all.passed == 0 && here.has_ended(0));
    all.happened.set();
    here.run();
    here.expect_all_ended();
  };
  test::cancel_at_every_step<waiters>(set_up, check);
  test::world here;
  waiters all(here);
  const auto victim = here.start(wait_for_both(all.happened, all.passed));
  EXPECT_TRUE(here.step());
  here.cancel(victim);
  here.run();
  here.expect_all_ended();
}

TEST(event, destroying_the_loop_destroys_who_waits_for_an_event_of_its_own_frame) {
  const auto token = std::make_shared<int>();
  {
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    const auto wait = [](std::shared_ptr<int> kept) -> asio::awaitable<void> {
      event never(co_await asio::this_coro::executor);
      const auto error = co_await never.wait();
      EXPECT_TRUE(error && kept) << "not reached";
    };
    asio::co_spawn(context, wait(token), asio::detached);
    context.poll();
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

// As Asio's own operations do: `asio::use_future` has such an executor, and a composed operation's steps run on it.
TEST(event, a_handler_of_the_systems_executor_runs_on_the_loop_which_goes_on_until_then) {
  asio::io_context context;
  event event(context.get_executor());
  std::thread::id ran_on;
  event.async_wait(
      asio::bind_executor(asio::system_executor(), [&](std::error_code) { ran_on = std::this_thread::get_id(); }));
  asio::post(context, [&] { event.set(); });
  context.run();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(watch, sets_its_event_with_the_other_and_leaves_with_its_owner) {
  test::world here;
  event watched(here.executor());
  event woken(here.executor());
  { const watch left(watched, woken); }
  watched.pulse();
  EXPECT_FALSE(woken.is_set());
  const watch stays(watched, woken);
  watched.set();
  EXPECT_TRUE(woken.is_set());
  EXPECT_TRUE(stays.has_seen());
}

}  // namespace
}  // namespace awm::coro
