#pragma once
// The requests of a server to its client: the legacy era's way to ask it something.

#include "mcp/awaited_answers.hpp"
#include "mcp/jsonrpc.hpp"

#include <asio/any_io_executor.hpp>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace awm::mcp {

/// It makes messages and takes responses; sending and reading is its owner's. Destroying it is `close`.
class client_requests {
 public:
  /// `send` gets each message as one line without its newline. It is called until `close`.
  explicit client_requests(std::function<void(std::string text)> send);

  /// Sends a request. A ticket that is destroyed unanswered tells the client by `notifications/cancelled`.
  awaited_answers::ticket ask(const asio::any_io_executor& executor, std::string_view method, nlohmann::json params);

  /// Completes whoever waits for this response. Those that nobody waits for are ignored.
  void answered(response what);

  /// See `awaited_answers::close`. Nothing is sent.
  void close(std::string_view why) { awaited_.close(why); }

 private:
  std::function<void(std::string)> send_;
  std::uint64_t last_id_ = 0;
  awaited_answers awaited_;
};

}  // namespace awm::mcp
