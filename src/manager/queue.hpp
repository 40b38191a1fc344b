#pragma once

#include <cstddef>
#include <deque>
#include <functional>

namespace awm::manager {

/// Lets at most so many run at once; the others start in the order in which they came.
class queue {
 public:
  /// `slots` is at least 1.
  explicit queue(std::size_t slots) : free_(slots) {}

  /// Calls `start` as soon as a slot is free, perhaps inside this call. Whoever was started owes one `release()`.
  void push(std::function<void()> start) {
    waiting_.push_back(std::move(start));
    start_next();
  }

  /// Gives a slot back.
  void release() {
    ++free_;
    start_next();
  }

  bool has_free_slot() const { return free_ > 0 && waiting_.empty(); }

  /// Those that wait never start.
  void clear() { waiting_.clear(); }

 private:
  void start_next() {
    while (free_ > 0 && !waiting_.empty()) {
      --free_;
      const auto start = std::move(waiting_.front());
      waiting_.pop_front();
      start();
    }
  }

  std::size_t free_;
  std::deque<std::function<void()>> waiting_;
};

}  // namespace awm::manager
