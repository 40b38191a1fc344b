#pragma once

#include "clock.hpp"

#include <asio/io_context.hpp>

#include <limits>

namespace awm::coro {

/// A clock that stands still until it is told to go on: an hour of timeouts passes in a millisecond, and the same way
/// every time.
///
/// `now()` begins at zero. Timers are called from within `advance()` and its like, in the order of their deadlines,
/// with the time set to each. Coroutines that they wake run when the event loop does: `run()` turns both in step.
class virtual_clock final : public clock {
 public:
  /// What `utc_now()` says at the beginning.
  explicit virtual_clock(std::chrono::system_clock::time_point utc_at_start =
                             std::chrono::system_clock::time_point(std::chrono::seconds(1'795'000'000)))
      : utc_at_start_(utc_at_start) {}

  time_point now() const override { return now_; }
  std::chrono::system_clock::time_point utc_now() const override {
    return utc_at_start_ + std::chrono::duration_cast<std::chrono::system_clock::duration>(now_.time_since_epoch());
  }

  /// Goes on by `by`, and calls what expires until then.
  void advance(duration by) {
    const auto until = now_ + by;
    while (advance_to_next(until)) {
    }
    now_ = until;
  }

  /// Goes on to the next deadline, if there is one until `limit`, and calls what expires then. Returns whether there
  /// was.
  bool advance_to_next(time_point limit = time_point::max()) {
    const auto next = earliest();
    if (armed() == 0 || next > limit) return false;
    now_ = std::max(now_, next);
    expire(now_);
    return true;
  }

  /// Runs the event loop as if time passed only while there is nothing else to do: all that is ready, then to the next
  /// deadline, until nothing is ready and no deadline is left, or until `limit`. The loop is run on the calling thread,
  /// without waiting for its descriptors. Returns how many handlers have run; the time is `limit` then, where there is
  /// one.
  std::size_t run(asio::io_context& loop, time_point limit = time_point::max()) {
    std::size_t count = 0;
    do {
      loop.restart();
      count += loop.poll();
    } while (advance_to_next(limit));
    if (limit != time_point::max()) now_ = std::max(now_, limit);
    return count;
  }

 private:
  void earliest_changed() override {}

  time_point now_{};
  std::chrono::system_clock::time_point utc_at_start_;
};

}  // namespace awm::coro
