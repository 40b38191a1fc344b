#pragma once
// What a server may ask of its client: the other direction of MCP. Whoever asks knows only this interface, not
// sessions, and cannot rely on an answer, since the client may not know the question, and the person may not care.

#include <asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include <string>

namespace awm::mcp {

/// The answer to a form (`elicitation/create` of MCP 2025-06-18 and 2025-11-25, in form mode).
struct elicitation {
  enum class action {
    accept,       ///< the person filled the form in
    decline,      ///< the person said no
    cancel,       ///< the person closed it without a choice
    unavailable,  ///< nobody was asked, or the answer is unusable
  };
  action what = action::unavailable;
  nlohmann::json content = nullptr;  ///< accept: an object, not checked against the form's schema; else null
  std::string error;                 ///< unavailable: why, for a log or a model
};

/// The client of one session, which must outlive it.
class client {
 public:
  client() = default;
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  virtual ~client() = default;

  /// Whether `elicit` can reach a person now: between `notifications/initialized` and the end of the session, with a
  /// client that declared `elicitation` for forms and speaks a version that has it.
  virtual bool can_elicit() const = 0;

  /// Shows `words` and a form to the person and waits for the answer, for as long as it takes; several may be open at
  /// once. `requested_schema` is a flat JSON Schema of an object with members of simple types. Whatever goes wrong,
  /// also the end of the session while it waits, is `unavailable`. The session must live when the coroutine starts, not
  /// while it waits.
  ///
  /// Cancellation (terminal): takes the form back (`notifications/cancelled`) and throws `std::system_error` of
  /// `operation_aborted`. It throws nothing else.
  virtual asio::awaitable<elicitation> elicit(std::string words, nlohmann::json requested_schema) = 0;
};

}  // namespace awm::mcp
