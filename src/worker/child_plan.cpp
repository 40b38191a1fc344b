#include "worker/child_plan.hpp"

#include <algorithm>
#include <array>

namespace awm::worker {
namespace {

using nlohmann::json;

/// The arguments, with those of no consequence or that a running child can be told taken out.
struct command_line {
  std::string_view session;
  bool resumes = false;
  std::string_view model;
  std::string_view permission_mode;
  bool has_settings = false;
  /// All the others, in their order.
  std::vector<std::string_view> rest;
};

command_line read(const std::vector<std::string>& arguments) {
  command_line line;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    const bool has_value = i + 1 < arguments.size();
    if (has_value && line.session.empty() && (word == "--session-id" || word == "--resume")) {
      line.session = arguments[++i];
      line.resumes = word == "--resume";
    } else if (has_value && line.model.empty() && word == "--model") {
      line.model = arguments[++i];
    } else if (has_value && line.permission_mode.empty() && word == "--permission-mode") {
      line.permission_mode = arguments[++i];
    } else {
      line.has_settings = line.has_settings || word == "--settings";
      line.rest.push_back(word);
    }
  }
  return line;
}

/// Modes that a running child can be switched to. For bypassPermissions it has to be started so, and a 2.1.197 that is
/// switched to plan mode sends a beta header that one started in it does not.
bool can_be_set(std::string_view mode) {
  constexpr std::array<std::string_view, 3> modes{"default", "acceptEdits", "dontAsk"};
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

}  // namespace

std::optional<std::vector<json>> changes_between(const child_plan& running, const child_plan& wanted, child_use use) {
  const auto& one = running.launch;
  const auto& other = wanted.launch;
  if (one.program != other.program || one.working_directory != other.working_directory ||
      one.environment != other.environment) {
    return std::nullopt;
  }
  const auto is = read(one.arguments);
  const auto shall_be = read(other.arguments);
  if (is.rest != shall_be.rest) return std::nullopt;
  if (use == child_use::unused && shall_be.resumes) return std::nullopt;
  if (use == child_use::used && running.initialize != wanted.initialize) return std::nullopt;
  std::vector<json> changes;
  if (is.permission_mode != shall_be.permission_mode) {
    if (!can_be_set(shall_be.permission_mode)) return std::nullopt;
    changes.push_back({{"subtype", "set_permission_mode"}, {"mode", shall_be.permission_mode}});
  }
  if (is.model != shall_be.model) {
    // In a conversation the change would be told to the model as a command of the user. What the child is told joins
    // the settings of its command line, and it is not known how.
    const bool can_be_told = use == child_use::unused && running.takes_models && !is.has_settings;
    if (!can_be_told || shall_be.model.empty()) return std::nullopt;
    // set_model asks the API first whether it knows a full name, which a start does not (2.1.329).
    changes.push_back({{"subtype", "apply_flag_settings"}, {"settings", {{"model", shall_be.model}}}});
  }
  return changes;
}

std::string_view session_of(const child_plan& plan) {
  return read(plan.launch.arguments).session;
}

}  // namespace awm::worker
