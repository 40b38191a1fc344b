#pragma once

#include "event.hpp"
#include "spawn.hpp"

#include <cstddef>
#include <deque>
#include <exception>
#include <limits>
#include <list>

namespace awm::coro {

/// A nursery: coroutines that are started here end before the group does.
///
/// `co_spawn` with `detached` loses track of what it started: nobody knows when it ended, nobody can cancel it, and its
/// exception is lost. A group keeps all three, for as many tasks as come, from wherever: members may spawn further
/// ones.
///
/// The first exception of a member cancels the others; `join()` rethrows it. An `operation_aborted` after `cancel()` is
/// no error. With a limit, tasks beyond it wait for a place, in the order in which they came.
///
/// Destroying a group that still has members ends the program (`std::terminate`), as it does for a joinable
/// `std::thread`; that the event loop is destroyed under it is no such case.
/// Cancellation: of `join()`, see there.
/// Cost: a `co_spawn` and one allocation a member.
class task_group {
 public:
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  /// Members run on `executor`, `at_once` of them at the same time.
  explicit task_group(asio::any_io_executor executor, std::size_t at_once = unlimited);
  task_group(const task_group&) = delete;
  task_group& operator=(const task_group&) = delete;
  ~task_group();

  /// Starts `task`, or lets it wait for a place. Within the event loop it runs at once, up to where it first waits. A
  /// group that was cancelled drops it, until `join()` has returned.
  void spawn(asio::awaitable<void> task);

  /// Sends `terminal` to every member, and drops the tasks that wait for a place. Members end when they notice;
  /// `join()` tells when they have.
  void cancel();

  /// The members, those included that wait for a place.
  std::size_t size() const { return members_.size() + waiting_.size(); }

  /// Set while the group has no member: what `join_until` waits for.
  event& empty() { return empty_; }

  /// Completes when the last member has ended; rethrows the first exception that a member ended with. The group can be
  /// used again then.
  /// Cancelling a join cancels the members and still waits for them; it throws what a member threw, and no
  /// `operation_aborted` of its own.
  asio::awaitable<void> join();

 private:
  struct joined_task {
    asio::cancellation_signal signal;
    outcome<void> ended;
  };
  using members = std::list<joined_task>;

  void start_next();
  void start(asio::awaitable<void> task);
  void ended(members::iterator member);

  asio::any_io_executor executor_;
  std::size_t at_once_;
  members members_;
  std::deque<asio::awaitable<void>> waiting_;
  bool starting_ = false;
  bool cancelled_ = false;
  event empty_;
  std::exception_ptr first_error_;
};

}  // namespace awm::coro
