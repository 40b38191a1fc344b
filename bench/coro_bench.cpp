// What the primitives cost beside the floor of the event loop itself: a posted handler, and the timer that stands in
// for an event in programs that have none.

#include "coro/event.hpp"

#include <asio/detached.hpp>
#include <asio/steady_timer.hpp>
#include <benchmark/benchmark.h>

namespace {

using namespace awm::coro;

asio::awaitable<void> post_often(benchmark::State& state) {
  const auto executor = co_await asio::this_coro::executor;
  for (auto iteration : state) {
    (void)iteration;
    co_await asio::post(executor, asio::use_awaitable);
  }
}

asio::awaitable<void> set_and_wait(benchmark::State& state) {
  event happened(co_await asio::this_coro::executor);
  for (auto iteration : state) {
    (void)iteration;
    happened.set();
    co_await happened.async_wait(as_value);
    happened.reset();
  }
}

asio::awaitable<void> cancel_a_timer_and_wait(benchmark::State& state) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (auto iteration : state) {
    (void)iteration;
    timer.expires_at(asio::steady_timer::time_point::min());
    co_await timer.async_wait(as_value);
  }
}

template <asio::awaitable<void> (*body)(benchmark::State&)>
void in_a_loop(benchmark::State& state) {
  asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
  asio::co_spawn(context, body(state), asio::detached);
  context.run();
}

BENCHMARK(in_a_loop<post_often>)->Name("floor: post and resume");
BENCHMARK(in_a_loop<set_and_wait>)->Name("event: set, wait, resume");
BENCHMARK(in_a_loop<cancel_a_timer_and_wait>)->Name("peer: timer as an event");

}  // namespace
