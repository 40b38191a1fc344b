#include "worker/environment.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace awm::worker {
namespace {

constexpr std::array<std::string_view, 31> session_variables{
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_AGENT_SDK_VERSION",
    "CLAUDE_CODE_AGENT",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_CONTAINER_ID",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_PLUGIN_NAME",
    "CLAUDE_CODE_PROJECT_DIR_NAME",
    "CLAUDE_CODE_REMOTE_SESSION_ID",
    "CLAUDE_CODE_RUNNER_MODEL_SOCKET",
    "CLAUDE_CODE_SCRATCHPAD_DIR",
    "CLAUDE_CODE_SESSIONS_OAUTH_TOKEN",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_TASK_LIST_ID",
    "CLAUDE_CODE_TMUX_SESSION",
    "CLAUDE_CODE_TOOL_USE_ID",
    "CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR",
    "CLAUDE_CODE_WORKER_EPOCH",
    "CLAUDE_EFFORT",
    "CLAUDE_ENV_FILE",
    "CLAUDE_JOB_DIR",
    "CLAUDE_PID",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_SESSION_ID",
    "CLAUDE_SESSION_INGRESS_TOKEN_FILE",
    "CLAUDE_SKILL_DIR",
};

static_assert(std::ranges::is_sorted(session_variables), "searched by bisection");

// Families whose members differ by version: what plugins are given, and what a session, its background jobs, its bridge
// and its relaunches know of themselves.
constexpr std::array<std::string_view, 7> session_prefixes{
    "CLAUDE_PLUGIN_", "CLAUDE_CODE_SESSION_", "CLAUDE_CODE_BRIDGE_", "CLAUDE_CODE_RELAUNCH_",
    "CLAUDE_BG_",     "CLAUDE_BRIDGE_",       "CLAUDE_CODE_RESUME_",
};

int depth_of(const environment& variables) {
  const std::string_view text = value_of(variables, depth_variable);
  int depth = 0;
  std::from_chars(text.data(), text.data() + text.size(), depth);
  return std::max(depth, 0);
}

}  // namespace

environment environment_from(std::span<const std::string> assignments) {
  environment variables;
  for (const std::string& assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    variables.emplace(assignment.substr(0, equals), assignment.substr(equals + 1));
  }
  return variables;
}

std::vector<std::string> to_assignments(const environment& variables) {
  std::vector<std::string> assignments;
  assignments.reserve(variables.size());
  for (const auto& [name, value] : variables) assignments.push_back(name + "=" + value);
  return assignments;
}

bool describes_calling_session(std::string_view name) {
  return std::ranges::binary_search(session_variables, name) ||
         std::ranges::any_of(session_prefixes, [name](std::string_view prefix) { return name.starts_with(prefix); });
}

environment inherited_environment(const environment& base) {
  environment variables = base;
  std::erase_if(variables, [](const auto& variable) { return describes_calling_session(variable.first); });
  variables.insert_or_assign(std::string{depth_variable}, std::to_string(depth_of(base) + 1));
  return variables;
}

std::string_view value_of(const environment& variables, std::string_view name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string_view{} : std::string_view{found->second};
}

}  // namespace awm::worker
