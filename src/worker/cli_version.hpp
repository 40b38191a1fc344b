#pragma once
// One manager serves every version of the Claude Code CLI. What differs between versions is one row of a table here, so
// that the code which starts and drives a worker asks for a feature and never compares versions.

#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace awm::worker {

struct cli_version {
  int major = 0;
  int minor = 0;
  int patch = 0;

  auto operator<=>(const cli_version&) const = default;
};

/// From what `claude --version` prints, such as `2.1.329 (Claude Code)`; nothing when it does not start with three
/// numbers.
std::optional<cli_version> parse_cli_version(std::string_view text);

/// `2.1.329`
std::string to_string(const cli_version& version);

/// A short name and the model that a version of the CLI sends for it.
struct model_alias {
  std::string_view alias;
  std::string_view model;
};

/// What a version of the CLI has. Each was measured on the version in `since`.
struct cli_features {
  cli_version since;
  /// `--system-prompt-snapshot off`: without it a resumed session keeps its first system prompt.
  bool system_prompt_snapshot = false;
  /// A user message with `client_composed:true` is taken literally: no slash command, no @file.
  bool client_composed = false;
  /// ListAgents and SendMessage let workers of one HOME talk to each other, and start turns that nobody sent.
  bool peer_tools = false;
  /// `command_lifecycle` lines for user messages with a `uuid`; results carry `user_message_uuids`.
  bool lifecycle = false;
  /// `total_cost_usd` of a resumed session starts at the saved total, and not at 0.
  bool cost_continues_after_resume = false;
  /// Results carry `model_usage_since_last_result`.
  bool usage_since_last_result = false;
  /// A permission answer `allow` fails without `updatedInput`.
  bool allow_needs_updated_input = true;
  /// `--await-initialize`: the first line on stdin has to be `initialize`.
  bool await_initialize = false;
  /// SIGTERM takes the worker's tool processes along; SIGKILL never does.
  bool sigterm_kills_tools = false;
  /// A session is found from every cwd, and not from that in which it began alone.
  bool resumes_from_any_cwd = false;
  /// CLAUDE_CODE_STARTUP_FAILURE_RESULTS=1 puts a failed start on stdout as a result.
  bool startup_failure_results = false;
  /// Plan mode asks a classifier on the server and not the manager, unless `useAutoModeDuringPlan` is false.
  bool plan_mode_asks_classifier = false;
  /// An interrupt can take queued messages along (`cancel_queued`).
  bool interrupt_cancels_queued = false;
  /// `background_tasks_changed` lists every live background task.
  bool background_task_lists = false;
  /// `apply_flag_settings` changes the model without a trace; an older CLI tells its model of a command `/model`.
  bool changes_model_silently = false;
  /// Names that `allowed_tools` may hold beside MCP tools.
  std::span<const std::string_view> tools;
  std::span<const model_alias> aliases;
};

/// The features of the newest measured version that is not newer than `version`: an unknown newer version is treated as
/// the newest known, one older than all known ones as the oldest.
const cli_features& features_of(const cli_version& version);

/// A sentence naming the version and the oldest known one when `version` is older than that; else nothing.
std::optional<std::string> version_warning(const cli_version& version);

/// The model that `name` stands for in that version, by the CLI's own table; `name` itself when it is no alias. A
/// suffix in brackets (`sonnet[1m]`) is kept out of the comparison and lost in the answer.
std::string_view resolve_alias(const cli_features& features, std::string_view name);

}  // namespace awm::worker
