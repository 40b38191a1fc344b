#pragma once
// How a child is started, and what can still be changed about it once it runs. A running child serves whatever needs
// an equal one; a few differences it can be told of. Both are decided by comparing two plans whole, so that an option
// which nobody thought of here makes another child necessary, and is never lost.

#include "worker/launch_plan.hpp"
#include "worker/launcher.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace awm::worker {

/// What a child is started with.
struct child_plan {
  launch_spec launch;
  /// The `initialize` request.
  nlohmann::json initialize = nlohmann::json::object();
  /// What the child's own account of itself is held against.
  start_expectations expectations;
  /// The CLI takes a prompt literally when told so, and says what became of it.
  bool literal_prompts = false;
  /// Before its first prompt the CLI can be given another model without a trace in the conversation.
  bool takes_models = false;
};

/// How far a running child is.
enum class child_use {
  unused,  ///< it waits for its `initialize`, which takes effect once
  used,    ///< it has a conversation
};

/// What a child that was started by `running` is told so that it is what `wanted` asks for: the `request` objects of
/// control requests, none when it is that already. Nothing when another child is needed. The sessions that the plans
/// name do not count, but a child that is not used resumes none.
std::optional<std::vector<nlohmann::json>> changes_between(const child_plan& running, const child_plan& wanted,
                                                           child_use use);

/// The session that the plan begins or resumes; empty: it names none.
std::string_view session_of(const child_plan& plan);

}  // namespace awm::worker
