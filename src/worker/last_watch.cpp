#include "worker/last_watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <vector>

namespace awm::worker {
namespace {

using std::chrono::steady_clock;

/// Takes out those that have ended; waits for a change, at most until `deadline`.
void wait_for_exits(std::vector<watched_child>& children, steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
  std::vector<pollfd> polled;
  polled.reserve(children.size());
  for (const auto& child : children) polled.push_back({child.descriptor, POLLIN, 0});
  if (::poll(polled.data(), polled.size(), static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) return;
  std::erase_if(children, [&](const watched_child& child) {
    const bool has_ended = std::any_of(polled.begin(), polled.end(), [&](const pollfd& entry) {
      return entry.fd == child.descriptor && entry.revents != 0;
    });
    if (has_ended) ::kill(-child.pid, SIGKILL);  // what it left behind in its group
    return has_ended;
  });
}

void release_standard_streams() {
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {0, 1, 2}) ::dup2(nowhere, stream);
}

[[noreturn]] void watch(std::vector<watched_child> children, std::chrono::milliseconds patience) {
  ::setsid();  // whoever ends the server's process group does not end the watch
  release_standard_streams();
  const auto deadline = steady_clock::now() + patience;
  while (!children.empty() && steady_clock::now() < deadline) wait_for_exits(children, deadline);
  for (const auto& child : children) ::kill(-child.pid, SIGKILL);
  ::_exit(0);
}

}  // namespace

void keep_last_watch(std::span<const watched_child> children, std::chrono::milliseconds patience) {
  if (children.empty()) return;
  std::vector<watched_child> copied(children.begin(), children.end());
  if (::fork() == 0) watch(std::move(copied), patience);
}

}  // namespace awm::worker
