// A client waits two seconds for each answer of a slow server. An operation tells by its error that the time was over,
// a coroutine is cancelled and has no value.

#include <awm/coro/channel.hpp>
#include <awm/coro/deadline.hpp>
#include <awm/coro/sleep.hpp>
#include <awm/coro/virtual_clock.hpp>
#include <awm/coro/when_all.hpp>

#include <cstdio>
#include <string>

namespace coro = awm::coro;
using namespace std::chrono_literals;

static asio::awaitable<void> serve(coro::clock& clock, coro::channel<std::string>& answers) {
  co_await coro::sleep(clock, 3s);
  const std::error_code refused = co_await answers.send("the answer");
  if (refused) std::printf("nobody wanted the answer\n");
}

static asio::awaitable<void> receive(coro::clock& clock, coro::channel<std::string>& answers) {
  const auto receiving = [&answers](auto token) { return answers.async_receive(token); };
  for (int attempt = 1; attempt <= 2; ++attempt) {
    const auto [error, answer] = co_await coro::with_timeout(clock, 2s, receiving);
    const char* what = error == asio::error::timed_out ? "nothing within 2 s" : answer ? answer->c_str() : "closed";
    std::printf("attempt %d: %s\n", attempt, what);
  }
}

static asio::awaitable<int> add_up(coro::clock& clock, int count) {
  const std::error_code error = co_await coro::sleep(clock, count * 1s);  // it takes a second for each
  if (error) throw std::system_error(error);
  co_return (count + 1) * count / 2;
}

static asio::awaitable<void> show(coro::clock& clock) {
  coro::channel<std::string> answers(co_await asio::this_coro::executor, 1);
  co_await coro::when_all(serve(clock, answers), receive(clock, answers));
  const auto by = clock.now() + 10s;
  for (const int count : {4, 40}) {
    const std::optional<int> sum = co_await coro::with_deadline(clock, by, add_up(clock, count));
    std::printf("1 to %d: %s\n", count, sum ? std::to_string(*sum).c_str() : "not in time");
  }
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);
}
