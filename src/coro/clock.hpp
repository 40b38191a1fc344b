#pragma once
// The second seam: whoever needs the time or a timer takes a `clock`, so that a test can put its own in place and an
// hour of deadlines passes in a millisecond.

#include "coro/event.hpp"

#include <asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>

namespace awm::coro {

/// One deadline at a time. Destroying it disarms it.
class timer {
 public:
  timer() = default;
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  virtual ~timer() = default;

  /// Calls `expired` once, from the event loop, at `deadline` or soon after; replaces what was armed.
  virtual void arm(std::chrono::steady_clock::time_point deadline, std::function<void()> expired) = 0;

  /// After this, what was armed is never called.
  virtual void disarm() = 0;
};

class clock {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  clock() = default;
  clock(const clock&) = delete;
  clock& operator=(const clock&) = delete;
  virtual ~clock() = default;

  virtual time_point now() const = 0;
  /// The wall clock, for what people read.
  virtual std::chrono::system_clock::time_point utc_now() const = 0;
  virtual std::unique_ptr<timer> make_timer() = 0;
};

/// The clock of this machine, its timers on `executor`.
class system_clock final : public clock {
 public:
  explicit system_clock(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  time_point now() const override { return std::chrono::steady_clock::now(); }
  std::chrono::system_clock::time_point utc_now() const override { return std::chrono::system_clock::now(); }
  std::unique_ptr<timer> make_timer() override;

 private:
  asio::any_io_executor executor_;
};

/// Waits for `happened`, at most until `deadline`. Returns whether it happened.
/// Cancellation ends the wait early, with the value of `happened.is_set()`.
asio::awaitable<bool> wait_until(event& happened, clock& clock, clock::time_point deadline);

/// Waits for `pause`. Cancellation ends it early; returns whether it lasted to its end.
asio::awaitable<bool> sleep_for(clock& clock, clock::duration pause);

}  // namespace awm::coro
