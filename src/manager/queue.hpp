#pragma once
// The gate that every turn passes before its child starts. Four things hold it shut: no free slot, too many children
// that are starting at once, a rate limit that the API announced, and a sign-in that failed.

#include "coro/clock.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace awm::manager {

/// Starts turns in the order in which they came, as soon as they may.
class queue {
 public:
  /// At most `slots` turns run at once, and `starts` children are in the second of CPU that it takes them to start.
  /// Both at least 1.
  queue(coro::clock& clock, std::size_t slots, std::size_t starts);

  /// `changed` is called when a slot or a start was taken or given back, or something may start again. Null: nobody is.
  void tell(std::function<void()> changed) { changed_ = std::move(changed); }

  /// Calls `start` as soon as it may be, perhaps inside this call. Whoever was started owes one `started()` and one
  /// `release()`.
  void push(std::string id, std::function<void()> start);

  /// Takes out who waits; returns whether it did.
  bool remove(std::string_view id);

  /// 1 for the next to start; nothing for who does not wait.
  std::optional<std::size_t> position(std::string_view id) const;

  /// The same of all who wait. Valid until the queue changes.
  std::map<std::string_view, std::size_t> positions() const;

  /// Takes a start without a slot, for a child that is no worker's yet: `has_free_slot()`. It owes one `started()`.
  void take_start() { --free_starts_; }

  /// A start is over, well or not.
  void started();

  /// Gives a slot back.
  void release();

  /// Nothing starts before then. An earlier moment than one that holds already changes nothing.
  void hold_until(coro::clock::time_point moment);
  std::optional<coro::clock::time_point> held_until() const;

  /// Nothing starts until `reopen()`.
  void halt(std::string reason);
  void reopen();
  /// Why nothing starts; empty while something may.
  const std::string& halted() const { return halted_; }

  bool has_free_slot() const { return may_start() && waiting_.empty(); }
  std::size_t waiting() const { return waiting_.size(); }
  std::size_t free_slots() const { return free_slots_; }

  /// Those that wait never start.
  void clear();

 private:
  struct entry {
    std::string id;
    std::function<void()> start;
  };

  bool may_start() const;
  void start_next();

  coro::clock& clock_;
  std::size_t free_slots_;
  std::size_t free_starts_;
  std::deque<entry> waiting_;
  coro::clock::time_point held_until_{};
  coro::timer hold_;
  std::string halted_;
  std::function<void()> changed_;
};

}  // namespace awm::manager
