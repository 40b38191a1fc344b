// Guests answer an invitation, each in its own way. An `outcome` keeps how, whether that is a value or an exception.

#include <awm/coro/outcome.hpp>
#include <awm/coro/settle_all.hpp>

#include <cstdio>
#include <stdexcept>
#include <tuple>

namespace coro = awm::coro;

static asio::awaitable<int> brings_guests(int count) {
  co_return count;
}

static asio::awaitable<int> declines() {
  throw std::runtime_error("no time");
  co_return 0;
}

static asio::awaitable<int> is_called_away() {
  throw std::system_error(asio::error::operation_aborted);  // as does what is cancelled while it waits
  co_return 0;
}

static void tell(const char* who, const coro::outcome<int>& answer) {
  if (answer.has_value()) {
    std::printf("%s comes with %d\n", who, answer.value());
  } else if (answer.is_cancelled()) {
    std::printf("%s was called away\n", who);
  } else {
    try {
      std::rethrow_exception(answer.error());
    } catch (const std::exception& error) {
      std::printf("%s does not come: %s\n", who, error.what());
    }
  }
}

static asio::awaitable<void> show() {
  const auto [anna, bert, carla] = co_await coro::settle_all(brings_guests(2), declines(), is_called_away());
  tell("anna", anna);
  tell("bert", bert);
  tell("carla", carla);
}

int main() {
  asio::io_context loop;
  asio::co_spawn(loop, show(), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  loop.run();
}
