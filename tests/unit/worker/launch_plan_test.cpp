#include "worker/launch_plan.hpp"

#include "worker/fake_files.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

namespace awm::worker {
namespace {

using nlohmann::json;
using strings = std::vector<std::string>;
using variables = std::map<std::string, std::string>;

constexpr cli_version old_cli{2, 1, 197};
constexpr cli_version new_cli{2, 1, 329};
const std::string session = "0b8f1c52-7a3e-4d0e-9a57-0d6c1f9f3b11";

/// One turn to be planned, with everything that a test does not care about in order.
struct scene {
  launch_request request;
  launch_defaults defaults;
  environment base{{"PATH", "/bin"}, {"HOME", "/home/me"}};
  testing::fake_files disk;

  explicit scene(const cli_version& cli = new_cli, json wanted = json::object()) {
    request.session_id = session;
    request.cli = cli;
    request.cwd = "/work";
    request.mcp_config_path = "/logs/mcp.json";
    request.wanted = options_from_json(wanted);
    disk.directories = {"/work", "/data", "/other"};
  }

  launch_plan plan() const { return plan_launch(request, defaults, inherited_environment(base), disk); }
};

launch_plan planned(const cli_version& cli, const json& wanted, const std::string& agent_type = {}) {
  scene s{cli, wanted};
  s.request.agent_type = agent_type;
  launch_plan plan = s.plan();
  for (const option_error& error : plan.errors) ADD_FAILURE() << to_string(error);
  return plan;
}

/// The words behind `flag` up to the next flag; nothing when it is not there.
std::optional<strings> values(const launch_plan& plan, std::string_view flag) {
  const auto at = std::ranges::find(plan.arguments, flag);
  if (at == plan.arguments.end()) return std::nullopt;
  const auto next = std::find_if(at + 1, plan.arguments.end(), [](const auto& word) { return word.starts_with("--"); });
  return strings{at + 1, next};
}

std::optional<std::string> variable(const launch_plan& plan, const std::string& name) {
  for (const std::string& assignment : plan.environment) {
    if (assignment.starts_with(name + "=")) return assignment.substr(name.size() + 1);
  }
  return std::nullopt;
}

json extra_body(const launch_plan& plan) {
  const auto text = variable(plan, "CLAUDE_CODE_EXTRA_BODY");
  return text ? json::parse(*text) : json{};
}

/// Whether one of the sentences begins with `field` and holds `part`.
bool warns(const launch_plan& plan, std::string_view field, std::string_view part) {
  return std::ranges::any_of(plan.warnings, [&](const std::string& sentence) {
    return sentence.starts_with(field) && sentence.find(part) != std::string::npos;
  });
}

bool fails(const launch_plan& plan, std::string_view field, std::string_view value) {
  return std::ranges::any_of(
      plan.errors, [&](const option_error& e) { return e.field == field && e.value == value && !e.fix.empty(); });
}

TEST(launch_plan, of_a_plain_turn_says_what_the_protocol_needs) {
  EXPECT_EQ(planned(old_cli, {}).arguments,
            (strings{"-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose",
                     "--permission-prompt-tool", "stdio", "--session-id", session, "--model", "sonnet",
                     "--strict-mcp-config"}));
  EXPECT_EQ(planned(new_cli, {}).arguments,
            (strings{"-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose",
                     "--permission-prompt-tool", "stdio", "--session-id", session, "--model", "sonnet",
                     "--system-prompt-snapshot", "off", "--strict-mcp-config", "--disallowedTools", "ListAgents",
                     "SendMessage"}));
  EXPECT_EQ(planned(new_cli, {}).initialize, (json{{"subtype", "initialize"}, {"hooks", nullptr}}));
  EXPECT_TRUE(planned(new_cli, {}).warnings.empty());
  EXPECT_EQ(planned(new_cli, {}).cwd, "/work");
}

TEST(launch_plan, of_a_resumed_turn_names_session_and_model_again) {
  scene s{new_cli, {{"model", "haiku"}}};
  s.request.resume = true;
  EXPECT_EQ(values(s.plan(), "--resume"), strings{session});
  EXPECT_EQ(values(s.plan(), "--session-id"), std::nullopt);
  EXPECT_EQ(values(s.plan(), "--model"), strings{"haiku"});
}

TEST(launch_plan, carries_every_option_to_its_flag) {
  const launch_plan plan = planned(new_cli, {{"model", "claude-opus-4-8"},
                                             {"permission_mode", "acceptEdits"},
                                             {"max_turns", 7},
                                             {"max_budget_usd", 0.25},
                                             {"effort", "high"},
                                             {"fallback_model", "haiku"},
                                             {"add_dirs", {"/data", "/other"}},
                                             {"allowed_tools", {"Read", "Bash(git *)"}},
                                             {"disallowed_tools", {"WebFetch"}},
                                             {"cwd", "/other"}});
  EXPECT_EQ(values(plan, "--model"), strings{"claude-opus-4-8"});
  EXPECT_EQ(values(plan, "--permission-mode"), strings{"acceptEdits"});
  EXPECT_EQ(values(plan, "--max-turns"), strings{"7"});
  EXPECT_EQ(values(plan, "--max-budget-usd"), strings{"0.25"});
  EXPECT_EQ(values(plan, "--effort"), strings{"high"});
  EXPECT_EQ(values(plan, "--fallback-model"), strings{"haiku"});
  EXPECT_EQ(values(plan, "--add-dir"), (strings{"/data", "/other"}));
  EXPECT_EQ(values(plan, "--allowedTools"), (strings{"Read", "Bash(git *)"}));
  EXPECT_EQ(values(plan, "--disallowedTools"), (strings{"WebFetch", "ListAgents", "SendMessage"}));
  EXPECT_EQ(plan.cwd, "/other");
}

TEST(launch_plan, keeps_prompts_and_secrets_off_the_command_line) {
  const launch_plan plan = planned(new_cli,
                                   {{"system", "SECRET-PROMPT"},
                                    {"env", {{"TOKEN", "SECRET-ENV"}}},
                                    {"mcp", {{"db", {{"command", "db"}, {"env", {{"KEY", "SECRET-MCP"}}}}}}}},
                                   "You are SECRET-ROLE");
  for (const std::string& word : plan.arguments) EXPECT_EQ(word.find("SECRET"), std::string::npos) << word;
  EXPECT_EQ(plan.initialize["systemPrompt"], json::array({"SECRET-PROMPT"}));
  EXPECT_EQ(plan.initialize["appendSystemPrompt"], "You are SECRET-ROLE");
  EXPECT_EQ(variable(plan, "TOKEN"), "SECRET-ENV");
}

// --- MCP ---

TEST(launch_plan, gives_a_worker_the_servers_that_were_asked_for) {
  const launch_plan none = planned(new_cli, {{"mcp", "none"}});
  EXPECT_TRUE(values(none, "--strict-mcp-config"));
  EXPECT_EQ(none.mcp_config, std::nullopt);
  const launch_plan inherited = planned(new_cli, {{"mcp", "inherit"}});
  EXPECT_FALSE(values(inherited, "--strict-mcp-config"));
  EXPECT_FALSE(values(inherited, "--mcp-config"));
  EXPECT_EQ(variable(none, "MCP_CONNECTION_NONBLOCKING"), std::nullopt);
  EXPECT_EQ(variable(inherited, "MCP_CONNECTION_NONBLOCKING"), "0") << "the first turn waits for slow servers";
  const json servers{{"db", {{"command", "db"}}}, {"web", {{"type", "http"}, {"url", "http://x"}}}};
  for (const json& given : {servers, json{{"mcpServers", servers}}}) {
    const launch_plan listed = planned(new_cli, {{"mcp", given}});
    EXPECT_TRUE(values(listed, "--strict-mcp-config"));
    EXPECT_EQ(values(listed, "--mcp-config"), strings{"/logs/mcp.json"});
    EXPECT_EQ(json::parse(listed.mcp_config.value()), (json{{"mcpServers", servers}}));
  }
}

TEST(launch_plan, refuses_a_server_that_cannot_start) {
  EXPECT_TRUE(fails(scene{new_cli, {{"mcp", {{"db", {{"args", {"x"}}}}}}}}.plan(), "mcp", "db"));
}

// --- the environment ---

TEST(launch_plan, sets_the_defaults_of_the_environment) {
  const launch_plan plan = planned(new_cli, {});
  EXPECT_EQ(variable(plan, "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"), "1");
  EXPECT_EQ(variable(plan, "CLAUDE_CODE_STARTUP_FAILURE_RESULTS"), "1");
  EXPECT_EQ(variable(planned(old_cli, {}), "CLAUDE_CODE_STARTUP_FAILURE_RESULTS"), std::nullopt);
  EXPECT_EQ(variable(plan, "AWM_DEPTH"), "1");
  EXPECT_EQ(variable(plan, "PATH"), "/bin");
  EXPECT_EQ(variable(plan, "MAX_THINKING_TOKENS"), std::nullopt) << "unset means as Claude Code does";
  EXPECT_EQ(variable(plan, "CLAUDE_CODE_EXTRA_BODY"), std::nullopt);
}

TEST(launch_plan, hides_the_calling_session_unless_the_caller_insists) {
  scene s;
  s.base["CLAUDECODE"] = "1";
  EXPECT_EQ(variable(s.plan(), "CLAUDECODE"), std::nullopt);
  s.request.wanted.env = variables{{"CLAUDECODE", "2"}, {"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "0"}};
  EXPECT_EQ(variable(s.plan(), "CLAUDECODE"), "2");
  EXPECT_EQ(variable(s.plan(), "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"), "0");
}

TEST(launch_plan, refuses_names_and_bytes_that_the_kernel_would_lose) {
  EXPECT_TRUE(fails(scene{new_cli, {{"env", {{"A=B", "x"}}}}}.plan(), "env", "A=B"));
  EXPECT_TRUE(fails(scene{new_cli, {{"env", {{"", "x"}}}}}.plan(), "env", ""));
  EXPECT_TRUE(fails(scene{new_cli, {{"env", {{"A", std::string("x\0y", 3)}}}}}.plan(), "env", "A"));
  EXPECT_FALSE((scene{new_cli, {{"model", std::string("x\0y", 3)}}}.plan().errors.empty()));
}

// --- directories, modes, names ---

TEST(launch_plan, refuses_directories_that_are_not_there) {
  EXPECT_TRUE(fails(scene{new_cli, {{"cwd", "/nowhere"}}}.plan(), "cwd", "/nowhere"));
  EXPECT_TRUE(fails(scene{new_cli, {{"cwd", "work"}}}.plan(), "cwd", "work"));
  EXPECT_TRUE(fails(scene{new_cli, {{"add_dirs", {"/data", "/nowhere"}}}}.plan(), "add_dirs", "/nowhere"));
  EXPECT_TRUE(fails(scene{new_cli, {{"add_dirs", {"--resume"}}}}.plan(), "add_dirs", "--resume"));
}

TEST(launch_plan, knows_which_cli_resumes_only_where_the_session_began) {
  for (const bool same : {true, false}) {
    scene s{old_cli, {{"cwd", same ? "/work" : "/other"}}};
    s.request.resume = true;
    s.request.session_cwd = "/work";
    EXPECT_EQ(fails(s.plan(), "cwd", "/other"), !same);
    s.request.cli = new_cli;
    EXPECT_TRUE(s.plan().errors.empty());
  }
}

TEST(launch_plan, refuses_what_is_neither_a_mode_nor_a_level_nor_a_session) {
  EXPECT_TRUE(fails(scene{new_cli, {{"permission_mode", "yolo"}}}.plan(), "permission_mode", "yolo"));
  EXPECT_TRUE(fails(scene{new_cli, {{"effort", "extreme"}}}.plan(), "effort", "extreme"));
  scene s;
  s.request.session_id = "--dangerously-skip-permissions";
  EXPECT_TRUE(fails(s.plan(), "session_id", "--dangerously-skip-permissions"));
}

TEST(launch_plan, refuses_caps_out_of_a_file_that_would_be_read_as_flags_or_overflow) {
  EXPECT_TRUE(fails(scene{new_cli, {{"max_turns", -5}}}.plan(), "max_turns", "-5"));
  EXPECT_TRUE(fails(scene{new_cli, {{"max_budget_usd", -1}}}.plan(), "max_budget_usd", "-1"));
  EXPECT_TRUE(fails(scene{new_cli, {{"timeout_s", 1e300}}}.plan(), "timeout_s", "1e+300"));
  EXPECT_TRUE(fails(scene{new_cli, {{"timeout_s", 0}}}.plan(), "timeout_s", "0"));
  EXPECT_TRUE((scene{new_cli, {{"timeout_s", longest_timeout_s}, {"max_turns", 1}}}.plan().errors.empty()));
}

TEST(launch_plan, refuses_a_json_schema_out_of_a_file_that_is_none) {
  scene s;
  s.request.wanted.json_schema = 7;
  EXPECT_TRUE(fails(s.plan(), "json_schema", "7"));
  s.request.wanted.json_schema = nlohmann::json::array({1});
  EXPECT_TRUE(fails(s.plan(), "json_schema", "[1]"));
}

TEST(launch_plan, refuses_bypassing_permissions_as_root_outside_a_sandbox) {
  scene s{new_cli, {{"permission_mode", "bypassPermissions"}}};
  EXPECT_TRUE(s.plan().errors.empty());
  s.request.as_root = true;
  EXPECT_TRUE(fails(s.plan(), "permission_mode", "bypassPermissions"));
  s.request.wanted.env = variables{{"IS_SANDBOX", "1"}};
  EXPECT_TRUE(s.plan().errors.empty());
}

TEST(launch_plan, keeps_the_questions_of_plan_mode_here) {
  EXPECT_EQ(values(planned(new_cli, {{"permission_mode", "plan"}}), "--settings"),
            strings{R"({"useAutoModeDuringPlan":false})"});
  EXPECT_EQ(values(planned(old_cli, {{"permission_mode", "plan"}}), "--settings"), std::nullopt);
}

TEST(launch_plan, takes_no_flag_for_a_value) {
  EXPECT_TRUE(fails(scene{new_cli, {{"allowed_tools", {"--mcp-config"}}}}.plan(), "allowed_tools", "--mcp-config"));
  EXPECT_TRUE(fails(scene{new_cli, {{"disallowed_tools", {"-p"}}}}.plan(), "disallowed_tools", "-p"));
  EXPECT_TRUE(fails(scene{new_cli, {{"model", "--continue"}}}.plan(), "model", "--continue"));
  EXPECT_TRUE(fails(scene{new_cli, {{"fallback_model", "-c"}}}.plan(), "fallback_model", "-c"));
}

TEST(launch_plan, collects_all_errors_at_once) {
  EXPECT_EQ((scene{new_cli, {{"cwd", "/nowhere"}, {"permission_mode", "yolo"}}}.plan().errors.size()), 2u);
}

// --- tools ---

TEST(launch_plan, checks_tool_rules) {
  struct row {
    const char* rule;
    bool allowed;
    const char* warning;
  };
  for (const row& r :
       {row{"Read", true, ""}, row{"Bash(git *)", true, ""}, row{"mcp__db__query", true, ""},
        row{"mcp__db__*", true, ""}, row{"Bahs", true, "\"Bash\""}, row{"Grep", true, "no tool"},
        row{"Bash(git", false, ""}, row{"Bash()", false, ""}, row{"", false, ""}, row{"git status", false, ""}}) {
    const launch_plan plan = scene{new_cli, {{"allowed_tools", {r.rule}}}}.plan();
    EXPECT_EQ(plan.errors.empty(), r.allowed) << r.rule;
    EXPECT_EQ(warns(plan, "allowed_tools", r.warning), *r.warning != '\0') << r.rule;
  }
}

TEST(launch_plan, lets_workers_talk_to_each_other_only_when_the_caller_names_the_tools) {
  const launch_plan plan = planned(new_cli, {{"allowed_tools", {"SendMessage"}}});
  EXPECT_EQ(values(plan, "--disallowedTools"), strings{"ListAgents"});
}

// --- agents ---

TEST(launch_plan, starts_an_agent_and_expects_it_to_be_listed) {
  const launch_plan plan = planned(new_cli, {}, "Explore");
  EXPECT_EQ(values(plan, "--agent"), strings{"Explore"});
  EXPECT_EQ(values(plan, "--disallowedTools"), (strings{"Write", "Edit", "NotebookEdit", "ListAgents", "SendMessage"}));
  EXPECT_EQ(plan.expectations.agent, "Explore");
  EXPECT_FALSE(plan.initialize["appendSystemPrompt"].empty());
  EXPECT_EQ(agent_problem(plan.expectations, strings{"claude", "Explore"}), std::nullopt);
  const auto problem = agent_problem(plan.expectations, strings{"claude", "Plan"});
  ASSERT_TRUE(problem);
  EXPECT_NE(problem->find("Explore"), std::string::npos);
  EXPECT_NE(problem->find("claude, Plan"), std::string::npos);
}

TEST(launch_plan, sends_the_definition_of_an_agent_file_and_takes_its_model) {
  scene s;
  s.disk.contents["/work/r.md"] = "---\nname: rev\nmodel: haiku\n---\nBODY";
  s.request.agent_type = "r.md";
  EXPECT_EQ(s.plan().initialize["agents"]["rev"]["prompt"], "BODY");
  EXPECT_EQ(values(s.plan(), "--agent"), strings{"rev"});
  EXPECT_EQ(values(s.plan(), "--model"), strings{"haiku"});
  s.request.wanted.model = "opus";
  EXPECT_EQ(values(s.plan(), "--model"), strings{"opus"}) << "what the caller names counts";
  s.request.wanted.system = "other";
  EXPECT_TRUE(warns(s.plan(), "agent_type", "system replaces"));
}

TEST(launch_plan, finds_the_users_agents_where_the_worker_will) {
  scene s;
  s.disk.contents["/conf/agents/mine.md"] = "---\nname: mine\ndescription: d\n---\nx";
  s.request.agent_type = "mine";
  EXPECT_EQ(values(s.plan(), "--agent"), std::nullopt);
  s.request.wanted.env = variables{{"CLAUDE_CONFIG_DIR", "/conf"}};
  EXPECT_EQ(values(s.plan(), "--agent"), strings{"mine"});
}

TEST(launch_plan, reports_an_agent_that_cannot_be_read) {
  scene s;
  s.request.agent_type = "gone.md";
  EXPECT_TRUE(fails(s.plan(), "agent_type", "gone.md"));
}

TEST(launch_plan, says_that_a_plugins_own_model_is_not_used) {
  EXPECT_TRUE(warns(planned(new_cli, {}, "plug:agent"), "model", "plug:agent"));
  EXPECT_FALSE(warns(planned(new_cli, {{"model", "opus"}}, "plug:agent"), "model", ""));
}

// --- sampling and thinking ---

TEST(launch_plan, puts_sampling_into_the_request_with_thinking_off) {
  for (const cli_version& cli : {old_cli, new_cli}) {
    const launch_plan plan =
        planned(cli, {{"model", "claude-sonnet-4-5"}, {"temperature", 0.3}, {"top_k", 40}, {"max_tokens", 1234}});
    EXPECT_EQ(extra_body(plan), (json{{"temperature", 0.3}, {"top_k", 40}}));
    EXPECT_EQ(variable(plan, "MAX_THINKING_TOKENS"), "0");
    EXPECT_EQ(variable(plan, "CLAUDE_CODE_MAX_OUTPUT_TOKENS"), "1234");
    EXPECT_EQ(variable(plan, "CLAUDE_CODE_SUBAGENT_MODEL"), "claude-sonnet-4-5") << "they get the same parameters";
    EXPECT_TRUE(warns(plan, "thinking", "switched off"));
  }
}

TEST(launch_plan, chooses_a_model_that_takes_sampling_when_none_is_named) {
  const launch_plan plan = planned(new_cli, {{"temperature", 0.3}});
  EXPECT_EQ(plan.model, "claude-sonnet-4-5");
  EXPECT_TRUE(warns(plan, "model", "\"claude-sonnet-4-5\" was chosen"));
  scene s{new_cli, {{"temperature", 0.3}}};
  s.defaults.default_model = "claude-haiku-4-5";
  EXPECT_EQ(s.plan().model, "claude-haiku-4-5") << "the default model takes it";
  s.defaults.default_model = "sonnet";
  s.defaults.sampling_model = "claude-opus-4-5";
  EXPECT_EQ(s.plan().model, "claude-opus-4-5");
}

TEST(launch_plan, drops_sampling_that_the_named_model_refuses) {
  for (const char* model : {"sonnet", "claude-opus-4-8", "opus[1m]", "claude-fable-5", "unheard-of"}) {
    const launch_plan plan = planned(new_cli, {{"model", model}, {"temperature", 0.3}, {"top_k", 5}});
    EXPECT_EQ(plan.model, model);
    EXPECT_EQ(variable(plan, "CLAUDE_CODE_EXTRA_BODY"), std::nullopt) << model;
    EXPECT_EQ(variable(plan, "MAX_THINKING_TOKENS"), std::nullopt) << model;
    EXPECT_TRUE(warns(plan, "temperature, top_k", "dropped")) << model;
  }
}

TEST(launch_plan, resolves_an_alias_by_version_and_environment) {
  const json wanted{{"model", "haiku"}, {"temperature", 0.3}};
  EXPECT_EQ(extra_body(planned(old_cli, wanted)), (json{{"temperature", 0.3}})) << "haiku 4.5";
  EXPECT_EQ(extra_body(planned(new_cli, wanted)), json{}) << "haiku 5.5";
  scene s{new_cli, wanted};
  s.base["ANTHROPIC_DEFAULT_HAIKU_MODEL"] = "claude-haiku-4-5";
  EXPECT_EQ(extra_body(s.plan()), (json{{"temperature", 0.3}}));
}

TEST(launch_plan, keeps_temperature_of_a_pair_that_the_model_refuses) {
  const json pair{{"temperature", 0.3}, {"top_p", 0.9}};
  json wanted = pair;
  wanted["model"] = "claude-sonnet-4-6";
  const launch_plan plan = planned(new_cli, wanted);
  EXPECT_EQ(extra_body(plan), (json{{"temperature", 0.3}}));
  EXPECT_TRUE(warns(plan, "top_p", "dropped"));
  wanted["model"] = "claude-sonnet-4-20250514";
  EXPECT_EQ(extra_body(planned(new_cli, wanted)), pair) << "an earlier model takes both";
}

TEST(launch_plan, keeps_the_clis_own_temperature_away_from_top_p) {
  const launch_plan plan = planned(new_cli, {{"model", "claude-sonnet-4-5"}, {"top_p", 0.9}});
  EXPECT_EQ(
      extra_body(plan),
      (json{{"top_p", 0.9}, {"thinking", {{"type", "disabled"}}}, {"context_management", {{"edits", json::array()}}}}));
  EXPECT_EQ(variable(plan, "MAX_THINKING_TOKENS"), "31999");
}

TEST(launch_plan, prefers_sampling_to_thinking_when_both_are_asked_for) {
  const json wanted{{"model", "claude-sonnet-4-5"}, {"thinking", true}};
  json impossible = wanted;
  impossible["temperature"] = 0.3;
  EXPECT_EQ(variable(planned(new_cli, impossible), "MAX_THINKING_TOKENS"), "0");
  EXPECT_TRUE(warns(planned(new_cli, impossible), "thinking", "switched off"));
  json possible = wanted;
  possible["temperature"] = 1;
  EXPECT_EQ(variable(planned(new_cli, possible), "MAX_THINKING_TOKENS"), "31999");
  EXPECT_FALSE(warns(planned(new_cli, possible), "thinking", ""));
  possible["model"] = "claude-sonnet-4-6";
  EXPECT_EQ(variable(planned(new_cli, possible), "MAX_THINKING_TOKENS"), "0") << "not while thinking, at all";
}

TEST(launch_plan, obeys_the_configurations_table) {
  scene s{new_cli, {{"model", "sonnet"}, {"temperature", 0.3}}};
  s.defaults.sampling["claude-sonnet-5-*"] = sampling_support::one;
  EXPECT_EQ(extra_body(s.plan()), (json{{"temperature", 0.3}}));
}

TEST(launch_plan, drops_a_fallback_that_would_refuse_the_sampling) {
  const json wanted{{"model", "claude-sonnet-4-5"}, {"temperature", 0.3}};
  json refusing = wanted;
  refusing["fallback_model"] = "claude-haiku-4-5,sonnet";
  EXPECT_EQ(values(planned(new_cli, refusing), "--fallback-model"), std::nullopt);
  EXPECT_TRUE(warns(planned(new_cli, refusing), "fallback_model", "\"sonnet\""));
  json taking = wanted;
  taking["fallback_model"] = "claude-haiku-4-5";
  EXPECT_EQ(values(planned(new_cli, taking), "--fallback-model"), strings{"claude-haiku-4-5"});
}

TEST(launch_plan, tells_each_model_how_to_think) {
  struct row {
    const char* model;
    json thinking;
    const char* tokens;    ///< MAX_THINKING_TOKENS; "" for not set.
    const char* adaptive;  ///< CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING
    const char* omitted;   ///< CLAUDE_CODE_DISABLE_THINKING
    const char* warning;
  };
  const row rows[]{
      {"claude-sonnet-4-5", true, "31999", "", "", ""},
      {"claude-sonnet-4-5", false, "0", "", "", ""},
      {"claude-sonnet-4-5", 5000, "5000", "1", "", ""},
      {"claude-sonnet-4-6", 5000, "5000", "1", "", ""},
      {"claude-opus-4-8", 5000, "31999", "", "", "budget was dropped"},
      {"claude-opus-4-8", false, "0", "", "", ""},
      {"sonnet", true, "31999", "", "", ""},
      {"sonnet", false, "", "", "1", "cannot switch it off"},
      {"claude-fable-5", false, "", "", "1", "cannot switch it off"},
      {"claude-3-5-sonnet-20241022", true, "", "", "", "does not let"},
      {"claude-3-5-sonnet-20241022", 2000, "", "", "", "does not let"},
      {"claude-3-5-sonnet-20241022", false, "", "", "", ""},
  };
  for (const row& r : rows) {
    const launch_plan plan = planned(new_cli, {{"model", r.model}, {"thinking", r.thinking}});
    const std::string name = std::string{r.model} + " " + r.thinking.dump();
    EXPECT_EQ(variable(plan, "MAX_THINKING_TOKENS").value_or(""), r.tokens) << name;
    EXPECT_EQ(variable(plan, "CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING").value_or(""), r.adaptive) << name;
    EXPECT_EQ(variable(plan, "CLAUDE_CODE_DISABLE_THINKING").value_or(""), r.omitted) << name;
    EXPECT_EQ(warns(plan, "thinking", r.warning), *r.warning != '\0') << name;
  }
}

TEST(launch_plan, undoes_what_the_environment_says_against_thinking) {
  scene s{new_cli, {{"thinking", true}}};
  s.base["CLAUDE_CODE_DISABLE_THINKING"] = "1";
  s.base["MAX_THINKING_TOKENS"] = "0";
  EXPECT_EQ(variable(s.plan(), "CLAUDE_CODE_DISABLE_THINKING"), std::nullopt);
  EXPECT_EQ(variable(s.plan(), "MAX_THINKING_TOKENS"), "31999");
}

TEST(launch_plan, leaves_a_budget_room_below_max_tokens) {
  const json small{{"model", "claude-sonnet-4-5"}, {"max_tokens", 500}};
  EXPECT_EQ(variable(planned(new_cli, small), "MAX_THINKING_TOKENS"), "0");
  EXPECT_TRUE(warns(planned(new_cli, small), "thinking", "max_tokens"));
  json insisting = small;
  insisting["thinking"] = true;
  EXPECT_TRUE(fails(scene{new_cli, insisting}.plan(), "max_tokens", "500"));
  EXPECT_TRUE(warns(planned(new_cli, {{"model", "claude-sonnet-4-5"}, {"max_tokens", 3000}, {"thinking", 5000}}),
                    "thinking", "2999"));
  EXPECT_EQ(variable(planned(new_cli, {{"model", "opus"}, {"max_tokens", 500}}), "MAX_THINKING_TOKENS"), std::nullopt);
}

TEST(launch_plan, drops_effort_that_a_model_does_not_take) {
  const launch_plan plan = planned(new_cli, {{"model", "claude-haiku-4-5"}, {"effort", "high"}});
  EXPECT_EQ(values(plan, "--effort"), std::nullopt);
  EXPECT_TRUE(warns(plan, "effort", "dropped"));
}

TEST(launch_plan, names_the_model_that_runs_in_place_of_a_retired_one) {
  scene s{new_cli, {{"model", "claude-opus-4-1"}, {"temperature", 0.3}}};
  EXPECT_TRUE(warns(s.plan(), "model", "claude-opus-5-5"));
  EXPECT_TRUE(warns(s.plan(), "temperature", "dropped"));
  EXPECT_EQ(s.plan().expectations.model, "");
  s.request.wanted.env = variables{{"CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP", "1"}};
  EXPECT_FALSE(warns(s.plan(), "model", ""));
  EXPECT_EQ(extra_body(s.plan()), (json{{"temperature", 0.3}}));
}

TEST(launch_plan, warns_of_a_model_name_that_it_does_not_know) {
  EXPECT_TRUE(warns(planned(new_cli, {{"model", "glm-4"}}), "model", "no model name"));
  scene s{new_cli, {{"model", "glm-4"}}};
  s.defaults.sampling["glm-*"] = sampling_support::both;
  EXPECT_TRUE(s.plan().warnings.empty());
}

TEST(launch_plan, merges_the_callers_own_extra_body_below_the_options) {
  scene s{new_cli, {{"model", "claude-sonnet-4-5"}, {"temperature", 0.3}}};
  s.base["CLAUDE_CODE_EXTRA_BODY"] = R"({"stop_sequences":["ZZ"],"temperature":1})";
  EXPECT_EQ(extra_body(s.plan()), (json{{"stop_sequences", {"ZZ"}}, {"temperature", 0.3}}));
  s.request.wanted.env = variables{{"CLAUDE_CODE_EXTRA_BODY", R"({"metadata":{}})"}};
  EXPECT_EQ(extra_body(s.plan()), (json{{"metadata", json::object()}, {"temperature", 0.3}}));
}

TEST(launch_plan, does_not_pass_on_an_extra_body_that_claude_code_would_ignore) {
  scene s;
  s.base["CLAUDE_CODE_EXTRA_BODY"] = "temperature=1";
  EXPECT_EQ(variable(s.plan(), "CLAUDE_CODE_EXTRA_BODY"), std::nullopt);
  EXPECT_TRUE(warns(s.plan(), "env", "CLAUDE_CODE_EXTRA_BODY"));
  s.request.wanted.env = variables{{"CLAUDE_CODE_EXTRA_BODY", "[1]"}};
  EXPECT_TRUE(fails(s.plan(), "env", "CLAUDE_CODE_EXTRA_BODY=[1]"));
}

// --- what the child says about itself ---

TEST(launch_plan, names_a_version_that_is_too_old) {
  EXPECT_EQ(planned({2, 1, 100}, {}).warnings.size(), 1u);
}

TEST(start_differences, are_silent_when_the_child_took_everything) {
  const launch_plan plan = planned(new_cli, {{"model", "claude-opus-4-8[1m]"},
                                             {"permission_mode", "acceptEdits"},
                                             {"allowed_tools", {"Agent", "Bash(ls *)", "mcp__a__b", "Grep"}}});
  EXPECT_TRUE(start_differences(plan.expectations, strings{"Task", "Bash"}, "acceptEdits", "claude-opus-4-8").empty());
}

TEST(start_differences, name_tool_mode_and_model) {
  const launch_plan plan =
      planned(new_cli, {{"model", "claude-opus-4-8"}, {"permission_mode", "plan"}, {"allowed_tools", {"WebFetch"}}});
  const strings found = start_differences(plan.expectations, strings{"Bash"}, "default", "claude-opus-5-5");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[0].starts_with("allowed_tools") && found[0].find("WebFetch") != std::string::npos);
  EXPECT_TRUE(found[1].starts_with("permission_mode") && found[1].find("default") != std::string::npos);
  EXPECT_TRUE(found[2].starts_with("model") && found[2].find("claude-opus-5-5") != std::string::npos);
}

TEST(start_differences, do_not_know_what_an_alias_resolves_to) {
  EXPECT_TRUE(start_differences(planned(new_cli, {{"model", "opus"}}).expectations, {}, "default", "anything").empty());
}

}  // namespace
}  // namespace awm::worker
