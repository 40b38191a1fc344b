#pragma once

#include "manager/manager.hpp"
#include "mcp/tool.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>

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
  /// Whether a client that defers tools until they are searched for is to show it all the same.
  bool is_core = false;
  /// It waits: it may become a task, and brings the questions of workers to the person.
  bool waits = false;
  /// Characters of the longest answer, where it is longer than what clients show by themselves.
  std::optional<std::size_t> longest_answer = std::nullopt;
};

mcp::tool define(definition words, mcp::tool_handler handle);

/// `serve` is a coroutine over the manager, the arguments and the request; `from_json` makes `Arguments` of what
/// matches the input schema.
template <class Arguments>
mcp::tool define(definition words, manager::manager& manager,
                 asio::awaitable<mcp::tool_result> (*serve)(manager::manager&, Arguments, mcp::request_context&)) {
  return define(std::move(words),
                mcp::typed_handler<Arguments>([&manager, serve](Arguments arguments, mcp::request_context& context) {
                  return serve(manager, std::move(arguments), context);
                }));
}

/// The member `key`, or what `into` has where there is none.
template <class T>
void read(const nlohmann::json& from, const char* key, T& into) {
  if (const auto found = from.find(key); found != from.end()) found->get_to(into);
}
template <class T>
void read(const nlohmann::json& from, const char* key, std::optional<T>& into) {
  if (const auto found = from.find(key); found != from.end()) into = found->template get<T>();
}

/// The answer of the manager as a tool's result: `describe` makes the JSON of what is no refusal.
template <class T, class Describe>
mcp::tool_result result_of(const manager::answer<T>& answer, Describe&& describe) {
  if (const auto* const refused = std::get_if<manager::refusal>(&answer)) {
    return mcp::tool_result::error(refused->reason);
  }
  return mcp::tool_result::json(std::invoke(describe, std::get<T>(answer)));
}

}  // namespace awm::tools
