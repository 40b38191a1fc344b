// Awaits signals. Those that come while nobody waits are kept, and each goes to exactly one wait.

#include <awm/coro/signal_listener.hpp>

#include <asio/detached.hpp>

#include <csignal>
#include <iostream>

using namespace awm;

static asio::awaitable<void> work_until_told_to_stop() {
  const auto executor = co_await asio::this_coro::executor;
  coro::signal_listener signals(executor, {SIGHUP, SIGTERM});
  // What others would send: two requests to read the configuration again, and one to stop, while this is busy.
  std::raise(SIGHUP);
  std::raise(SIGHUP);
  std::raise(SIGTERM);
  for (bool go_on = true; go_on;) {
    const auto [error, number] = co_await signals.next();
    go_on = !error && number != SIGTERM;
    std::cout << (go_on ? "reading the configuration again\n" : "stopping\n");
  }
}

static asio::awaitable<void> give_up_waiting() {
  const auto executor = co_await asio::this_coro::executor;
  coro::signal_listener signals(executor, {SIGTERM});
  asio::cancellation_signal give_up;
  const auto tell = [](std::error_code error, int) { std::cout << "nothing came: " << error.message() << "\n"; };
  signals.async_next(asio::bind_cancellation_slot(give_up.slot(), tell));  // any completion token will do
  give_up.emit(asio::cancellation_type::terminal);
  std::raise(SIGTERM);  // is not lost: the cancelled wait took nothing
  const auto [error, number] = co_await signals.next();
  std::cout << "the next wait got " << (number == SIGTERM ? "SIGTERM" : "nothing") << "\n";
}

int main() {
  asio::io_context context;
  asio::co_spawn(context, work_until_told_to_stop(), asio::detached);
  context.run();
  context.restart();
  asio::co_spawn(context, give_up_waiting(), asio::detached);
  context.run();
}
