#pragma once

#include "deadline.hpp"

#include <asio/compose.hpp>

#include <memory>

namespace awm::coro {

/// Lets a coroutine rest until `deadline`, a time of the clock; one that has passed is not waited for. For what happens
/// again and again it is better than `sleep`, as what a round takes does not add up. Returns and costs the same.
inline asio::awaitable<std::error_code> sleep_until(clock& clock, clock::time_point deadline) {
  if (clock.now() >= deadline) co_return std::error_code{};
  const auto state = co_await asio::this_coro::cancellation_state;
  if (was_cancelled(state)) co_return asio::error::operation_aborted;
  event over(co_await asio::this_coro::executor);
  timer alarm(clock);
  alarm.arm(deadline, [&over] { over.set(); });
  const auto [error] = co_await over.async_wait(as_value);
  co_return error;
}

/// Lets a coroutine rest, by the time of a `clock`.
///
/// Asio's way is a `steady_timer` for each coroutine that rests, always by the machine's own time. Here it is a place
/// among the other timers of a clock, which may be one that a test moves on.
///
/// Returns no error when `pause` has gone by, `operation_aborted` when it was cancelled before. A pause of zero or less
/// is none: the coroutine goes on at once.
/// Cancellation: ends the rest, as a value.
/// Cost: a place in the clock's heap, one recycled block and one post.
inline asio::awaitable<std::error_code> sleep(clock& clock, clock::duration pause) {
  return sleep_until(clock, clock.now() + pause);
}

/// `sleep_until` as an operation, on `executor`: completes with `void(std::error_code)` at `deadline`.
/// Error: `operation_aborted` when it is cancelled.
template <class Token>
auto async_sleep_until(const asio::any_io_executor& executor, clock& clock, clock::time_point deadline, Token&& token) {
  struct resting {
    resting(const asio::any_io_executor& on, coro::clock& clock) : over(on), alarm(clock) {}
    event over;
    timer alarm;
  };
  auto rest = std::make_unique<resting>(executor, clock);
  return asio::async_compose<Token, void(std::error_code)>(
      [rest = std::move(rest), deadline, is_over = false](auto& self, std::error_code error = {}) mutable {
        if (std::exchange(is_over, true)) return self.complete(error);
        auto& resting = *rest;
        resting.alarm.arm(deadline, [&resting] { resting.over.set(); });
        resting.over.async_wait(std::move(self));
      },
      token, executor);
}

/// `async_sleep_until`, `pause` from now.
template <class Token>
auto async_sleep(const asio::any_io_executor& executor, clock& clock, clock::duration pause, Token&& token) {
  return async_sleep_until(executor, clock, clock.now() + pause, std::forward<Token>(token));
}

}  // namespace awm::coro
