#pragma once

#include "worker/protocol.hpp"

#include <list>
#include <string>
#include <string_view>

namespace awm::manager {

/// A question of a worker that nobody has answered yet.
struct pending_permission {
  /// Ours: what a worker's child calls it need not be unique among workers.
  std::string request_id;
  std::string worker_id;
  std::string description;
  worker::permission_line question;
};

/// Keeps the questions of all workers until they are answered or withdrawn, in the order in which they came. A question
/// never expires and is never answered by default.
class broker {
 public:
  void add(pending_permission question) { pending_.push_back(std::move(question)); }

  /// Takes out what the child of `worker_id` withdrew, by the child's own id for it.
  void withdraw(std::string_view worker_id, std::string_view child_request_id);

  /// The question, or null.
  const pending_permission* find(std::string_view request_id) const;

  void remove(std::string_view request_id);

  bool empty() const { return pending_.empty(); }
  const std::list<pending_permission>& pending() const { return pending_; }

 private:
  std::list<pending_permission> pending_;
};

}  // namespace awm::manager
