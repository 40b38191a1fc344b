#pragma once

#include "coro/clock.hpp"

#include <map>
#include <utility>

namespace awm::test {

/// Stands still until it is told to go on.
class manual_clock final : public coro::clock {
 public:
  time_point now() const override { return now_; }
  std::chrono::system_clock::time_point utc_now() const override {
    return std::chrono::system_clock::time_point(std::chrono::seconds(1'795'000'000)) +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(now_.time_since_epoch());
  }
  std::unique_ptr<coro::timer> make_timer() override { return std::make_unique<manual_timer>(*this); }

  std::size_t armed() const { return timers_.size(); }

  /// Calls what expires until then, in the order of the deadlines.
  void advance(duration by) {
    const auto until = now_ + by;
    while (!timers_.empty() && timers_.begin()->first <= until) {
      auto timer = timers_.extract(timers_.begin());
      now_ = std::max(now_, timer.key());
      timer.mapped()->fire();
    }
    now_ = until;
  }

 private:
  class manual_timer;
  using timers = std::multimap<time_point, manual_timer*>;

  class manual_timer final : public coro::timer {
   public:
    explicit manual_timer(manual_clock& clock) : clock_(clock) {}
    ~manual_timer() override { disarm(); }
    void arm(time_point deadline, std::function<void()> expired) override {
      disarm();
      expired_ = std::move(expired);
      clock_.timers_.emplace(deadline, this);
    }
    void disarm() override {
      std::erase_if(clock_.timers_, [this](const auto& entry) { return entry.second == this; });
    }
    void fire() {
      const auto call = std::move(expired_);
      call();
    }

   private:
    manual_clock& clock_;
    std::function<void()> expired_;
  };

  time_point now_{};
  timers timers_;
};

}  // namespace awm::test
