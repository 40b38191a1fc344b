#pragma once

#include "wait_list.hpp"

namespace awm::coro {

/// Lets coroutines wait until something that they can test themselves has become true.
///
/// As `std::condition_variable`, without the mutex: on one thread nothing changes between a test and the wait behind
/// it. Who changes what is tested notifies; who waits is woken, tests again, and goes on or waits again. Where a flag
/// is all there is to test, an `event` says it better.
///
/// Fair: `notify_one()` wakes whoever has waited longest.
/// Cancellation: a cancelled wait completes with `operation_aborted`. A notification that reached a waiter which was
/// cancelled before it could use it is passed on to the next: `wait(predicate)` sees to it.
/// Destroying a condition completes its waiters with `operation_aborted`.
/// Cost: one recycled block and one post a wake-up.
class condition {
 public:
  /// `executor` runs the handlers of waiters that bring no executor of their own.
  explicit condition(asio::any_io_executor executor) : waiters_(std::move(executor)) {}

  /// Wakes the one that has waited longest.
  void notify_one() { waiters_.complete_one(); }
  /// Wakes those that wait now, in the order in which they came.
  void notify_all() { waiters_.complete_all(); }

  /// Completes at the next notification that falls to it, with `void(std::error_code)`.
  /// Error: `operation_aborted` when it is cancelled or the condition is destroyed.
  template <class Token>
  auto async_wait(Token&& token) {
    return waiters_.async_wait({}, std::forward<Token>(token));
  }

  /// Waits until `predicate()` is true; tests first, and after each notification. The predicate is a callable that must
  /// outlive the wait; it is not copied.
  /// Returns `operation_aborted` when the wait was cancelled or the condition destroyed while it was false.
  template <class Predicate>
  asio::awaitable<std::error_code> wait(const Predicate& predicate) {
    bool was_woken = false;
    while (!predicate()) {
      const auto state = co_await asio::this_coro::cancellation_state;
      if (was_cancelled(state)) {
        if (was_woken) notify_one();
        co_return asio::error::operation_aborted;
      }
      const auto [error] = co_await async_wait(as_value);
      if (error) co_return error;
      was_woken = true;
    }
    co_return std::error_code{};
  }

  const asio::any_io_executor& get_executor() const { return waiters_.get_executor(); }

 private:
  wait_list waiters_;
};

}  // namespace awm::coro
