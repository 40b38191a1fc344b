#pragma once
// Whoever asks the other side waits for as long as a person thinks. Meanwhile the answers come in any order, or never,
// and the one who asked may lose interest. Here each waits in its own coroutine for exactly one outcome.

#include "coro/event.hpp"
#include "mcp/jsonrpc.hpp"

#include <asio/awaitable.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace awm::mcp {

/// Answers that are awaited, each under a key of its own. Destroying it is `close`.
class awaited_answers {
  struct entry;
  struct state;

 public:
  /// The right to one answer. Destroyed without it, it tells the owner that nobody waits any more.
  class ticket {
   public:
    ticket(ticket&& other) noexcept = default;
    ticket& operator=(ticket&&) = delete;
    ~ticket();

    /// Waits for the answer, without a deadline. The owner may be gone meanwhile: that is an answer, too.
    /// Cancellation (terminal) throws `std::system_error` of `operation_aborted`.
    asio::awaitable<rpc_outcome> wait();

   private:
    friend class awaited_answers;
    ticket(std::shared_ptr<state> of, std::shared_ptr<entry> place) : of_(std::move(of)), place_(std::move(place)) {}
    std::shared_ptr<state> of_;
    std::shared_ptr<entry> place_;
  };

  /// `withdrawn` gets the key of each ticket that was destroyed without an answer. It is called until `close`.
  explicit awaited_answers(std::function<void(const std::string& key)> withdrawn);
  awaited_answers(const awaited_answers&) = delete;
  awaited_answers& operator=(const awaited_answers&) = delete;
  ~awaited_answers();

  /// `key` must not be awaited already. After `close` the answer is there at once.
  ticket expect(const asio::any_io_executor& executor, std::string key);

  bool awaits(std::string_view key) const;

  /// Completes whoever waits for `key`. False where nobody does.
  bool answer(std::string_view key, rpc_outcome outcome);

  /// No answer can come any more: completes all that wait with an error of the code `rpc_code::connection_closed`
  /// that names `why`.
  void close(std::string_view why);

 private:
  std::shared_ptr<state> state_;  // shared with the tickets, which may outlive this object
};

}  // namespace awm::mcp
