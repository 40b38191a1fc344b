#pragma once

#include "coro/wait_list.hpp"

namespace awm::coro {

/// Lets many coroutines wait for one thing to happen.
///
/// Asio offers a timer for this, at two system calls a wait. An `event` costs none: waiters sit in an intrusive list
/// and `set()` posts them, in the order in which they came. Setting it twice is setting it once; it stays set until
/// `reset()`.
///
/// Cancellation: a cancelled wait completes with `operation_aborted` and leaves the others alone.
/// Destroying an event completes its waiters with `operation_aborted`.
class event {
 public:
  /// `executor` runs the handlers of waiters that bring no executor of their own.
  explicit event(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  bool is_set() const { return set_; }

  /// Wakes all waiters; until `reset()` nobody waits any more.
  void set() {
    set_ = true;
    waiters_.complete_all();
  }

  void reset() { set_ = false; }

  /// Wakes those that wait now, and leaves the event unset.
  void pulse() {
    set();
    reset();
  }

  /// Completes when the event is set, with `void(std::error_code)`; when it is set already, by a post.
  template <class Token>
  auto async_wait(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        [this](auto handler) {
          waiters_.async_wait(executor_, std::move(handler));
          if (set_) waiters_.complete_all();
        },
        token);
  }

  const asio::any_io_executor& get_executor() const { return executor_; }

 private:
  asio::any_io_executor executor_;
  wait_list waiters_;
  bool set_ = false;
};

}  // namespace awm::coro
