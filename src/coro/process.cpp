#include "coro/process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
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

constexpr unsigned int close_range_cloexec = 4;  // CLOSE_RANGE_CLOEXEC of linux/close_range.h

struct pipe_ends {
  descriptor read;
  descriptor write;
};

std::error_code make_pipe(pipe_ends& ends) {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return last_error();
  ends = {descriptor(fds[0]), descriptor(fds[1])};
  return {};
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const auto& string : strings) result.push_back(const_cast<char*>(string.c_str()));
  result.push_back(nullptr);
  return result;
}

/// What the child needs between clone and exec. It shares the parent's memory there: no allocation, no locks, and what
/// it writes to `error` the parent reads.
struct launch {
  const char* file;
  char* const* arguments;
  char* const* environment;
  const char* working_directory;
  int parent_death_signal;
  pid_t parent;
  std::array<int, 3> streams;
  int error = 0;
};

[[noreturn]] void give_up(launch& plan) {
  plan.error = errno;
  ::_exit(127);
}

/// Not instrumented: it leaves by execve, so what a sanitizer notes about its frame would stay behind on the parent's
/// stack.
__attribute__((no_sanitize("address"))) int run_child(void* argument) {
  auto& plan = *static_cast<launch*>(argument);
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
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(plan.streams[static_cast<std::size_t>(fd)], fd) < 0) give_up(plan);
  }
  // Ours are close-on-exec; what this process itself was started with need not be. (Linux 5.11; older ones go without.)
  ::syscall(SYS_close_range, 3U, ~0U, close_range_cloexec);
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
  const pid_t pid = ::clone(run_child, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                            &plan, &pid_descriptor);
  const int clone_error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = clone_error;
  return pid;
}

void take(descriptor& end, asio::posix::stream_descriptor& into, std::error_code& error) {
  into.assign(end.get(), error);
  if (error) return;
  end.release();
  into.non_blocking(true, error);
}

/// A descriptor below 3 would be overwritten while the child's streams are put in place.
bool collides(const pipe_ends& ends) {
  return ends.read.get() < 3 || ends.write.get() < 3;
}

}  // namespace

process process::start(const asio::any_io_executor& executor, const process_options& options, std::error_code& error) {
  process started(executor);
  std::array<pipe_ends, 3> pipes;
  for (auto& ends : pipes) {
    error = make_pipe(ends);
    if (error) return started;
    if (collides(ends)) {
      error = std::make_error_code(std::errc::bad_file_descriptor);
      return started;
    }
  }
  const auto arguments = pointers(options.arguments);
  const auto environment = pointers(options.environment);
  launch plan{options.file.c_str(),
              arguments.data(),
              environment.data(),
              options.working_directory.empty() ? nullptr : options.working_directory.c_str(),
              options.parent_death_signal,
              ::getpid(),
              {pipes[0].read.get(), pipes[1].write.get(), pipes[2].write.get()}};
  int pid_descriptor = -1;
  const pid_t pid = clone_child(plan, pid_descriptor);
  if (pid < 0) {
    error = last_error();
    return started;
  }
  started.pid_ = pid;
  started.reaped_ = false;
  started.exit_.assign(pid_descriptor, error);
  if (error) {
    ::close(pid_descriptor);
    started.signal_group(SIGKILL);
    ::waitpid(pid, nullptr, 0);
    started.reaped_ = true;
    return started;
  }
  if (plan.error != 0) {
    error = {plan.error, std::generic_category()};
    return started;  // its destructor reaps what is left
  }
  take(pipes[0].write, started.input_, error);
  if (!error) take(pipes[1].read, started.output_, error);
  if (!error) take(pipes[2].read, started.error_, error);
  return started;
}

process::~process() {
  if (reaped_ || !exit_.is_open()) return;  // not started, reaped, or moved from
  signal_group(SIGKILL);
  siginfo_t info{};
  while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(exit_.native_handle()), &info, WEXITED) != 0 &&
         errno == EINTR) {
  }
}

void process::signal_group(int signal) {
  if (!reaped_) ::kill(-pid_, signal);
}

void process::look_again() {
  if (!exit_.is_open()) return;
  looks_again_ = true;
  std::error_code ignored;
  exit_.cancel(ignored);
}

bool process::has_ended() {
  siginfo_t info{};
  const auto descriptor = static_cast<id_t>(exit_.native_handle());
  const int result = ::waitid(static_cast<idtype_t>(P_PIDFD), descriptor, &info, WEXITED | WNOHANG | WNOWAIT);
  return result != 0 || info.si_pid != 0;
}

asio::awaitable<std::pair<std::error_code, exit_status>> process::wait() {
  while (!has_ended()) {
    const auto [error] = co_await exit_.async_wait(asio::posix::stream_descriptor::wait_read, as_value);
    const bool was_asked = std::exchange(looks_again_, false);
    if (error && !was_asked) co_return std::pair{error, exit_status{}};
  }
  signal_group(SIGKILL);  // while the child is a zombie its number, and so its group's, belongs to nobody else
  siginfo_t info{};
  if (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(exit_.native_handle()), &info, WEXITED) != 0) {
    co_return std::pair{last_error(), exit_status{}};
  }
  reaped_ = true;
  exit_.close();
  const exit_status status{info.si_code == CLD_EXITED ? info.si_status : -info.si_status};
  co_return std::pair{std::error_code{}, status};
}

}  // namespace awm::coro
