// Finds and ends what a child has started, also a grandchild in a session of its own, which no signal to the child's
// process group reaches.

#include <awm/coro/process.hpp>
#include <awm/coro/process_tree.hpp>

#include <asio/buffer.hpp>
#include <asio/detached.hpp>
#include <asio/read_until.hpp>

#include <array>
#include <iostream>

using namespace awm;

static asio::awaitable<void> end_a_family() {
  const auto executor = co_await asio::this_coro::executor;
  coro::process_options options;
  options.file = "/bin/sh";
  options.arguments = {"sh", "-c", "setsid sh -c 'echo ready; while read nothing; do :; done < /dev/zero' & wait"};
  options.environment = {"PATH=/usr/bin:/bin"};
  std::error_code error;
  auto child = coro::process::start(executor, options, error);
  if (error) throw std::system_error(error, "cannot start sh");
  std::string line;
  co_await asio::async_read_until(child.standard_output(), asio::dynamic_buffer(line), '\n', coro::as_value);

  const std::array roots{child.pid()};
  const auto family = coro::descendants_of(roots);
  std::cout << "the child has " << family.size() << " descendant(s)\n";
  const auto killed = coro::kill_trees(roots);
  std::cout << "signalled " << killed.size() << " processes\n";
  const auto [failed, status] = co_await child.wait();
  std::cout << "the child ended with " << status.code << "\n";
  line.clear();
  // The grandchild held the other end of the pipe: its end is the end of the stream.
  const auto [end, size] =
      co_await asio::async_read_until(child.standard_output(), asio::dynamic_buffer(line), '\n', coro::as_value);
  std::cout << "and the grandchild is gone: " << end.message() << "\n";
}

int main() {
  asio::io_context context;
  asio::co_spawn(context, end_a_family(), asio::detached);
  context.run();
}
