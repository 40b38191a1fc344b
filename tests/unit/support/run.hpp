#pragma once

#include "coro/asio.hpp"

#include <asio/detached.hpp>

#include <exception>
#include <utility>

namespace awm::test {

/// Runs the coroutine that `body(executor)` makes, and everything that it starts, to the end; rethrows what it threw.
template <class Body>
void run(Body&& body) {
  asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
  std::exception_ptr error;
  asio::co_spawn(context, body(context.get_executor()), [&error](std::exception_ptr thrown) { error = thrown; });
  context.run();
  if (error) std::rethrow_exception(error);
}

/// Lets everything run that is ready to.
inline asio::awaitable<void> settle() {
  // A chain of wake-ups posts one step at a time; no test here has a longer one.
  constexpr int longest_chain = 50;
  for (int step = 0; step < longest_chain; ++step)
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

}  // namespace awm::test
