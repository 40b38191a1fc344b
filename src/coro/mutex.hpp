#pragma once

#include "wait_list.hpp"

#include <cassert>

namespace awm::coro {

/// Lets one coroutine at a time into a section that awaits.
///
/// One thread needs no mutex for what happens between two awaits, and `std::mutex` must not be held across one: it
/// would stop the event loop that is to end the wait. This one makes the coroutine wait and not the thread.
///
/// Fair: the lock goes from its holder to whoever has waited longest, never to somebody who comes by in between.
/// Cancellation: a cancelled wait completes with `operation_aborted`, without the lock.
/// Destroying a mutex completes its waiters with `operation_aborted`; destroying one that is held is asserted.
/// Cost: a free mutex, nothing but the call; else one recycled block and one post a wait.
class mutex {
 public:
  /// Holds a mutex, and gives it back when destroyed. One that holds nothing tests false.
  class guard {
   public:
    guard() = default;
    /// Takes over a lock that its creator has.
    explicit guard(mutex& held) : held_(&held) {}
    guard(guard&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
    guard& operator=(guard&& other) noexcept {
      guard(std::move(other)).swap(*this);
      return *this;
    }
    ~guard() { unlock(); }

    explicit operator bool() const { return held_ != nullptr; }

    /// Gives the lock back before the end of the scope.
    void unlock() {
      if (held_ != nullptr) std::exchange(held_, nullptr)->unlock();
    }
    void swap(guard& other) noexcept { std::swap(held_, other.held_); }

   private:
    mutex* held_ = nullptr;
  };

  /// `executor` runs the handlers of waiters that bring no executor of their own.
  explicit mutex(asio::any_io_executor executor) : waiters_(std::move(executor)) {}
  ~mutex() { assert((!locked_ || !is_running(get_executor())) && "a mutex must be unlocked before it is destroyed"); }

  bool is_locked() const { return locked_; }

  /// Takes the lock when it is free; returns whether it was.
  bool try_lock() { return !std::exchange(locked_, true); }

  /// Gives the lock back, to the one that has waited longest if anybody waits.
  void unlock() {
    assert(locked_ && "only who holds a mutex unlocks it");
    locked_ = waiters_.complete_one();
  }

  /// Completes with the lock, with `void(std::error_code)`; the caller then owes an `unlock()` (or a `guard`).
  /// Error: `operation_aborted` when it is cancelled or the mutex is destroyed.
  template <class Token>
  auto async_lock(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        [this](auto handler) {
          waiters_.append(std::move(handler), {});
          if (try_lock()) waiters_.complete_one();
        },
        token);
  }

  /// The lock for a coroutine, at once when it is free. The guard is empty when the wait was cancelled or the mutex
  /// destroyed.
  [[nodiscard]] asio::awaitable<guard> lock() {
    if (try_lock()) co_return guard(*this);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (was_cancelled(state)) co_return guard();
    const auto [error] = co_await async_lock(as_value);
    if (error) co_return guard();
    co_return guard(*this);
  }

  const asio::any_io_executor& get_executor() const { return waiters_.get_executor(); }

 private:
  wait_list waiters_;
  bool locked_ = false;
};

}  // namespace awm::coro
