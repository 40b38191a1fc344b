#pragma once

#include "wait_list.hpp"

#include <cassert>
#include <cstddef>

namespace awm::coro {

/// Lets a fixed number of coroutines go on together, again and again.
///
/// Each phase ends when all have arrived; who arrived first is woken first, and the last one goes on at once. A
/// coroutine that arrives again before the others have run belongs to the next phase.
///
/// Cancellation: a cancelled wait completes with `operation_aborted`, and its arrival is taken back: the phase waits
/// for one more again. Who will not come back says so with `arrive_and_drop()`.
/// Destroying a barrier completes its waiters with `operation_aborted`.
/// Cost: one recycled block and one post for each but the last.
class barrier {
 public:
  /// `executor` runs the handlers of waiters that bring no executor of their own. `expected`: how many take part, at
  /// least one.
  barrier(asio::any_io_executor executor, std::size_t expected) : waiters_(std::move(executor)), expected_(expected) {
    assert(expected_ > 0 && "a barrier is for one at least");
  }

  /// How many take part.
  std::size_t expected() const { return expected_; }
  /// How many of them have arrived in this phase.
  std::size_t arrived() const { return waiters_.size(); }

  /// Arrives, and completes when all have, with `void(std::error_code)`.
  /// Error: `operation_aborted` when it is cancelled or the barrier is destroyed.
  template <class Token>
  auto async_arrive_and_wait(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        [this](auto handler) {
          waiters_.append(std::move(handler), {});
          end_phase_if_complete(0);
        },
        token);
  }

  /// The same for a coroutine; the last one to arrive goes on at once.
  asio::awaitable<std::error_code> arrive_and_wait() {
    if (end_phase_if_complete(1)) co_return std::error_code{};
    const auto state = co_await asio::this_coro::cancellation_state;
    if (was_cancelled(state)) co_return asio::error::operation_aborted;
    const auto [error] = co_await async_arrive_and_wait(as_value);
    co_return error;
  }

  /// Leaves for good: this phase and those after it expect one fewer.
  void arrive_and_drop() {
    assert(expected_ > waiters_.size() && "who waits cannot leave");
    --expected_;
    end_phase_if_complete(0);
  }

  const asio::any_io_executor& get_executor() const { return waiters_.get_executor(); }

 private:
  /// `arriving`: those that have arrived and are not in the list.
  bool end_phase_if_complete(std::size_t arriving) {
    if (waiters_.size() + arriving < expected_) return false;
    waiters_.complete_all();
    return true;
  }

  wait_list waiters_;
  std::size_t expected_;
};

}  // namespace awm::coro
