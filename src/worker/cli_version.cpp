#include "worker/cli_version.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

namespace awm::worker {
namespace {

// What system/init listed, and the names that appear only with a setting, a model, an MCP server or a schema. `Agent`
// is the name of `Task` towards the API; both are taken.
constexpr std::array<std::string_view, 32> tools_of_2_1_197{
    "Agent",
    "AskUserQuestion",
    "Bash",
    "CronCreate",
    "CronDelete",
    "CronList",
    "Edit",
    "EnterPlanMode",
    "EnterWorktree",
    "ExitPlanMode",
    "ExitWorktree",
    "LSP",
    "NotebookEdit",
    "ListMcpResourcesTool",
    "ReadMcpResourceTool",
    "Read",
    "ReportFindings",
    "ScheduleWakeup",
    "SendMessage",
    "Skill",
    "StructuredOutput",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "TaskUpdate",
    "WebFetch",
    "WebSearch",
    "Workflow",
    "Write",
};
constexpr std::array<std::string_view, 34> tools_of_2_1_329{
    "Agent",
    "AskUserQuestion",
    "Bash",
    "CronCreate",
    "CronDelete",
    "CronList",
    "Edit",
    "EnterPlanMode",
    "EnterWorktree",
    "ExitPlanMode",
    "ExitWorktree",
    "LSP",
    "ListAgents",
    "ListMcpResourcesTool",
    "ReadMcpResourceTool",
    "Monitor",
    "NotebookEdit",
    "Read",
    "ReportFindings",
    "ScheduleWakeup",
    "SendMessage",
    "Skill",
    "StructuredOutput",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskUpdate",
    "TaskStop",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Workflow",
    "Write",
};

constexpr std::array<model_alias, 7> aliases_of_2_1_197{{
    {"sonnet", "claude-sonnet-5"},
    {"opus", "claude-opus-4-8"},
    {"haiku", "claude-haiku-4-5-20251001"},
    {"fable", "claude-fable-5"},
    {"default", "claude-opus-4-8"},
    {"best", "claude-opus-4-8"},
    {"opusplan", "claude-sonnet-5"},
}};
constexpr std::array<model_alias, 7> aliases_of_2_1_329{{
    {"sonnet", "claude-sonnet-5-5"},
    {"opus", "claude-opus-5-5"},
    {"haiku", "claude-haiku-5-5"},
    {"fable", "claude-fable-5-2"},
    {"default", "claude-opus-5-5"},
    {"best", "claude-opus-5-5"},
    {"opusplan", "claude-sonnet-5-5"},
}};

// Newest first.
constexpr std::array<cli_features, 2> known_versions{{
    {.since = {2, 1, 329},
     .system_prompt_snapshot = true,
     .client_composed = true,
     .peer_tools = true,
     .lifecycle = true,
     .cost_continues_after_resume = true,
     .usage_since_last_result = true,
     .allow_needs_updated_input = false,
     .await_initialize = true,
     .sigterm_kills_tools = true,
     .resumes_from_any_cwd = true,
     .startup_failure_results = true,
     .plan_mode_asks_classifier = true,
     .interrupt_cancels_queued = true,
     .background_task_lists = true,
     .changes_model_silently = true,
     .tools = tools_of_2_1_329,
     .aliases = aliases_of_2_1_329},
    {.since = {2, 1, 197}, .tools = tools_of_2_1_197, .aliases = aliases_of_2_1_197},
}};

/// Reads a number at the start of `text` and takes it off.
bool take_number(std::string_view& text, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take_dot(std::string_view& text) {
  if (!text.starts_with('.')) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<cli_version> parse_cli_version(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return std::nullopt;
  text.remove_prefix(start);
  cli_version version;
  const bool parsed = take_number(text, version.major) && take_dot(text) && take_number(text, version.minor) &&
                      take_dot(text) && take_number(text, version.patch);
  if (!parsed) return std::nullopt;
  return version;
}

std::string to_string(const cli_version& version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor) + "." + std::to_string(version.patch);
}

const cli_features& features_of(const cli_version& version) {
  const auto found = std::ranges::find_if(known_versions, [&](const auto& known) { return known.since <= version; });
  return found == known_versions.end() ? known_versions.back() : *found;
}

std::optional<std::string> version_warning(const cli_version& version) {
  const cli_version& oldest = known_versions.back().since;
  if (version >= oldest) return std::nullopt;
  return "Claude Code " + to_string(version) + " is older than " + to_string(oldest) +
         ", the oldest version that this server was tried with, and is treated as that one: update it if workers "
         "behave "
         "strangely.";
}

std::string_view resolve_alias(const cli_features& features, std::string_view name) {
  const std::string_view plain = name.substr(0, name.find('['));
  const auto found = std::ranges::find(features.aliases, plain, &model_alias::alias);
  return found == features.aliases.end() ? name : found->model;
}

}  // namespace awm::worker
