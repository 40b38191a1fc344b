#pragma once

#include "wait_list.hpp"

namespace awm::coro {

/// Lets many coroutines wait for one thing to happen.
///
/// Asio offers a timer for this, at two system calls a wait. An `event` costs none: waiters sit in an intrusive list
/// and `set()` posts them, in the order in which they came. Setting it twice is setting it once; it stays set until
/// `reset()`.
///
/// Cancellation: a cancelled wait completes with `operation_aborted` and leaves the others alone.
/// Destroying an event completes its waiters with `operation_aborted`.
/// Cost: a wait for an event that is set, nothing but the call; else one recycled block and one post.
class event {
 public:
  /// `executor` runs the handlers of waiters that bring no executor of their own.
  explicit event(asio::any_io_executor executor) : waiters_(std::move(executor)) {}

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
  /// Error: `operation_aborted` when it is cancelled or the event is destroyed.
  template <class Token>
  auto async_wait(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        [this](auto handler) {
          waiters_.append(std::move(handler), {});
          if (set_) waiters_.complete_all();
        },
        token);
  }

  /// The same for a coroutine, which goes on at once when the event is set.
  asio::awaitable<std::error_code> wait() {
    if (set_) co_return std::error_code{};
    const auto state = co_await asio::this_coro::cancellation_state;
    if (was_cancelled(state)) co_return asio::error::operation_aborted;
    const auto [error] = co_await async_wait(as_value);
    co_return error;
  }

  const asio::any_io_executor& get_executor() const { return waiters_.get_executor(); }

 private:
  friend class watch;
  wait_list waiters_;
  bool set_ = false;
};

/// An event that resets itself: each `set()` lets one waiter pass.
///
/// The one that came first is woken; with nobody there, the next one to come passes at once. Setting it twice before
/// that is setting it once (a `semaphore` counts). A waiter that is cancelled before a wake-up reaches it leaves that
/// to the next; one that is cancelled afterwards keeps it, and its wait succeeds.
///
/// Cancellation, destruction and cost are those of `event`.
class auto_reset_event {
 public:
  /// `executor` runs the handlers of waiters that bring no executor of their own.
  explicit auto_reset_event(asio::any_io_executor executor) : waiters_(std::move(executor)) {}

  /// Whether the next one to come passes at once.
  bool is_set() const { return set_; }

  /// Wakes one waiter, or lets the next one pass.
  void set() { set_ = !waiters_.complete_one(); }

  void reset() { set_ = false; }

  /// Takes the event when it is set; returns whether it was.
  bool try_wait() { return std::exchange(set_, false); }

  /// Completes when a `set()` falls to it, with `void(std::error_code)`.
  /// Error: `operation_aborted` when it is cancelled or the event is destroyed.
  template <class Token>
  auto async_wait(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        [this](auto handler) {
          waiters_.append(std::move(handler), {});
          if (try_wait()) waiters_.complete_one();
        },
        token);
  }

  /// The same for a coroutine, which goes on at once when the event is set.
  asio::awaitable<std::error_code> wait() {
    if (try_wait()) co_return std::error_code{};
    const auto state = co_await asio::this_coro::cancellation_state;
    if (was_cancelled(state)) co_return asio::error::operation_aborted;
    const auto [error] = co_await async_wait(as_value);
    co_return error;
  }

  const asio::any_io_executor& get_executor() const { return waiters_.get_executor(); }

 private:
  wait_list waiters_;
  bool set_ = false;
};

// Sets an event of its owner when another event is set: how one coroutine waits for several at the price of one wait.
// Leaves when it is destroyed; that the watched event is destroyed ends the watch and sets the other, too.
class watch final : waiter<> {
 public:
  watch(event& watched, event& woken) : watched_(&watched), woken_(woken) { watched.waiters_.link(*this); }
  ~watch() override { leave(); }

  // Whether the watched event was set.
  bool has_seen() const { return seen_; }

 private:
  void complete(std::error_code error) override {
    leave();
    seen_ = !error;
    woken_.set();
  }
  void abandon() override { leave(); }
  void leave() {
    if (watched_ != nullptr) std::exchange(watched_, nullptr)->waiters_.unlink(*this);
  }

  event* watched_;
  event& woken_;
  bool seen_ = false;
};

}  // namespace awm::coro
