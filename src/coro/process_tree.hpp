#pragma once
// What has to be known to leave no process behind: a signal to a process group misses whoever started a session of its
// own, and who loses its parent is out of sight. /proc tells who belongs to whom (proc_pid_task(5), proc_pid_stat(5)),
// and a child subreaper (PR_SET_CHILD_SUBREAPER(2const)) is given what its descendants orphan.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace awm::coro {

/// Makes this process the new parent of every descendant that loses its own; they become its children, and it must reap
/// them. Not inherited by children. Also undoes an inherited `SIGCHLD` that is ignored: with it the kernel reaps
/// children by itself and their exit status is lost.
std::error_code become_subreaper();

/// The living and the not yet reaped children of a process, all its threads' included. Empty when there is no such
/// process. It costs as much as there are children, whatever else runs on the machine (needs CONFIG_PROC_CHILDREN; a
/// kernel without it shows nobody any child).
std::vector<pid_t> children_of(pid_t pid);

struct process_facts {
  /// As in /proc/PID/stat: `R`, `S`, `D`, `T`, `Z` (ended, not yet reaped) and others.
  char state = '\0';
  pid_t parent = 0;
  /// Clock ticks since the boot. A pid is used again, but not with the same start time.
  std::uint64_t start_time = 0;
};

/// Nothing when there is no such process.
std::optional<process_facts> facts_of(pid_t pid);

/// One process at one time, whatever becomes of its number.
struct process_identity {
  pid_t pid = 0;
  std::uint64_t start_time = 0;

  bool operator==(const process_identity&) const = default;
};

/// True while that very process is there and has not ended.
bool is_alive(const process_identity& process);

/// Sends `signal` to that very process, never to another that was given its number (pidfd_send_signal(2)). Errors:
/// `no_such_process`, and what pidfd_open(2) and pidfd_send_signal(2) report.
std::error_code signal(const process_identity& process, int signal);

/// All descendants of the processes, without themselves. One pass over all processes of the machine, however many roots
/// there are: with hundreds of them that is cheaper than to ask for the children of every thread of each.
std::vector<process_identity> descendants_of(std::span<const pid_t> roots);

/// The environment with which the process was started, `NAME=value` strings each followed by a zero byte. Empty for one
/// that has ended, for one in the midst of its execve, and where it may not be read.
std::string environment_of(pid_t pid);

/// The value of `name` in what `environment_of` returned, or nothing.
std::optional<std::string_view> value_in(std::string_view environment, std::string_view name);

/// The processes of this one's effective user, those that have ended excluded.
std::vector<pid_t> processes_of_this_user();

/// Ends the processes and all their descendants with SIGKILL, whatever their group or session; returns whom it
/// signalled. Does not wait for their end. This process, pid 1 and what may not be signalled are left alone.
///
/// They are stopped first, from the top down: who stands still neither starts children nor reaps any, so the numbers
/// found below it remain those of its children.
std::vector<pid_t> kill_trees(std::span<const pid_t> roots);

}  // namespace awm::coro
