#include "worker/last_watch.hpp"

#include "coro/process_tree.hpp"
#include "worker/ledger.hpp"
#include "worker/marker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace awm::worker {
namespace {

using std::chrono::steady_clock;

// Whoever was starting a process when it was killed has left one more.
constexpr int most_rounds = 20;
constexpr int round_ms = 10;

/// Takes out those that have ended; waits for a change, at most until `deadline`.
void wait_for_exits(std::vector<watched_child>& children, steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
  std::vector<pollfd> polled;
  polled.reserve(children.size());
  for (const auto& child : children) polled.push_back({child.descriptor, POLLIN, 0});
  if (::poll(polled.data(), polled.size(), static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) return;
  std::erase_if(children, [&](const watched_child& child) {
    return std::any_of(polled.begin(), polled.end(),
                       [&](const pollfd& entry) { return entry.fd == child.descriptor && entry.revents != 0; });
  });
}

void release_standard_streams() {
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {0, 1, 2}) ::dup2(nowhere, stream);
}

/// Locks of the server, its ends of pipes: what it had open must not live as long as the watch.
void close_all_but(const std::set<int>& kept) {
  unsigned int first = 3;
  for (const int descriptor : kept) {
    const auto next = static_cast<unsigned int>(descriptor);
    if (next > first) ::syscall(SYS_close_range, first, next - 1, 0U);
    first = std::max(first, next + 1);
  }
  ::syscall(SYS_close_range, first, ~0U, 0U);
}

std::vector<pid_t> left_of(const std::vector<coro::process_identity>& known, std::string_view manager_id) {
  auto found = processes_marked([&](std::string_view marks) { return number_in(marks, manager_id).has_value(); });
  for (const auto& process : known) {
    if (coro::is_alive(process)) found.push_back(process.pid);
  }
  return found;
}

[[noreturn]] void watch(std::vector<watched_child> children, const std::vector<coro::process_identity>& descendants,
                        const ledger& ledger, std::chrono::milliseconds patience) {
  ::setsid();  // whoever ends the server's process group does not end the watch
  release_standard_streams();
  std::set<int> kept{ledger.descriptor()};
  for (const auto& child : children) kept.insert(child.descriptor);
  kept.erase(-1);
  close_all_but(kept);
  const auto deadline = steady_clock::now() + patience;
  while (!children.empty() && steady_clock::now() < deadline) wait_for_exits(children, deadline);
  std::vector<pid_t> late;
  for (const auto& child : children) late.push_back(child.pid);
  coro::kill_trees(late);
  for (int round = 0; round < most_rounds; ++round) {
    const auto left = left_of(descendants, ledger.manager_id());
    if (left.empty()) break;
    coro::kill_trees(left);
    ::poll(nullptr, 0, round_ms);
  }
  if (ledger.descriptor() >= 0) ::unlink(ledger.path().c_str());
  ::_exit(0);
}

}  // namespace

void keep_last_watch(std::span<const watched_child> children, const ledger& ledger,
                     std::chrono::milliseconds patience) {
  if (children.empty()) return;
  std::vector<watched_child> copied(children.begin(), children.end());
  std::vector<pid_t> roots;
  for (const auto& child : children) roots.push_back(child.pid);
  // Before the fork: once this process has ended nobody knows who belonged to a child that has ended as well. Not all
  // of them need carry the mark.
  const auto descendants = coro::descendants_of(roots);
  // A copy of this process and not a child that runs a program: it holds on to the pidfds and the ledger's lock, and
  // the program that would do the same might be gone from disk by then. It is the last thing that the server does.
  if (::fork() == 0) watch(std::move(copied), descendants, ledger, patience);
}

}  // namespace awm::worker
