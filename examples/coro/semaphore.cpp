// Images are scaled within 4 GB of memory: each job takes what its image needs. A big one is not overtaken for ever by
// small ones, and a preview that cannot begin within three seconds is left out.

#include <awm/coro/semaphore.hpp>
#include <awm/coro/sleep.hpp>
#include <awm/coro/virtual_clock.hpp>
#include <awm/coro/when_all.hpp>

#include <cstdio>

namespace coro = awm::coro;
using namespace std::chrono_literals;

static void tell(const coro::clock& clock, const char* image, const char* what) {
  std::printf("%2lld s: %s %s\n", static_cast<long long>(clock.now().time_since_epoch() / 1s), image, what);
}

static asio::awaitable<void> scale(coro::semaphore& gigabytes, coro::clock& clock, const char* image, int needed) {
  const auto memory = co_await gigabytes.acquire(needed);
  if (!memory) co_return;  // cancelled while it waited
  tell(clock, image, "begins");
  co_await coro::sleep(clock, 10s);
  tell(clock, image, "is done");
}  // the memory is given back here

static asio::awaitable<void> preview(coro::semaphore& gigabytes, coro::clock& clock) {
  const auto memory = co_await gigabytes.acquire_until(clock, clock.now() + 3s);
  tell(clock, "the preview", memory ? "begins" : "is left out");
}

static asio::awaitable<void> show(coro::clock& clock) {
  coro::semaphore gigabytes(co_await asio::this_coro::executor, 4);
  co_await coro::when_all(scale(gigabytes, clock, "a photo", 2), scale(gigabytes, clock, "a panorama", 4),
                          scale(gigabytes, clock, "an icon", 1), preview(gigabytes, clock));
  std::printf("%zu GB are free again\n", gigabytes.available());
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);
}
