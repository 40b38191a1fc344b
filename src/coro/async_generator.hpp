#pragma once

#include "event.hpp"
#include "spawn.hpp"

#include <coroutine>
#include <optional>

namespace awm::coro {

/// A coroutine that yields values one after the other, and may wait between them.
///
/// `asio::awaitable` returns once; streams of values become callbacks or channels, with a second coroutine to feed
/// them. A generator runs only while somebody waits for its next value: it is its consumer's coroutine, as a loop's
/// body is.
///
/// ```
/// async_generator<int> count_to(int last, clock& clock) {
///   for (int number = 1; number <= last; ++number) {
///     co_await sleep(clock, 1s);
///     co_yield number;
///   }
/// }
/// ```
/// Inside, `co_await` takes whatever an `asio::awaitable` coroutine takes: awaitables, so operations with
/// `use_awaitable` or `as_value`, and `asio::this_coro::executor`. Awaitables run on the consumer's executor.
///
/// Cancellation of a `next()` reaches what the generator awaits at that moment; the generator may catch that, yield a
/// last value, or end by it. What it awaits afterwards is not cancelled.
/// Exceptions that leave the generator are thrown by `next()`, and end it.
/// Destroying a generator destroys its frame, wherever that stands; not to be done while a `next()` is under way.
/// References: none into the generator, as what it yields is moved out and is its consumer's own.
/// Cost: a value that is there costs a call; an `awaitable` that it awaits costs a `co_spawn`.
template <class T>
class [[nodiscard]] async_generator {
 public:
  class promise_type;

  async_generator(async_generator&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  async_generator& operator=(async_generator&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~async_generator() {
    if (frame_) frame_.destroy();
  }

  /// The next value; nothing when the generator has ended.
  asio::awaitable<std::optional<T>> next() {
    if (!frame_ || frame_.done()) co_return std::nullopt;
    auto& promise = frame_.promise();
    promise.executor_ = co_await asio::this_coro::executor;
    promise.settled_ = false;
    frame_.resume();
    if (!promise.settled_) {
      event arrived(promise.executor_);
      promise.arrived_ = &arrived;
      const auto state = co_await asio::this_coro::cancellation_state;
      auto outside = state.slot();
      if (was_cancelled(state)) promise.cancel_.emit(asio::cancellation_type::terminal);
      if (outside.is_connected()) {
        outside.assign([&promise](asio::cancellation_type type) { promise.cancel_.emit(type); });
      }
      const bool throws = co_await asio::this_coro::throw_if_cancelled();
      co_await asio::this_coro::throw_if_cancelled(false);
      co_await arrived.async_wait(as_value_until(asio::cancellation_slot()));
      co_await asio::this_coro::throw_if_cancelled(throws);
      if (outside.is_connected()) outside.clear();
    }
    if (promise.error_) std::rethrow_exception(std::exchange(promise.error_, nullptr));
    co_return std::exchange(promise.value_, std::nullopt);
  }

  /// The same as an operation, on `executor`: completes with `void(std::exception_ptr, std::optional<T>)`.
  template <class Token>
  auto async_next(const asio::any_io_executor& executor, Token&& token) {
    return asio::co_spawn(executor, next(), std::forward<Token>(token));
  }

 private:
  explicit async_generator(std::coroutine_handle<promise_type> frame) : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

template <class T>
class async_generator<T>::promise_type {
 public:
  async_generator get_return_object() {
    return async_generator(std::coroutine_handle<promise_type>::from_promise(*this));
  }
  std::suspend_always initial_suspend() noexcept { return {}; }
  std::suspend_always final_suspend() noexcept {
    settle();
    return {};
  }
  void return_void() {}
  void unhandled_exception() { error_ = std::current_exception(); }

  std::suspend_always yield_value(T value) {
    value_.emplace(std::move(value));
    settle();
    return {};
  }

  template <class U>
  auto await_transform(asio::awaitable<U> awaited) {
    return waiting<U>{*this, std::move(awaited), {}};
  }

  auto await_transform(asio::this_coro::executor_t) {
    struct ready : std::suspend_never {
      asio::any_io_executor executor;
      asio::any_io_executor await_resume() { return std::move(executor); }
    };
    return ready{{}, executor_};
  }

 private:
  friend class async_generator;

  /// An awaitable as the generator awaits it.
  template <class U>
  struct waiting {
    promise_type& promise;
    asio::awaitable<U> awaited;
    outcome<U> ended;
    bool is_suspended = false;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<promise_type> frame) {
      spawn_into(promise.executor_, std::move(awaited), ended, promise.cancel_.slot(), [this, frame] {
        if (is_suspended) frame.resume();
      });
      // What has ended by now goes on at once: resuming it from here would grow the stack with each.
      is_suspended = !ended.has_ended();
      return is_suspended;
    }
    U await_resume() {
      if constexpr (std::is_void_v<U>) {
        ended.value();
      } else {
        return std::move(ended).value();
      }
    }
  };

  void settle() {
    settled_ = true;
    if (arrived_ != nullptr) std::exchange(arrived_, nullptr)->set();
  }

  asio::any_io_executor executor_;
  asio::cancellation_signal cancel_;
  event* arrived_ = nullptr;  // what the `next()` that is under way waits for
  bool settled_ = false;
  std::optional<T> value_;
  std::exception_ptr error_;
};

}  // namespace awm::coro
