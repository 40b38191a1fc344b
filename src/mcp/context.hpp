#pragma once
// What a handler knows about the request that it serves, and how it speaks while it works. Handlers of tools, prompts
// and resources get the same.

#include "mcp/client.hpp"
#include "mcp/era.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace awm::mcp {

/// The levels of RFC 5424, which MCP's logging uses, from the least to the most severe.
enum class log_level { debug, info, notice, warning, error, critical, alert, emergency };

std::string_view to_string(log_level level);
std::optional<log_level> parse_log_level(std::string_view name);

/// Who calls: what `initialize` told, or in the stateless era the request itself.
struct client_info {
  nlohmann::json implementation = nlohmann::json::object();  ///< name, version, title
  nlohmann::json capabilities = nlohmann::json::object();
};

/// One request while it is served. Lives until its handler's coroutine ends.
///
/// But for `client().ask`, nothing here suspends or fails: what the client does not want, or can no longer hear (the
/// request was cancelled, the session ended), is dropped.
class request_context {
 public:
  request_context() = default;
  request_context(const request_context&) = delete;
  request_context& operator=(const request_context&) = delete;
  virtual ~request_context() = default;

  /// Whether somebody looks at progress: the client gave a progress token, or the request has become a task.
  virtual bool wants_progress() const = 0;

  /// Tells how far the work is, if the client wants to know. `progress` must grow from call to call (any unit; `total`
  /// in the same one). While the client does not read, only the newest report is kept. A task shows `message` as its
  /// status.
  virtual void progress(double progress, std::optional<double> total, std::string message) = 0;

  /// Sends a log message to the client (notifications/message), unless the client wants only more severe ones, or in
  /// the stateless era did not ask for any with this request.
  virtual void log(log_level level, std::string_view logger, nlohmann::json data) = 0;

  /// From here on the work is a task (extension io.modelcontextprotocol/tasks) where the client takes tasks and the
  /// tool allows it: the client has its answer at once, and asks for the result when it likes. Cancellation then means
  /// `tasks/cancel`. Anywhere else it does nothing. `status` is what the task says until the first `progress`.
  virtual void begin_task(std::string status = {}) = 0;

  /// Asks the person or the model at the other end, in the course of this request.
  virtual mcp::client& client() = 0;

  virtual const client_info& caller() const = 0;
  virtual const mcp::dialect& dialect() const = 0;
};

}  // namespace awm::mcp
