#pragma once

#include "mcp/era.hpp"
#include "mcp/receipt.hpp"

#include <asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace awm::mcp {

/// The levels of RFC 5424, which MCP's logging uses, from the least to the most severe.
enum class log_level { debug, info, notice, warning, error, critical, alert, emergency };

std::string_view to_string(log_level level);
std::optional<log_level> parse_log_level(std::string_view name);

/// Who calls: what `initialize` told.
struct client_info {
  nlohmann::json implementation = nlohmann::json::object();  ///< name, version, title
  nlohmann::json capabilities = nlohmann::json::object();
};

/// What a tool's handler knows about its call, and how it speaks while it works. Lives until the handler's coroutine
/// ends.
///
/// Nothing here suspends or fails: what the client does not want, or can no longer hear (the call was cancelled, the
/// session ended), is dropped.
class request_context {
 public:
  request_context() = default;
  request_context(const request_context&) = delete;
  request_context& operator=(const request_context&) = delete;
  virtual ~request_context() = default;

  /// Whether the client gave a progress token.
  virtual bool wants_progress() const = 0;

  /// Tells how far the work is, if the client wants to know. `progress` must grow from call to call (any unit; `total`
  /// in the same one). While the client does not read, only the newest report is kept.
  virtual void progress(double progress, std::optional<double> total, std::string message) = 0;

  /// Sends a log message to the client (notifications/message), unless the client set a higher level.
  virtual void log(log_level level, std::string_view logger, nlohmann::json data) = 0;

  virtual const client_info& client() const = 0;
  virtual const mcp::dialect& dialect() const = 0;
};

/// What a tool's handler returns.
struct tool_result {
  /// The result as JSON, an object. Goes out as `structuredContent` to clients that know it, and always as a text block
  /// in front of `content`, since older clients and some hosts read only text. null: there is none.
  nlohmann::json structured = nullptr;
  /// Content blocks of the specification: {"type":"text","text":…}, images, resource links.
  std::vector<nlohmann::json> content;
  /// The tool failed, and its text says why in words for a model.
  bool is_error = false;
  /// Learns whether the response was delivered, see `delivery_receipt`. Takes any `void(delivery)`.
  delivery_receipt settled;

  static tool_result json(nlohmann::json structured);
  static tool_result text(std::string text);
  static tool_result error(std::string text);
};

/// A coroutine; each call runs in its own. Cancellation (terminal) reaches it when the client cancels the call or the
/// session ends; whatever it returns or throws then is dropped. Any other exception becomes an error result with its
/// `what()`. `arguments` match the tool's input schema.
using tool_handler = std::function<asio::awaitable<tool_result>(nlohmann::json arguments, request_context& context)>;

/// Everything about a tool in one place.
struct tool {
  std::string name;         ///< 1 to 128 characters of [A-Za-z0-9_.-]
  std::string title;        ///< for people; may be empty
  std::string description;  ///< for the model; Claude Code cuts it at 2048 characters
  nlohmann::json input_schema = {{"type", "object"}};
  nlohmann::json output_schema = nullptr;  ///< null: the structured result is not described
  nlohmann::json annotations = nullptr;    ///< readOnlyHint, destructiveHint, …; null: none
  nlohmann::json meta = nullptr;           ///< `_meta`; null: none
  tool_handler handler;
};

}  // namespace awm::mcp
