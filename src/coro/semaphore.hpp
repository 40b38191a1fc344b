#pragma once

#include "deadline.hpp"
#include "wait_list.hpp"

#include <cassert>
#include <cstddef>

namespace awm::coro {

/// Lets a limited number of coroutines, or a limited weight of them, work at once.
///
/// Who works holds permits meanwhile: one each, where it is a number that is limited, or as many as the work weighs, in
/// megabytes of a budget, say. A `permit` object gives them back when it goes out of scope.
///
/// Fair: permits go to whoever has waited longest. One that waits for many is not overtaken by those that want few, so
/// it gets them.
/// Cancellation: a cancelled wait completes with `operation_aborted` and takes nothing; if it was the one that held up
/// the others, they go on.
/// Destroying a semaphore completes its waiters with `operation_aborted`; permits must not outlive it.
/// Cost: with permits left, nothing but the call; else one recycled block and one post a wait.
class semaphore {
 public:
  /// Holds permits, and gives them back when destroyed. One that holds nothing tests false.
  class permit {
   public:
    permit() = default;
    /// Takes over `count` permits that its creator has.
    permit(semaphore& source, std::size_t count) : source_(&source), count_(count) {}
    permit(permit&& other) noexcept : source_(std::exchange(other.source_, nullptr)), count_(other.count_) {}
    permit& operator=(permit&& other) noexcept {
      permit taken(std::move(other));
      std::swap(source_, taken.source_);
      std::swap(count_, taken.count_);
      return *this;
    }
    ~permit() { release(); }

    explicit operator bool() const { return source_ != nullptr; }
    /// How many it holds.
    std::size_t count() const { return source_ != nullptr ? count_ : 0; }

    /// Gives them back before the end of the scope.
    void release() {
      if (source_ != nullptr) std::exchange(source_, nullptr)->release(count_);
    }

   private:
    semaphore* source_ = nullptr;
    std::size_t count_ = 0;
  };

  /// `executor` runs the handlers of waiters that bring no executor of their own. `available`: the permits there are at
  /// first.
  semaphore(asio::any_io_executor executor, std::size_t available)
      : available_(available), waiters_(std::move(executor), {&semaphore::one_has_left, this}) {}

  std::size_t available() const { return available_; }
  /// How many wait.
  std::size_t waiting() const { return waiters_.size(); }

  /// Takes `count` permits when they are there and nobody waits; the result is empty when not.
  permit try_acquire(std::size_t count = 1) { return take(count) ? permit(*this, count) : permit(); }

  /// Gives `count` permits back, or adds them. Those of a `permit` come back by themselves.
  void release(std::size_t count = 1) {
    available_ += count;
    serve();
  }

  /// Completes with `count` permits, with `void(std::error_code)`; the caller then owes a `release(count)`.
  /// Error: `operation_aborted` when it is cancelled or the semaphore is destroyed.
  template <class Token>
  auto async_acquire(std::size_t count, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        [this, count](auto handler) {
          waiters_.append(std::move(handler), count);
          serve();
        },
        token);
  }

  /// Permits for a coroutine, at once when they are there and nobody waits. Empty when the wait was cancelled or the
  /// semaphore destroyed. A count beyond what there will ever be waits for ever, and so does whoever comes after it.
  [[nodiscard]] asio::awaitable<permit> acquire(std::size_t count = 1) {
    if (take(count)) co_return permit(*this, count);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (was_cancelled(state)) co_return permit();
    const auto [error] = co_await async_acquire(count, as_value);
    if (error) co_return permit();
    co_return permit(*this, count);
  }

  /// The same, and gives up at `deadline`: the result is empty then, too.
  [[nodiscard]] asio::awaitable<permit> acquire_until(coro::clock& clock, clock::time_point deadline,
                                                      std::size_t count = 1) {
    if (take(count)) co_return permit(*this, count);
    const auto acquire = [this, count](auto token) { return async_acquire(count, token); };
    const auto [error] = co_await with_deadline(clock, deadline, acquire);
    if (error) co_return permit();
    co_return permit(*this, count);
  }

  const asio::any_io_executor& get_executor() const { return waiters_.get_executor(); }

 private:
  bool take(std::size_t count) {
    if (!waiters_.empty() || available_ < count) return false;
    available_ -= count;
    return true;
  }

  void serve() {
    while (!waiters_.empty() && waiters_.front() <= available_) {
      available_ -= waiters_.front();
      waiters_.complete_one();
    }
  }

  static void one_has_left(void* self) { static_cast<semaphore*>(self)->serve(); }

  std::size_t available_;
  basic_wait_list<std::size_t> waiters_;
};

}  // namespace awm::coro
