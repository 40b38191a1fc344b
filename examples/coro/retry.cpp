// An upload fails while the server is busy, and is tried again with growing pauses. What no further attempt would
// change, a wrong password, is not tried again.

#include <awm/coro/retry.hpp>
#include <awm/coro/virtual_clock.hpp>

#include <cstdio>
#include <string>

namespace coro = awm::coro;
using namespace std::chrono_literals;

enum class answer { stored, busy, denied };

/// The server has been started a moment ago: it needs four seconds more.
static asio::awaitable<answer> upload(coro::clock& clock, std::size_t number, std::string password) {
  const auto now = clock.now().time_since_epoch();
  const auto got = password != "secret" ? answer::denied : now < 4s ? answer::busy : answer::stored;
  const char* text = got == answer::stored ? "stored" : got == answer::busy ? "busy" : "denied";
  std::printf("%.1f s: attempt %zu, %s\n", std::chrono::duration<double>(now).count(), number, text);
  co_return got;
}

static asio::awaitable<void> show(coro::clock& clock) {
  coro::retry_policy patience;
  patience.attempts = 6;
  patience.first_pause = 1s;
  patience.factor = 2;
  patience.random = [] { return 0.2; };  // of no use in a program; here, so that it prints the same every time
  const auto is_busy = [](const coro::outcome<answer>& ended) { return ended && ended.value() == answer::busy; };

  const auto with_password = [&clock](std::size_t number) { return upload(clock, number, "secret"); };
  const answer last = co_await coro::retry(clock, patience, with_password, is_busy);
  std::printf("the upload %s\n", last == answer::stored ? "is stored" : "has failed");

  const auto with_typo = [&clock](std::size_t number) { return upload(clock, number, "sceret"); };
  const answer other = co_await coro::retry(clock, patience, with_typo, is_busy);
  std::printf("the upload %s\n", other == answer::stored ? "is stored" : "has failed");
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);
}
