#include "process_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <map>
#include <memory>
#include <set>

namespace awm::coro {
namespace {

/// The names in a directory of /proc that are numbers.
std::vector<pid_t> numbers_in(const std::string& directory) {
  std::vector<pid_t> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
  if (!entries) return found;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    pid_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && end == name.data() + name.size()) found.push_back(number);
  }
  return found;
}

/// A file of /proc, which has no size beforehand. Empty when it cannot be read.
std::string contents_of(const std::string& path) {
  std::string text;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto size = ::read(file, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  ::close(file);
  return text;
}

/// What one read of a file of /proc gives; a short one comes whole.
std::string_view beginning_of(const std::string& path, std::span<char> buffer) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  const auto size = ::read(file, buffer.data(), buffer.size());
  ::close(file);
  return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

void add_numbers(std::string_view text, std::vector<pid_t>& into) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    pid_t number = 0;
    const auto parsed = std::from_chars(at, end, number);
    if (parsed.ec == std::errc{}) into.push_back(number);
    at = parsed.ptr == at ? at + 1 : parsed.ptr;
  }
}

template <class Number>
Number to_number(std::string_view text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool may_be_signalled(pid_t pid) {
  return pid > 1 && pid != ::getpid();
}

/// Stops the processes and what is below them, as far as it is not in `stopped` yet. True when somebody was new.
bool stop_trees(std::span<const pid_t> roots, std::set<pid_t>& stopped) {
  bool is_new = false;
  std::vector<pid_t> open(roots.begin(), roots.end());
  std::set<pid_t> visited;
  while (!open.empty()) {
    const pid_t pid = open.back();
    open.pop_back();
    if (!may_be_signalled(pid) || !visited.insert(pid).second) continue;
    if (!stopped.contains(pid) && ::kill(pid, SIGSTOP) == 0) {
      stopped.insert(pid);
      is_new = true;
    }
    for (const pid_t child : children_of(pid)) open.push_back(child);
  }
  return is_new;
}

}  // namespace

std::error_code become_subreaper() {
  struct sigaction action {};
  ::sigaction(SIGCHLD, nullptr, &action);
  if (action.sa_handler == SIG_IGN || (action.sa_flags & SA_NOCLDWAIT) != 0) ::signal(SIGCHLD, SIG_DFL);
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0) return {};
  return {errno, std::generic_category()};
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  const auto threads = folder_of(pid) + "/task";
  for (const pid_t thread : numbers_in(threads)) {
    add_numbers(contents_of(threads + "/" + std::to_string(thread) + "/children"), children);
  }
  return children;
}

std::optional<process_facts> facts_of(pid_t pid) {
  std::array<char, 1024> buffer;  // about 300 bytes are used
  const auto line = beginning_of(folder_of(pid) + "/stat", buffer);
  // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
  const auto name_end = line.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  constexpr std::size_t state_field = 3;
  constexpr std::size_t parent_field = 4;
  constexpr std::size_t start_time_field = 22;
  process_facts facts;
  std::string_view rest = line.substr(name_end + 1);
  for (std::size_t field = state_field; field <= start_time_field; ++field) {
    if (rest.empty()) return std::nullopt;
    rest.remove_prefix(1);
    const auto value = rest.substr(0, rest.find(' '));
    if (value.empty()) return std::nullopt;
    if (field == state_field) facts.state = value.front();
    if (field == parent_field) facts.parent = to_number<pid_t>(value);
    if (field == start_time_field) facts.start_time = to_number<std::uint64_t>(value);
    rest.remove_prefix(value.size());
  }
  return facts;
}

bool is_alive(const process_identity& process) {
  const auto facts = facts_of(process.pid);
  return facts && facts->start_time == process.start_time && facts->state != 'Z' && facts->state != 'X';
}

std::error_code signal(const process_identity& process, int signal) {
  const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0U));
  if (descriptor < 0) return {errno, std::generic_category()};
  // The descriptor holds on to one process; now look which one that is.
  std::error_code error = std::make_error_code(std::errc::no_such_process);
  if (is_alive(process)) {
    const auto result = ::syscall(SYS_pidfd_send_signal, descriptor, signal, nullptr, 0U);
    error = result == 0 ? std::error_code{} : std::error_code{errno, std::generic_category()};
  }
  ::close(descriptor);
  return error;
}

std::vector<process_identity> descendants_of(std::span<const pid_t> roots) {
  std::multimap<pid_t, process_identity> by_parent;
  for (const pid_t pid : numbers_in("/proc")) {
    if (const auto facts = facts_of(pid)) by_parent.emplace(facts->parent, process_identity{pid, facts->start_time});
  }
  std::vector<process_identity> found;
  std::set<pid_t> seen(roots.begin(), roots.end());
  std::vector<pid_t> open(roots.begin(), roots.end());
  while (!open.empty()) {
    const auto [begin, end] = by_parent.equal_range(open.back());
    open.pop_back();
    for (auto child = begin; child != end; ++child) {
      if (!seen.insert(child->second.pid).second) continue;
      open.push_back(child->second.pid);
      found.push_back(child->second);
    }
  }
  return found;
}

std::string environment_of(pid_t pid) {
  return contents_of(folder_of(pid) + "/environ");
}

std::optional<std::string_view> value_in(std::string_view environment, std::string_view name) {
  while (!environment.empty()) {
    const auto assignment = environment.substr(0, environment.find('\0'));
    if (assignment.size() > name.size() && assignment.starts_with(name) && assignment[name.size()] == '=') {
      return assignment.substr(name.size() + 1);
    }
    environment.remove_prefix(std::min(assignment.size() + 1, environment.size()));
  }
  return std::nullopt;
}

std::vector<pid_t> processes_of_this_user() {
  auto found = numbers_in("/proc");
  std::erase_if(found, [user = ::geteuid()](pid_t pid) {
    struct stat status {};
    if (::stat(folder_of(pid).c_str(), &status) != 0 || status.st_uid != user) return true;
    const auto facts = facts_of(pid);
    return !facts || facts->state == 'Z' || facts->state == 'X';
  });
  return found;
}

std::vector<pid_t> kill_trees(std::span<const pid_t> roots) {
  std::set<pid_t> stopped;
  // A process that was starting a child when it was stopped has it a moment later: again, until nobody is new.
  while (stop_trees(roots, stopped)) {
  }
  for (const pid_t pid : stopped) ::kill(pid, SIGKILL);
  return {stopped.begin(), stopped.end()};
}

}  // namespace awm::coro
