// A prompt is a script: each line `MOCK <verb> <arguments>` is one step of the turn, in order. All other lines are the
// text of the task, which a mock does not read. README.md lists the verbs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mock {

struct directive {
  std::string verb;
  std::string rest;  ///< what follows the verb, trimmed

  /// The first word of the rest, and what is behind it. A JSON value counts as one word.
  std::string take_word();
  /// The rest as text: a JSON string is unescaped, anything else is taken as it stands.
  std::string text() const;
  /// The first word as a number, or `otherwise`.
  long number(long otherwise);
};

std::vector<directive> parse_directives(std::string_view prompt);

}  // namespace mock
