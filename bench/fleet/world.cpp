#include "fleet/world.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace awm::bench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int make_fifo(const fs::path& path) {
  if (::mkfifo(path.c_str(), 0600) != 0) fail(path);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);  // does not wait for the other end, unlike one way alone
  if (fd < 0) fail(path);
  return fd;
}

/// Limits that a child inherits, and that are put back.
class descriptor_limits {
 public:
  descriptor_limits(std::size_t soft, std::size_t hard) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    auto wanted = before_;
    if (hard > 0) wanted.rlim_max = hard;
    wanted.rlim_cur = soft > 0 ? soft : std::min(wanted.rlim_cur, wanted.rlim_max);
    is_changed_ = soft > 0 || hard > 0;
    if (is_changed_ && ::setrlimit(RLIMIT_NOFILE, &wanted) != 0) fail("setrlimit");
  }
  descriptor_limits(const descriptor_limits&) = delete;
  descriptor_limits& operator=(const descriptor_limits&) = delete;
  ~descriptor_limits() {
    if (is_changed_) ::setrlimit(RLIMIT_NOFILE, &before_);  // raises the hard limit again: for root only
  }

 private:
  rlimit before_{};
  bool is_changed_ = false;
};

}  // namespace

scratch_folder::scratch_folder(const fs::path& below) {
  auto name = (below / "awm-fleet-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) fail(name);
  path_ = name;
}

scratch_folder::~scratch_folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

gate::gate(const fs::path& folder, const std::string& name)
    : arrivals_path_(folder / (name + ".arrivals")),
      gate_path_(folder / (name + ".gate")),
      words_(" arrive=" + arrivals_path_.string() + " gate=" + gate_path_.string()),
      arrivals_(make_fifo(arrivals_path_)),
      gate_(make_fifo(gate_path_)) {}

gate::~gate() {
  open();
  ::close(arrivals_);
  std::error_code ignored;
  fs::remove(arrivals_path_, ignored);
}

std::size_t gate::await(std::size_t count, int patience_ms) {
  std::size_t here = 0;
  std::array<char, 4096> arrived;
  while (here < count) {
    check_interrupts();
    pollfd looked_at{arrivals_, POLLIN, 0};
    const int ready = ::poll(&looked_at, 1, patience_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    const auto size = ::read(arrivals_, arrived.data(), std::min(arrived.size(), count - here));
    if (size > 0) here += static_cast<std::size_t>(size);
  }
  return here;
}

void gate::open() {
  // Removed first: who comes later finds none, and goes on.
  std::error_code ignored;
  fs::remove(gate_path_, ignored);
  if (gate_ >= 0) ::close(std::exchange(gate_, -1));
}

std::unique_ptr<server> start_server(const subject& wanted, const fs::path& folder) {
  server_options options;
  options.command = wanted.command;
  if (options.command.empty()) {
    options.command = {wanted.bin / "async-worker-manager", "--claude",      wanted.worker(),
                       "--log-dir",                         folder / "logs", "--max-workers",
                       std::to_string(wanted.at_once),      "--log-level",   "error"};
  }
  options.command.insert(options.command.end(), wanted.arguments.begin(), wanted.arguments.end());
  const char* const path = std::getenv("PATH");
  options.environment = {std::string("PATH=") + (path != nullptr ? path : "/usr/bin:/bin"), "HOME=" + folder.string(),
                         "BENCH_WORKER=" + wanted.worker().string(), "LANG=C.UTF-8"};
  options.working_directory = folder;
  const descriptor_limits limits(wanted.soft_descriptors, wanted.hard_descriptors);
  return std::make_unique<server>(options);
}

}  // namespace awm::bench
