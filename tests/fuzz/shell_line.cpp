// A line for the shell. `certain_commands` is held against a second reading of the line, written for this: what it
// gives out as plain has nothing in it that the shell would expand, redirect or group. And whatever can be allowed
// piece by piece can be denied by the same pieces.
#include "manager/policy.hpp"
#include "manager/shell_command.hpp"
#include "targets.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <vector>

namespace awm::fuzz {
namespace {

using manager::verdict;

const manager::rule_context context{"/work", "/home/user"};

/// Why a line is not plain, by the grammar of the shell (POSIX.1-2017, 2.2 and 2.3) read letter by letter; nothing when
/// it is. Redirections to nowhere are let pass: they are not looked at here.
std::optional<std::string> what_expands(std::string_view line) {
  char quote = 0;
  for (std::size_t at = 0; at < line.size(); ++at) {
    const char letter = line[at];
    const char next = at + 1 < line.size() ? line[at + 1] : '\0';
    const bool names = std::isalnum(static_cast<unsigned char>(next)) != 0 ||
                       std::string_view("_{(?#@*!-").find(next) != std::string_view::npos;
    if (quote == '\'') {
      if (letter == '\'') quote = 0;
      continue;
    }
    if (letter == '`') return "a command substitution";
    if (letter == '$' && next != '\0' && names) return "an expansion";
    if (letter == '$' && quote == 0 && (next == '\'' || next == '"')) return "a quoted string of bash's";
    if (letter == '\\') {
      if (at + 1 >= line.size()) return "a backslash at the end";
      ++at;
      continue;
    }
    if (letter == '"') {
      quote = quote == '"' ? '\0' : '"';
    } else if (quote == 0 && letter == '\'') {
      quote = '\'';
    } else if (quote == 0 && (letter == '(' || letter == ')')) {
      return "a group";
    } else if (quote == 0 && letter == '<' && next == '<') {
      return "a heredoc";
    }
  }
  if (quote != 0) return "a quote without its end";
  return std::nullopt;
}

manager::ruling decide(verdict what, const std::string& rule, std::string_view line) {
  manager::permission_rules rules;
  if (rules.add(what, rule)) return {};
  return rules.decide("Bash", {{"command", line}}, context);
}

void check_pieces(std::string_view line, const std::vector<manager::command_readings>& commands) {
  const auto suspects = manager::suspected_commands(line);
  for (const auto& readings : commands) {
    require(!readings.empty() && !readings.front().empty(), "a command has a text");
    for (const auto& reading : readings) {
      const bool is_known = std::find(suspects.begin(), suspects.end(), reading) != suspects.end();
      require(is_known, "what may be allowed is looked at by what denies", reading);
    }
    const auto& text = readings.front();
    // A rule's own signs: a star is any text, and what begins with a brace may be a whole input.
    if (text.find('*') != std::string::npos || text.starts_with('{')) continue;
    require(decide(verdict::deny, "Bash(" + text + ")", line).what == verdict::deny, "a part of the line denies it",
            text);
    const auto word = text.substr(0, text.find(' '));
    if (word.find_first_of("\\'\"") != std::string::npos) continue;
    require(decide(verdict::deny, "Bash(" + word + ":*)", line).what == verdict::deny,
            "the program of a part denies it", word);
  }
}

}  // namespace

void shell_line(std::string_view input) {
  const auto commands = manager::certain_commands(input);
  manager::suspected_commands(input);
  require(decide(verdict::deny, "Bash", input).what == verdict::deny, "a rule for the whole tool denies every line");
  if (!commands) return;
  const auto reason = what_expands(input);
  require(!reason, "a line is given out as plain that has something in it",
          reason.value_or("") + " in " + std::string(input));
  check_pieces(input, *commands);
  // Allowing every command but one allows nothing.
  manager::permission_rules rules;
  if (rules.add_allow("Bash(certainly-not-there)")) return;
  const auto ruling = rules.decide("Bash", {{"command", input}}, context);
  const bool is_only_that = std::all_of(commands->begin(), commands->end(), [](const auto& readings) {
    return std::find(readings.begin(), readings.end(), "certainly-not-there") != readings.end();
  });
  require(ruling.what != verdict::allow || (is_only_that && !commands->empty()), "a rule allows its own command alone",
          input);
}

}  // namespace awm::fuzz
