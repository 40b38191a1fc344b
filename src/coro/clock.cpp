#include "clock.hpp"

#include <utility>

namespace awm::coro {

clock::~clock() {
  for (const auto& each : heap_) each.armed->place_ = timer::nowhere;
}

clock::time_point clock::earliest() const {
  return heap_.empty() ? time_point::max() : heap_.front().deadline;
}

void clock::expire(time_point until) {
  const auto armed_later = sequence_;
  while (!heap_.empty() && heap_.front().deadline <= until && heap_.front().sequence < armed_later) {
    timer& due = *heap_.front().armed;
    remove(0);
    const auto call = std::exchange(due.expired_, nullptr);
    call();
  }
}

void clock::place(std::size_t at, entry moved) {
  heap_[at] = moved;
  moved.armed->place_ = at;
}

void clock::sift_up(std::size_t at, entry moved) {
  while (at > 0) {
    const std::size_t parent = (at - 1) / 2;
    if (!moved.before(heap_[parent])) break;
    place(at, heap_[parent]);
    at = parent;
  }
  place(at, moved);
}

void clock::sift_down(std::size_t at, entry moved) {
  while (true) {
    std::size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].before(heap_[child])) ++child;
    if (!heap_[child].before(moved)) break;
    place(at, heap_[child]);
    at = child;
  }
  place(at, moved);
}

void clock::insert(time_point deadline, timer& armed) {
  heap_.emplace_back();
  sift_up(heap_.size() - 1, {deadline, sequence_++, &armed});
}

void clock::remove(std::size_t at) {
  heap_[at].armed->place_ = timer::nowhere;
  const entry last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  if (at > 0 && last.before(heap_[(at - 1) / 2])) {
    sift_up(at, last);
  } else {
    sift_down(at, last);
  }
}

void timer::arm(clock::time_point deadline, std::function<void()> expired) {
  const auto before = clock_.earliest();
  if (is_armed()) clock_.remove(place_);
  expired_ = std::move(expired);
  clock_.insert(deadline, *this);
  if (clock_.earliest() != before) clock_.earliest_changed();
}

void timer::disarm() {
  if (!is_armed()) return;
  const auto before = clock_.earliest();
  clock_.remove(place_);
  expired_ = nullptr;
  if (clock_.earliest() != before) clock_.earliest_changed();
}

struct system_clock::alarm {
  alarm(asio::any_io_executor loop, system_clock& clock) : executor(std::move(loop)), system(executor), owner(&clock) {}

  asio::any_io_executor executor;
  asio::steady_timer system;
  system_clock* owner;                      // null once it has gone
  time_point wakes_at = time_point::max();  // what `system` waits for
  std::uint64_t wait = 0;                   // the number of its last wait: older handlers may still be queued
  int turns_left = 0;                       // until it is no longer worth waiting for a timer; 0: nobody looks
};

system_clock::system_clock(asio::any_io_executor executor)
    : alarm_(std::make_shared<alarm>(std::move(executor), *this)) {}

system_clock::~system_clock() {
  alarm_->owner = nullptr;
  alarm_->system.cancel();
}

void system_clock::earliest_changed() {
  const auto deadline = earliest();
  // Later than before: the system's timer finds out when it fires. That is cheaper than two system calls for every
  // deadline that is disarmed in time, which is what becomes of nearly all.
  if (deadline < alarm_->wakes_at) return wake_at(deadline);
  if (deadline == time_point::max() && alarm_->wakes_at != time_point::max()) look_for_timers();
}

/// No timer is left, and the event loop must not be kept running for nothing. Most often, though, the next one is armed
/// a few turns of the loop later.
void system_clock::look_for_timers() {
  constexpr int turns = 4;
  if (std::exchange(alarm_->turns_left, turns) > 0) return;
  post_to(alarm_->executor, looking{alarm_});
}

void system_clock::looking::operator()() {
  if (all->owner == nullptr || all->owner->armed() > 0) {
    all->turns_left = 0;
    return;
  }
  if (--all->turns_left > 0) {
    post_to(all->executor, looking{all});
    return;
  }
  all->wakes_at = time_point::max();
  all->system.cancel();
}

void system_clock::wake_at(time_point deadline) {
  alarm_->wakes_at = deadline;
  alarm_->system.expires_at(deadline);
  alarm_->system.async_wait([alarm = alarm_, number = ++alarm_->wait](const std::error_code& error) {
    if (error || alarm->owner == nullptr || number != alarm->wait) return;
    alarm->wakes_at = time_point::max();
    auto& owner = *alarm->owner;
    owner.expire(owner.now());
    if (alarm->owner != nullptr) owner.earliest_changed();
  });
}

}  // namespace awm::coro
