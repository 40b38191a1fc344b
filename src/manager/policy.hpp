#pragma once
// Most questions of workers have been answered before: by who set the program up, in the rules that Claude Code users
// know, or by an earlier "always". Everything here is a pure function of the question; who asks whom next is the
// broker's.

#include "manager/path_pattern.hpp"
#include "worker/protocol.hpp"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace awm::manager {

/// `none`: no rule says anything. `ask`: a rule wants the question asked, whatever else allows it.
enum class verdict { none, allow, deny, ask };

struct ruling {
  verdict what = verdict::none;
  /// The rule as written; several, joined by ", ", when it took several to allow a compound command.
  std::string rule;
};

struct rule_error {
  std::string rule;
  /// Names the rule, what is wrong with it, and the fix.
  std::string message;
};

struct rule_lists {
  std::vector<std::string> allow;
  std::vector<std::string> deny;
  std::vector<std::string> ask;
};

/// Permission rules in Claude Code's syntax (its documentation, "Configure permissions"). Deny counts before ask, and
/// ask before allow, however specific a rule is. A rule is `Tool` or `Tool(pattern)`:
///
/// - `Bash(npm run build)`: this command. `Bash(git * main)`: `*` is any text. `Bash(npm test:*)` and `Bash(npm test
/// *)`:
///   `npm test`, alone or with arguments, but not `npm tests`. To be allowed, every command of a compound line must be
///   matched by an allow rule, and a line that cannot be taken apart with certainty must be the text of a rule; see
///   `certain_commands`. Any part of a line that matches denies it; see `suspected_commands`.
/// - `Read(path)`, `Edit(path)` with the patterns of `path_pattern`; also `Write`, `NotebookEdit`, `Glob`, `Grep`.
/// `Read`
///   speaks for all tools that read files, `Edit` for all that edit them, with a pattern and without.
///   A search is denied where it begins; that it may come across a denied file below is left to the CLI.
/// - `WebFetch(domain:example.com)`: this host; `*.example.com`: those below it; `*`: all.
/// - `mcp__server` and `mcp__server__*`: all tools of a server; `mcp__server__get_*`; `mcp__server__tool`.
/// - `Task(Explore)`, `Agent(Explore)`: subagents of this type, whichever of the two names the CLI gives the tool.
/// - `Tool(*)` is `Tool`; among the allow rules for paths it is what gitignore makes of it: all below the working
///   directory.
/// - `Tool({…})`, which Claude Code does not have: exactly this input. See `exact_rule_for`. Other patterns for other
///   tools are errors, as they would never match.
/// - `*` in a tool's name is for deny and ask; an allow rule may have it behind `mcp__server__` only.
///
/// AskUserQuestion and ExitPlanMode are never allowed by a rule: see `requires_answer`.
class permission_rules {
 public:
  static std::variant<permission_rules, rule_error> parse(const rule_lists& lists);

  /// Adds one rule to the list for `what` (allow, deny or ask); a rule that is there already is not added again.
  /// Returns what is wrong with the rule, in which case nothing changes.
  std::optional<rule_error> add(verdict what, std::string_view text);
  std::optional<rule_error> add_allow(std::string_view text) { return add(verdict::allow, text); }

  /// Adds all rules of `more`.
  void merge(const permission_rules& more);

  /// What the rules say about the call of `tool` with `input`, which should be an object: nothing matches what an
  /// input lacks.
  ruling decide(std::string_view tool, const nlohmann::json& input, const rule_context& context) const;

  bool empty() const { return allow_.empty() && deny_.empty() && ask_.empty(); }

 private:
  struct rule;
  struct call;
  /// Rules do not change; copies of a set share them.
  using list = std::vector<std::shared_ptr<const rule>>;

  list& list_for(verdict what);
  ruling allowing_rules(const call& asked) const;

  list allow_;
  list deny_;
  list ask_;
};

/// True for tools whose question wants more than a yes: the answer to AskUserQuestion, the decision on a plan. The CLI
/// marks them `requires_user_interaction` (2.1.329).
bool requires_answer(std::string_view tool);

/// The narrowest allow rule that covers the same request again: `Bash(command)`, `Read(//file)`, `Edit(//file)`,
/// `Write(//file)`, `NotebookEdit(//file)`, or, where the text of a rule would say more than this request, `Tool({…})`
/// with the canonical input. Empty when not even that can be written (an input nested deeper than 100, a tool whose name no
/// rule can have).
/// A command means something else in another directory: who keeps such a rule for several workers decides on that.
std::string exact_rule_for(std::string_view tool, const nlohmann::json& input);

/// True when both ask for the same tool with the same input: objects are compared without regard to the order of their
/// members, and Bash's `description`, prose for who is asked, does not count. The caller compares the directories.
bool same_request(const worker::permission_line& a, const worker::permission_line& b);

/// Equal only for two that are the same request. To compare many, take this once for each.
std::string request_key(const worker::permission_line& asked);

/// The `permission_suggestions` of a question, fit to be sent back as `updatedPermissions`: every `destination` is
/// `session`, so that no settings file is written; malformed and unknown entries and `setMode bypassPermissions` are
/// left out. Anything but an array gives an empty one.
nlohmann::json session_suggestions(const nlohmann::json& suggestions);

}  // namespace awm::manager
