#pragma once
// JSON-RPC 2.0 as MCP narrows it: every message is one JSON object, ids are strings or numbers and never null, params
// are objects. A line from outside is hostile, so reading it never throws: what is wrong with it is a value.

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

namespace awm::mcp {

/// JSON-RPC 2.0, section 5.1, and what MCP allots.
namespace rpc_code {
inline constexpr int parse_error = -32700;
inline constexpr int invalid_request = -32600;
inline constexpr int method_not_found = -32601;
inline constexpr int invalid_params = -32602;
inline constexpr int internal_error = -32603;
inline constexpr int resource_not_found = -32002;        ///< legacy era; since 2026-07-28 it is `invalid_params`
inline constexpr int url_elicitation_required = -32042;  ///< 2025-11-25
inline constexpr int missing_capability = -32021;        ///< 2026-07-28; data: requiredCapabilities
inline constexpr int unsupported_version = -32022;       ///< 2026-07-28; data: supported, requested
/// Of ours, never on the wire: the session was over before the answer came. The number is the MCP SDKs'.
inline constexpr int connection_closed = -32000;
}  // namespace rpc_code

struct rpc_error {
  int code = rpc_code::internal_error;
  std::string message;
  nlohmann::json data = nullptr;  ///< null: the error has no `data` member
};

/// What came of a request.
using rpc_outcome = std::variant<nlohmann::json, rpc_error>;

struct request {
  nlohmann::json id;  ///< a string or a number
  std::string method;
  nlohmann::json params;  ///< an object; `{}` when the message had none
};

struct notification {
  std::string method;
  nlohmann::json params;
};

/// The other side's answer to a request of ours. `id` is null for an error about something that it could not read.
struct response {
  nlohmann::json id;
  rpc_outcome outcome;  ///< an answer that breaks the rules is an error that says so, of code `invalid_request`
};

/// Something that is no message. `id` is null where none can be known.
struct malformed {
  nlohmann::json id;
  rpc_error error;
  bool is_notification = false;  ///< nobody waits for an answer: none may be sent
};

using message = std::variant<request, notification, response, malformed>;

/// Deeper nesting than this is refused: copying and printing JSON recurses, so its depth is the stack's.
inline constexpr std::size_t max_nesting = 256;

/// Parses one line. The error's code is `parse_error`, or `invalid_request` for JSON that nests too deeply.
std::variant<nlohmann::json, rpc_error> parse_line(std::string_view line);

/// Tells what a parsed value is. Consumes `value`.
message read_message(nlohmann::json value);

bool is_valid_id(const nlohmann::json& id);

/// The messages we send, as one line without its newline. Bytes that are not UTF-8 are replaced by U+FFFD.
std::string to_text(const nlohmann::json& value);
std::string result_text(const nlohmann::json& id, const nlohmann::json& result);
std::string error_text(const nlohmann::json& id, const rpc_error& error);
std::string request_text(const nlohmann::json& id, std::string_view method, const nlohmann::json& params);
std::string notification_text(std::string_view method, const nlohmann::json& params);

}  // namespace awm::mcp
