#pragma once
// Children as coroutines see them: started without copying the parent, awaited without SIGCHLD, ended as a group.

#include "asio.hpp"
#include "clock.hpp"
#include "process_tree.hpp"

#include <asio/compose.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace awm::coro {

/// Where a standard stream of a child leads.
enum class child_stream {
  pipe,     ///< to this process, through a pipe
  inherit,  ///< to where this process's own leads
  null,     ///< to /dev/null
};

struct process_options {
  /// Absolute path of the program; there is no search in PATH.
  std::string file;
  /// All arguments, the program's name first.
  std::vector<std::string> arguments;
  /// The whole environment, as `NAME=value`.
  std::vector<std::string> environment;
  /// Empty: this process's own.
  std::string working_directory = {};
  /// Sent to the child by the kernel when the thread that started it ends, however it ends (prctl(2),
  /// PR_SET_PDEATHSIG). 0 for none.
  int parent_death_signal = 0;
  /// RLIMIT_DATA of the child and of what it starts, in bytes (setrlimit(2)); 0: as this process's.
  std::uint64_t data_limit = 0;
  /// The file `cgroup.procs` of the cgroup in which the child begins; empty: in this process's.
  std::string cgroup = {};
  child_stream standard_input = child_stream::pipe;
  child_stream standard_output = child_stream::pipe;
  child_stream standard_error = child_stream::pipe;
};

/// How a child ended.
struct exit_status {
  /// The exit code, or the negated number of the signal that ended the child.
  int code = 0;

  bool operator==(const exit_status&) const = default;
};

/// How a child is asked to end, and then made to.
struct kill_ladder {
  /// SIGINT comes first, and the child has so long to end by itself; nothing: the step is left out.
  std::optional<clock::duration> after_interrupt = std::chrono::seconds(2);
  /// Then comes SIGTERM, and so long until SIGKILL; nothing: the step is left out.
  std::optional<clock::duration> after_terminate = std::chrono::seconds(3);
  /// Each signal also goes to the descendants that have left the child's process group, and what is left of them when
  /// the child has ended gets SIGKILL. It costs a pass over /proc for each step.
  bool whole_tree = false;
};

/// What a kill ladder came to.
struct stop_result {
  exit_status status;
  /// The last signal that was sent: SIGINT, SIGTERM or SIGKILL; 0 for a child that had ended before.
  int signal = 0;

  bool operator==(const stop_result&) const = default;
};

namespace detail {

/// What a process and the operations that wait for it share. It outlives the process by the time that these take.
struct child_state {
  explicit child_state(const asio::any_io_executor& executor)
      : input(executor), output(executor), errors(executor), exit(executor) {}

  /// Reaps the child if it has ended, and ends what is left of its group. True once `error` and `status` are final.
  bool settle();
  void signal_group(int number) const;
  /// Makes waits in progress look again.
  void look_again();
  /// Ends and reaps what runs, closes everything; waits in progress complete with `operation_aborted`.
  void shut();
  void close_pipes();

  pid_t pid = 0;
  std::uint64_t start_time = 0;
  bool is_settled = true;
  std::error_code error = std::make_error_code(std::errc::no_child_process);
  exit_status status;
  std::uint64_t looks = 0;  // how often `look_again` was called
  asio::posix::stream_descriptor input;
  asio::posix::stream_descriptor output;
  asio::posix::stream_descriptor errors;
  asio::posix::stream_descriptor exit;  // the pidfd: readable once the child has ended
};

template <class Self>
bool is_cancelled(const Self& self) {
  return self.get_cancellation_state().cancelled() != asio::cancellation_type::none;
}

struct wait_step {
  std::shared_ptr<child_state> child;
  bool has_begun = false;
  std::uint64_t looks = 0;

  template <class Self>
  void operator()(Self& self, std::error_code error = {}) {
    const auto kept = child;  // `self`, and this step within it, is moved away below
    if (!std::exchange(has_begun, true)) {
      self.reset_cancellation_state(asio::enable_total_cancellation());
      if (kept->settle()) return asio::post(kept->exit.get_executor(), std::move(self));
    } else {
      if (kept->settle()) return self.complete(kept->error, kept->status);
      const bool was_asked = looks != kept->looks;
      if (is_cancelled(self) || (error && !was_asked)) return self.complete(asio::error::operation_aborted, {});
    }
    looks = kept->looks;
    kept->exit.async_wait(asio::posix::stream_descriptor::wait_read, std::move(self));
  }
};

template <class Token>
auto async_wait(const std::shared_ptr<child_state>& child, Token&& token) {
  return asio::async_compose<Token, void(std::error_code, exit_status)>(wait_step{child}, token,
                                                                        child->exit.get_executor());
}

/// The signals of a kill ladder, sent one after the other as a timer tells.
class ladder {
 public:
  ladder(std::shared_ptr<child_state> child, clock& clock, const kill_ladder& plan)
      : child_(std::move(child)), clock_(clock), plan_(plan), timer_(clock) {}

  /// Sends the next signal, unless the child has ended, and sets the timer for the one after it.
  void climb();
  /// Goes to the last step at once.
  void jump();
  /// The child has ended: ends what is left of its tree.
  void sweep();

  const std::shared_ptr<child_state>& child() const { return child_; }
  int last_signal() const { return last_signal_; }

 private:
  enum class rung { interrupt, terminate, kill };

  void send(int signal, clock::duration patience);
  void remember_tree();

  std::shared_ptr<child_state> child_;
  clock& clock_;
  kill_ladder plan_;
  rung next_ = rung::interrupt;
  int last_signal_ = 0;
  std::vector<process_identity> tree_;  // descendants, as seen so far
  timer timer_;
};

struct stop_step {
  std::shared_ptr<ladder> steps;
  bool has_begun = false;
  bool is_hurried = false;

  template <class Self>
  void operator()(Self& self, std::error_code error = {}, exit_status status = {}) {
    const auto kept = steps;
    if (!std::exchange(has_begun, true)) {
      self.reset_cancellation_state(asio::enable_total_cancellation());
      kept->climb();
    } else if (error && is_cancelled(self) && !std::exchange(is_hurried, true)) {
      self.reset_cancellation_state(asio::enable_total_cancellation());
      kept->jump();
    } else {
      kept->sweep();
      return self.complete(error, stop_result{status, kept->last_signal()});
    }
    async_wait(kept->child(), std::move(self));
  }
};

}  // namespace detail

/// A child process, the leader of its own process group, with pipes on its standard streams.
///
/// Problem: `fork` copies the parent's page tables, 35 ms at 500 MB; SIGCHLD belongs to the whole program, so two
/// libraries that wait for children fight over it; and a pid may be another's by the time it is signalled. Here a child
/// is started as by vfork (0.13 to 0.45 ms, whatever the parent's size, and with `start_cheaply` whatever it has open),
/// its end is told by a pidfd, and its number is used only while it is not reaped.
///
/// Ending one: `stop()` climbs the kill ladder, SIGINT, SIGTERM, SIGKILL, each with its deadline. Whatever else ends a
/// child, what it left behind in its process group gets SIGKILL before it is reaped. Who left the group is found by
/// `kill_ladder::whole_tree`, or by process_tree.hpp.
///
/// Waiting: any number of operations may wait at once, and all of them get the status, also those that begin after the
/// end. Handlers are posted, in the order of the waits. Cancellation: each operation says what it does; none loses the
/// status, which the next one gets. Exceptions: none but `std::bad_alloc`; errors are values.
///
/// Destroying it closes the pipes; a child that has not been reaped by then gets SIGKILL, with its group, and is
/// reaped, for which the destructor waits. Operations in progress complete with `operation_aborted`.
///
/// Moving it keeps the references to its pipes and the operations in progress valid; the source can only be destroyed.
///
/// Cost: two or three descriptors more than there are pipes while it starts, one (the pidfd) while it runs. A wait is
/// two `epoll_ctl` and two `waitid`, and allocates its handler.
class process {
 public:
  /// Starts a child; blocks until it has executed. The parent's memory is not copied.
  ///
  /// The child begins with an empty signal mask, default dispositions and none of the parent's descriptors but the
  /// three standard streams, also where the parent has closed its own. Errors: what pipe2(2), open(2), clone(2),
  /// chdir(2) and execve(2) report; then nothing runs, and waiting tells `no_child_process`.
  static process start(const asio::any_io_executor& executor, const process_options& options, std::error_code& error);

  /// Makes starts cost the same however many descriptors this process has open. A child begins with a copy of them all,
  /// which it then closes one by one: with 20,000 of them a start takes milliseconds, and this process stands still.
  /// From this call on it copies only those that were open before it, so: once, early. Keeps four descriptors for good.
  /// Errors: open(2)'s; ENOSYS before Linux 5.9. Starts are then what they were.
  static std::error_code start_cheaply();

  process(process&&) = default;
  process& operator=(process&&) = delete;
  ~process() {
    if (state_) state_->shut();
  }

  asio::any_io_executor get_executor() { return state_->exit.get_executor(); }

  pid_t pid() const { return state_->pid; }

  /// The child itself, whatever becomes of its number.
  process_identity identity() const { return {state_->pid, state_->start_time}; }

  /// The pidfd, -1 once the child was reaped (pidfd_open(2)).
  int exit_descriptor() { return state_->exit.is_open() ? state_->exit.native_handle() : -1; }

  /// This process's ends of the pipes, non-blocking. Not open where the child has another stream.
  asio::posix::stream_descriptor& standard_input() { return state_->input; }
  asio::posix::stream_descriptor& standard_output() { return state_->output; }
  asio::posix::stream_descriptor& standard_error() { return state_->errors; }

  /// Sends `signal` to the child's process group. No effect once the child was reaped.
  void signal_group(int signal) { state_->signal_group(signal); }

  /// Waits until the child has ended, ends with SIGKILL what it left behind in its process group, and reaps it. The
  /// signature is `void(std::error_code, exit_status)`; errors are those of waitid(2), as when somebody else reaped the
  /// child. That the child has ended does not mean that its pipes have: a grandchild may hold their other ends.
  ///
  /// Cancellation (any type): completes with `operation_aborted`; the child goes on, and so do other waits.
  template <class Token>
  auto async_wait(Token&& token) {
    return detail::async_wait(state_, std::forward<Token>(token));
  }

  /// The same as a value; does not suspend when the child was reaped before.
  asio::awaitable<std::pair<std::error_code, exit_status>> wait();

  /// Ends the child by `plan` and waits for it as `async_wait` does. The signature is `void(std::error_code,
  /// stop_result)`. Close `standard_input()` first if its end is what the child listens to. `clock` must live until
  /// then.
  ///
  /// With `whole_tree`, a process that a descendant starts in a session of its own between a step of the ladder and the
  /// child's end by itself is not seen; a subreaper is given it (`become_subreaper`).
  ///
  /// Cancellation (any type): patience is over. SIGKILL comes at once and the end is still awaited, so that no child
  /// survives a cancelled stop; a second cancellation, of one that waits for a child which the kernel does not let go,
  /// completes with `operation_aborted`.
  template <class Token>
  auto async_stop(clock& clock, const kill_ladder& plan, Token&& token) {
    return asio::async_compose<Token, void(std::error_code, stop_result)>(
        detail::stop_step{std::make_shared<detail::ladder>(state_, clock, plan)}, token, get_executor());
  }

  /// The same as a value.
  asio::awaitable<std::pair<std::error_code, stop_result>> stop(clock& clock, kill_ladder plan = {});

  /// Makes waits in progress look whether the child has ended: the readiness of a pidfd that is watched edge-triggered
  /// was seen to get lost (Linux 6.18, with children that end at the same moment), and whoever is told of SIGCHLD knows
  /// better.
  void look_again() { state_->look_again(); }

 private:
  explicit process(const asio::any_io_executor& executor) : state_(std::make_shared<detail::child_state>(executor)) {}

  std::shared_ptr<detail::child_state> state_;
};

}  // namespace awm::coro
