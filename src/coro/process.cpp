#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <mutex>
#include <utility>

namespace awm::coro {
namespace {

std::error_code last_error() {
  return {errno, std::generic_category()};
}

/// Owns a descriptor until somebody else does.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// Of linux/close_range.h.
constexpr unsigned int close_range_unshare = 2;
constexpr unsigned int close_range_cloexec = 4;

struct pipe_ends {
  descriptor read;
  descriptor write;
};

// Below these it would be overwritten while the child's streams are put in place.
constexpr int first_free = 3;

/// `end` itself, or a duplicate above the standard streams, which this process may have closed.
std::error_code lift(descriptor& end) {
  if (end.get() >= first_free) return {};
  descriptor lifted(::fcntl(end.get(), F_DUPFD_CLOEXEC, first_free));
  if (lifted.get() < 0) return last_error();
  end = std::move(lifted);
  return {};
}

std::error_code make_pipe(pipe_ends& ends) {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return last_error();
  ends = {descriptor(fds[0]), descriptor(fds[1])};
  const auto error = lift(ends.read);
  return error ? error : lift(ends.write);
}

/// One standard stream while the child is started.
struct stream_plan {
  descriptor childs;  // none: the child has it already
  descriptor ours;
};

std::error_code prepare(stream_plan& plan, child_stream kind, int number) {
  if (kind == child_stream::inherit) return {};
  if (kind == child_stream::null) {
    plan.childs = descriptor(::open("/dev/null", O_RDWR | O_CLOEXEC));
    return plan.childs.get() < 0 ? last_error() : lift(plan.childs);
  }
  pipe_ends ends;
  const auto error = make_pipe(ends);
  if (error) return error;
  const bool child_reads = number == STDIN_FILENO;
  plan.childs = std::move(child_reads ? ends.read : ends.write);
  plan.ours = std::move(child_reads ? ends.write : ends.read);
  return {};
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const auto& string : strings) result.push_back(const_cast<char*>(string.c_str()));
  result.push_back(nullptr);
  return result;
}

/// Where the child's ends lie while it starts, when there are such places: it then takes along the descriptors up to
/// these, and not the thousands that its parent may have.
struct start_places {
  std::mutex busy;
  std::array<int, 3> places{-1, -1, -1};
  int empty = -1;        // what lies in them between the starts
  unsigned int end = 0;  // the first descriptor above all of them; 0: there are none
};

start_places& places_for_starts() {
  static start_places places;
  return places;
}

/// Puts the child's ends into the places for one start, and takes them out again: while something else holds the
/// writing end of a child's output, its reader never sees the end.
class placed_ends {
 public:
  placed_ends(start_places& places, std::array<int, 3>& streams) : places_(places), hold_(places.busy) {
    if (places.end == 0) return;
    for (std::size_t number = 0; number < streams.size(); ++number) {
      if (streams[number] < 0) continue;
      const int place = places.places[number];
      ::dup3(streams[number], place, O_CLOEXEC);  // cannot fail: both are open
      streams[number] = used_[number] = place;
    }
  }
  placed_ends(const placed_ends&) = delete;
  placed_ends& operator=(const placed_ends&) = delete;
  ~placed_ends() {
    for (const int place : used_) {
      if (place >= 0) ::dup3(places_.empty, place, O_CLOEXEC);
    }
  }

 private:
  start_places& places_;
  std::lock_guard<std::mutex> hold_;
  std::array<int, 3> used_{-1, -1, -1};
};

/// What the child needs between clone and exec. It shares the parent's memory there: no allocation, no locks, and what
/// it writes to `error` the parent reads.
struct launch {
  const char* file;
  char* const* arguments;
  char* const* environment;
  const char* working_directory;
  int parent_death_signal;
  std::uint64_t data_limit;  // 0: as the parent's
  const char* cgroup;        // nullptr: as the parent's
  pid_t parent;
  std::array<int, 3> streams;  // -1: as the parent's
  unsigned int taken_along;  // the child shares the parent's descriptors until it has copied those below; 0: it has all
  int error = 0;
};

[[noreturn]] void give_up(launch& plan) {
  plan.error = errno;
  ::_exit(127);
}

/// Puts the process that calls it where its memory is limited.
__attribute__((no_sanitize("address"))) bool limit_memory(const launch& plan) {
  if (plan.cgroup != nullptr) {
    const int group = ::open(plan.cgroup, O_WRONLY | O_CLOEXEC);
    if (group < 0) return false;
    const bool is_in = ::write(group, "0", 1) == 1;
    const int error = errno;
    ::close(group);
    errno = error;
    if (!is_in) return false;
  }
  if (plan.data_limit == 0) return true;
  const rlimit limit{plan.data_limit, plan.data_limit};
  return ::setrlimit(RLIMIT_DATA, &limit) == 0;
}

/// Not instrumented: it leaves by execve, so what a sanitizer notes about its frame would stay behind on the parent's
/// stack.
__attribute__((no_sanitize("address"))) int run_child(void* argument) {
  auto& plan = *static_cast<launch*>(argument);
  // First of all: what the child does to a descriptor before, it does to its parent's.
  if (plan.taken_along != 0 && ::syscall(SYS_close_range, plan.taken_along, ~0U, close_range_unshare) != 0)
    give_up(plan);
  // The handlers are the parent's code and the memory is the parent's: none may run here. Ignored signals would stay
  // ignored through exec.
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 32; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) ::sigaction(signal, &action, nullptr);
  }
  if (::setpgid(0, 0) != 0) give_up(plan);
  if (plan.parent_death_signal != 0) {
    if (::prctl(PR_SET_PDEATHSIG, plan.parent_death_signal) != 0) give_up(plan);
    // The parent may have died before the line above: then the signal never comes.
    if (::getppid() != plan.parent) ::_exit(127);
  }
  for (int fd = 0; fd < first_free; ++fd) {
    const int stream = plan.streams[static_cast<std::size_t>(fd)];
    if (stream >= 0 && ::dup2(stream, fd) < 0) give_up(plan);
    if (stream < 0) ::fcntl(fd, F_SETFD, 0);  // inherited, unless it is closed
  }
  // Ours are close-on-exec; what this process itself was started with need not be. (Linux 5.11; older ones go without.)
  ::syscall(SYS_close_range, 3U, ~0U, close_range_cloexec);
  if (!limit_memory(plan)) give_up(plan);
  if (plan.working_directory != nullptr && ::chdir(plan.working_directory) != 0) give_up(plan);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.file, plan.arguments, plan.environment);
  give_up(plan);
}

/// Starts `run_child` and returns its pid, or -1 with errno. The parent stands still until the child has executed or
/// given up.
pid_t clone_child(launch& plan, int& pid_descriptor) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  // Grows downwards; 32 KiB are plenty for the system calls above, also under a sanitizer.
  alignas(16) std::array<char, 32 * 1024> stack;
  const int shared = plan.taken_along != 0 ? CLONE_FILES : 0;
  const pid_t pid = ::clone(run_child, stack.data() + stack.size(),
                            CLONE_VM | CLONE_VFORK | CLONE_PIDFD | shared | SIGCHLD, &plan, &pid_descriptor);
  const int clone_error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = clone_error;
  return pid;
}

/// The unit of start times in /proc.
std::uint64_t ticks_since_boot() {
  static const auto ticks_a_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  constexpr std::uint64_t second = 1'000'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return (static_cast<std::uint64_t>(now.tv_sec) * second + static_cast<std::uint64_t>(now.tv_nsec)) /
         (second / ticks_a_second);
}

std::error_code take(descriptor& end, asio::posix::stream_descriptor& into) {
  std::error_code error;
  if (end.get() < 0) return error;
  into.assign(end.get(), error);
  if (error) return error;
  end.release();
  into.non_blocking(true, error);
  return error;
}

int reap(int pid_descriptor, siginfo_t& info, int options) {
  return ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pid_descriptor), &info, WEXITED | options);
}

}  // namespace

namespace detail {

bool child_state::settle() {
  if (is_settled) return true;
  siginfo_t info{};
  const bool is_lost = reap(exit.native_handle(), info, WNOHANG | WNOWAIT) != 0;
  if (!is_lost && info.si_pid == 0) return false;
  // While the child is a zombie its number, and so its group's, belongs to nobody else.
  if (!is_lost) signal_group(SIGKILL);
  is_settled = true;
  if (is_lost || reap(exit.native_handle(), info, 0) != 0) {
    error = last_error();
  } else {
    error = {};
    status = exit_status{info.si_code == CLD_EXITED ? info.si_status : -info.si_status};
  }
  std::error_code ignored;
  exit.close(ignored);
  return true;
}

void child_state::signal_group(int number) const {
  if (!is_settled) ::kill(-pid, number);
}

void child_state::look_again() {
  if (is_settled) return;
  ++looks;
  std::error_code ignored;
  exit.cancel(ignored);
}

void child_state::close_pipes() {
  std::error_code ignored;
  input.close(ignored);
  output.close(ignored);
  errors.close(ignored);
}

void child_state::shut() {
  close_pipes();
  if (is_settled) return;
  signal_group(SIGKILL);
  // Asio has made the descriptor non-blocking if anybody waited for it, and then waitid does not block either.
  pollfd has_ended{exit.native_handle(), POLLIN, 0};
  while (::poll(&has_ended, 1, -1) < 0 && errno == EINTR) {
  }
  siginfo_t info{};
  reap(exit.native_handle(), info, WNOHANG);
  is_settled = true;
  error = asio::error::operation_aborted;
  std::error_code ignored;
  exit.close(ignored);
}

void ladder::climb() {
  if (child_->settle()) return;
  if (next_ == rung::interrupt) {
    next_ = rung::terminate;
    if (plan_.after_interrupt) return send(SIGINT, *plan_.after_interrupt);
  }
  if (next_ == rung::terminate) {
    next_ = rung::kill;
    if (plan_.after_terminate) return send(SIGTERM, *plan_.after_terminate);
  }
  jump();
}

void ladder::jump() {
  timer_.disarm();
  if (child_->settle()) return;
  last_signal_ = SIGKILL;
  if (plan_.whole_tree) {
    remember_tree();
    const std::array<pid_t, 1> root{child_->pid};
    kill_trees(root);
  }
  child_->signal_group(SIGKILL);
}

void ladder::send(int signal, clock::duration patience) {
  last_signal_ = signal;
  if (plan_.whole_tree) remember_tree();
  child_->signal_group(signal);
  for (const auto& one : tree_) {
    if (::getpgid(one.pid) != child_->pid) coro::signal(one, signal);
  }
  timer_.arm(clock_.now() + patience, [this] { climb(); });
}

void ladder::remember_tree() {
  // What was seen before may have lost its parent since, and so its place in the tree.
  std::vector<pid_t> roots{child_->pid};
  std::erase_if(tree_, [](const auto& one) { return !is_alive(one); });
  for (const auto& one : tree_) roots.push_back(one.pid);
  for (const auto& one : descendants_of(roots)) {
    if (std::find(tree_.begin(), tree_.end(), one) == tree_.end()) tree_.push_back(one);
  }
}

void ladder::sweep() {
  timer_.disarm();
  std::vector<pid_t> left;
  for (const auto& one : tree_) {
    if (is_alive(one)) left.push_back(one.pid);
  }
  if (!left.empty()) kill_trees(left);
}

}  // namespace detail

process process::start(const asio::any_io_executor& executor, const process_options& options, std::error_code& error) {
  process started(executor);
  auto& child = *started.state_;
  const std::array kinds{options.standard_input, options.standard_output, options.standard_error};
  std::array<stream_plan, 3> streams;
  for (std::size_t number = 0; number < streams.size(); ++number) {
    error = prepare(streams[number], kinds[number], static_cast<int>(number));
    if (error) return started;
  }
  const auto arguments = pointers(options.arguments);
  const auto environment = pointers(options.environment);
  launch plan{options.file.c_str(),
              arguments.data(),
              environment.data(),
              options.working_directory.empty() ? nullptr : options.working_directory.c_str(),
              options.parent_death_signal,
              options.data_limit,
              options.cgroup.empty() ? nullptr : options.cgroup.c_str(),
              ::getpid(),
              {streams[0].childs.get(), streams[1].childs.get(), streams[2].childs.get()},
              0};
  int pid_descriptor = -1;
  pid_t pid = -1;
  const auto not_before = ticks_since_boot();
  {
    auto& places = places_for_starts();
    const placed_ends placed(places, plan.streams);
    plan.taken_along = places.end;
    pid = clone_child(plan, pid_descriptor);
    if (pid < 0) error = last_error();
  }
  if (error) return started;
  child.exit.assign(pid_descriptor, error);
  if (error) {
    ::close(pid_descriptor);
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return started;
  }
  child.pid = pid;
  child.is_settled = false;
  child.start_time = not_before;
  if (ticks_since_boot() != not_before) {  // a look at /proc costs more than the rest of the parent's part
    if (const auto facts = facts_of(pid)) child.start_time = facts->start_time;
  }
  if (plan.error != 0) error = {plan.error, std::generic_category()};
  if (!error) error = take(streams[0].ours, child.input);
  if (!error) error = take(streams[1].ours, child.output);
  if (!error) error = take(streams[2].ours, child.errors);
  if (error) {
    child.shut();
    child.error = std::make_error_code(std::errc::no_child_process);
  }
  return started;
}

std::error_code process::start_cheaply() {
  // Linux 5.9; with nothing to close the call only says whether it is known.
  if (::syscall(SYS_close_range, ~0U, ~0U, 0U) != 0) return last_error();
  auto& places = places_for_starts();
  const std::lock_guard hold(places.busy);
  if (places.end != 0) return {};
  std::array<descriptor, 4> opened;
  for (auto& one : opened) {
    one = descriptor(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (one.get() < 0) return last_error();
    if (const auto error = lift(one)) return error;
  }
  places.empty = opened.back().release();
  for (std::size_t number = 0; number < places.places.size(); ++number) {
    places.places[number] = opened[number].release();
    places.end = std::max(places.end, static_cast<unsigned int>(places.places[number]) + 1);
  }
  return {};
}

asio::awaitable<std::pair<std::error_code, exit_status>> process::wait() {
  const auto child = state_;
  if (child->is_settled) co_return std::pair{child->error, child->status};
  const auto [error, status] = co_await detail::async_wait(child, as_value);
  co_return std::pair{error, status};
}

asio::awaitable<std::pair<std::error_code, stop_result>> process::stop(clock& clock, kill_ladder plan) {
  const auto [error, result] = co_await async_stop(clock, plan, as_value);
  co_return std::pair{error, result};
}

}  // namespace awm::coro
