#include "coro/signal_listener.hpp"

#include "support/every_step.hpp"
#include "support/run.hpp"

#include <asio/use_future.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <vector>

namespace awm::coro {
namespace {

using test::run;
using test::settle;

using told = std::pair<std::error_code, int>;

TEST(signal_listener, gives_each_signal_to_exactly_one_wait_in_the_order_of_the_waits) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    signal_listener signals(executor, {SIGUSR1, SIGUSR2});
    std::vector<told> first;
    std::vector<told> second;
    signals.async_next([&](std::error_code error, int number) { first.emplace_back(error, number); });
    signals.async_next([&](std::error_code error, int number) { second.emplace_back(error, number); });
    ::raise(SIGUSR2);
    const auto third = signals.next();  // not begun
    while (first.empty()) co_await settle();
    EXPECT_EQ(first, (std::vector<told>{{{}, SIGUSR2}}));
    EXPECT_TRUE(second.empty());
    ::raise(SIGUSR1);
    while (second.empty()) co_await settle();
    EXPECT_EQ(second, (std::vector<told>{{{}, SIGUSR1}}));
    EXPECT_EQ(first.size(), 1U);
  });
}

TEST(signal_listener, counts_what_comes_while_nobody_waits_per_number) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    signal_listener signals(executor, {SIGUSR1, SIGUSR2});
    ::raise(SIGUSR2);
    ::raise(SIGUSR1);
    ::raise(SIGUSR1);
    ::raise(SIGUSR2);
    ::raise(SIGUSR1);
    co_await settle();
    std::vector<int> numbers;
    for (int i = 0; i < 5; ++i) {
      const auto [error, number] = co_await signals.next();
      EXPECT_FALSE(error);
      numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    EXPECT_EQ(numbers, (std::vector<int>{SIGUSR1, SIGUSR1, SIGUSR1, SIGUSR2, SIGUSR2}));
    bool has_sixth = false;
    asio::cancellation_signal cancel;
    const auto note = [&](std::error_code error, int) { has_sixth = !error; };
    signals.async_next(asio::bind_cancellation_slot(cancel.slot(), note));
    co_await settle();
    cancel.emit(asio::cancellation_type::total);
    co_await settle();
    EXPECT_FALSE(has_sixth);
  });
}

// The world of every signal and every cancellation: a signal at each step, a cancellation at each step.
TEST(signal_listener, loses_no_signal_whatever_is_cancelled_when) {
  constexpr int steps = 8;
  for (int raised_at = 0; raised_at < steps; ++raised_at) {
    SCOPED_TRACE("raised after " + std::to_string(raised_at) + " handlers");
    test::cancel_at_each_of(steps, [raised_at](test::stepped_run& run) {
      std::optional<signal_listener> signals;
      signals.emplace(run.context().get_executor(), std::initializer_list<int>{SIGUSR1});
      bool is_raised = false;
      const auto raise_once = [&] {
        if (!std::exchange(is_raised, true)) ::raise(SIGUSR1);
      };
      run.meanwhile = [&](int done) {
        if (done >= raised_at) raise_once();
        return is_raised;
      };
      const auto first = run.run<told>([&](auto token) { signals->async_next(token); });
      raise_once();
      if (!first.first) {
        EXPECT_EQ(first.second, SIGUSR1);
        return;
      }
      EXPECT_EQ(first.first, asio::error::operation_aborted);
      std::optional<told> second;
      signals->async_next([&](std::error_code error, int number) { second = told{error, number}; });
      run.context().restart();
      while (!second && run.context().run_one() > 0) {
      }
      EXPECT_EQ(second, (told{{}, SIGUSR1}));
    });
  }
}

TEST(signal_listener, a_cancelled_wait_leaves_the_others_alone) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    signal_listener signals(executor, {SIGUSR1});
    asio::cancellation_signal cancel;
    std::optional<told> first;
    std::optional<told> second;
    const auto note_first = [&](std::error_code error, int number) { first = told{error, number}; };
    signals.async_next(asio::bind_cancellation_slot(cancel.slot(), note_first));
    signals.async_next([&](std::error_code error, int number) { second = told{error, number}; });
    co_await settle();
    cancel.emit(asio::cancellation_type::terminal);
    co_await settle();
    EXPECT_EQ(first, (told{asio::error::operation_aborted, 0}));
    EXPECT_FALSE(second);
    ::raise(SIGUSR1);
    while (!second) co_await settle();
    EXPECT_EQ(second, (told{{}, SIGUSR1}));
  });
}

TEST(signal_listener, destroying_it_completes_its_waits_and_gives_the_signal_its_default_action_back) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::vector<std::error_code> ends;
    {
      signal_listener signals(executor, {SIGUSR1});
      for (int i = 0; i < 2; ++i) signals.async_next([&](std::error_code error, int) { ends.push_back(error); });
      co_await settle();
      EXPECT_TRUE(ends.empty());
    }
    EXPECT_TRUE(ends.empty()) << "called inside the destructor";
    co_await settle();
    EXPECT_EQ(ends, (std::vector<std::error_code>(2, asio::error::operation_aborted)));
    struct sigaction action {};
    ::sigaction(SIGUSR1, nullptr, &action);
    EXPECT_EQ(action.sa_handler, SIG_DFL);
  });
}

TEST(signal_listener, alone_or_after_a_cancelled_wait_it_does_not_keep_the_event_loop_running) {
  asio::io_context context;
  signal_listener signals(context.get_executor(), {SIGUSR1});
  EXPECT_EQ(context.run(), 0U);
  asio::cancellation_signal cancel;
  std::error_code end;
  const auto note = [&](std::error_code error, int) { end = error; };
  signals.async_next(asio::bind_cancellation_slot(cancel.slot(), note));
  cancel.emit(asio::cancellation_type::terminal);
  context.restart();
  context.run();  // would wait for ever
  EXPECT_EQ(end, asio::error::operation_aborted);
}

TEST(signal_listener, works_with_futures_and_after_a_move) {
  asio::io_context context;
  signal_listener first(context.get_executor(), {SIGUSR1});
  auto number = first.async_next(asio::use_future);
  const signal_listener second = std::move(first);
  ::raise(SIGUSR1);
  context.run();
  EXPECT_EQ(number.get(), SIGUSR1);
}

TEST(signal_listener, a_number_that_cannot_be_caught_is_an_exception) {
  asio::io_context context;
  EXPECT_THROW(signal_listener(context.get_executor(), {SIGKILL}), std::system_error);
}

}  // namespace
}  // namespace awm::coro
