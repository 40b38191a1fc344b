#pragma once

#include "coro/event.hpp"

#include <cassert>
#include <exception>
#include <list>

namespace awm::coro {

/// A nursery: coroutines that are started here end before the group does.
///
/// `co_spawn` with `detached` loses track of what it started: nobody knows when it ended, nobody can cancel it, and its
/// exception kills the program far from its cause. A group keeps all three.
///
/// The first exception of a member cancels the others; `join()` rethrows it. Destroying a group that still has members
/// is a programming error and asserted.
class task_group {
 public:
  explicit task_group(asio::any_io_executor executor) : executor_(executor), empty_(executor) { empty_.set(); }
  task_group(const task_group&) = delete;
  task_group& operator=(const task_group&) = delete;
  ~task_group() { assert(members_.empty() && "a task group must be joined before it is destroyed"); }

  /// Starts `task`; it runs from the event loop, not inside this call.
  void spawn(asio::awaitable<void> task) {
    empty_.reset();
    const auto member = members_.emplace(members_.end());
    asio::co_spawn(executor_, std::move(task),
                   asio::bind_cancellation_slot(member->slot(), [this, member](std::exception_ptr error) {
                     members_.erase(member);
                     if (error && !first_error_) {
                       first_error_ = error;
                       cancel();
                     }
                     if (members_.empty()) empty_.set();
                   }));
  }

  /// Sends `terminal` to every member. They end when they notice; `join()` tells when they have.
  void cancel() {
    // A member that ends at once erases itself, so the next one is looked up before.
    for (auto member = members_.begin(); member != members_.end();) {
      (member++)->emit(asio::cancellation_type::terminal);
    }
  }

  std::size_t size() const { return members_.size(); }

  /// Set while the group has no member.
  event& empty() { return empty_; }

  /// Completes when the last member has ended; rethrows the first exception that a member ended with.
  /// Cancelling a join cancels the members and still waits for them.
  asio::awaitable<void> join() {
    while (!members_.empty()) {
      const auto [error] = co_await empty_.async_wait(as_value);
      if (error) {
        co_await asio::this_coro::reset_cancellation_state();
        cancel();
      }
    }
    if (first_error_) std::rethrow_exception(std::exchange(first_error_, nullptr));
  }

 private:
  asio::any_io_executor executor_;
  std::list<asio::cancellation_signal> members_;
  event empty_;
  std::exception_ptr first_error_;
};

}  // namespace awm::coro
