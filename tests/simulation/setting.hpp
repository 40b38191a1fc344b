#pragma once
// What everything in the simulated world shares: one source of chance, one time with what is to happen in it, and a
// memory of what happened last.

#include "coro/clock.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace awm::simulation {

using namespace std::chrono_literals;
using duration = coro::clock::duration;
using time_point = coro::clock::time_point;

/// All that is random, from one seed, the same with every compiler and library (splitmix64).
class chance {
 public:
  explicit chance(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next();
  /// 0 to `limit` - 1.
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }
  std::size_t between(std::size_t least, std::size_t most) { return least + below(most - least + 1); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  /// Short times as often as long ones: each order of magnitude is as likely as the next.
  duration about(duration least, duration most);
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::uint64_t state_;
};

/// Gives the ids that the product makes (`getentropy`, the library of libsodium) to this source until it is destroyed.
class random_ids {
 public:
  explicit random_ids(std::uint64_t seed);
  random_ids(const random_ids&) = delete;
  random_ids& operator=(const random_ids&) = delete;
  ~random_ids();
};

/// The world's time, and what happens in it beside the product's own timers.
class agenda {
 public:
  time_point now() const { return clock_ != nullptr ? std::max(now_, clock_->now()) : now_; }
  void go_to(time_point when) { now_ = when; }
  /// A server's clock, which goes first while its timers are called; null: none.
  void follow(const coro::clock* clock) {
    now_ = now();
    clock_ = clock;
  }

  void at(time_point when, std::function<void()> what) { events_.emplace(std::pair{when, ++count_}, std::move(what)); }
  void after(duration delay, std::function<void()> what) { at(now() + delay, std::move(what)); }

  std::optional<time_point> next() const {
    if (events_.empty()) return std::nullopt;
    return events_.begin()->first.first;
  }
  void run_next() {
    const auto event = events_.extract(events_.begin());
    event.mapped()();
  }

 private:
  std::map<std::pair<time_point, std::uint64_t>, std::function<void()>> events_;
  std::uint64_t count_ = 0;
  time_point now_{};
  const coro::clock* clock_ = nullptr;
};

/// What happened last; what a failure is explained by.
class trace {
 public:
  explicit trace(const agenda& time, bool is_loud) : time_(time), is_loud_(is_loud) {}

  void note(std::string_view who, std::string_view what);
  void print() const;

 private:
  const agenda& time_;
  bool is_loud_;
  std::deque<std::string> last_;
};

/// How rough the world is.
struct weather {
  /// Children fail, hang and babble.
  bool children_misbehave = true;
  /// The disk fails now and then.
  bool disk_fails = true;
};

/// What is counted for the report at the end.
struct tally {
  std::uint64_t steps = 0;
  std::uint64_t turns = 0;
  std::uint64_t delivered = 0;
  std::uint64_t children = 0;
  std::uint64_t questions = 0;
  std::uint64_t requests = 0;
  std::uint64_t kills = 0;
  std::uint64_t restarts = 0;
  std::uint64_t faults = 0;
  double hours = 0;

  void add(const tally& other);
};

struct setting {
  explicit setting(std::uint64_t seed, bool is_loud) : random(seed), events(time, is_loud) {}

  chance random;
  agenda time;
  trace events;
  weather sky;
  tally counts;
};

/// The tags `@…@` in a text: what a prompt is known by wherever it turns up.
std::vector<std::string> tags_in(std::string_view text);

}  // namespace awm::simulation
