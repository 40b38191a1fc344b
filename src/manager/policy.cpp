#include "manager/policy.hpp"

#include "manager/shell_command.hpp"
#include "manager/wildcard.hpp"
#include "text/json_text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace awm::manager {
namespace {

using nlohmann::json;
using reach = path_pattern::reach;

constexpr std::array<std::string_view, 4> editing_tools{"Edit", "Write", "NotebookEdit", "MultiEdit"};
constexpr std::array<std::string_view, 5> reading_tools{"Read", "Glob", "Grep", "LS", "NotebookRead"};
constexpr std::array<std::string_view, 3> searching_tools{"Glob", "Grep", "LS"};
constexpr std::array<std::string_view, 2> agent_tools{"Task", "Agent"};
constexpr std::array<std::string_view, 2> answer_tools{"AskUserQuestion", "ExitPlanMode"};
constexpr std::string_view mcp_prefix = "mcp__";
constexpr std::string_view domain_prefix = "domain:";

bool among(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Whether a rule can name it: with a bracket in it, it would be another tool's rule.
bool is_tool_name(std::string_view tool) {
  return std::all_of(tool.begin(), tool.end(), [](char letter) {
    return letter > ' ' && letter != '\x7f' && std::string_view("()\"',;").find(letter) == std::string_view::npos;
  });
}

bool works_on_paths(std::string_view tool) {
  return among(editing_tools, tool) || among(reading_tools, tool);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter; });
  return lower;
}

/// The member, or nothing when it is missing or no string.
std::optional<std::string_view> text_member(const json& object, std::string_view name) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(std::string(name));
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return std::string_view(found->get_ref<const std::string&>());
}

bool is_deeper_than(const json& value, int levels) {
  if (!value.is_structured()) return false;
  if (levels == 0) return true;
  return std::any_of(value.begin(), value.end(), [&](const json& inner) { return is_deeper_than(inner, levels - 1); });
}

/// Comparing and printing JSON recurses; what a child sends must not choose how far.
constexpr int deepest_input = 100;

/// What makes two calls of a tool the same, or nothing when the input is nested too deeply.
std::optional<json> canonical_input(std::string_view tool, const json& input) {
  if (is_deeper_than(input, deepest_input)) return std::nullopt;
  auto canonical = input;
  if (tool == "Bash" && canonical.is_object()) canonical.erase("description");
  return canonical;
}

json parse_json(std::string_view text) {
  return json::parse(text, nullptr, false);
}

struct command_pattern {
  std::string pattern;
  bool has_wildcard = false;
  /// Also without the ` *` at its end: `ls *` is `ls`, too.
  bool tail_is_optional = false;

  bool matches(std::string_view command) const {
    if (!has_wildcard) return command == pattern;
    if (tail_is_optional && matches_stars(std::string_view(pattern).substr(0, pattern.size() - 2), command))
      return true;
    return matches_stars(pattern, command);
  }
};

struct domain_pattern {
  std::string host;

  bool matches(std::string_view asked) const {
    if (host == "*") return true;
    if (host.starts_with("*.")) return asked.size() > host.size() - 1 && asked.ends_with(host.substr(1));
    return asked == host;
  }
};

struct agent_pattern {
  std::string type;
};

struct exact_pattern {
  json input;
};

using input_pattern =
    std::variant<std::monostate, command_pattern, path_pattern, domain_pattern, agent_pattern, exact_pattern>;

/// A URL's host, as a browser takes it apart (WHATWG URL). `is_plain`: no other reader could see another host in it.
struct url_host {
  std::string host;
  bool is_plain = false;
};

std::optional<url_host> host_of(std::string_view url) {
  std::string text;
  for (const char letter : url) {
    if (letter < 0 || letter > ' ') text += letter == '\\' ? '/' : letter;
  }
  const auto lower = lower_case(text);
  const auto scheme = lower.starts_with("https:") ? 6 : lower.starts_with("http:") ? 5 : 0;
  if (scheme == 0) return std::nullopt;
  std::string_view rest = std::string_view(lower).substr(scheme);
  const auto slashes = std::min(rest.find_first_not_of('/'), rest.size());
  rest.remove_prefix(slashes);
  const auto authority = rest.substr(0, rest.find_first_of("/?#"));
  std::string_view host = authority.substr(authority.rfind('@') + 1);
  host = host.substr(0, host.find(':', host.starts_with('[') ? std::min(host.find(']'), host.size()) : 0));
  while (host.ends_with('.')) host.remove_suffix(1);
  const bool is_plain = text.size() == url.size() && slashes == 2 && url.find('\\') == std::string_view::npos &&
                        authority.find_first_of("@%") == std::string_view::npos &&
                        std::none_of(host.begin(), host.end(), [](char letter) { return letter < 0; });
  if (host.empty()) return std::nullopt;
  return url_host{std::string(host), is_plain};
}

std::string_view path_member(std::string_view tool) {
  if (among(searching_tools, tool)) return "path";
  return tool == "NotebookEdit" || tool == "NotebookRead" ? "notebook_path" : "file_path";
}

/// Glob's pattern may itself lead elsewhere: the part of it before the first wildcard belongs to the path.
void follow_glob(std::string_view pattern, const rule_context& context, path_target& target) {
  static constexpr std::array<std::string_view, 4> leaving{"..", "{/", ",/", "\\"};
  const auto fixed = pattern.substr(0, pattern.rfind('/', pattern.find_first_of("*?[{\\")) + 1);
  const auto from = resolve(fixed.empty() ? "." : fixed, rule_context{target.path, context.home});
  if (from) target.path = from->path;
  const auto rest = pattern.substr(fixed.size());
  const bool may_leave = std::any_of(leaving.begin(), leaving.end(),
                                     [&](const auto way) { return rest.find(way) != std::string_view::npos; });
  target.is_doubtful = target.is_doubtful || !from || from->is_doubtful || may_leave;
}

std::optional<path_target> target_of(std::string_view tool, const json& input, const rule_context& context) {
  if (!works_on_paths(tool)) return std::nullopt;
  const bool is_search = among(searching_tools, tool);
  auto name = text_member(input, path_member(tool));
  if (!name && is_search && input.is_object() && !input.contains(std::string(path_member(tool)))) name = ".";
  if (!name) return std::nullopt;
  auto target = resolve(*name, context);
  if (!target) return std::nullopt;
  target->is_search = is_search;
  if (tool == "Glob") follow_glob(text_member(input, "pattern").value_or(""), context, *target);
  return target;
}

/// `mcp__server__`, or nothing when the name is not one of a server's tools or of a server.
std::string_view server_part(std::string_view tool) {
  if (!tool.starts_with(mcp_prefix)) return {};
  const auto end = tool.find("__", mcp_prefix.size());
  return end == std::string_view::npos ? std::string_view{} : tool.substr(0, end + 2);
}

std::string in_quotes(std::string_view rule) {
  return "\"" + std::string(rule) + "\"";
}

}  // namespace

struct permission_rules::call {
  call(std::string_view tool_, const json& input_, const rule_context& context_)
      : tool(tool_), input(input_), context(context_), target(target_of(tool_, input_, context_)) {
    if (tool == "Bash") command = text_member(input, "command");
    if (command) suspects = suspected_commands(*command);
    if (tool == "WebFetch") host = host_of(text_member(input, "url").value_or(""));
  }

  std::string_view tool;
  const json& input;
  const rule_context& context;
  std::optional<std::string_view> command;
  std::vector<std::string> suspects;
  std::optional<path_target> target;
  std::optional<url_host> host;
};

struct permission_rules::rule {
  std::string text;
  std::string tool;
  input_pattern pattern;

  /// For what allows (`narrow`), every doubt is a no; for what denies or asks, a yes.
  bool matches(const call& asked, reach how) const {
    return matches_tool(asked.tool, how) && matches_input(asked, how);
  }

  bool matches_tool(std::string_view name, reach how) const {
    if (tool == name) return true;
    if (tool == "Edit") return among(editing_tools, name);
    if (tool == "Read") return among(reading_tools, name);
    if (among(agent_tools, tool)) return among(agent_tools, name);
    if (tool.find('*') != std::string::npos) return matches_stars(tool, name);
    // A server's name may itself hold "__", and then its rule looks like that of one tool.
    const bool names_server = tool.starts_with(mcp_prefix) && (how == reach::wide || server_part(tool).empty());
    return names_server && name.starts_with(tool + "__");
  }

  bool matches_input(const call& asked, reach how) const {
    if (const auto* const exact = std::get_if<exact_pattern>(&pattern)) {
      return canonical_input(asked.tool, asked.input) == exact->input;
    }
    if (const auto* const command = std::get_if<command_pattern>(&pattern))
      return matches_command(*command, asked, how);
    if (const auto* const path = std::get_if<path_pattern>(&pattern)) {
      return asked.target && path->matches(*asked.target, asked.context, how);
    }
    if (const auto* const domain = std::get_if<domain_pattern>(&pattern)) {
      return asked.host && (asked.host->is_plain || how == reach::wide) && domain->matches(asked.host->host);
    }
    if (const auto* const agent = std::get_if<agent_pattern>(&pattern)) {
      return text_member(asked.input, "subagent_type") == agent->type;
    }
    return true;
  }

  static bool matches_command(const command_pattern& command, const call& asked, reach how) {
    if (!asked.command) return false;
    if (*asked.command == command.pattern) return true;
    return how == reach::wide && std::any_of(asked.suspects.begin(), asked.suspects.end(),
                                             [&](const auto& suspect) { return command.matches(suspect); });
  }

  /// True when it allows one command of a line, known by any of its texts.
  bool matches_part(const command_readings& command) const {
    const auto* const known = std::get_if<command_pattern>(&pattern);
    return tool == "Bash" && known != nullptr &&
           std::any_of(command.begin(), command.end(), [&](const auto& reading) { return known->matches(reading); });
  }
};

namespace {

/// Reads one rule. What it finds wrong is text: what, then the fix.
class rule_reader {
 public:
  rule_reader(verdict what, std::string_view text) : what_(what), text_(text) {}

  bool read() { return split() && check_tool() && read_pattern(); }

  std::string tool;
  input_pattern pattern;
  std::string problem;

 private:
  bool fail(std::string why) {
    problem = std::move(why);
    return false;
  }

  bool split() {
    const auto open = text_.find('(');
    tool = text_.substr(0, open);
    if (tool.empty()) return fail("the tool is missing; write Tool or Tool(pattern)");
    if (open == std::string_view::npos) return true;
    if (!text_.ends_with(')')) return fail("the bracket is not closed at the end; write Tool(pattern)");
    pattern_ = text_.substr(open + 1, text_.size() - open - 2);
    if (pattern_->empty()) return fail("the pattern is empty; write " + tool + " for every use of the tool");
    return true;
  }

  bool check_tool() {
    if (!is_tool_name(tool))
      return fail(in_quotes(tool) + " is no tool's name; write one rule a string, as Tool or Tool(pattern)");
    for (const std::string_view known :
         {"Bash", "Read", "Edit", "Write", "NotebookEdit", "Glob", "Grep", "WebFetch", "WebSearch", "Task", "Agent"}) {
      if (tool != known && lower_case(tool) == lower_case(known)) return fail("write " + std::string(known));
    }
    const auto star = tool.find('*');
    if (star == std::string::npos) return true;
    if (pattern_) return fail("a tool's name with * takes no pattern; write it without the brackets");
    const auto server = server_part(tool);
    const bool is_anchored = server.size() > mcp_prefix.size() + 2 && star >= server.size();
    if (what_ == verdict::allow && !is_anchored) {
      return fail("to allow, name the tool or write mcp__server__*; * elsewhere is for deny and ask");
    }
    return true;
  }

  bool read_pattern() {
    if (!pattern_) return true;
    if (pattern_->starts_with('{')) {
      auto input = parse_json(*pattern_);
      if (input.is_object()) return read_exact(std::move(input));
    }
    if (*pattern_ == "*" && (what_ != verdict::allow || !works_on_paths(tool))) return true;
    if (tool == "Bash") return read_command();
    if (works_on_paths(tool)) return read_path();
    if (tool == "WebFetch") return read_domain();
    if (among(agent_tools, tool)) {
      pattern = agent_pattern{std::string(*pattern_)};
      return true;
    }
    return fail("patterns are not known for this tool; write " + tool + " for every use of it, or " + tool +
                "({…}) with the whole input as JSON");
  }

  bool read_exact(json input) {
    auto canonical = canonical_input(tool, input);
    if (!canonical) return fail("the input is nested too deeply; write " + tool);
    pattern = exact_pattern{std::move(*canonical)};
    return true;
  }

  bool read_command() {
    command_pattern command{std::string(*pattern_)};
    const bool is_prefix = command.pattern.ends_with(":*");
    if (is_prefix) command.pattern.replace(command.pattern.size() - 2, 2, " *");
    const auto stars = std::count(command.pattern.begin(), command.pattern.end(), '*');
    command.has_wildcard = stars > 0;
    command.tail_is_optional = is_prefix || (stars == 1 && command.pattern.ends_with(" *"));
    if (command.pattern == " *") return fail("the command is missing; write Bash for every command");
    if (what_ == verdict::allow && command.has_wildcard) {
      const auto parts = certain_commands(command.pattern);
      if (parts && parts->size() > 1) {
        return fail(
            "a pattern is compared with each command of a line by itself, so that this one would allow nothing; "
            "write one rule for each command");
      }
    }
    pattern = std::move(command);
    return true;
  }

  bool read_path() {
    auto path = path_pattern::parse(*pattern_, problem);
    if (!path) return false;
    pattern = std::move(*path);
    return true;
  }

  bool read_domain() {
    if (!pattern_->starts_with(domain_prefix)) return fail("write WebFetch(domain:example.com)");
    domain_pattern domain{lower_case(pattern_->substr(domain_prefix.size()))};
    const std::string_view name = std::string_view(domain.host).substr(domain.host.starts_with("*.") ? 2 : 0);
    const bool is_host = domain.host == "*" || (!name.empty() && name.find_first_of("*/:@ ") == std::string_view::npos);
    if (!is_host) return fail("the domain is a host, without https:// and path; write example.com, *.example.com or *");
    pattern = std::move(domain);
    return true;
  }

  verdict what_;
  std::string_view text_;
  std::optional<std::string_view> pattern_;
};

}  // namespace

permission_rules::list& permission_rules::list_for(verdict what) {
  if (what == verdict::deny) return deny_;
  return what == verdict::ask ? ask_ : allow_;
}

std::variant<permission_rules, rule_error> permission_rules::parse(const rule_lists& lists) {
  permission_rules rules;
  for (const auto& [what, texts] : {std::pair{verdict::allow, &lists.allow}, std::pair{verdict::deny, &lists.deny},
                                    std::pair{verdict::ask, &lists.ask}}) {
    for (const auto& text : *texts) {
      if (auto error = rules.add(what, text)) return std::move(*error);
    }
  }
  return rules;
}

std::optional<rule_error> permission_rules::add(verdict what, std::string_view text) {
  rule_reader reader(what, text);
  if (!reader.read())
    return rule_error{std::string(text), "permission rule " + in_quotes(text) + ": " + reader.problem};
  auto& rules = list_for(what);
  if (std::any_of(rules.begin(), rules.end(), [&](const auto& known) { return known->text == text; })) return {};
  rules.push_back(
      std::make_shared<const rule>(rule{std::string(text), std::move(reader.tool), std::move(reader.pattern)}));
  return {};
}

void permission_rules::merge(const permission_rules& more) {
  const auto append = [](list& to, const list& from) {
    for (const auto& one : from) {
      if (std::none_of(to.begin(), to.end(), [&](const auto& known) { return known->text == one->text; }))
        to.push_back(one);
    }
  };
  append(allow_, list(more.allow_));
  append(deny_, list(more.deny_));
  append(ask_, list(more.ask_));
}

ruling permission_rules::decide(std::string_view tool, const json& input, const rule_context& context) const {
  const call asked(tool, input, context);
  for (const auto& [what, rules] : {std::pair{verdict::deny, &deny_}, std::pair{verdict::ask, &ask_}}) {
    for (const auto& known : *rules) {
      if (known->matches(asked, reach::wide)) return {what, known->text};
    }
  }
  if (requires_answer(tool)) return {};
  return allowing_rules(asked);
}

ruling permission_rules::allowing_rules(const call& asked) const {
  for (const auto& known : allow_) {
    if (known->matches(asked, reach::narrow)) return {verdict::allow, known->text};
  }
  if (!asked.command) return {};
  const auto commands = certain_commands(*asked.command);
  if (!commands || commands->empty()) return {};
  std::vector<std::string_view> used;
  for (const auto& command : *commands) {
    const auto found =
        std::find_if(allow_.begin(), allow_.end(), [&](const auto& known) { return known->matches_part(command); });
    if (found == allow_.end()) return {};
    if (std::find(used.begin(), used.end(), (*found)->text) == used.end()) used.push_back((*found)->text);
  }
  ruling allowed{verdict::allow, {}};
  for (const auto text : used) allowed.rule.append(allowed.rule.empty() ? "" : ", ").append(text);
  return allowed;
}

bool requires_answer(std::string_view tool) {
  return among(answer_tools, tool);
}

namespace {

/// The text between the brackets of a rule for this very command or file; empty when it would say more than that.
std::string exact_text(std::string_view tool, const json& input) {
  if (tool == "Bash") {
    const auto command = text_member(input, "command").value_or("");
    const bool unsandboxed = input.is_object() && input.contains("dangerouslyDisableSandbox");
    const bool is_plain = command.find('*') == std::string_view::npos && !command.starts_with('{') && !unsandboxed;
    return is_plain ? std::string(command) : std::string{};
  }
  if (tool != "Read" && !among(editing_tools, tool)) return {};
  const auto path = text_member(input, path_member(tool)).value_or("");
  const bool is_plain = path.size() > 1 && path.starts_with('/') && !path.ends_with('/') &&
                        path.find_first_of("*?[\\!") == std::string_view::npos;
  if (!is_plain) return {};
  const auto target = resolve(path, {});
  return target && target->path == path && !target->is_doubtful ? "/" + target->path : std::string{};
}

}  // namespace

std::string exact_rule_for(std::string_view tool, const json& input) {
  if (!is_tool_name(tool)) return {};
  auto text = exact_text(tool, input);
  if (text.empty()) {
    const auto canonical = canonical_input(tool, input);
    if (!canonical || !canonical->is_object()) return {};
    text = text::json_text(*canonical);
  }
  return std::string(tool) + "(" + text + ")";
}

bool same_request(const worker::permission_line& a, const worker::permission_line& b) {
  if (a.tool != b.tool) return false;
  if (a.input == b.input) return true;
  const auto first = parse_json(a.input);
  const auto second = parse_json(b.input);
  if (first.is_discarded() || second.is_discarded()) return false;
  const auto canonical = canonical_input(a.tool, first);
  return canonical && canonical == canonical_input(b.tool, second);
}

std::string request_key(const worker::permission_line& asked) {
  const auto input = parse_json(asked.input);
  if (input.is_discarded()) return asked.tool + "\n" + asked.input;
  const auto canonical = canonical_input(asked.tool, input);
  return asked.tool + "\n" + (canonical ? text::json_text(*canonical) : asked.input);
}

namespace {

bool is_one_of(const json& entry, std::string_view name, std::span<const std::string_view> values) {
  const auto value = text_member(entry, name);
  return value && among(values, *value);
}

bool is_filled_array(const json& entry, const char* name, bool (*is_good)(const json&)) {
  const auto found = entry.find(name);
  return found != entry.end() && found->is_array() && !found->empty() &&
         std::all_of(found->begin(), found->end(), is_good);
}

bool is_rule_value(const json& value) {
  return !text_member(value, "toolName").value_or("").empty() &&
         (!value.contains("ruleContent") || text_member(value, "ruleContent"));
}

bool is_filled_text(const json& value) {
  return value.is_string() && !value.get_ref<const std::string&>().empty();
}

/// True for a PermissionUpdate that may be sent back (the Agent SDK's type of that name).
bool is_welcome(const json& entry) {
  static constexpr std::array<std::string_view, 3> rule_changes{"addRules", "replaceRules", "removeRules"};
  static constexpr std::array<std::string_view, 2> directory_changes{"addDirectories", "removeDirectories"};
  static constexpr std::array<std::string_view, 1> mode_changes{"setMode"};
  static constexpr std::array<std::string_view, 3> behaviors{"allow", "deny", "ask"};
  static constexpr std::array<std::string_view, 5> modes{"default", "acceptEdits", "plan", "dontAsk", "auto"};
  if (is_one_of(entry, "type", rule_changes)) {
    return is_one_of(entry, "behavior", behaviors) && is_filled_array(entry, "rules", is_rule_value);
  }
  if (is_one_of(entry, "type", directory_changes)) return is_filled_array(entry, "directories", is_filled_text);
  return is_one_of(entry, "type", mode_changes) && is_one_of(entry, "mode", modes);
}

}  // namespace

json session_suggestions(const json& suggestions) {
  auto kept = json::array();
  if (!suggestions.is_array()) return kept;
  for (const auto& entry : suggestions) {
    if (is_deeper_than(entry, deepest_input) || !is_welcome(entry)) continue;
    kept.push_back(entry);
    kept.back()["destination"] = "session";
  }
  return kept;
}

}  // namespace awm::manager
