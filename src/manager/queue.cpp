#include "manager/queue.hpp"

#include <algorithm>
#include <utility>

namespace awm::manager {

queue::queue(coro::clock& clock, std::size_t slots, std::size_t starts)
    : clock_(clock), free_slots_(slots), free_starts_(starts), hold_(clock) {}

void queue::push(std::string id, std::function<void()> start) {
  waiting_.push_back({std::move(id), std::move(start)});
  start_next();
}

bool queue::remove(std::string_view id) {
  return std::erase_if(waiting_, [id](const entry& waiting) { return waiting.id == id; }) > 0;
}

std::optional<std::size_t> queue::position(std::string_view id) const {
  const auto found =
      std::find_if(waiting_.begin(), waiting_.end(), [id](const entry& waiting) { return waiting.id == id; });
  if (found == waiting_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - waiting_.begin()) + 1;
}

std::map<std::string_view, std::size_t> queue::positions() const {
  std::map<std::string_view, std::size_t> found;
  for (const auto& waiting : waiting_) found.emplace(waiting.id, found.size() + 1);
  return found;
}

void queue::started() {
  ++free_starts_;
  start_next();
}

void queue::release() {
  ++free_slots_;
  start_next();
}

void queue::hold_until(coro::clock::time_point moment) {
  if (moment <= held_until_) return;
  held_until_ = moment;
  hold_.arm(moment, [this] { start_next(); });
}

std::optional<coro::clock::time_point> queue::held_until() const {
  if (held_until_ <= clock_.now()) return std::nullopt;
  return held_until_;
}

void queue::halt(std::string reason) {
  halted_ = std::move(reason);
}

void queue::reopen() {
  halted_.clear();
  start_next();
}

void queue::clear() {
  waiting_.clear();
  hold_.disarm();
}

bool queue::may_start() const {
  return free_slots_ > 0 && free_starts_ > 0 && halted_.empty() && !held_until();
}

void queue::start_next() {
  while (!waiting_.empty() && may_start()) {
    --free_slots_;
    --free_starts_;
    const auto next = std::move(waiting_.front());
    waiting_.pop_front();
    next.start();
  }
  if (changed_) changed_();
}

}  // namespace awm::manager
