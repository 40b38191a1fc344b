#pragma once
// What is to be written, in order. A client may stop reading for minutes, cancel what is queued, or go away, so
// everything in here can still be taken back until the moment it is handed to the writer; and what only repeats itself
// (progress) replaces what it repeats, so that a client that does not read costs bounded memory.

#include "mcp/receipt.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace awm::mcp {

/// A queue of outgoing messages. Passive: a session fills it, a writer empties it.
class outbox {
  struct entry;

 public:
  /// Several responses that leave as one JSON array (2025-03-26), once all of them are there.
  using batch = std::list<entry>::iterator;

  /// What is written in one go, and whose delivery ends at which byte of it.
  struct chunk {
    std::string bytes;
    std::vector<sent_receipts::due> receipts;
  };

  outbox() = default;
  outbox(const outbox&) = delete;
  outbox& operator=(const outbox&) = delete;

  /// A response; `id` is null for an error that answers no known request.
  void respond(nlohmann::json id, std::string text, delivery_receipt receipt = {});

  /// Opens a batch of `awaited` responses, at least one.
  batch open_batch(std::size_t awaited);
  /// One of a batch's responses, or the news that one will not come. The last of them closes the batch and queues it.
  void respond_in(batch to, nlohmann::json id, std::string text, delivery_receipt receipt = {});
  void give_up_in(batch to);

  /// News of which only the newest matters: replaces what is unsent about the same thing. `about` is the id of the
  /// request whose progress it is, or anything that is no id.
  void report(const nlohmann::json& about, std::string text);
  /// A message that the client must not miss, such as a request of ours: never dropped.
  void say(std::string text);
  /// Any other notification. Beyond `max_unsent_notifications` unsent ones it is dropped.
  void notify(std::string text);
  static constexpr std::size_t max_unsent_notifications = 1000;

  /// Takes back whatever is unsent of the request `id`; its receipt is dropped.
  void withdraw(const nlohmann::json& id);
  /// Takes back the unsent reports whose `about` is an array of two or more that ends in `id`.
  void withdraw_reports_to(const nlohmann::json& id);
  /// Whether a response to `id` is here, unsent.
  bool holds(const nlohmann::json& id) const { return responses_.contains(id); }

  /// Takes the oldest messages, at least one and then no more than `bytes` bytes, each with its newline.
  chunk take(std::size_t bytes);
  /// Takes everything back.
  void clear();

  bool empty() const { return queue_.empty(); }
  /// The memory that the unsent messages hold, batches under collection included.
  std::size_t bytes() const { return bytes_; }

 private:
  struct response {
    nlohmann::json id;
    std::string text;
    delivery_receipt receipt;
  };
  enum class kind { response, batch, report, plain, notification };
  struct entry {
    outbox::kind kind;
    std::vector<outbox::response> responses;
    std::string text;
    nlohmann::json about;
    std::size_t awaited = 0;
  };

  void keep(batch where, nlohmann::json id, std::string text, delivery_receipt receipt);
  void one_less(batch of);
  void append(entry& from, chunk& to);

  std::list<entry> queue_;
  std::list<entry> open_batches_;
  // Where the unsent response to a request, and the unsent report about something, lies.
  std::map<nlohmann::json, std::list<entry>::iterator> responses_;
  std::map<nlohmann::json, std::list<entry>::iterator> reports_;
  std::size_t unsent_notifications_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace awm::mcp
