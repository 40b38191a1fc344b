// Order between processes, without sleeping.

#include "json.hpp"
#include "session.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mock {
namespace {

bool same_file(const std::string& path, int fd) {
  struct stat by_path {};
  struct stat by_fd {};
  return stat(path.c_str(), &by_path) == 0 && fstat(fd, &by_fd) == 0 && by_path.st_ino == by_fd.st_ino;
}

}  // namespace

/// A FIFO opens when its last writer is gone (that wakes any number of readers at once) or when something is written
/// to it; any other path opens when it is there.
bool session::wait_for_file(const std::string& path) {
  int const gate = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  struct stat info {};
  if (gate >= 0 && fstat(gate, &info) == 0 && S_ISFIFO(info.st_mode)) {
    // Who opens a gate puts a plain file in its place first and then closes it: this sees the one or the other.
    bool const go_on = same_file(path, gate) ? wait_until([] { return false; }, gate) : true;
    close(gate);
    return go_on;
  }
  if (gate >= 0) close(gate);
  if (gate >= 0) return true;
  int const watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  std::size_t const slash = path.rfind('/');
  std::string const folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  inotify_add_watch(watch, folder.c_str(), IN_CREATE | IN_MOVED_TO);
  bool go_on = true;
  while (go_on && stat(path.c_str(), &info) != 0) {
    go_on = wait_until([] { return false; }, watch);
    char events[4096];
    if (read(watch, events, sizeof events) < 0) continue;
  }
  close(watch);
  return go_on;
}

bool session::do_wait_file(directive& d) {
  return wait_for_file(d.rest);
}

bool session::do_touch(directive& d) {
  io_.flush();
  // A FIFO that nobody reads any more must not hold the process where no signal is seen.
  int const fd = open(d.rest.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0600);
  std::string const line = std::to_string(getpid()) + "\n";
  if (fd < 0 || write(fd, line.data(), line.size()) < 0) complain("mock-claude: cannot write " + d.rest);
  if (fd >= 0) close(fd);
  return true;
}

}  // namespace mock
