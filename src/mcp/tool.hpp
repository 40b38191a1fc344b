#pragma once

#include "mcp/context.hpp"
#include "mcp/receipt.hpp"

#include <asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace awm::mcp {

/// What a tool's handler returns.
struct tool_result {
  /// The result as JSON; an object for clients before 2026-07-28. Goes out as `structuredContent` to clients that know
  /// it, and always as a text block in front of `content`, since older clients and some hosts read only text. null:
  /// there is none.
  nlohmann::json structured = nullptr;
  /// Content blocks, see content.hpp.
  std::vector<nlohmann::json> content = {};
  /// The tool failed, and its text says why in words for a model.
  bool is_error = false;
  /// The call failed as a request of the protocol: no result, but this error.
  std::optional<rpc_error> failure = {};
  /// Learns whether the response was delivered, see `delivery_receipt`. Takes any `void(delivery)`.
  delivery_receipt settled = {};

  static tool_result json(nlohmann::json structured);
  static tool_result text(std::string text);
  static tool_result error(std::string text);
  static tool_result failed(rpc_error error);
};

/// A coroutine; each call runs in its own. Cancellation (terminal) reaches it when the client cancels the call or the
/// session ends; whatever it returns or throws then is dropped. Any other exception becomes an error result with its
/// `what()`. `arguments` match the tool's input schema.
using tool_handler = std::function<asio::awaitable<tool_result>(nlohmann::json arguments, request_context& context)>;

/// A handler that takes its arguments as a struct, which `from_json` of nlohmann/json makes of them. `serve` is called
/// as `serve(Arguments, request_context&)` and returns an `asio::awaitable<tool_result>`.
template <class Arguments, class Serve>
tool_handler typed_handler(Serve serve) {
  return [serve = std::move(serve)](nlohmann::json arguments, request_context& context) {
    return serve(arguments.template get<Arguments>(), context);
  };
}

/// Whether a call may become a task (`request_context::begin_task`).
enum class task_support {
  forbidden,
  optional,
  required,  ///< a client that takes no tasks is refused
};

/// Everything about a tool in one place.
struct tool {
  std::string name = {};         ///< 1 to 128 characters of [A-Za-z0-9_.-]
  std::string title = {};        ///< for people; may be empty
  std::string description = {};  ///< for the model; Claude Code cuts it at 2048 characters
  nlohmann::json input_schema = {{"type", "object"}};
  nlohmann::json output_schema = nullptr;  ///< null: the structured result is not described
  nlohmann::json annotations = nullptr;    ///< readOnlyHint, destructiveHint, …; null: none
  nlohmann::json meta = nullptr;           ///< `_meta`; null: none
  nlohmann::json icons = nullptr;          ///< an array of {src, mimeType, sizes, theme}; null: none
  tool_handler handler = {};
  task_support task = task_support::forbidden;
  /// In the stateless era a call of this tool also brings the questions of `session::peer()` to the client: it may be
  /// answered with them at any moment, as if cancelled, and is run again when the client has sent the answers.
  bool carries_questions = false;
};

}  // namespace awm::mcp
