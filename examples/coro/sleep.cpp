// A monitor looks at a sensor every ten minutes, on the minute however long a look takes, until its shift is over.

#include <awm/coro/sleep.hpp>
#include <awm/coro/task_group.hpp>
#include <awm/coro/virtual_clock.hpp>

#include <cstdio>

namespace coro = awm::coro;
using namespace std::chrono_literals;

static long long minutes(const coro::clock& clock) {
  return static_cast<long long>(clock.now().time_since_epoch() / 1min);
}

static asio::awaitable<void> watch_sensor(coro::clock& clock) {
  for (auto next = clock.now();; next += 10min) {
    // Until a time and not for a time: so the two minutes that a look takes do not add up.
    const std::error_code error = co_await coro::sleep_until(clock, next);
    if (error) break;  // cancelled
    std::printf("%2lld min: looking\n", minutes(clock));
    const std::error_code interrupted = co_await coro::sleep(clock, 2min);
    if (interrupted) break;
  }
  std::printf("%2lld min: the shift is over\n", minutes(clock));
}

static asio::awaitable<void> show(coro::clock& clock) {
  coro::task_group shift(co_await asio::this_coro::executor);
  shift.spawn(watch_sensor(clock));
  co_await coro::sleep(clock, 35min);
  shift.cancel();
  co_await shift.join();
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  const auto rest = [&clock](std::error_code) { std::printf("%2lld min: a callback\n", minutes(clock)); };
  coro::async_sleep(loop.get_executor(), clock, 45min, rest);  // the same as an operation: any completion token will do
  clock.run(loop);
}
