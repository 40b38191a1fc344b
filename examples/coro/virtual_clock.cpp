// The test of a session that ends after an hour without a request. It takes no time, and the same happens in it every
// time.

#include <awm/coro/deadline.hpp>
#include <awm/coro/event.hpp>
#include <awm/coro/sleep.hpp>
#include <awm/coro/virtual_clock.hpp>
#include <awm/coro/when_all.hpp>

#include <cstdio>
#include <cstdlib>

namespace coro = awm::coro;
using namespace std::chrono_literals;

/// What is tested: returns when there was no request for an hour.
static asio::awaitable<void> keep_session(coro::clock& clock, coro::auto_reset_event& request) {
  const auto next = [&request](auto token) { return request.async_wait(token); };
  std::error_code error;
  while (!error) {
    const auto [ended] = co_await coro::with_timeout(clock, 1h, next);
    error = ended;
  }
}

static asio::awaitable<void> send_requests(coro::clock& clock, coro::auto_reset_event& request) {
  for (const auto pause : {5min, 59min, 20min}) {
    co_await coro::sleep(clock, pause);
    request.set();
  }
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  coro::auto_reset_event request(loop.get_executor());
  asio::co_spawn(loop, coro::when_all(keep_session(clock, request), send_requests(clock, request)),
                 [](std::exception_ptr error) {
                   if (error) std::rethrow_exception(error);
                 });
  const auto begin = clock.now();
  clock.run(loop, begin + 2h);
  std::printf("last request after %lld minutes\n", static_cast<long long>((clock.now() - begin) / 1min));
  clock.run(loop);
  const auto lasted = clock.now() - begin;
  std::printf("end of the session after %lld minutes\n", static_cast<long long>(lasted / 1min));
  return lasted == 5min + 59min + 20min + 1h ? EXIT_SUCCESS : EXIT_FAILURE;
}
