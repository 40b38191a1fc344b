#pragma once
// What a server may ask of its client: the other direction of MCP. Whoever asks knows only this interface, neither
// sessions nor eras. In the legacy era a question is a request on the wire; in the stateless era, where a server sends
// none, it travels in the answer of a request of the client's (`input_required`), or in a task's state.

#include "mcp/question.hpp"

#include <asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace awm::mcp {

/// The client of one session, or of one request (`request_context::client`).
class client {
 public:
  client() = default;
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  virtual ~client() = default;

  /// Whether the client takes such a question now; `false` after the end of the session.
  virtual bool takes(const question& asked) const = 0;

  /// Puts all questions at once and waits for all answers, for as long as it takes; they come in the order of the
  /// questions. What the client does not take is answered by an error of code `rpc_code::missing_capability`, and what
  /// the end of the session cuts off by `rpc_code::connection_closed`.
  ///
  /// For a request of the stateless era that is no task, this answers the request with the questions and cancels its
  /// handler. The client sends the request again with the answers; the handler runs again from the start, and finds
  /// them here at once. So do nothing before a question that must not be done twice, ask in the same order each time,
  /// and expect no state to survive. The questions of a session that belong to no request wait for a request whose tool
  /// has `carries_questions`.
  ///
  /// The session must live when the coroutine starts, not while it waits. Cancellation (terminal): takes the questions
  /// back and throws `std::system_error` of `operation_aborted`. It throws nothing else.
  virtual asio::awaitable<std::vector<rpc_outcome>> ask(std::vector<question> questions) = 0;

  /// @name One question, by kind. See `ask`, and `question.hpp` for the arguments.
  /// @{
  bool can_elicit() const { return takes(form_question("", nlohmann::json::object())); }
  asio::awaitable<elicitation> elicit(std::string words, nlohmann::json requested_schema, std::string key = {});
  asio::awaitable<elicitation> elicit_url(std::string words, std::string url, std::string id, std::string key = {});
  /// A completion by the client's model: `params` of `sampling/createMessage`.
  asio::awaitable<rpc_outcome> sample(nlohmann::json params, std::string key = {});
  /// The folders that the client works in.
  asio::awaitable<rpc_outcome> list_roots(std::string key = {});
  /// @}

 private:
  asio::awaitable<rpc_outcome> ask_one(question asked);
  asio::awaitable<elicitation> elicit(question asked);
};

}  // namespace awm::mcp
