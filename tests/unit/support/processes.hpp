#pragma once
// Little processes for tests: seen to end without being their parent, and heard of through a named pipe.
// `tail -f` ends by itself when its stdout is a pipe that nobody reads: one that is to survive needs another stdout.

#include "coro/process_tree.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <utility>

namespace awm::test {

/// Holds on to one process, whatever becomes of its number. Kills it in the end, so that a failing test leaves nothing.
class process_handle {
 public:
  explicit process_handle(pid_t pid) : fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  process_handle(process_handle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  process_handle& operator=(process_handle&&) = delete;
  ~process_handle() {
    if (fd_ < 0) return;
    ::syscall(SYS_pidfd_send_signal, fd_, SIGKILL, nullptr, 0U);
    ::close(fd_);
  }

  bool has_ended() const { return ends_within(0); }
  /// Waits for the end, at most so long that only a broken test notices.
  bool ends() const { return ends_within(20'000); }

 private:
  bool ends_within(int milliseconds) const {
    if (fd_ < 0) return true;
    pollfd entry{fd_, POLLIN, 0};
    return ::poll(&entry, 1, milliseconds) == 1;
  }

  int fd_;
};

/// A named pipe on which processes announce themselves, `echo $$ > path`, and one that nobody ever writes to: a shell
/// that has announced itself stays by `read nothing < path.never`. (With `exec tail` it could be looked at in the
/// middle of the exec, when it has no environment.)
class announcements {
 public:
  explicit announcements(std::filesystem::path path) : path_(std::move(path)) {
    ::mkfifo(path_.c_str(), 0600);
    ::mkfifo((path_.native() + ".never").c_str(), 0600);
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);  // for writing too: it must not end with its writers
  }
  announcements(const announcements&) = delete;
  announcements& operator=(const announcements&) = delete;
  ~announcements() { ::close(fd_); }

  const std::string& path() const { return path_.native(); }

  /// The next pid that was announced; blocks until there is one.
  pid_t next() const {
    std::string digits;
    for (char character = 0; ::read(fd_, &character, 1) == 1 && character != '\n';) digits += character;
    return std::stoi(digits);
  }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

/// Reaps what has ended, so that a test after this one finds no child of this process.
inline void reap_everything() {
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
}

}  // namespace awm::test
