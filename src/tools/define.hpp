#pragma once

#include "manager/manager.hpp"
#include "mcp/tool.hpp"

#include <nlohmann/json.hpp>

#include <functional>

namespace awm::tools {

/// What a client may assume about a tool, see the specification's ToolAnnotations.
enum class effect {
  none,         ///< it changes nothing: clients may run several of them side by side
  additive,     ///< it adds work
  destructive,  ///< it may end or undo something
};

/// What is the same for all tools of this program.
struct definition {
  const char* name;
  const char* title;
  const char* description;
  nlohmann::json input_schema;
  nlohmann::json output_schema;
  effect what = effect::additive;
  /// Whether doing it twice is doing it once.
  bool is_idempotent = false;
};

/// `handle` is a coroutine over the manager, the arguments and the request.
mcp::tool define(definition words, mcp::tool_handler handle);

/// The answer of the manager as a tool's result: `describe` makes the JSON of what is no refusal.
template <class T, class Describe>
mcp::tool_result result_of(const manager::answer<T>& answer, Describe&& describe) {
  if (const auto* const refused = std::get_if<manager::refusal>(&answer)) {
    return mcp::tool_result::error(refused->reason);
  }
  return mcp::tool_result::json(std::invoke(describe, std::get<T>(answer)));
}

}  // namespace awm::tools
