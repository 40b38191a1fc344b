// A status page asks all hosts at the same time. That one does not answer is a result like any other.

#include <awm/coro/settle_all.hpp>
#include <awm/coro/sleep.hpp>
#include <awm/coro/virtual_clock.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace coro = awm::coro;
using namespace std::chrono_literals;

static asio::awaitable<int> load_of(coro::clock& clock, std::string host) {
  co_await coro::sleep(clock, 1s);  // the way to the host and back
  if (host == "paris") throw std::runtime_error("does not answer");
  co_return static_cast<int>(10 * host.size());
}

static asio::awaitable<void> show(coro::clock& clock) {
  const std::vector<std::string> hosts{"london", "paris", "rome"};
  std::vector<asio::awaitable<int>> questions;
  for (const std::string& host : hosts) questions.push_back(load_of(clock, host));
  const std::vector<coro::outcome<int>> loads = co_await coro::settle_all(std::move(questions));
  for (std::size_t at = 0; at < hosts.size(); ++at) {
    try {
      std::printf("%s: %d %%\n", hosts[at].c_str(), loads[at].value());
    } catch (const std::runtime_error& error) {
      std::printf("%s: %s\n", hosts[at].c_str(), error.what());
    }
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
