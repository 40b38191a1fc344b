// A log arrives in pieces that end anywhere. The buffer hands out its lines, and skips one that is longer than 20
// bytes.

#include <awm/coro/line_buffer.hpp>

#include <iostream>

namespace coro = awm::coro;

int main() {
  coro::line_buffer buffer(20);
  const auto on_line = [](std::string_view line) { std::cout << "line: " << line << "\n"; };
  const auto on_too_long = [] { std::cout << "a line that is too long\n"; };
  // What reads from a socket might return.
  for (const std::string_view read :
       {"started\nlisten", "ing on po", "rt 80\n\nGET /a/very/long/", "path/that/goes/on\nGET /\n", "stopp", "ed"}) {
    std::cout << "(" << read.size() << " bytes)\n";
    buffer.feed(read, on_line, on_too_long);
  }
  buffer.finish(on_line);  // the end of the stream is the end of the last line
}
