#pragma once
// Which model runs, and which sampling and thinking parameters reach it. No model takes every combination, Claude Code
// adds parameters of its own (a temperature of 1 whenever thinking is off), and the API answers a wrong combination
// with a 400: so the combination is chosen here.

#include "worker/cli_version.hpp"
#include "worker/environment.hpp"
#include "worker/launch_plan.hpp"
#include "worker/options.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace awm::worker {

/// What is decided about the model of a turn.
struct model_choice {
  /// For `--model`.
  std::string model;
  /// The full name that the CLI sends for it, as far as it is known.
  std::string resolved;
  model_traits traits;
  /// What is left for `--fallback-model` and `--effort`.
  std::optional<std::string> fallback_model;
  std::optional<std::string> effort;
  /// Members to be merged into the body of every API request (CLAUDE_CODE_EXTRA_BODY).
  nlohmann::json extra_body = nlohmann::json::object();
  /// Variables to set.
  environment variables;
  /// Variables to take out, which would counteract the choice.
  std::vector<std::string> removed_variables;
  std::vector<std::string> warnings;
  std::vector<option_error> errors;
};

/// Decides. `agent_model` is the model that the agent's file names; `variables` is the child's environment so far,
/// whose ANTHROPIC_DEFAULT_*_MODEL redirect aliases.
model_choice choose_model(const options& wanted, const std::optional<std::string>& agent_model,
                          const cli_features& features, const cli_version& cli, const launch_defaults& defaults,
                          const environment& variables);

}  // namespace awm::worker
