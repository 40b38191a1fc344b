// The command line of the real CLI, as far as a supervisor uses it: which options exist, in which version, and how many
// words each takes. What is not in the table is refused in the words of the real one.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace mock {

struct options {
  std::vector<std::string> argv;
  std::string version = "2.1.329";
  bool newer = true;  ///< 2.1.329 and later; else the stream of 2.1.197
  bool print_version = false;
  std::map<std::string, std::vector<std::string>> given;

  bool has(const std::string& name) const { return given.count(name) != 0; }
  /// The last value of an option, or an empty string.
  std::string value(const std::string& name) const;
  /// All values of a variadic option, also those given as one comma or space separated word.
  std::vector<std::string> words(const std::string& name) const;
};

/// Reads argv and MOCK_CLAUDE_VERSION. Returns what the real CLI would print on stderr before it exits with 1, or
/// nothing.
std::string parse(int argc, char** argv, options& out);

}  // namespace mock
