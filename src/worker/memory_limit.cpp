#include "worker/memory_limit.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fstream>
#include <limits>
#include <sstream>
#include <utility>

namespace awm::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view group_prefix = "awm-";
constexpr unsigned int bits_of_a_unit = 10;
constexpr std::string_view units = "KMGT";

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::error_code write_to(const fs::path& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return {errno, std::generic_category()};
  const auto written = ::write(fd, text.data(), text.size());
  const int error = written < 0 ? errno : 0;
  ::close(fd);
  return {error, std::generic_category()};
}

bool has_word(const std::string& text, std::string_view wanted) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == wanted) return true;
  }
  return false;
}

/// In /proc/self/mountinfo a blank is written as \040 (proc_pid_mountinfo(5)).
std::string unescaped(std::string_view text) {
  constexpr std::size_t digits = 3;
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned int code = 0;
    const bool is_escape = text[at] == '\\' && at + digits < text.size() &&
                           std::from_chars(&text[at + 1], &text[at + 1] + digits, code, 8).ec == std::errc{};
    plain += is_escape ? static_cast<char>(code) : text[at];
    if (is_escape) at += digits;
  }
  return plain;
}

bool says(std::string_view text, std::string_view words) {
  return text.find(words) != std::string_view::npos;
}

}  // namespace

std::optional<std::uint64_t> size_from(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number == 0) return std::nullopt;
  std::string unit;
  for (const char character : text.substr(static_cast<std::size_t>(end - text.data()))) {
    if (character != ' ') unit += static_cast<char>(std::toupper(static_cast<unsigned char>(character)));
  }
  if (unit.ends_with("IB")) {
    unit.resize(unit.size() - 2);
    if (unit.empty()) return std::nullopt;
  } else if (unit.ends_with('B')) {
    unit.pop_back();
  }
  if (unit.empty()) return number;
  const auto power = units.find(unit);
  if (unit.size() != 1 || power == std::string_view::npos) return std::nullopt;
  const auto bits = bits_of_a_unit * static_cast<unsigned int>(power + 1);
  if (number > std::numeric_limits<std::uint64_t>::max() >> bits) return std::nullopt;
  return number << bits;
}

std::string size_in_words(std::uint64_t bytes) {
  constexpr std::uint64_t unit = 1024;
  std::size_t power = 0;
  for (; power < units.size() && bytes % unit == 0 && bytes > 0; ++power) bytes /= unit;
  return std::to_string(bytes) + (power == 0 ? " bytes" : std::string(" ") + units[power - 1] + "iB");
}

std::optional<cgroup_place> cgroup_from(std::string_view mountinfo, std::string_view membership) {
  cgroup_place place;
  std::string root;
  std::istringstream mounts{std::string(mountinfo)};
  for (std::string line; std::getline(mounts, line);) {
    // 36 35 98:0 /root /mount/point options … - type source options
    const auto separator = line.find(" - ");
    if (separator == std::string::npos || !line.substr(separator + 3).starts_with("cgroup2 ")) continue;
    std::istringstream fields(line);
    std::string ignored;
    std::string point;
    fields >> ignored >> ignored >> ignored >> root >> point;
    place.mount = unescaped(point);
    root = unescaped(root);
    break;
  }
  if (place.mount.empty()) return std::nullopt;
  std::istringstream lines{std::string(membership)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("0::/")) continue;
    // What is mounted may be a part of the hierarchy only.
    const auto below = fs::path(line.substr(3)).lexically_relative(root);
    if (below.empty() || *below.begin() == "..") return std::nullopt;
    place.group = below == "." ? fs::path() : below;
    return place;
  }
  return std::nullopt;
}

fs::path writable_group(const cgroup_place& place) {
  for (auto below = place.group;; below = below.parent_path()) {
    const auto group = below.empty() ? place.mount : place.mount / below;
    if (has_word(text_of(group / "cgroup.subtree_control"), "memory")) {
      std::error_code error;
      const auto probe = memory_group::make({least_data_limit, group}, "probe-" + std::to_string(::getpid()), error);
      // To enter it takes the right to leave where this process is.
      if (probe && ::access((group / "cgroup.procs").c_str(), W_OK) == 0) return group;
    }
    if (below.empty()) return {};
  }
}

fs::path writable_group() {
  const auto place = cgroup_from(text_of("/proc/self/mountinfo"), text_of("/proc/self/cgroup"));
  return place ? writable_group(*place) : fs::path();
}

void remove_empty_groups(const fs::path& parent) {
  std::error_code error;
  for (fs::directory_iterator entry(parent, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().starts_with(group_prefix)) ::rmdir(entry->path().c_str());
  }
}

std::unique_ptr<memory_group> memory_group::make(const memory_limit& limit, const std::string& name,
                                                 std::error_code& error) {
  const auto path = limit.parent_group / (std::string(group_prefix) + name);
  error = {};
  if (::mkdir(path.c_str(), 0700) != 0) {
    error = {errno, std::generic_category()};
    return nullptr;
  }
  std::unique_ptr<memory_group> made(new memory_group(path));
  error = write_to(path / "memory.max", std::to_string(limit.bytes));
  if (error) return nullptr;
  // Missing in older kernels, or without swap: the limit itself holds.
  write_to(path / "memory.swap.max", "0");
  write_to(path / "memory.oom.group", "1");
  return made;
}

memory_group::~memory_group() {
  ::rmdir(path_.c_str());
}

bool memory_group::ran_out() const {
  std::istringstream events(text_of(path_ / "memory.events"));
  std::string name;
  for (std::uint64_t count = 0; events >> name >> count;) {
    if (name == "oom_kill" && count > 0) return true;
  }
  return false;
}

std::string memory_hint(const memory_limit& limit, bool ran_out, int exit_code, std::string_view error_tail) {
  constexpr std::array deaths{-SIGABRT, -SIGTRAP, -SIGSEGV, -SIGILL, -SIGBUS};
  constexpr std::array<std::string_view, 5> words{"ut of memory", "bad_alloc", "annot allocate memory",
                                                  "emory is exhausted", "MemoryExhaustion"};
  const bool is_by_group = !limit.parent_group.empty();
  if (is_by_group && !ran_out) return {};
  const bool looks_so =
      std::find(deaths.begin(), deaths.end(), exit_code) != deaths.end() ||
      std::any_of(words.begin(), words.end(), [&](std::string_view sign) { return says(error_tail, sign); });
  if (!is_by_group && !looks_so) return {};
  return std::string(is_by_group ? "It" : "Perhaps it") + " ran out of memory: --worker-memory allows " +
         size_in_words(limit.bytes) +
         (is_by_group ? " to a worker and all that it starts" : " to each process of a worker") +
         ". Give it less to do at once, or the server a larger --worker-memory.";
}

}  // namespace awm::worker
