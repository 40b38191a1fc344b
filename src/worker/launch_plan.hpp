#pragma once
// From what a caller asked for to what a child is started with. Claude Code ignores much of what it does not
// understand, and the API refuses combinations that Claude Code sends; so everything is decided here, before the start,
// and whatever was chosen, changed or dropped is a sentence among the warnings.

#include "worker/cli_version.hpp"
#include "worker/environment.hpp"
#include "worker/files.hpp"
#include "worker/models.hpp"
#include "worker/options.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace awm::worker {

/// What the configuration decides for every worker.
struct launch_defaults {
  std::string default_model = "sonnet";
  /// The model of a worker that was given sampling options and no model.
  std::string sampling_model = "claude-sonnet-4-5";
  sampling_table sampling;
};

/// One turn to be planned.
struct launch_request {
  /// A UUID: of the session to create, or of that to resume.
  std::string session_id;
  bool resume = false;
  /// Where the session began, when it is resumed: older CLIs find it from there alone. Empty: not known.
  std::string session_cwd;
  /// All options of the turn (see `merge_options`).
  options wanted;
  /// Empty: none.
  std::string agent_type;
  cli_version cli;
  /// The manager's working directory: the worker's, when the options name none. Absolute.
  std::string cwd;
  /// Whether the child will run as root.
  bool as_root = false;
  /// Where the caller of this function will write `launch_plan::mcp_config`, when there is one.
  std::filesystem::path mcp_config_path;
};

/// What the child must say about itself when it took everything as planned.
struct start_expectations {
  /// To be listed in the reply to `initialize`.
  std::optional<std::string> agent;
  /// Tools named in `allowed_tools`, to be listed in `system/init`.
  std::vector<std::string> tools;
  /// Empty: not asked for.
  std::string permission_mode;
  /// A full model name. Empty: an alias, or a name that the CLI is known to replace.
  std::string model;
};

/// How a child is started. Nothing in it is to be used when `errors` is not empty.
struct launch_plan {
  /// What follows the executable's name. Neither prompts nor what `env` and `mcp` hold stand in it: everybody on the
  /// machine can read it.
  std::vector<std::string> arguments;
  /// All of the child's environment, `NAME=value`.
  std::vector<std::string> environment;
  /// Absolute.
  std::string cwd;
  /// The `request` object of the control request that is the first line on stdin.
  nlohmann::json initialize;
  /// Content of the file at `mcp_config_path`, to be written with mode 0600 before the start.
  std::optional<std::string> mcp_config;
  /// As passed to `--model`.
  std::string model;
  start_expectations expectations;
  std::vector<std::string> warnings;
  std::vector<option_error> errors;
};

/// Plans the start. `inherited` is what `inherited_environment` made of the manager's own; `disk` is asked whether
/// directories and agent files exist. Options are checked as well as by the schema, because those of a resumed turn
/// come from a file on disk.
launch_plan plan_launch(const launch_request& request, const launch_defaults& defaults, const environment& inherited,
                        const files& disk);

/// Why a child must not get its prompt: its reply to `initialize` lists `agents`, and the expected one is not among
/// them; the sentence names it and what there is. Nothing when all is well.
std::optional<std::string> agent_problem(const start_expectations& expected, std::span<const std::string> agents);

/// Sentences on what the child says in `system/init` otherwise than expected: a missing tool, another permission mode,
/// another model.
std::vector<std::string> start_differences(const start_expectations& expected, std::span<const std::string> tools,
                                           std::string_view permission_mode, std::string_view model);

}  // namespace awm::worker
