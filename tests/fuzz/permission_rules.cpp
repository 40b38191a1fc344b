// Rules, and a call for them to decide on: lines `allow RULE`, `deny RULE`, `ask RULE`, `tool NAME`, `pattern PATTERN`,
// `text TEXT`, then a line `input` and behind it the tool's input as JSON. What must hold: deny counts before ask, and
// ask before allow; a rule more can only do what it says; and matching agrees with slow and plain readings of the same
// patterns.
#include "manager/path_pattern.hpp"
#include "manager/policy.hpp"
#include "manager/wildcard.hpp"
#include "targets.hpp"

#include <nlohmann/json.hpp>

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace awm::fuzz {
namespace {

using manager::verdict;
using nlohmann::json;

const manager::rule_context context{"/work/project", "/home/user"};

struct question {
  std::vector<std::pair<verdict, std::string>> rules;
  std::string tool = "Bash";
  std::string pattern;
  std::string text;
  json input = json::object();
};

question read_question(std::string_view from) {
  question asked;
  while (!from.empty()) {
    const auto line = take_line(from);
    const auto word = line.substr(0, line.find(' '));
    const std::string rest(line.substr(std::min(line.size(), word.size() + 1)));
    if (word == "allow") asked.rules.emplace_back(verdict::allow, rest);
    if (word == "deny") asked.rules.emplace_back(verdict::deny, rest);
    if (word == "ask") asked.rules.emplace_back(verdict::ask, rest);
    if (word == "tool") asked.tool = rest;
    if (word == "pattern") asked.pattern = rest;
    if (word == "text") asked.text = rest;
    if (word != "input") continue;
    asked.input = json::parse(from, nullptr, false);
    break;
  }
  return asked;
}

/// The rules that are ones, each in a set of its own, and all together.
struct rule_sets {
  manager::permission_rules all;
  manager::permission_rules without_allow;
  std::vector<std::pair<verdict, manager::permission_rules>> alone;
};

rule_sets sets_of(const question& asked) {
  rule_sets sets;
  for (const auto& [what, text] : asked.rules) {
    manager::permission_rules one;
    if (const auto wrong = one.add(what, text)) {
      require(!wrong->message.empty(), "what is wrong with a rule is said");
      continue;
    }
    require(!sets.all.add(what, text), "a rule that is one is one among others", text);
    if (what != verdict::allow) sets.without_allow.add(what, text);
    sets.alone.emplace_back(what, std::move(one));
  }
  return sets;
}

void check_order(const question& asked, const rule_sets& sets) {
  const auto ruling = sets.all.decide(asked.tool, asked.input, context);
  auto strictest = verdict::none;
  for (const auto& [what, one] : sets.alone) {
    const auto alone = one.decide(asked.tool, asked.input, context).what;
    require(alone == verdict::none || alone == what, "a rule does what its list says");
    if (alone == verdict::deny || (alone == verdict::ask && strictest == verdict::none)) strictest = alone;
  }
  if (strictest != verdict::none) require(ruling.what == strictest, "deny counts before ask, and ask before allow");
  if (strictest == verdict::none)
    require(ruling.what == verdict::none || ruling.what == verdict::allow, "nobody denies alone");
  require(sets.without_allow.decide(asked.tool, asked.input, context).what == strictest,
          "without allow rules nothing is allowed");
  if (manager::requires_answer(asked.tool)) require(ruling.what != verdict::allow, "no rule answers for a person");
  require((ruling.what == verdict::none) == ruling.rule.empty(), "who decided is named");
}

void check_exact(const question& asked) {
  const auto text = manager::exact_rule_for(asked.tool, asked.input);
  if (text.empty()) return;
  manager::permission_rules exact;
  if (exact.add_allow(text)) return;  // not every tool that somebody makes up can be named in a rule
  if (!manager::requires_answer(asked.tool)) {
    require(exact.decide(asked.tool, asked.input, context).what == verdict::allow, "the rule for a request covers it",
            text);
  }
  auto other = asked.input;
  if (!other.is_object()) return;
  const char* const key = asked.tool == "Bash"           ? "command"
                          : asked.tool == "NotebookEdit" ? "notebook_path"
                                                         : "file_path";
  if (!other.contains(key) || !other[key].is_string()) return;
  other[key] = "/other" + other[key].get<std::string>();
  require(exact.decide(asked.tool, other, context).what != verdict::allow, "and no other", text);
  worker::permission_line first;
  first.tool = asked.tool;
  first.input = asked.input.dump(-1, ' ', false, json::error_handler_t::replace);
  auto second = first;
  require(manager::same_request(first, second) && manager::request_key(first) == manager::request_key(second),
          "a request is itself", first.input);
  second.input = other.dump(-1, ' ', false, json::error_handler_t::replace);
  require(!manager::same_request(first, second) && manager::request_key(first) != manager::request_key(second),
          "and no other one", second.input);
}

/// `*` by its definition, in time that grows with both sizes.
bool matches_slowly(std::string_view pattern, std::string_view text) {
  std::vector<bool> at(text.size() + 1, false);
  at[0] = true;
  for (const char letter : pattern) {
    std::vector<bool> next(text.size() + 1, false);
    for (std::size_t end = 0; end <= text.size(); ++end) {
      if (letter == '*') next[end] = at[end] || (end > 0 && next[end - 1]);
      if (letter != '*') next[end] = end > 0 && at[end - 1] && text[end - 1] == letter;
    }
    at = std::move(next);
  }
  return at[text.size()];
}

void check_wildcards(const question& asked) {
  const auto& [pattern, text] = std::pair(asked.pattern, asked.text);
  require(manager::matches_stars(pattern, text) == matches_slowly(pattern, text), "stars match what they say",
          pattern + " / " + text);
  // fnmatch(3) knows more in brackets, depends on the locale for other letters than these, and leaves open what an
  // unfinished escape or bracket means.
  const auto is_simple = [](std::string_view checked) {
    return std::all_of(checked.begin(), checked.end(),
                       [](char letter) { return letter > ' ' && letter < '\x7f' && letter != '/'; });
  };
  const bool is_open = pattern.find('[') != std::string::npos || pattern.find('\\') != std::string::npos;
  if (!is_simple(pattern) || !is_simple(text) || is_open) return;
  require(manager::matches_name(pattern, text) == (::fnmatch(pattern.c_str(), text.c_str(), 0) == 0),
          "names match as fnmatch has it", pattern + " / " + text);
}

void check_paths(const question& asked) {
  const auto target = manager::resolve(asked.text, context);
  if (!target) return;
  require(target->path.starts_with('/'), "a path is absolute", target->path);
  for (const auto& part : std::filesystem::path(target->path))
    require(part != ".." && part != ".", "and goes straight there", target->path);
  require(target->path.find("//") == std::string::npos, "with one slash at a time", target->path);
  std::string problem;
  const auto pattern = manager::path_pattern::parse(asked.pattern, problem);
  if (!pattern) return require(!problem.empty(), "what is wrong with a pattern is said");
  using reach = manager::path_pattern::reach;
  const bool is_allowed = pattern->matches(*target, context, reach::narrow);
  require(!is_allowed || pattern->matches(*target, context, reach::wide), "what it allows it also denies",
          asked.pattern);
  require(!is_allowed || !target->is_doubtful, "no doubtful name is allowed", asked.text);
  const std::string_view root = asked.pattern.starts_with("//")                           ? "/"
                                : asked.pattern == "~" || asked.pattern.starts_with("~/") ? "/home/user"
                                                                                          : "/work/project";
  const bool is_below = root == "/" || target->path == root || target->path.starts_with(std::string(root) + "/");
  require(!is_allowed || is_below, "a pattern allows nothing above where it begins",
          asked.pattern + " / " + target->path);
}

void check_suggestions(const json& suggestions) {
  const auto kept = manager::session_suggestions(suggestions);
  require(kept.is_array(), "suggestions are a list");
  for (const auto& one : kept) {
    require(one.value("destination", "") == "session", "no settings file is written");
    require(one.value("mode", json()) != "bypassPermissions", "no suggestion takes all questions away");
  }
}

}  // namespace

void permission_rules(std::string_view input) {
  const auto asked = read_question(input);
  const auto sets = sets_of(asked);
  check_order(asked, sets);
  check_exact(asked);
  check_wildcards(asked);
  check_paths(asked);
  check_suggestions(asked.input);
}

}  // namespace awm::fuzz
