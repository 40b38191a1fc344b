// A shop needs the price and the stock of an article at the same time. When one of them cannot be had the other is of
// no use: it is cancelled, and the order fails for the reason that made it fail.

#include <awm/coro/sleep.hpp>
#include <awm/coro/virtual_clock.hpp>
#include <awm/coro/when_all.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace coro = awm::coro;
using namespace std::chrono_literals;

static asio::awaitable<double> price(coro::clock& clock, std::string article) {
  const std::error_code error = co_await coro::sleep(clock, 5s);
  if (error) {
    std::printf("the price of the %s is not needed any more\n", article.c_str());
    throw std::system_error(error);
  }
  co_return 9.5;
}

static asio::awaitable<int> stock(coro::clock& clock, std::string article) {
  co_await coro::sleep(clock, 1s);
  if (article == "unicorn") throw std::runtime_error("there is no such article");
  co_return 12;
}

static asio::awaitable<void> order(coro::clock& clock, std::string article) {
  const auto begin = clock.now();
  try {
    const auto [each, left] = co_await coro::when_all(price(clock, article), stock(clock, article));
    std::printf("%s: %.2f each, %d left", article.c_str(), each, left);
  } catch (const std::runtime_error& error) {
    std::printf("%s: %s", article.c_str(), error.what());
  }
  std::printf(", after %lld s\n", static_cast<long long>((clock.now() - begin) / 1s));
}

static asio::awaitable<void> show(coro::clock& clock) {
  co_await order(clock, "umbrella");
  co_await order(clock, "unicorn");
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);
}
