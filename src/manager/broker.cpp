#include "manager/broker.hpp"

namespace awm::manager {

void broker::withdraw(std::string_view worker_id, std::string_view child_request_id) {
  pending_.remove_if([&](const pending_permission& pending) {
    return pending.worker_id == worker_id && pending.question.request_id == child_request_id;
  });
}

const pending_permission* broker::find(std::string_view request_id) const {
  for (const auto& pending : pending_) {
    if (pending.request_id == request_id) return &pending;
  }
  return nullptr;
}

void broker::remove(std::string_view request_id) {
  pending_.remove_if([&](const pending_permission& pending) { return pending.request_id == request_id; });
}

}  // namespace awm::manager
