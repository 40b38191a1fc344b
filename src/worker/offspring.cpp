#include "worker/offspring.hpp"

#include "coro/join_until.hpp"
#include "coro/process_tree.hpp"
#include "coro/sleep.hpp"
#include "coro/spawn.hpp"
#include "worker/marker.hpp"

#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

namespace awm::worker {
namespace {

using namespace std::chrono_literals;

// SIGKILL takes effect at once, but for who waits for a device, a dead network file system, or a core of a busy machine.
constexpr auto longest_sweep = 10s;
// An execve shows no environment for a fraction of a millisecond; a program that was started without any stays so.
constexpr auto pause_for_execve = 1ms;
constexpr int most_pauses_for_execve = 20;
// A look at all children takes longer the more there are, and the more there are the more often one ends. Looks take
// this part of the time at most; the ends that come meanwhile share the next one.
constexpr int share_of_looks = 50;

int open_signals() {
  sigset_t child_ended;
  ::sigemptyset(&child_ended);
  ::sigaddset(&child_ended, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child_ended, nullptr);
  const int fd = ::signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
  return fd;
}

/// Reaps the child if it has ended; true when it is gone.
bool reap(pid_t pid) {
  siginfo_t info{};
  const int result = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
  return result != 0 || info.si_pid == pid;
}

}  // namespace

offspring::offspring(asio::any_io_executor executor, std::string manager_id)
    : executor_(std::move(executor)),
      clock_(executor_),
      manager_id_(std::move(manager_id)),
      signals_(executor_),
      child_ended_(executor_),
      sweep_over_(executor_) {
  const auto before = coro::children_of(::getpid());
  strangers_.insert(before.begin(), before.end());
  // Pid 1 of a container is also given the orphans of those who entered it.
  spares_unmarked_ = !strangers_.empty() || ::getpid() == 1;
  coro::become_subreaper();
  signals_.assign(open_signals());
}

void offspring::add(pid_t pid, std::uint64_t number, int descriptor, std::function<void()> ended) {
  strangers_.erase(pid);  // its number was used again
  immortal_.erase(pid);
  children_.emplace(pid, child_entry{number, descriptor, std::move(ended)});
  numbers_.insert(number);
  ++users_;
  if (std::exchange(is_watching_, true)) return;
  coro::spawn_detached(executor_, watch(shared_from_this()));
}

void offspring::remove(pid_t pid) {
  const auto found = children_.find(pid);
  if (found == children_.end()) return;
  numbers_.erase(found->second.number);
  children_.erase(found);
}

void offspring::release() {
  if (--users_ > 0) return;
  std::error_code ignored;
  signals_.cancel(ignored);
}

asio::awaitable<void> offspring::watch(std::shared_ptr<offspring> self) {
  while (self->users_ > 0) {
    const auto [error] = co_await self->signals_.async_wait(asio::posix::stream_descriptor::wait_read, coro::as_value);
    if (error) continue;  // nobody is left, or somebody has come since
    co_await self->pace();
    signalfd_siginfo signal;
    while (::read(self->signals_.native_handle(), &signal, sizeof signal) > 0) {
    }
    self->look();
    self->child_ended_.pulse();
  }
  self->is_watching_ = false;
}

/// Waits until it is time for another look at all children.
asio::awaitable<void> offspring::pace() {
  const auto due = looked_at_ + look_took_ * share_of_looks;
  const auto now = clock_.now();
  if (now < due) co_await coro::sleep(clock_, due - now);
}

void offspring::note_look(coro::clock::time_point begin) {
  looked_at_ = clock_.now();
  look_took_ = looked_at_ - begin;
}

/// An owner learns from its pidfd that its child has ended; this is for the ends that a pidfd did not tell (see
/// `coro::process::look_again`), and reaps orphans.
void offspring::look() {
  const auto begin = clock_.now();
  tell_ended();
  living_orphans();
  note_look(begin);
}

void offspring::tell_ended() {
  for (const auto& [pid, child] : children_) {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
    if (info.si_pid == pid) child.ended();
  }
}

/// Those that have ended are reaped.
std::vector<pid_t> offspring::living_orphans() {
  auto found = coro::children_of(::getpid());
  std::erase_if(found, [this](pid_t pid) {
    if (children_.contains(pid) || strangers_.contains(pid)) return true;
    const bool is_gone = reap(pid);
    if (is_gone) immortal_.erase(pid);
    return is_gone;
  });
  return found;
}

bool offspring::belongs_to_living_child(std::string_view marks) const {
  const auto number = number_in(marks, manager_id_);
  return number && numbers_.contains(*number);
}

offspring::orphans offspring::left_behind(const std::set<pid_t>& signalled) {
  orphans found;
  for (const pid_t pid : living_orphans()) {
    if (immortal_.contains(pid)) continue;
    const auto environment = coro::environment_of(pid);
    const auto marks = coro::value_in(environment, child_variable);
    const bool is_ours = marks && number_in(*marks, manager_id_);
    const bool has_living_owner = marks && belongs_to_living_child(*marks);
    const bool is_lone = children_.empty() && !spares_unmarked_;
    if (signalled.contains(pid) || (is_ours && !has_living_owner) || is_lone) {
      found.to_end.push_back(pid);
    } else if (environment.empty()) {
      found.is_unclear = true;
    }
  }
  return found;
}

asio::awaitable<void> offspring::sweep() {
  const auto wanted = ++sweeps_wanted_;
  while (sweeps_done_ < wanted) {
    if (std::exchange(is_sweeping_, true)) {
      co_await sweep_over_.async_wait(coro::as_value);
      continue;
    }
    co_await asio::post(executor_, asio::use_awaitable);  // those that have ended at the same time share one sweep
    co_await pace();
    const auto covered = sweeps_wanted_;
    co_await end_what_is_left();
    sweeps_done_ = covered;
    is_sweeping_ = false;
    sweep_over_.pulse();
  }
}

asio::awaitable<void> offspring::end_what_is_left() {
  const auto deadline = clock_.now() + longest_sweep;
  std::set<pid_t> signalled;
  for (int pauses = 0;;) {
    const auto begin = clock_.now();
    const auto found = left_behind(signalled);
    note_look(begin);
    const bool is_over = looked_at_ >= deadline;
    auto until = deadline;
    if (!found.to_end.empty() && !is_over) {
      const auto killed = coro::kill_trees(found.to_end);
      signalled.insert(killed.begin(), killed.end());
    }
    if (!found.to_end.empty() && (is_over || signalled.empty())) {
      immortal_.insert(found.to_end.begin(), found.to_end.end());
      co_return;
    }
    if (found.to_end.empty()) {
      if (!found.is_unclear || pauses++ == most_pauses_for_execve) co_return;
      until = clock_.now() + pause_for_execve;
    }
    co_await coro::join_until(child_ended_, clock_, until);
  }
}

std::vector<watched_child> offspring::running() const {
  std::vector<watched_child> found;
  for (const auto& [pid, entry] : children_) found.push_back({pid, entry.descriptor});
  return found;
}

}  // namespace awm::worker
