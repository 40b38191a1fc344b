// A file is on three mirrors. The first one that delivers it wins, and the others are told to stop; a mirror that fails
// is no reason to give up, but none left is.

#include <awm/coro/sleep.hpp>
#include <awm/coro/virtual_clock.hpp>
#include <awm/coro/when_any.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace coro = awm::coro;
using namespace std::chrono_literals;

struct mirror {
  const char* name;
  std::chrono::seconds needed;
  bool has_file;
};

static asio::awaitable<std::string> download(coro::clock& clock, mirror from) {
  const std::error_code error = co_await coro::sleep(clock, from.needed);
  if (error) throw std::system_error(error);
  if (!from.has_file) throw std::runtime_error("no such file");
  co_return std::string("the file from ") + from.name;
}

static asio::awaitable<void> fetch(coro::clock& clock, const std::vector<mirror>& mirrors) {
  std::vector<asio::awaitable<std::string>> downloads;
  for (const mirror& each : mirrors) downloads.push_back(download(clock, each));
  const auto result = co_await coro::when_any(coro::first_success, std::move(downloads));
  for (std::size_t at = 0; at < mirrors.size(); ++at) {
    const auto& ended = result.outcomes[at];
    const char* how = ended ? "delivered" : ended.is_cancelled() ? "was stopped" : "failed";
    std::printf("%s %s\n", mirrors[at].name, how);
  }
  std::printf("%s\n", result.has_winner() ? result.outcomes[result.index].value().c_str() : "there is no such file");
}

static asio::awaitable<void> show(coro::clock& clock) {
  const std::vector<mirror> mirrors{{"oslo", 9s, true}, {"prague", 1s, false}, {"quito", 4s, true}};
  co_await fetch(clock, mirrors);
  const std::vector<mirror> without{{"riga", 1s, false}, {"seoul", 2s, false}};
  co_await fetch(clock, without);
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);
}
