// Heat spreads along a rod. Each half is computed by a coroutine of its own, and nobody begins a step before both
// halves of the step before are there.

#include <awm/coro/barrier.hpp>
#include <awm/coro/when_all.hpp>

#include <array>
#include <cstdio>

namespace coro = awm::coro;

static constexpr int steps = 3;
using rod = std::array<double, 8>;

static asio::awaitable<void> compute(coro::barrier& step_done, std::array<rod, 2>& rods, std::size_t first,
                                     std::size_t last) {
  for (int step = 0; step < steps; ++step) {
    const rod& now = rods[step % 2];
    rod& next = rods[(step + 1) % 2];
    for (std::size_t at = first; at <= last; ++at) next[at] = (now[at - 1] + now[at + 1]) / 2;
    std::printf("step %d: cells %zu to %zu\n", step, first, last);
    const std::error_code error = co_await step_done.arrive_and_wait();
    if (error) co_return;
  }
}

static asio::awaitable<void> show() {
  coro::barrier step_done(co_await asio::this_coro::executor, 2);
  std::array<rod, 2> rods{};
  for (rod& each : rods) each.front() = 16;  // the hot end
  co_await coro::when_all(compute(step_done, rods, 1, 3), compute(step_done, rods, 4, 6));
  for (const double degrees : rods[steps % 2]) std::printf("%g ", degrees);
  std::printf("\n");
}

int main() {
  asio::io_context loop;
  asio::co_spawn(loop, show(), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  loop.run();
}
