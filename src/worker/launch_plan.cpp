#include "worker/launch_plan.hpp"

#include "text/json_text.hpp"
#include "text/words.hpp"
#include "worker/agents.hpp"
#include "worker/sampling.hpp"
#include "worker/uuid.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <utility>

namespace awm::worker {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 2> peer_tools{"ListAgents", "SendMessage"};
constexpr std::string_view extra_body_variable = "CLAUDE_CODE_EXTRA_BODY";

std::string in_quotes(std::string_view text) {
  return "\"" + std::string{text} + "\"";
}

template <class Range, class Value>
bool contains(const Range& range, const Value& value) {
  return std::ranges::find(range, value) != std::ranges::end(range);
}

/// The shortest text that reads back as the same number.
std::string to_text(double number) {
  std::array<char, 64> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  return error == std::errc{} ? std::string{buffer.data(), end} : std::string{};
}

bool is_tool_character(unsigned char c) {
  return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '*';
}

/// `Tool` or `Tool(pattern)`; the name in front of the parenthesis, or nothing for another form.
std::optional<std::string_view> tool_name_of(std::string_view rule) {
  const std::size_t open = rule.find('(');
  const std::string_view name = rule.substr(0, open);
  // A name that begins with `-` would be read as a flag of Claude Code.
  if (name.empty() || name.front() == '-' || !std::ranges::all_of(name, is_tool_character)) return std::nullopt;
  if (open != std::string_view::npos && (!rule.ends_with(')') || rule.size() < open + 3)) return std::nullopt;
  return name;
}

/// The plan in the making. Each step adds its part; errors are collected, so that a caller mends all of them at once.
class planner {
 public:
  planner(const launch_request& request, const launch_defaults& defaults, const environment& inherited,
          const files& disk)
      : request_{request},
        wanted_{request.wanted},
        defaults_{defaults},
        features_{features_of(request.cli)},
        disk_{disk},
        variables_{inherited} {}

  launch_plan plan() {
    if (auto warning = version_warning(request_.cli)) warn(std::move(*warning));
    check_session();
    put_own_variables();
    choose_directory();
    check_added_directories();
    choose_agent();
    fit_model();
    check_effort();
    check_caps();
    check_permission_mode();
    choose_tools();
    choose_servers();
    check_json_schema();
    write_arguments();
    write_initialize();
    check_for_zero_bytes();
    plan_.environment = to_assignments(variables_);
    return std::move(plan_);
  }

 private:
  void check_session() {
    if (!is_uuid(request_.session_id)) fail("session_id", request_.session_id, "must be a UUID");
  }

  void put_own_variables() {
    if (wanted_.background.value_or(false)) {
      variables_.erase("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS");
    } else {
      set_default("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1");  // so that a result ends the work
    }
    if (features_.startup_failure_results) set_default("CLAUDE_CODE_STARTUP_FAILURE_RESULTS", "1");
    if (!wanted_.env) return;
    for (const auto& [name, value] : *wanted_.env) {
      const bool possible = !name.empty() && name.find('=') == std::string::npos;
      if (!possible) fail("env", name, "the name of a variable must not be empty and not hold =");
      variables_.insert_or_assign(name, value);
    }
  }

  void choose_directory() {
    const std::filesystem::path cwd{wanted_.cwd.value_or(request_.cwd)};
    if (!cwd.is_absolute() || !disk_.is_directory(cwd)) {
      fail("cwd", cwd.string(), "give the absolute path of an existing directory");
    }
    plan_.cwd = cwd.string();
    const bool moved = request_.resume && !request_.session_cwd.empty() &&
                       std::filesystem::path{request_.session_cwd}.lexically_normal() != cwd.lexically_normal();
    if (moved && !features_.resumes_from_any_cwd) {
      fail("cwd", cwd.string(),
           "Claude Code " + to_string(request_.cli) + " resumes a session only where it began, in " +
               request_.session_cwd);
    }
  }

  void check_added_directories() {
    for (const std::string& directory : wanted_.add_dirs.value_or(std::vector<std::string>{})) {
      if (std::filesystem::path{directory}.is_absolute() && disk_.is_directory(directory)) continue;
      fail("add_dirs", directory, "give absolute paths of existing directories");
    }
  }

  void choose_agent() {
    const std::string home{value_of(variables_, "HOME")};
    std::string config{value_of(variables_, "CLAUDE_CONFIG_DIR")};
    if (config.empty() && !home.empty()) config = home + "/.claude";
    auto resolved = resolve_agent(request_.agent_type, {plan_.cwd, config, home}, disk_);
    if (auto* error = std::get_if<option_error>(&resolved)) {
      plan_.errors.push_back(std::move(*error));
      return;
    }
    agent_ = std::move(std::get<resolved_agent>(resolved));
    plan_.warnings.insert(plan_.warnings.end(), agent_.warnings.begin(), agent_.warnings.end());
    plan_.expectations.agent = agent_.name;
    if (agent_.has_own_prompt && wanted_.system) {
      warn("agent_type: system replaces the prompt of the agent " + in_quotes(*agent_.name) +
           "; its tools and limits stay.");
    }
  }

  void fit_model() {
    check_model_name("model", wanted_.model);
    check_model_name("fallback_model", wanted_.fallback_model);
    check_model_name("model of the agent", agent_.model);
    choice_ = choose_model(wanted_, agent_.model, features_, request_.cli, defaults_, variables_);
    if (agent_.model_unknown && !wanted_.model) {
      warn("model: " + in_quotes(choice_.model) + " is used, whatever model the plugin's agent " +
           in_quotes(*agent_.name) + " names; name one in options to have another.");
    }
    plan_.warnings.insert(plan_.warnings.end(), choice_.warnings.begin(), choice_.warnings.end());
    plan_.errors.insert(plan_.errors.end(), choice_.errors.begin(), choice_.errors.end());
    plan_.model = choice_.model;
    if (choice_.model == choice_.resolved) plan_.expectations.model = choice_.model;
    for (const std::string& name : choice_.removed_variables) variables_.erase(name);
    for (const auto& [name, value] : choice_.variables) variables_.insert_or_assign(name, value);
    if (wanted_.max_tokens) set("CLAUDE_CODE_MAX_OUTPUT_TOKENS", std::to_string(*wanted_.max_tokens));
    merge_extra_body();
  }

  void check_model_name(std::string_view field, const std::optional<std::string>& name) {
    if (name && (name->empty() || name->front() == '-')) fail(field, *name, "give the name of a model");
  }

  void merge_extra_body() {
    const std::string_view given = value_of(variables_, extra_body_variable);
    json body = given.empty() ? json::object() : json::parse(given, nullptr, false);
    if (!body.is_object()) {
      refuse_extra_body(given);
      body = json::object();
    }
    body.update(choice_.extra_body);
    if (!body.empty()) set(extra_body_variable, text::json_text(body));
  }

  void refuse_extra_body(std::string_view given) {
    if (wanted_.env && wanted_.env->contains(std::string{extra_body_variable})) {
      fail("env", std::string{extra_body_variable} + "=" + std::string{given}, "its value must be a JSON object");
      return;
    }
    variables_.erase(std::string{extra_body_variable});
    warn("env: CLAUDE_CODE_EXTRA_BODY of the server's environment is no JSON object and was left out.");
  }

  void check_permission_mode() {
    const std::string mode = wanted_.permission_mode.value_or(std::string{});
    plan_.expectations.permission_mode = mode;
    if (mode.empty()) return;
    if (!contains(permission_modes(), mode))
      fail("permission_mode", mode, "give one of " + text::joined(permission_modes()));
    if (mode == "bypassPermissions" && request_.as_root && value_of(variables_, "IS_SANDBOX") != "1") {
      fail("permission_mode", mode,
           "Claude Code does not start in this mode as root: take acceptEdits or dontAsk with allowed_tools, or, "
           "inside a "
           "sandbox, set IS_SANDBOX to 1 in env");
    }
  }

  void check_effort() {
    if (!wanted_.effort || contains(effort_levels(), *wanted_.effort)) return;
    fail("effort", *wanted_.effort, "give one of " + text::joined(effort_levels()));
  }

  /// A negative number would be read as a flag of Claude Code, and a time beyond all measure overflow.
  void check_caps() {
    if (wanted_.max_turns && *wanted_.max_turns < 1)
      fail("max_turns", std::to_string(*wanted_.max_turns), "give 1 or more");
    check_amount("max_budget_usd", wanted_.max_budget_usd, std::numeric_limits<double>::max());
    check_amount("timeout_s", wanted_.timeout_s, longest_timeout_s);
  }

  void check_amount(std::string_view field, const std::optional<double>& amount, double most) {
    const bool is_one = !amount || (*amount > 0 && *amount <= most);
    if (!is_one) fail(field, to_text(*amount), "give a number of more than 0, and at most " + to_text(most));
  }

  void choose_tools() {
    const std::vector<std::string> allowed = checked_tools("allowed_tools", wanted_.allowed_tools);
    checked_tools("disallowed_tools", wanted_.disallowed_tools);
    disallowed_ = wanted_.disallowed_tools.value_or(std::vector<std::string>{});
    for (const std::string& tool : agent_.disallowed_tools) disallow(tool);
    if (features_.peer_tools) {
      for (const std::string_view tool : peer_tools) {
        if (!contains(allowed, tool)) disallow(std::string{tool});
      }
    }
    for (const std::string& tool : allowed) {
      const bool always_there = contains(features_.tools, tool) && !contains(disallowed_, tool);
      if (always_there && !contains(plan_.expectations.tools, tool)) plan_.expectations.tools.push_back(tool);
    }
  }

  void disallow(const std::string& tool) {
    if (!contains(disallowed_, tool)) disallowed_.push_back(tool);
  }

  /// The names in the rules of an option; what cannot be a rule is an error, what is no tool a warning.
  std::vector<std::string> checked_tools(std::string_view field, const std::optional<std::vector<std::string>>& rules) {
    std::vector<std::string> names;
    if (!rules) return names;
    for (const std::string& rule : *rules) {
      const std::optional<std::string_view> name = tool_name_of(rule);
      if (!name) {
        fail(field, rule, "write a rule as Tool or Tool(pattern), for example Read or Bash(git *)");
        continue;
      }
      names.emplace_back(*name);
      if (!name->starts_with("mcp__") && !contains(features_.tools, *name)) warn_of_unknown_tool(field, *name);
    }
    return names;
  }

  void warn_of_unknown_tool(std::string_view field, std::string_view name) {
    const std::string nearest = text::nearest(name, features_.tools);
    warn(std::string{field} + ": Claude Code " + to_string(request_.cli) + " has no tool " + in_quotes(name) +
         (nearest.empty() ? "." : "; did you mean " + in_quotes(nearest) + "?"));
  }

  void choose_servers() {
    const json servers = wanted_.mcp.value_or(json("none"));
    if (servers != "none") wait_for_servers();
    if (servers == "none" || servers == "inherit") {
      strict_servers_ = servers == "none";
      return;
    }
    if (!servers.is_object()) {
      fail("mcp", text::json_text(servers), "give none, inherit, or an object");
      return;
    }
    const bool wrapped = servers.size() == 1 && servers.contains("mcpServers");
    const json& entries = wrapped ? servers["mcpServers"] : servers;
    for (const auto& [name, entry] : entries.items()) {
      const auto is_text = [&entry](const char* key) { return entry.contains(key) && entry[key].is_string(); };
      if (entry.is_object() && (is_text("command") || is_text("url"))) continue;
      fail("mcp", name, "the entry of a server must be an object with a command or a url");
    }
    plan_.mcp_config = text::json_text({{"mcpServers", entries}});
  }

  /// 2.1.197 begins the first turn after 2 to 3 s, with the tools of a server that is still starting left out.
  void wait_for_servers() {
    set_default("MCP_CONNECTION_NONBLOCKING", "0");
    set_default("MCP_CONNECT_TIMEOUT_MS", "30000");
  }

  /// 2.1.197 ignores a schema that it cannot use, and then the worker gives no structured result.
  void check_json_schema() {
    if (!wanted_.json_schema) return;
    const bool is_for_objects =
        wanted_.json_schema->is_object() && wanted_.json_schema->value("type", json()) == "object";
    if (is_for_objects) return;
    fail("json_schema", text::shortened(text::json_text(*wanted_.json_schema), 200),
         "give a JSON Schema with \"type\": \"object\" at its root");
  }

  void write_arguments() {
    plan_.arguments = {"-p",        "--input-format",           "stream-json", "--output-format", "stream-json",
                       "--verbose", "--permission-prompt-tool", "stdio"};
    argument(request_.resume ? "--resume" : "--session-id", request_.session_id);
    argument("--model", choice_.model);
    if (features_.system_prompt_snapshot) argument("--system-prompt-snapshot", "off");
    if (strict_servers_) plan_.arguments.emplace_back("--strict-mcp-config");
    if (plan_.mcp_config) argument("--mcp-config", request_.mcp_config_path.string());
    if (agent_.name) argument("--agent", *agent_.name);
    if (wanted_.permission_mode) argument("--permission-mode", *wanted_.permission_mode);
    if (wanted_.permission_mode == "plan" && features_.plan_mode_asks_classifier) {
      argument("--settings", R"({"useAutoModeDuringPlan":false})");
    }
    if (wanted_.max_turns) argument("--max-turns", std::to_string(*wanted_.max_turns));
    if (wanted_.max_budget_usd) argument("--max-budget-usd", to_text(*wanted_.max_budget_usd));
    if (choice_.effort) argument("--effort", *choice_.effort);
    if (choice_.fallback_model) argument("--fallback-model", *choice_.fallback_model);
    // Last, because each of these takes every word up to the next flag.
    argument("--add-dir", wanted_.add_dirs.value_or(std::vector<std::string>{}));
    argument("--allowedTools", wanted_.allowed_tools.value_or(std::vector<std::string>{}));
    argument("--disallowedTools", disallowed_);
  }

  void argument(std::string_view flag, std::string_view value) {
    plan_.arguments.emplace_back(flag);
    plan_.arguments.emplace_back(value);
  }

  void argument(std::string_view flag, const std::vector<std::string>& values) {
    if (values.empty()) return;
    plan_.arguments.emplace_back(flag);
    plan_.arguments.insert(plan_.arguments.end(), values.begin(), values.end());
  }

  void write_initialize() {
    plan_.initialize = {{"subtype", "initialize"}, {"hooks", nullptr}};
    if (wanted_.system) plan_.initialize["systemPrompt"] = json::array({*wanted_.system});
    if (!agent_.append_prompt.empty()) plan_.initialize["appendSystemPrompt"] = agent_.append_prompt;
    if (wanted_.json_schema) plan_.initialize["jsonSchema"] = *wanted_.json_schema;
    if (agent_.definition) plan_.initialize["agents"] = to_initialize_agents(*agent_.definition);
  }

  /// A zero byte ends an argument for the kernel, and what stands behind it vanishes.
  void check_for_zero_bytes() {
    const auto has_zero = [](const std::string& text) { return text.find('\0') != std::string::npos; };
    if (has_zero(plan_.cwd)) fail("cwd", plan_.cwd, "must not hold a zero byte");
    for (const std::string& text : plan_.arguments) {
      if (has_zero(text)) fail("options", text, "must not hold a zero byte");
    }
    for (const auto& [name, value] : variables_) {
      if (has_zero(name) || has_zero(value)) fail("env", name, "must not hold a zero byte");
    }
  }

  void set(std::string_view name, std::string value) {
    variables_.insert_or_assign(std::string{name}, std::move(value));
  }

  void set_default(std::string_view name, std::string value) {
    variables_.try_emplace(std::string{name}, std::move(value));
  }

  void warn(std::string sentence) { plan_.warnings.push_back(std::move(sentence)); }

  void fail(std::string_view field, std::string_view value, std::string fix) {
    plan_.errors.push_back({std::string{field}, std::string{value}, std::move(fix)});
  }

  const launch_request& request_;
  const options& wanted_;
  const launch_defaults& defaults_;
  const cli_features& features_;
  const files& disk_;
  environment variables_;
  resolved_agent agent_;
  model_choice choice_;
  bool strict_servers_ = true;
  std::vector<std::string> disallowed_;
  launch_plan plan_;
};

}  // namespace

launch_plan plan_launch(const launch_request& request, const launch_defaults& defaults, const environment& inherited,
                        const files& disk) {
  return planner{request, defaults, inherited, disk}.plan();
}

std::optional<std::string> agent_problem(const start_expectations& expected, std::span<const std::string> agents) {
  if (!expected.agent || contains(agents, *expected.agent)) return std::nullopt;
  return "agent_type " + in_quotes(*expected.agent) +
         ": Claude Code does not know this agent. It knows: " + text::joined(agents) + ".";
}

std::vector<std::string> start_differences(const start_expectations& expected, std::span<const std::string> tools,
                                           std::string_view permission_mode, std::string_view model) {
  std::vector<std::string> differences;
  for (const std::string& tool : expected.tools) {
    const bool same_tool = tool == "Agent" && contains(tools, "Task");
    if (same_tool || contains(tools, tool)) continue;
    differences.push_back("allowed_tools: the worker has no tool " + in_quotes(tool) + ".");
  }
  if (!expected.permission_mode.empty() && permission_mode != expected.permission_mode) {
    differences.push_back("permission_mode: asked for " + expected.permission_mode + ", the worker runs in " +
                          std::string{permission_mode} + ".");
  }
  const auto plain = [](std::string_view name) { return name.substr(0, name.find('[')); };
  if (!expected.model.empty() && plain(model) != plain(expected.model)) {
    differences.push_back("model: asked for " + in_quotes(expected.model) + ", the worker runs " + in_quotes(model) +
                          ".");
  }
  return differences;
}

}  // namespace awm::worker
