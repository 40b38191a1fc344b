#pragma once
// What a caller may ask of a worker's turn. The schema that the tools publish and the conversion both ways stand here
// side by side, so that an option is one line in each and cannot be known to one of them alone.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace awm::worker {

/// `true` and `false` switch thinking on and off; a number is a budget in tokens, at least 1024.
using thinking_option = std::variant<bool, std::int64_t>;

/// A year: what is longer is meant to be none, and overflows a clock.
inline constexpr double longest_timeout_s = 365.0 * 24 * 60 * 60;

/// The options of one turn. A member without a value leaves the matter to the defaults.
struct options {
  std::optional<std::string> model;        ///< An alias (`sonnet`) or a full model name.
  std::optional<std::string> system;       ///< Replaces Claude Code's own system prompt.
  std::optional<double> temperature;       ///< 0 to 1.
  std::optional<double> top_p;             ///< 0 to 1.
  std::optional<std::int64_t> top_k;       ///< At least 1.
  std::optional<std::int64_t> max_tokens;  ///< Of one model reply; 1 to 128000.
  std::optional<thinking_option> thinking;
  std::optional<std::string> cwd;                    ///< Absolute.
  std::optional<std::vector<std::string>> add_dirs;  ///< Absolute.
  std::optional<std::vector<std::string>> allowed_tools;
  std::optional<std::vector<std::string>> disallowed_tools;
  std::optional<std::string> permission_mode;  ///< One of `permission_modes()`.
  std::optional<std::int64_t> max_turns;       ///< Model calls in this turn; at least 1.
  std::optional<double> max_budget_usd;        ///< More than 0.
  std::optional<double> timeout_s;    ///< Of this turn, from its start; more than 0, `longest_timeout_s` at most.
  std::optional<std::string> effort;  ///< One of `effort_levels()`.
  std::optional<std::string> fallback_model;
  std::optional<nlohmann::json> mcp;  ///< "none", "inherit", or an object of MCP server entries by name.
  std::optional<std::map<std::string, std::string>> env;
  std::optional<nlohmann::json> json_schema;  ///< An object: the JSON Schema of the structured result.
  std::optional<std::string> isolation;       ///< "worktree" or "none".
  std::optional<bool> background;             ///< The worker may leave tasks running in the background of its turn.
  std::optional<std::string> ask;             ///< Who answers what no rule decides: "auto", "human" or "model".
  std::optional<nlohmann::json> permissions;  ///< An object of rule lists: `allow`, `deny`, `ask`.
  std::optional<std::int64_t> rate_limit_retries;  ///< At least 0.

  bool operator==(const options&) const = default;
};

/// Why a turn cannot start as asked: the field, the value it had, and what to give instead.
struct option_error {
  std::string field;
  std::string value;
  std::string fix;

  bool operator==(const option_error&) const = default;
};

/// `cwd "/nowhere": give the absolute path of an existing directory`
std::string to_string(const option_error& error);

/// The modes that both measured versions of `claude --permission-mode` take.
const std::vector<std::string>& permission_modes();
/// The levels of `claude --effort`.
const std::vector<std::string>& effort_levels();

/// The JSON Schema of the `options` object of spawn_worker: no other property is allowed, every one is described for a
/// model that has never seen the tool.
const nlohmann::json& options_schema();

/// The same for resume_worker, where `null` is allowed too and means: back to the default (see `merge_options`).
const nlohmann::json& resume_options_schema();

/// The typed form of an object that is valid by one of the two schemas. A member that is `null` is one without a value.
/// Throws `nlohmann::json::exception` for a value of another type: what does not come from a validated call, such as
/// the options in a transcript on disk, is to be validated first.
options options_from_json(const nlohmann::json& json);

/// The members that have a value, under the names of the schema.
nlohmann::json options_to_json(const options& wanted);

/// The options of a resumed turn: those of the last turn, each replaced by that of `given` where `given` (valid by
/// `resume_options_schema()`, or null for no options at all) has one. A whole member is replaced, lists and maps
/// included: `env` in `given` is all of the new `env`. A member that is `null` in `given` loses its value.
options merge_options(const options& last, const nlohmann::json& given);

}  // namespace awm::worker
