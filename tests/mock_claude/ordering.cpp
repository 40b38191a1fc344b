// Order between processes, without sleeping.

#include "gate.hpp"
#include "session.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace mock {
namespace {

bool same_file(const std::string& path, int fd) {
  struct stat by_path {};
  struct stat by_fd {};
  return stat(path.c_str(), &by_path) == 0 && fstat(fd, &by_fd) == 0 && by_path.st_ino == by_fd.st_ino;
}

}  // namespace

gate::gate(std::string path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  struct stat info {};
  if (fd_ >= 0 && fstat(fd_, &info) == 0 && S_ISFIFO(info.st_mode)) {
    fifo_ = true;
    // Who opens a gate puts a plain file in its place first and then closes it: this sees the one or the other.
    open_ = !same_file(path_, fd_);
    return;
  }
  open_ = fd_ >= 0;
  if (open_) return;
  fd_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  std::size_t const slash = path_.rfind('/');
  std::string const folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  inotify_add_watch(fd_, folder.c_str(), IN_CREATE | IN_MOVED_TO);
}

gate::gate(gate&& other) noexcept
    : path_(std::move(other.path_)), fd_(other.fd_), fifo_(other.fifo_), open_(other.open_) {
  other.fd_ = -1;
}

gate::~gate() {
  if (fd_ >= 0) close(fd_);
}

bool gate::open() {
  if (open_) return true;
  if (fifo_) {
    pollfd watched{fd_, POLLIN, 0};
    open_ = poll(&watched, 1, 0) > 0;
    return open_;
  }
  char events[4096];
  while (read(fd_, events, sizeof events) > 0) continue;
  struct stat info {};
  open_ = stat(path_.c_str(), &info) == 0;
  return open_;
}

bool session::wait_for_file(const std::string& path) {
  gate until(path);
  while (!until.open())
    if (!wait_until([] { return false; }, until.fd())) return false;
  return true;
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
