// What a session remembers between two processes: one file of lines below the configuration directory, in the place
// where the real CLI keeps its own, so that the rules for finding a session are those of the real one.
#pragma once

#include "options.hpp"
#include "wire.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace mock {

class history {
 public:
  history(const options& given, std::string session_id);

  /// Whether the session can be found: 2.1.197 looks below the current directory's name only, 2.1.329 everywhere.
  bool exists() const { return !found_.empty(); }

  void add(std::string_view role, std::string_view text);
  void save_cost(const spend& total);

  /// The prompts said so far, oldest first.
  std::vector<std::string> prompts() const;
  /// The total that 2.1.329 goes on from: nothing when the last process did not end in order.
  spend saved_cost() const;

 private:
  void append(std::string_view line);
  std::string read() const;

  bool on_;
  std::string folder_;  // of the current directory
  std::string file_;    // where this session is written
  std::string found_;   // where it was found, or empty
};

}  // namespace mock
