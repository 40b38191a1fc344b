#pragma once
// The stream-json protocol between a `claude` process and us, one JSON object a line in both directions: what a line
// from the child says, and the lines that are written to it. Pure functions of text; who reads and writes is
// worker.cpp.

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace awm::worker {

/// What the child said about itself at the start of a turn (`system/init`).
struct init_line {
  std::string session_id;
  std::string model;
  std::string permission_mode;
  std::string cli_version;
  std::vector<std::string> tools;
  std::vector<std::string> agents;
  /// Names of the MCP servers that did not connect.
  std::vector<std::string> failed_mcp_servers;
};

/// A tool call in a message.
struct tool_use {
  std::string id;
  std::string name;
  /// The file that it is about (`file_path` or `notebook_path`); empty for other tools.
  std::string file_path;
  /// What a person would want to see of its input: the command, the file, the pattern; shortened.
  std::string summary;
};

/// The end of a tool call.
struct tool_end {
  std::string id;
  bool is_error = false;
};

/// A message of the conversation. The views are valid until the parser's next call.
struct message_line {
  /// `assistant` or `user`.
  std::string_view role;
  /// The `message` object as received.
  std::string_view raw;
  /// Blocks of one reply come as several lines with the same id. Empty when there is none.
  std::string_view id;
  /// The tool call whose subagent said it; empty in the main conversation.
  std::string_view parent_tool_use_id;
  std::vector<tool_use> tool_uses{};
  std::vector<tool_end> tool_ends{};
  /// The text that it says, if any; the last block's.
  std::string_view text{};
  /// A task that this message's tool call left running in the background; empty: none.
  std::string_view background_task{};
};

/// The end of a turn.
struct result_line {
  std::string subtype;
  bool is_error = true;
  std::string text;
  std::string session_id;
  std::int64_t num_turns = 0;
  std::int64_t duration_ms = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  /// The estimate of the process so far. Whether it begins at 0 after a resume depends on the CLI's version.
  double total_cost_usd = 0;
  /// The estimate since the result before, where the CLI states it (2.1.329 does).
  std::optional<double> cost_since_last_result_usd;
  std::optional<std::int64_t> api_error_status;
  std::string terminal_reason;
  std::vector<std::string> errors;
  /// The `permission_denials` array as JSON text.
  std::string permission_denials = "[]";
  /// The structured result as JSON text; empty when there is none.
  std::string structured_output{};
  /// Why there is a turn when nobody sent a prompt: `task-notification`, `peer`; empty for a prompt's.
  std::string origin{};
};

/// The child asks whether it may use a tool, and waits for the answer as long as it takes.
struct permission_line {
  std::string request_id;
  std::string tool;
  /// The tool's input as received: a JSON object.
  std::string input;
  std::string reason;
  std::string blocked_path;
  std::string agent_id;
  std::string tool_use_id;
  /// The `permission_suggestions` array as JSON text: what would make the question unnecessary from now on.
  std::string suggestions = "[]";
};

/// The child withdraws a question of its own.
struct withdrawal_line {
  std::string request_id;
};

/// Another question of the child, which this program does not serve.
struct other_request_line {
  std::string request_id;
  std::string subtype;
};

/// The answer to a request of ours.
struct response_line {
  std::string request_id;
  bool success = false;
  std::string error;
  /// Names of the agents that the child knows; filled by the answer to `initialize`.
  std::vector<std::string> agents;
  /// The estimate in US dollars; filled by the answer to `get_session_cost`.
  std::optional<double> cost_usd{};
};

/// A call of the API failed and will be repeated.
struct retry_line {
  std::int64_t attempt = 0;
  std::optional<std::int64_t> status;
  std::string error;
  std::int64_t delay_ms = 0;
};

/// The limit of a subscription was reached, or is near.
struct rate_limit_line {
  /// `allowed`, `allowed_warning`, `rejected`.
  std::string status;
  /// Seconds since 1970; 0 when it does not say.
  std::int64_t resets_at = 0;
};

/// What became of a user message that had an id (2.1.329).
struct lifecycle_line {
  std::string message_id;
  /// `queued`, `started`, `completed`, `cancelled`.
  std::string state;
};

/// The tasks that run in the background: all of them (2.1.329), or one that has ended.
struct background_line {
  std::optional<std::vector<std::string>> running;
  std::string ended;
};

/// Something that needs no action.
struct other_line {};

/// Not a JSON object, or one that breaks the protocol.
struct broken_line {
  std::string reason;
  /// It was to be a result or a question, which one of the two sides waits for.
  bool is_awaited = false;
};

using child_line =
    std::variant<other_line, init_line, message_line, result_line, permission_line, withdrawal_line, other_request_line,
                 response_line, retry_line, rate_limit_line, lifecycle_line, background_line, broken_line>;

/// Reads lines of children. One serves all of them: a line is parsed where it lies.
class line_parser {
 public:
  line_parser();
  ~line_parser();

  /// `text` must be followed by `coro::line_buffer::padding` readable bytes.
  /// Unknown types, subtypes and fields are `other_line`s; nothing throws.
  child_line parse(std::string_view text);

 private:
  struct parsers;
  std::unique_ptr<parsers> parsers_;
};

/// @name Lines to the child, each with its newline.
/// @{

/// `request` holds what `initialize` sets: systemPrompt, agents … ; its subtype is added.
std::string initialize_request(std::string_view request_id, const nlohmann::json& request);

/// A prompt. With `literal` the CLI is told not to look for slash commands and file mentions in it (2.1.329); an older
/// one would run a prompt that starts with `/` as a command, so that one gets a space in front.
std::string user_message(std::string_view prompt, std::string_view uuid, bool literal);

/// Allows a tool call. `input` is the JSON object that the tool gets; `updates` a JSON array of permission updates that
/// the child makes its own, or empty for none.
std::string allow_response(std::string_view request_id, std::string_view input, std::string_view updates = {});

/// Denies a tool call; the child's model reads `message`.
std::string deny_response(std::string_view request_id, std::string_view message);

/// Tells the child that its question is not served here.
std::string error_response(std::string_view request_id, std::string_view error);

/// Ends the running turn; messages that wait in the child are dropped.
std::string interrupt_request(std::string_view request_id);

/// Asks what the process has cost so far.
std::string cost_request(std::string_view request_id);

/// Any other request; `request` names its subtype.
std::string other_request(std::string_view request_id, const nlohmann::json& request);

/// @}

}  // namespace awm::worker
