// mock-claude stands in for the Claude Code CLI in stream-json mode: the same protocol, no model, a thousandth of the
// memory. README.md describes the directives that script it.

#include "channel.hpp"
#include "options.hpp"
#include "session.hpp"

#include <unistd.h>

#include <string>

namespace {

void write_line(int fd, std::string line) {
  line += '\n';
  if (write(fd, line.data(), line.size()) < 0) return;
}

}  // namespace

int main(int argc, char** argv) {
  mock::channel io;
  mock::options given;
  std::string const error = mock::parse(argc, argv, given);
  if (!error.empty()) {
    write_line(STDERR_FILENO, error);
    return 1;
  }
  if (given.print_version) {
    write_line(STDOUT_FILENO, given.version + " (Claude Code)");
    return 0;
  }
  if (given.value("--input-format") != "stream-json" || given.value("--output-format") != "stream-json") {
    write_line(STDERR_FILENO, "Error: mock-claude speaks only --input-format stream-json --output-format stream-json");
    return 1;
  }
  return mock::session(std::move(given), io).run();
}
