#pragma once

#include "mcp/client.hpp"
#include "mcp/server.hpp"
#include "mcp/tool.hpp"
#include "mcp/transport.hpp"

#include <asio/awaitable.hpp>
#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <system_error>

namespace awm::mcp {

/// Why a session is over.
enum class session_end {
  input_ended,    ///< the client closed its side
  input_failed,   ///< reading failed
  output_failed,  ///< writing failed: nobody hears us any more
  output_stuck,   ///< more than `session_options::unsent_bytes` waited for a client that does not read
  shut_down,      ///< `shutdown()` or `abort()`
  cancelled,      ///< the coroutine in `run()` was cancelled
};

std::string_view to_string(session_end reason);

struct session_outcome {
  session_end reason = session_end::input_ended;
  std::error_code error;  ///< what the transport said
};

struct session_options {
  /// The longest incoming line. Longer ones are skipped, and answered with -32600 and the id of the request, as soon as
  /// that is known, or with id null when they end without one.
  std::size_t line_bytes = 64UL << 20;
  /// The most that may wait to be written.
  std::size_t unsent_bytes = 256UL << 20;
  /// How many finished tasks are kept for `tasks/get`. Older ones are dropped, with their receipts.
  std::size_t finished_tasks = 256;
  /// How often a client is to look at a task.
  std::chrono::milliseconds poll_interval{1000};
  /// How long the answers to `input_required` are taken, so how long a person may think.
  std::chrono::hours input_expiry{24};
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> utc_now = std::chrono::system_clock::now;
};

/// One client's conversation with a server over one byte stream, in both eras at once: each request is understood by
/// what it says of itself.
///
/// Every handler runs in its own coroutine, so that a slow one blocks nothing. One writer sends what they answer,
/// several messages a write. After `notifications/cancelled` nothing more is written for that request: the handler is
/// cancelled, a response that waits is withdrawn, and its receipt says so. Only a response whose first byte was already
/// handed to the transport goes out; its receipt says dropped, or revoked if it was written to its end before (known
/// for the last `sent_receipts::max_kept` such responses, until their id is used again).
///
/// A request whose id is still in flight is refused with an error of id null, since an error with that id
/// would be taken for the answer to the request that runs.
///
/// Tasks (`request_context::begin_task`) live as long as the session. The receipt of a task's result is settled by the
/// first `tasks/get` that delivers it, by `tasks/cancel`, or when the task is dropped; before `run()` returns at the
/// latest.
///
/// Everything happens on the executor of the coroutine that awaits `run()`, which must be single-threaded.
class session {
 public:
  /// Both must outlive the session.
  session(transport& stream, server& offer, session_options options = {});
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session();

  /// Serves until the input ends, the output breaks, `shutdown()`, or cancellation; to be called once. Then the running
  /// calls are cancelled and waited for, and what is already answered is still written (after a failure or a
  /// cancellation it is dropped). Returns normally also when cancelled.
  ///
  /// It waits for handlers that do not react to cancellation, and for a client that does not read what is left. Who
  /// cannot wait gives `ending`, which is called once, as soon as the session begins to end, and calls `abort()` after
  /// a deadline.
  asio::awaitable<session_outcome> run(std::function<void()> ending = {});

  /// Ends the session in good order. Callable at any time, also from a handler, and before `run()`.
  void shutdown();

  /// Like `shutdown()`, but what is not yet written never will be; a write under way is cancelled.
  void abort();

  /// What can be asked of the client beside its requests, at any time: before the handshake, or the first request of
  /// the stateless era, and after the end nothing can. Lives as long as the session. What waits for an answer is told
  /// when the session begins to end, not when `run()` returns.
  client& peer();

  /// Tells a legacy client that the person is through with the page of a `url_question`.
  void page_was_opened(const std::string& id);

  /// A log message of the server itself, of no request: for clients of the legacy era.
  void log(log_level level, std::string_view logger, nlohmann::json data);

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace awm::mcp
