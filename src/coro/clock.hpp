#pragma once
// Time as a seam: whoever needs the time or a timer takes a `clock`, so that a test can put its own in place and an
// hour of deadlines passes in a millisecond.

#include "asio.hpp"

#include <asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace awm::coro {

class timer;

/// Tells the time, and calls timers when theirs has come.
///
/// A heap of all armed timers stands behind one timer of the system, which is only touched when the earliest deadline
/// changes: with a program that has some deadline anyway, arming and disarming another costs no system call.
///
/// Timers of a clock that has gone are disarmed, and are not to be armed any more. Not safe to use from several
/// threads.
class clock {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  clock() = default;
  clock(const clock&) = delete;
  clock& operator=(const clock&) = delete;
  virtual ~clock();

  /// Never goes back.
  virtual time_point now() const = 0;
  /// The wall clock, for what people read.
  virtual std::chrono::system_clock::time_point utc_now() const = 0;

  /// How many timers are armed.
  std::size_t armed() const { return heap_.size(); }

 protected:
  /// The earliest deadline, `time_point::max()` when no timer is armed.
  time_point earliest() const;
  /// Calls the timers whose deadline is `until` or before, in the order of their deadlines, those with the same one in
  /// the order in which they were armed. What a call arms meanwhile waits for the next `expire`.
  void expire(time_point until);
  /// The earliest deadline has changed.
  virtual void earliest_changed() = 0;

 private:
  friend class timer;
  struct entry {
    time_point deadline;
    std::uint64_t sequence;
    timer* armed;

    bool before(const entry& other) const {
      return deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence;
    }
  };

  void insert(time_point deadline, timer& armed);
  void remove(std::size_t at);
  void place(std::size_t at, entry moved);
  void sift_up(std::size_t at, entry moved);
  void sift_down(std::size_t at, entry moved);

  std::vector<entry> heap_;
  std::uint64_t sequence_ = 0;
};

/// Calls a function at a deadline; it has one deadline at a time. Destroying it disarms it.
///
/// Cost: a place in the clock's heap; callables of two pointers are not allocated.
class timer {
 public:
  explicit timer(coro::clock& clock) : clock_(clock) {}
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  ~timer() { disarm(); }

  /// Calls `expired` once, from the event loop, at `deadline` or soon after; replaces what was armed. The call may arm,
  /// disarm and destroy any timer, this one included.
  void arm(clock::time_point deadline, std::function<void()> expired);

  /// After this, what was armed is never called.
  void disarm();

  bool is_armed() const { return place_ != nowhere; }

  coro::clock& get_clock() const { return clock_; }

 private:
  friend class clock;
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

  coro::clock& clock_;
  std::function<void()> expired_;
  std::size_t place_ = nowhere;  // in the clock's heap
};

/// The clock of this machine, its timers on an event loop. An armed timer keeps the loop running, as Asio's do.
class system_clock final : public clock {
 public:
  explicit system_clock(asio::any_io_executor executor);
  ~system_clock() override;

  time_point now() const override { return std::chrono::steady_clock::now(); }
  std::chrono::system_clock::time_point utc_now() const override { return std::chrono::system_clock::now(); }

 private:
  void earliest_changed() override;
  void wake_at(time_point deadline);

  void look_for_timers();

  struct alarm;
  struct looking {
    std::shared_ptr<alarm> all;
    void operator()();
  };
  std::shared_ptr<alarm> alarm_;  // its handlers may still be queued when the clock has gone
};

}  // namespace awm::coro
