#pragma once
// The parts of Asio that the library uses, and the names that moved between 1.22 and 1.30: the rest of the code reads
// the same against both.

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/cancellation_state.hpp>
#include <asio/co_spawn.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/recycling_allocator.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>
#if ASIO_VERSION < 103000
#include <asio/experimental/as_tuple.hpp>
#else
#include <asio/as_tuple.hpp>
#endif

#include <memory>
#include <type_traits>
#include <utility>

namespace awm::coro {

#if ASIO_VERSION < 103000
namespace tuple_ns = asio::experimental;
#else
namespace tuple_ns = asio;
#endif

/// The token for `const auto [error, …] = co_await operation(as_value)`: an error is a value and nothing is thrown,
/// which on hot paths is a hundred times cheaper than an exception through a coroutine frame.
inline constexpr auto as_value = tuple_ns::as_tuple(asio::use_awaitable);

/// `as_value` for an operation that listens to `slot` instead of to the coroutine's own cancellation.
inline auto as_value_until(asio::cancellation_slot slot) {
  return asio::bind_cancellation_slot(slot, as_value);
}

/// `asio::post`, past the type erasure where the executor is an event loop's own: 39 ns instead of 123 (1.22.1).
template <class Executor, class Function>
void post_to(const Executor& executor, Function&& function) {
  if constexpr (std::is_same_v<Executor, asio::any_io_executor>) {
    if (const auto* loop = executor.template target<asio::io_context::executor_type>(); loop != nullptr) {
      asio::post(*loop, std::forward<Function>(function));
      return;
    }
  }
  asio::post(executor, std::forward<Function>(function));
}

/// The way to a handler that waits: to its own executor, never within the call that completes it, and with the event
/// loop kept running until then.
///
/// A handler whose executor is of another type is posted to the loop's and dispatched from there, as Asio's own
/// operations do it: that of `asio::use_future` then runs on the loop, not on a thread of the system's executor.
template <class Executor>
class handler_route {
 public:
  handler_route(const Executor& executor, const asio::any_io_executor& loop)
      : executor_(executor), loop_(loop), work_(executor), loop_work_(loop) {}

  template <class Function>
  void post(Function&& function) && {
    // The guards' own executors are not used: behind their type erasure stands one that counts work, and no loop's own.
    post_to(loop_,
            [executor = executor_, work = std::move(work_), called = std::forward<Function>(function)]() mutable {
              asio::dispatch(executor, std::move(called));
            });
  }

 private:
  Executor executor_;
  asio::any_io_executor loop_;
  asio::executor_work_guard<Executor> work_;
  asio::executor_work_guard<asio::any_io_executor> loop_work_;
};

template <>
class handler_route<asio::any_io_executor> {
 public:
  handler_route(const asio::any_io_executor& executor, const asio::any_io_executor&)
      : executor_(executor), work_(executor) {}

  template <class Function>
  void post(Function&& function) && {
    post_to(executor_, std::forward<Function>(function));
  }

 private:
  asio::any_io_executor executor_;
  asio::executor_work_guard<asio::any_io_executor> work_;
};

/// Runs what it is given at once. For completion handlers of our own that only take note, and that `co_spawn` would
/// otherwise send once more around the event loop: it costs a third of a short coroutine's life.
class inline_executor {
 public:
  explicit inline_executor(asio::execution_context& context) : context_(&context) {}

  asio::execution_context& query(asio::execution::context_t) const noexcept { return *context_; }
  static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
    return asio::execution::blocking.never;
  }
  /// Not kept, and nobody here relies on it: `asio::post` insists on the promise.
  inline_executor require(asio::execution::blocking_t::never_t) const noexcept { return *this; }
  template <class Function>
  void execute(Function&& function) const {
    std::forward<Function>(function)();
  }
  bool operator==(const inline_executor&) const noexcept = default;

 private:
  asio::execution_context* context_;
};

/// Whether a coroutine was cancelled before: with `throw_if_cancelled` off, an operation that it starts then would not
/// hear of it. `const auto state = co_await asio::this_coro::cancellation_state; if (was_cancelled(state)) …`
inline bool was_cancelled(const asio::cancellation_state& state) {
  return state.cancelled() != asio::cancellation_type::none;
}

/// Whether this thread runs the event loop of the executor. What a destructor demands can only be demanded then: a loop
/// that is destroyed destroys its coroutines wherever they stand.
inline bool is_running(const asio::any_io_executor& executor) {
  const auto* loop = executor.target<asio::io_context::executor_type>();
  return loop != nullptr && loop->running_in_this_thread();
}

/// The allocator of an operation with a handler: the handler's own, or Asio's cache of what was just freed where it has
/// none.
template <class Allocator>
using recycling_by_default =
    std::conditional_t<std::is_same_v<Allocator, std::allocator<typename Allocator::value_type>>,
                       asio::recycling_allocator<typename Allocator::value_type>, Allocator>;
template <class Handler>
auto allocator_of(const Handler& handler) {
  using allocator = recycling_by_default<asio::associated_allocator_t<Handler>>;
  if constexpr (std::is_same_v<allocator, asio::associated_allocator_t<Handler>>) {
    return asio::get_associated_allocator(handler);
  } else {
    return allocator();
  }
}

/// The context of an executor.
template <class Executor>
asio::execution_context& context_of(const Executor& executor) {
  return asio::query(executor, asio::execution::context);
}

}  // namespace awm::coro
