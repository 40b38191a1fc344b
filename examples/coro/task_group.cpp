// A crawler: every page that is read leads to others, so members start further members. At most two pages are read at a
// time; the crawl is over when the last one has ended.

#include <awm/coro/sleep.hpp>
#include <awm/coro/task_group.hpp>
#include <awm/coro/virtual_clock.hpp>

#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace coro = awm::coro;
using namespace std::chrono_literals;

static const std::map<std::string, std::vector<std::string>> site{
    {"home", {"news", "shop", "about"}}, {"news", {"today"}}, {"shop", {}}, {"about", {}}, {"today", {}}};

static asio::awaitable<void> read_page(coro::task_group& crawl, coro::clock& clock, std::string name) {
  const std::error_code error = co_await coro::sleep(clock, 1s);  // the way to the server and back
  if (error) throw std::system_error(error);
  const auto page = site.find(name);
  if (page == site.end()) throw std::runtime_error("there is no page " + name);
  std::printf("%lld s: %s\n", static_cast<long long>(clock.now().time_since_epoch() / 1s), name.c_str());
  for (const std::string& link : page->second) crawl.spawn(read_page(crawl, clock, link));
}

static asio::awaitable<void> show(coro::clock& clock) {
  coro::task_group crawl(co_await asio::this_coro::executor, 2);
  crawl.spawn(read_page(crawl, clock, "home"));
  co_await crawl.join();

  // A member that throws ends the others, and `join` throws the same.
  crawl.spawn(read_page(crawl, clock, "home"));
  crawl.spawn(read_page(crawl, clock, "jobs"));
  try {
    co_await crawl.join();
  } catch (const std::runtime_error& error) {
    std::printf("the crawl ended: %s\n", error.what());
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
