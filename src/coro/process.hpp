#pragma once
// Children as coroutines see them: started without copying the parent, awaited without SIGCHLD, ended as a group.

#include "coro/asio.hpp"

#include <asio/posix/stream_descriptor.hpp>

#include <sys/types.h>

#include <string>
#include <system_error>
#include <vector>

namespace awm::coro {

struct process_options {
  /// Absolute path of the program; there is no search in PATH.
  std::string file;
  /// All arguments, the program's name first.
  std::vector<std::string> arguments;
  /// The whole environment, as `NAME=value`.
  std::vector<std::string> environment;
  /// Empty: this process's own.
  std::string working_directory;
  /// Sent to the child by the kernel when this process ends, however it ends (prctl(2), PR_SET_PDEATHSIG). 0 for none.
  int parent_death_signal = 0;
};

/// How a child ended.
struct exit_status {
  /// The exit code, or the negated number of the signal that ended the child.
  int code = 0;

  bool operator==(const exit_status&) const = default;
};

/// A running child, the leader of its own process group, with pipes on its three standard streams.
///
/// Destroying it closes the pipes; a child that has not been reaped by then gets SIGKILL, with its group, and is
/// reaped.
class process {
 public:
  /// Starts a child. The parent's memory is not copied: the cost does not grow with the parent.
  ///
  /// The child begins with an empty signal mask, default dispositions and none of the parent's descriptors but the
  /// three. Errors: what pipe2(2), clone(2), chdir(2) and execve(2) report; then nothing runs.
  static process start(const asio::any_io_executor& executor, const process_options& options, std::error_code& error);

  process(process&&) = default;
  process& operator=(process&&) = delete;
  ~process();

  pid_t pid() const { return pid_; }

  /// The pidfd, -1 once the child was reaped (pidfd_open(2)).
  int exit_descriptor() { return exit_.is_open() ? exit_.native_handle() : -1; }

  /// This process's ends of the pipes, non-blocking.
  asio::posix::stream_descriptor& standard_input() { return input_; }
  asio::posix::stream_descriptor& standard_output() { return output_; }
  asio::posix::stream_descriptor& standard_error() { return error_; }

  /// Sends `signal` to the child's process group. No effect once the child was reaped.
  void signal_group(int signal);

  /// Waits until the child has ended, ends with SIGKILL what it left behind in its process group, and reaps it. To be
  /// called once. Cancellation ends the wait with an error.
  asio::awaitable<std::pair<std::error_code, exit_status>> wait();

  /// Makes a `wait()` in progress look whether the child has ended: the readiness of a pidfd that is watched
  /// edge-triggered was seen to get lost (Linux 6.18, with children that end at the same moment), and whoever is told
  /// of SIGCHLD knows better.
  void look_again();

 private:
  explicit process(const asio::any_io_executor& executor)
      : input_(executor), output_(executor), error_(executor), exit_(executor) {}

  bool has_ended();

  pid_t pid_ = 0;
  bool reaped_ = true;
  bool looks_again_ = false;
  asio::posix::stream_descriptor input_;
  asio::posix::stream_descriptor output_;
  asio::posix::stream_descriptor error_;
  asio::posix::stream_descriptor exit_;  // the pidfd: readable once the child has ended
};

}  // namespace awm::coro
