#pragma once

#include "manager/broker.hpp"
#include "mcp/client.hpp"

namespace awm::tools {

/// Asks the person at the client's end, by MCP elicitation.
class elicited_human final : public manager::human {
 public:
  /// `client` outlives this.
  explicit elicited_human(mcp::client& client) : client_(client) {}

  bool is_reachable() const override { return client_.can_elicit(); }

  /// A form that shows the worker, the tool and its whole input, and takes one of: once, for this worker, for all, no.
  /// The worker's own questions (AskUserQuestion) are forms of their own.
  asio::awaitable<manager::human_answer> ask(manager::pending_permission question) override;

 private:
  mcp::client& client_;
};

}  // namespace awm::tools
