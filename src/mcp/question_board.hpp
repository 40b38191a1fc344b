#pragma once
// In the stateless era a server sends no requests. What it wants to ask waits here until a request of the client's, or
// a task that it looks after, carries the question over, and until the answer comes back with another one.

#include "mcp/awaited_answers.hpp"
#include "mcp/question.hpp"

#include <asio/any_io_executor.hpp>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <list>
#include <string>

namespace awm::mcp {

/// Open questions, in the order in which they were put. It knows their owners and carriers by address only.
class question_board {
 public:
  using party = const void*;

  struct entry {
    std::string id;  // among all
    question asked;
    party owner;              ///< whose question it is; null: the session's, which anybody may carry
    party carrier = nullptr;  ///< who brings it to the client
    bool was_shown = false;   ///< some carrier has brought it, and may come back with the answer or not
  };

  /// `changed` is called after every change: a question put, answered or withdrawn. Not after `close`.
  explicit question_board(std::function<void()> changed);

  /// Keys that an owner uses again get another one: an answer is never taken for that of another question.
  awaited_answers::ticket put(const asio::any_io_executor& executor, question asked, party owner);

  std::list<entry>& open() { return open_; }

  /// Whether `who` has to bring questions to the client, and these, in the form of `inputRequests`.
  bool waits_for_client(party who) const;
  nlohmann::json requests_of(party who) const;

  /// An answer that `who` brought back. Ignored where the key is none of its open questions.
  void answer(party who, const std::string& key, nlohmann::json result);

  /// `who` carries nothing any more.
  void release(party who);

  void close(std::string_view why) { awaited_.close(why); }

 private:
  void forget(const std::string& id);

  std::function<void()> changed_;
  std::uint64_t last_id_ = 0;
  std::list<entry> open_;
  awaited_answers awaited_;
};

/// The form in which an answer carries a question (MCP 2026-07-28, "InputRequest").
nlohmann::json input_request(const question& asked);

}  // namespace awm::mcp
