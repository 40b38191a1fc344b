#include "worker/ledger.hpp"

#include "coro/join_until.hpp"
#include "coro/process_tree.hpp"
#include "text/json_text.hpp"
#include "worker/marker.hpp"
#include "worker/uuid.hpp"

#include <asio/posix/stream_descriptor.hpp>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace awm::worker {
namespace {

using namespace std::chrono_literals;
using coro::process_identity;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view name_begin = ".manager-";
constexpr std::string_view name_end = ".ndjson";
constexpr auto patience_after_interrupt = 2s;
constexpr auto patience_after_kill = 1s;
// Whoever was starting a process when it was killed has left one more.
constexpr int most_rounds = 5;
// Far more children than one manager starts in its life. What stands behind is found by its mark.
constexpr std::size_t most_bytes = std::size_t{4} * 1024 * 1024;
constexpr std::size_t most_ledgers = 256;  // at one start

std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

class descriptor {
 public:
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

 private:
  int fd_;
};

/// The ledger of a manager that is no more, locked by us.
struct abandoned_ledger {
  fs::path path;
  std::string manager_id;
  descriptor file;
  std::vector<process_identity> children;  // as far as they are alive and carry the mark
};

std::optional<std::string> manager_id_in(const std::string& name) {
  if (!name.starts_with(name_begin) || !name.ends_with(name_end)) return std::nullopt;
  if (name.size() <= name_begin.size() + name_end.size()) return std::nullopt;
  auto id = name.substr(name_begin.size(), name.size() - name_begin.size() - name_end.size());
  if (!is_uuid(id)) return std::nullopt;
  return id;
}

/// Opens and locks a ledger that nobody holds; a descriptor of -1 when it is held, or no file of ours.
descriptor take(const fs::path& path) {
  descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return descriptor(-1);
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid()) return descriptor(-1);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return descriptor(-1);
  return file;
}

std::vector<json> lines_of(int file) {
  std::string text(most_bytes, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto count = ::pread(file, text.data() + size, text.size() - size, static_cast<off_t>(size));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  std::vector<json> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    auto line = json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                            text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

std::optional<process_identity> identity_in(const json& line) {
  if (!line.is_object()) return std::nullopt;
  const auto pid = line.find("pid");
  const auto start_time = line.find("start_time");
  if (pid == line.end() || start_time == line.end()) return std::nullopt;
  if (!pid->is_number_unsigned() || !start_time->is_number_unsigned()) return std::nullopt;
  constexpr std::uint64_t highest_pid = std::uint64_t{1} << 22U;  // PID_MAX_LIMIT
  const auto number = pid->get<std::uint64_t>();
  if (number <= 1 || number > highest_pid) return std::nullopt;
  return process_identity{static_cast<pid_t>(number), start_time->get<std::uint64_t>()};
}

bool is_of_boot(const json& line, const std::string& boot) {
  if (!line.is_object()) return false;
  const auto found = line.find("boot_id");
  return found != line.end() && found->is_string() && found->get_ref<const std::string&>() == boot;
}

bool carries_mark(pid_t pid, std::string_view manager_id) {
  const auto environment = coro::environment_of(pid);
  const auto marks = coro::value_in(environment, child_variable);
  return marks && number_in(*marks, manager_id);
}

/// Of these lines, the children that may be ended.
std::vector<process_identity> children_in(const std::vector<json>& lines, const std::string& manager_id) {
  std::vector<process_identity> children;
  if (lines.size() < 2) return children;
  const auto users = coro::processes_of_this_user();
  const std::set<pid_t> of_this_user(users.begin(), users.end());
  for (auto line = std::next(lines.begin()); line != lines.end(); ++line) {
    const auto child = identity_in(*line);
    if (!child || child->pid == ::getpid() || !of_this_user.contains(child->pid)) continue;
    if (std::find(children.begin(), children.end(), *child) != children.end()) continue;
    if (coro::is_alive(*child) && carries_mark(child->pid, manager_id)) children.push_back(*child);
  }
  return children;
}

std::vector<abandoned_ledger> abandoned_ledgers_in(const fs::path& log_dir) {
  std::vector<abandoned_ledger> found;
  const auto boot = boot_id();
  std::error_code error;
  for (fs::directory_iterator entry(log_dir, error), end; !error && entry != end; entry.increment(error)) {
    if (found.size() == most_ledgers) break;
    const auto& path = entry->path();
    const auto manager_id = manager_id_in(path.filename().string());
    if (!manager_id) continue;
    auto file = take(path);
    if (file.get() < 0) continue;
    const auto lines = lines_of(file.get());
    if (lines.empty() || !is_of_boot(lines.front(), boot)) {
      ::unlink(path.c_str());
      continue;
    }
    const auto manager = identity_in(lines.front());
    if (manager && coro::is_alive(*manager)) continue;  // a copy of the folder
    if (carries_mark(::getpid(), *manager_id)) continue;
    auto children = children_in(lines, *manager_id);
    found.push_back({path, *manager_id, std::move(file), std::move(children)});
  }
  return found;
}

/// Tells when processes have ended that are not children of this one.
class end_watch {
 public:
  explicit end_watch(const asio::any_io_executor& executor) : state_(std::make_shared<state>(executor)) {}
  end_watch(const end_watch&) = delete;
  end_watch& operator=(const end_watch&) = delete;
  ~end_watch() {
    for (auto& descriptor : state_->descriptors) descriptor->close();
  }

  /// Signals the process if it is still the one that is meant, and counts it in.
  void add(const process_identity& process, int signal) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0));
    if (fd < 0) return;
    auto watched = std::make_shared<asio::posix::stream_descriptor>(state_->all_ended.get_executor(), fd);
    if (!coro::is_alive(process)) return;
    if (signal != 0) ::syscall(SYS_pidfd_send_signal, fd, signal, nullptr, 0U);
    ++state_->left;
    watched->async_wait(asio::posix::stream_descriptor::wait_read,
                        [state = std::weak_ptr(state_), watched](const std::error_code&) {
                          const auto alive = state.lock();
                          if (alive && --alive->left == 0) alive->all_ended.set();
                        });
    state_->descriptors.push_back(std::move(watched));
  }

  /// True once all have ended; false when the patience was over, or the wait cancelled, before.
  asio::awaitable<bool> wait(coro::clock& clock, std::chrono::steady_clock::duration patience) {
    if (state_->left == 0) co_return true;
    const auto end = co_await coro::join_until(state_->all_ended, clock, clock.now() + patience);
    co_return end == coro::join_end::joined;
  }

 private:
  struct state {
    explicit state(const asio::any_io_executor& executor) : all_ended(executor) {}
    coro::event all_ended;
    std::size_t left = 0;
    std::vector<std::shared_ptr<asio::posix::stream_descriptor>> descriptors;
  };
  std::shared_ptr<state> state_;
};

std::vector<process_identity> identities_of(const std::vector<pid_t>& pids) {
  std::vector<process_identity> identities;
  for (const pid_t pid : pids) {
    if (const auto facts = coro::facts_of(pid)) identities.push_back({pid, facts->start_time});
  }
  return identities;
}

std::vector<process_identity> children_of(const std::vector<abandoned_ledger>& ledgers) {
  std::vector<process_identity> children;
  for (const auto& ledger : ledgers) children.insert(children.end(), ledger.children.begin(), ledger.children.end());
  return children;
}

std::vector<process_identity> with_descendants(std::vector<process_identity> processes) {
  std::vector<pid_t> roots;
  for (const auto& process : processes) roots.push_back(process.pid);
  const auto below = coro::descendants_of(roots);
  processes.insert(processes.end(), below.begin(), below.end());
  return processes;
}

/// This process and those above it, whom no mark may make a leftover.
std::set<pid_t> own_line() {
  std::set<pid_t> line;
  for (pid_t pid = ::getpid(); pid > 1 && line.insert(pid).second;) {
    const auto facts = coro::facts_of(pid);
    pid = facts ? facts->parent : 0;
  }
  return line;
}

/// Who carries the mark of one of these managers, and who is left of `known`.
std::vector<pid_t> left_of(const std::vector<abandoned_ledger>& ledgers, const std::vector<process_identity>& known) {
  auto found = processes_marked([&](std::string_view marks) {
    return std::any_of(ledgers.begin(), ledgers.end(),
                       [&](const auto& ledger) { return number_in(marks, ledger.manager_id).has_value(); });
  });
  for (const auto& process : known) {
    if (coro::is_alive(process)) found.push_back(process.pid);
  }
  std::erase_if(found, [line = own_line()](pid_t pid) { return line.contains(pid); });
  return found;
}

}  // namespace

ledger::ledger(fs::path log_dir, std::string manager_id)
    : path_(std::move(log_dir) / (std::string(name_begin) + manager_id + std::string(name_end))),
      manager_id_(std::move(manager_id)) {}

ledger::~ledger() {
  if (file_ >= 0) ::close(file_);
}

bool ledger::open() {
  if (file_ >= 0) return true;
  const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return false;
  ::fchmod(file, 0600);  // with an odd umask the next manager could not read it
  struct stat status {};
  // Between the two calls another manager may have found an empty ledger that nobody holds, and removed it.
  const bool is_held = ::flock(file, LOCK_EX | LOCK_NB) == 0 && ::fstat(file, &status) == 0 && status.st_nlink > 0;
  if (!is_held) {
    ::close(file);
    return false;
  }
  file_ = file;
  const auto facts = coro::facts_of(::getpid());
  const json first = {{"pid", ::getpid()}, {"start_time", facts ? facts->start_time : 0}, {"boot_id", boot_id()}};
  unwritten_.insert(0, text::json_text(first) + "\n");
  return true;
}

void ledger::note(const process_identity& child, std::string_view worker_id) {
  const auto line = text::json_object("pid", child.pid, "start_time", child.start_time, "worker_id", worker_id);
  text::append_json(unwritten_, line);
  unwritten_ += '\n';
  if (open()) write();
}

void ledger::prepare() {
  if (open()) write();
}

void ledger::write() {
  if (unwritten_.empty()) return;
  const auto written = ::write(file_, unwritten_.data(), unwritten_.size());
  if (written > 0) unwritten_.erase(0, static_cast<std::size_t>(written));
}

void ledger::remove() {
  if (file_ < 0) return;
  ::unlink(path_.c_str());
  ::close(std::exchange(file_, -1));
}

asio::awaitable<std::size_t> end_leftovers(fs::path log_dir, coro::clock& clock) {
  // Cancelled or not, what was begun is brought to its end.
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto executor = co_await asio::this_coro::executor;
  const auto ledgers = abandoned_ledgers_in(log_dir);
  if (ledgers.empty()) co_return 0;

  const auto children = children_of(ledgers);
  const auto known = with_descendants(children);
  std::set<pid_t> ended;
  {
    end_watch interrupted(executor);
    for (const auto& child : children) {
      ended.insert(child.pid);
      interrupted.add(child, SIGINT);
    }
    co_await interrupted.wait(clock, patience_after_interrupt);
  }
  for (int round = 0; round < most_rounds; ++round) {
    const auto left = left_of(ledgers, known);
    if (left.empty()) break;
    const auto identities = identities_of(left);
    const auto killed = coro::kill_trees(left);
    ended.insert(killed.begin(), killed.end());
    end_watch dying(executor);
    for (const auto& process : identities) dying.add(process, 0);
    const bool all_ended = co_await dying.wait(clock, patience_after_kill);
    if (!all_ended) co_return ended.size();  // the ledgers stay, for the next one to look again
  }
  for (const auto& ledger : ledgers) ::unlink(ledger.path.c_str());
  co_return ended.size();
}

}  // namespace awm::worker
