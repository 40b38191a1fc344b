#pragma once
// A server that asks its client something waits for as long as a person thinks, and meanwhile the client may answer in
// any order, with nonsense, or go away, and the one who asked may lose interest. Here is what is asked and not yet
// answered: each waits in its own coroutine for exactly one outcome.

#include "mcp/jsonrpc.hpp"

#include <asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace awm::mcp {

/// The requests of one session to its client. It makes messages and takes responses; sending and reading is its
/// owner's. Destroying it is `close`.
class client_requests {
 public:
  /// `send` gets each message as one line without its newline. It is called until `close`.
  explicit client_requests(std::function<void(std::string text)> send);
  client_requests(const client_requests&) = delete;
  client_requests& operator=(const client_requests&) = delete;
  ~client_requests();

  /// Sends a request and waits for its outcome, without a deadline. After `close` the outcome is an error of the code
  /// `rpc_code::connection_closed`. This object must live when the coroutine starts, not while it waits.
  ///
  /// Cancellation (terminal): tells the client by `notifications/cancelled` and throws `std::system_error` of
  /// `operation_aborted`; an answer that comes yet is ignored.
  asio::awaitable<rpc_outcome> ask(std::string method, nlohmann::json params);

  /// Completes whoever waits for this response. Those that nobody waits for are ignored.
  void answered(response what);

  /// No answer can come any more: completes all that wait with an error that names `why`. Nothing is sent.
  void close(std::string_view why);

 private:
  struct state;
  std::shared_ptr<state> state_;  // shared with the waiting coroutines, which may outlive this object
};

}  // namespace awm::mcp
