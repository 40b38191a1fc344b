// Reads lines from three children over one buffer: all lines of a read at once, or one by one, with a limit.

#include <awm/coro/line_stream.hpp>
#include <awm/coro/process.hpp>
#include <awm/coro/when_all.hpp>

#include <iostream>
#include <string>
#include <system_error>
#include <vector>

using namespace awm;

static coro::process start(asio::any_io_executor executor, std::string script) {
  coro::process_options options;
  options.file = "/bin/sh";
  options.arguments = {"sh", "-c", std::move(script)};
  options.environment = {"PATH=/usr/bin:/bin"};
  std::error_code error;
  auto child = coro::process::start(executor, options, error);
  if (error) throw std::system_error(error, "cannot start sh");
  return child;
}

/// The fast way: the callback sees each line where it lies in the buffer.
static asio::awaitable<std::size_t> count_lines(coro::read_buffer& buffer, int last) {
  auto child = start(co_await asio::this_coro::executor, "seq " + std::to_string(last));
  coro::line_stream lines(child.standard_output(), buffer, 1000);
  std::size_t count = 0;
  const auto on_line = [&count](const coro::stream_line&) { ++count; };
  for (std::error_code end; !end;) end = co_await lines.read_lines(on_line);
  co_return count;
}

/// The easy way: one line, which stays valid until the next is asked for.
static asio::awaitable<std::vector<std::string>> list_lines(coro::read_buffer& buffer) {
  auto child = start(co_await asio::this_coro::executor, "echo short; seq -s, 1000; printf 'no newline'");
  coro::line_stream lines(child.standard_output(), buffer, 100);
  std::vector<std::string> list;
  while (true) {
    const auto line = co_await lines.next();
    if (line.what == coro::stream_line::kind::end) co_return list;
    if (line.what == coro::stream_line::kind::line) list.push_back("a line: " + std::string(line.text));
    if (line.what == coro::stream_line::kind::too_long) list.push_back("a line that is too long");
    if (line.what == coro::stream_line::kind::error) throw std::system_error(line.error);
  }
}

static asio::awaitable<void> show() {
  coro::read_buffer buffer;
  const auto [few, many, list] =
      co_await coro::when_all(count_lines(buffer, 100), count_lines(buffer, 50'000), list_lines(buffer));
  std::cout << "seq 100 printed " << few << " lines, seq 50000 printed " << many << "\n";
  for (const std::string& each : list) std::cout << each << "\n";
}

int main() {
  asio::io_context context;
  asio::co_spawn(context, show(), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  context.run();
}
