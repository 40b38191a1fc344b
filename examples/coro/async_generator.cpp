// A server lists its articles page by page. The generator asks for a page only when somebody wants what is on it, and
// who reads it sees one article after the other.

#include <awm/coro/async_generator.hpp>
#include <awm/coro/sleep.hpp>
#include <awm/coro/virtual_clock.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace coro = awm::coro;
using namespace std::chrono_literals;

static asio::awaitable<std::vector<std::string>> ask_for_page(coro::clock& clock, std::size_t number) {
  static const std::vector<std::vector<std::string>> pages{{"anvil", "bell"}, {"candle", "drum"}, {"easel"}};
  std::printf("(asking for page %zu)\n", number);
  const std::error_code error = co_await coro::sleep(clock, 1s);
  if (error) throw std::system_error(error);
  if (number >= pages.size()) co_return std::vector<std::string>();
  co_return pages[number];
}

static coro::async_generator<std::string> articles(coro::clock& clock) {
  for (std::size_t number = 0;; ++number) {
    const std::vector<std::string> page = co_await ask_for_page(clock, number);
    if (page.empty()) co_return;
    for (const std::string& article : page) co_yield article;
  }
}

static asio::awaitable<void> find(coro::clock& clock, std::string wanted) {
  auto list = articles(clock);
  while (true) {
    const std::optional<std::string> article = co_await list.next();
    if (!article) break;
    std::printf("%s\n", article->c_str());
    if (*article == wanted) co_return;  // the pages behind are never asked for
  }
  std::printf("there is no %s\n", wanted.c_str());
}

static asio::awaitable<void> show(coro::clock& clock) {
  co_await find(clock, "candle");
  co_await find(clock, "fork");
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);
}
