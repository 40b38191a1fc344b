#pragma once
// What a model takes differs, and the API answers a parameter that a model does not take with a 400, after the worker
// has started. So it is decided before: by the version in the model's name. A cutoff and no list of names, because a
// new model then never meets a parameter that it refuses.

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace awm::worker {

/// Which of temperature and top_p (top_k goes with either) a model takes.
enum class sampling_support {
  none,                  ///< Each of the three is a 400.
  one_without_thinking,  ///< One of temperature and top_p, only while thinking is off.
  one,                   ///< One of temperature and top_p.
  both,
};

/// How a model is told to think.
enum class thinking_support {
  none,                ///< Claude Code asks no such model to think.
  budget,              ///< A number of tokens.
  adaptive_or_budget,  ///< By itself, or by a number where adaptive thinking is disabled.
  adaptive,            ///< By itself; a number is ignored.
};

/// How thinking is switched off.
enum class thinking_off {
  disabled,  ///< The request says so.
  omitted,   ///< Claude Code can only leave thinking out of the request; the model may think nevertheless.
};

struct model_traits {
  sampling_support sampling = sampling_support::none;
  thinking_support thinking = thinking_support::adaptive;
  thinking_off off = thinking_off::omitted;
  bool takes_effort = true;
  /// False for a name that follows no known form: the traits are those of the newest models then.
  bool known = false;
  /// Claude Code sends its newest Opus in place of this one, unless CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP is set.
  bool replaced_by_newest = false;

  bool operator==(const model_traits&) const = default;
};

/// Model name pattern (`*` any text, `?` any character, both cases equal) to what such a model takes. Of several that
/// match, the longest pattern counts.
using sampling_table = std::map<std::string, sampling_support, std::less<>>;

/// `none`, `one_without_thinking`, `one` or `both`, the words of the configuration; nothing for another.
std::optional<sampling_support> parse_sampling_support(std::string_view word);

struct model_version {
  int major = 0;
  int minor = 0;

  auto operator<=>(const model_version&) const = default;
};

struct model_name {
  std::string family;  ///< In lower case: `opus`, `sonnet`, `haiku`, … ; empty for names as `claude-2.1`.
  std::optional<model_version> version;

  bool operator==(const model_name&) const = default;
};

/// The family and version in a full model name: `claude-sonnet-4-5-20250929`, `claude-3-5-sonnet-latest`,
/// `claude-opus-4-8[1m]`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0` (Bedrock), `claude-opus-4-1@20250805`
/// (Vertex), `anthropic/claude-sonnet-4.5`. Nothing for a name without `claude`.
std::optional<model_name> parse_model_name(std::string_view name);

/// What `model`, a full name, takes. `overrides` decides about sampling where one of its patterns matches the name or
/// `alias`, under which the model was asked for, and makes the name a known one.
model_traits traits_of(std::string_view model, const sampling_table& overrides = {}, std::string_view alias = {});

}  // namespace awm::worker
