// Runs a child, talks to it through its pipes, and ends one that does not want to end: first politely, then not.

#include <awm/coro/process.hpp>

#include <asio/buffer.hpp>
#include <asio/detached.hpp>
#include <asio/write.hpp>

#include <array>
#include <csignal>
#include <iostream>

using namespace awm;

static coro::process start(asio::any_io_executor executor, std::string script) {
  coro::process_options options;
  options.file = "/bin/sh";
  options.arguments = {"sh", "-c", std::move(script)};
  options.environment = {"PATH=/usr/bin:/bin"};
  options.standard_error = coro::child_stream::inherit;
  std::error_code error;
  auto child = coro::process::start(executor, options, error);
  if (error) throw std::system_error(error, "cannot start sh");
  return child;
}

static asio::awaitable<std::string> read_some(coro::process& child) {
  std::array<char, 256> buffer;
  const auto [error, size] = co_await child.standard_output().async_read_some(asio::buffer(buffer), coro::as_value);
  co_return std::string(buffer.data(), error ? 0 : size);
}

static asio::awaitable<void> converse() {
  const auto executor = co_await asio::this_coro::executor;
  auto child = start(executor, "read name; echo \"Hello, $name.\"; exit 7");
  const std::string text = "world\n";
  co_await asio::async_write(child.standard_input(), asio::buffer(text), coro::as_value);
  std::cout << co_await read_some(child);
  const auto [error, status] = co_await child.wait();
  std::cout << "it ended with " << status.code << "\n";
}

static asio::awaitable<void> stop_a_stubborn_one() {
  const auto executor = co_await asio::this_coro::executor;
  auto child = start(executor, "trap '' INT TERM; echo ready; while :; do read nothing; done < /dev/zero");
  co_await read_some(child);
  coro::system_clock clock(executor);
  const coro::kill_ladder plan{std::chrono::milliseconds(50), std::chrono::milliseconds(50)};
  const auto [error, result] = co_await child.stop(clock, plan);
  std::cout << "the stubborn one took signal " << result.signal << " (SIGKILL is " << SIGKILL << ")\n";
}

int main() {
  asio::io_context context;
  asio::co_spawn(context, converse(), asio::detached);
  context.run();
  context.restart();
  asio::co_spawn(context, stop_a_stubborn_one(), asio::detached);
  context.run();
}
