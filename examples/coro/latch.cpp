// A server accepts connections only when its three parts have started, each in its own time.

#include <awm/coro/latch.hpp>
#include <awm/coro/sleep.hpp>
#include <awm/coro/virtual_clock.hpp>
#include <awm/coro/when_all.hpp>

#include <cstdio>

namespace coro = awm::coro;
using namespace std::chrono_literals;

static asio::awaitable<void> start(coro::latch& missing, coro::clock& clock, const char* part,
                                   std::chrono::seconds needed) {
  co_await coro::sleep(clock, needed);
  missing.count_down();
  std::printf("the %s has started; still missing: %zu\n", part, missing.count());
}

static asio::awaitable<void> accept(coro::latch& missing) {
  const std::error_code error = co_await missing.wait();
  if (error) co_return;  // cancelled: the server is not needed any more
  std::printf("accepting connections\n");
}

static asio::awaitable<void> show(coro::clock& clock) {
  coro::latch missing(co_await asio::this_coro::executor, 3);
  co_await coro::when_all(accept(missing), start(missing, clock, "cache", 2s), start(missing, clock, "database", 5s),
                          start(missing, clock, "index", 3s));
  co_await missing.wait();  // goes on at once: a latch stays open
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);
}
