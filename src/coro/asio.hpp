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
#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>
#if ASIO_VERSION < 103000
#include <asio/experimental/as_tuple.hpp>
#else
#include <asio/as_tuple.hpp>
#endif

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

}  // namespace awm::coro
