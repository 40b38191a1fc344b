#pragma once
// Everything that descends from this process. A worker's tools run in sessions of their own and survive the worker when
// it is killed; as a child subreaper this process is given them, and by their mark it knows whose they were.

#include "coro/clock.hpp"
#include "coro/event.hpp"
#include "worker/last_watch.hpp"

#include <asio/posix/stream_descriptor.hpp>

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace awm::worker {

/// Knows the children that run, reaps what was orphaned, and ends what a child left behind.
///
/// There is at most one in a process at a time: it takes every child of this process that was not added for an orphan,
/// those excepted which were there before it.
class offspring final : public std::enable_shared_from_this<offspring> {
 public:
  /// Makes this process a child subreaper and blocks SIGCHLD in favour of a signalfd: a handler would interrupt the
  /// system calls of everybody. Throws `std::system_error` when there is no descriptor for it.
  offspring(asio::any_io_executor executor, std::string manager_id);

  const std::string& manager_id() const { return manager_id_; }

  /// The number for the mark of the child that is started next.
  std::uint64_t next_number() { return ++last_number_; }

  /// A child was started. Until `remove` nobody but its owner reaps it; orphans are reaped as they end until `release`
  /// was called as often as this. `descriptor`: its pidfd. `ended` is called, perhaps more than once, when the child
  /// has ended and was not removed yet.
  void add(pid_t pid, std::uint64_t number, int descriptor, std::function<void()> ended);

  /// The child was reaped.
  void remove(pid_t pid);
  void release();

  /// Ends what children that were removed left behind: the orphans that carry their marks and, once no child is left,
  /// any orphan at all, each with its descendants. Completes when they are gone and reaped, or after two seconds when
  /// the kernel does not let go of one. Nothing to end: it costs one look at the list of this process's children.
  asio::awaitable<void> sweep();

  /// The children that were not removed.
  std::vector<watched_child> running() const;

 private:
  struct child_entry {
    std::uint64_t number;
    int descriptor;
    std::function<void()> ended;
  };
  struct orphans {
    std::vector<pid_t> to_end;
    bool is_unclear = false;  // somebody is in the midst of its execve, and shows no environment
  };

  static asio::awaitable<void> watch(std::shared_ptr<offspring> self);
  asio::awaitable<void> pace();
  void look();
  void note_look(coro::clock::time_point begin);
  asio::awaitable<void> end_what_is_left();
  std::vector<pid_t> living_orphans();
  void tell_ended();
  orphans left_behind(const std::set<pid_t>& signalled);
  bool belongs_to_living_child(std::string_view marks) const;

  asio::any_io_executor executor_;
  coro::system_clock clock_;
  std::string manager_id_;
  std::uint64_t last_number_ = 0;
  std::map<pid_t, child_entry> children_;
  std::set<std::uint64_t> numbers_;  // of the children
  std::set<pid_t> strangers_;        // children from before: not ours
  std::set<pid_t> immortal_;         // orphans that could not be ended
  bool spares_unmarked_ = false;     // an orphan without a mark may descend from a stranger
  asio::posix::stream_descriptor signals_;
  coro::event child_ended_;
  coro::clock::time_point looked_at_{};      // when the last look at all children was over,
  coro::clock::duration look_took_{};        // and how long it took
  std::uint64_t sweeps_wanted_ = 0;
  std::uint64_t sweeps_done_ = 0;  // the last wanted one that is done
  bool is_sweeping_ = false;
  coro::event sweep_over_;
  std::size_t users_ = 0;
  bool is_watching_ = false;
};

}  // namespace awm::worker
