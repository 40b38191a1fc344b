#include "manager/managed_worker.hpp"

#include <utility>

namespace awm::manager {

managed_worker::managed_worker(fleet& owner, coro::clock& clock, std::string worker_id, std::string text)
    : id(std::move(worker_id)),
      description(std::move(text)),
      warmth(clock),
      changed_at(clock.utc_now()),
      fleet_(owner),
      clock_(clock) {}

void managed_worker::enter(worker_state state) {
  const auto before = std::exchange(state_, state);
  changed_at = clock_.utc_now();
  fleet_.state_changed(*this, before);
}

void managed_worker::adopt_state(worker_state state) {
  state_ = state;
}

void managed_worker::child_started() {
  if (state_ == worker_state::starting) enter(worker_state::running);
  fleet_.child_started(*this);
}

void managed_worker::message_seen(const worker::message_line& message) {
  doing.note(message, clock_.now());
  for (const auto& use : message.tool_uses) {
    if (!use.file_path.empty()) written.used(use.id, use.name, use.file_path);
  }
  for (const auto& end : message.tool_ends) {
    const auto path = written.answered(end.id, end.is_error);
    if (!path.empty()) fleet_.file_written(*this, path);
  }
  if (!message.tool_uses.empty() || !message.tool_ends.empty()) fleet_.activity_changed(*this);
}

void managed_worker::permission_asked(const worker::permission_line& question) {
  ++questions;
  enter(worker_state::awaiting_permission);
  fleet_.question_asked(*this, question);
}

void managed_worker::permission_withdrawn(const std::string& request_id) {
  fleet_.question_withdrawn(*this, request_id);
  question_closed();
}

void managed_worker::question_closed() {
  if (questions > 0) --questions;
  if (state_ == worker_state::awaiting_permission && questions == 0) enter(worker_state::running);
}

void managed_worker::background_running(std::size_t tasks) {
  background_tasks = tasks;
  enter(worker_state::background);
}

void managed_worker::cost_so_far(double cost) {
  cost_so_far_usd = cost;
  fleet_.cost_changed(*this);
}

void managed_worker::rate_limited(coro::clock::duration wait, std::int64_t until) {
  fleet_.rate_limited(wait, until);
}

void managed_worker::transcript_behind() {
  fleet_.transcript_behind();
}

void managed_worker::message_settled(const std::string& message_id, worker::message_fate fate) {
  fates[message_id] = fate;
  fleet_.activity_changed(*this);
}

asio::awaitable<void> managed_worker::before_report() {
  return fleet_.before_report(*this);
}

void managed_worker::turn_ended(const worker::turn_outcome& outcome) {
  fleet_.turn_ended(*this, outcome);
}

}  // namespace awm::manager
