#pragma once

#include "event.hpp"

#include <cassert>
#include <cstddef>

namespace awm::coro {

/// Lets coroutines wait until a number of things have happened.
///
/// Counts down to zero once and stays there, as `std::latch` does for threads. A latch of zero is open from the start.
///
/// Cancellation, destruction and cost are those of `event`.
class latch {
 public:
  /// `executor` runs the handlers of waiters that bring no executor of their own.
  latch(asio::any_io_executor executor, std::size_t count) : count_(count), open_(std::move(executor)) {
    if (count_ == 0) open_.set();
  }

  /// How many things are missing.
  std::size_t count() const { return count_; }

  /// `by` more of them have happened, at most as many as are missing; the last one opens the latch.
  void count_down(std::size_t by = 1) {
    assert(by <= count_ && "a latch is not counted down below zero");
    count_ -= by;
    if (count_ == 0) open_.set();
  }

  bool is_open() const { return count_ == 0; }

  /// Set when the count has reached zero: what `join_until` waits for.
  event& opened() { return open_; }

  /// Completes when the count has reached zero, with `void(std::error_code)`.
  /// Error: `operation_aborted` when it is cancelled or the latch is destroyed.
  template <class Token>
  auto async_wait(Token&& token) {
    return open_.async_wait(std::forward<Token>(token));
  }

  /// The same for a coroutine, which goes on at once when the latch is open.
  asio::awaitable<std::error_code> wait() { return open_.wait(); }

  /// Counts down by one and waits for the others.
  asio::awaitable<std::error_code> arrive_and_wait() {
    count_down();
    return open_.wait();
  }

 private:
  std::size_t count_;
  event open_;
};

}  // namespace awm::coro
