#pragma once
// What a worker may use of the machine's memory. The kernel has two ways to say so. A cgroup (v2) holds a worker
// together with all that it starts, counts what is really used, and ends the whole group when that is too much; but one
// has to be writable, and that takes a delegation. RLIMIT_DATA is always there. It holds for each process by itself and
// counts what is reserved as well: the CLI starts with 1 GiB (with 800 MB 2.1.197 says its version, and with 700 MB no
// session begins), although it uses 150 MB. RLIMIT_AS is of no use: node and its like reserve address space by the
// hundred gigabytes.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace awm::worker {

struct memory_limit {
  std::uint64_t bytes = 0;
  /// The cgroup below which every child gets its own; empty: RLIMIT_DATA.
  std::filesystem::path parent_group = {};
};

/// Below this no CLI starts under RLIMIT_DATA.
inline constexpr std::uint64_t least_data_limit = std::uint64_t{1} << 30U;

/// "512M", "2 GiB", "1073741824": the units K, M, G and T are powers of 1024. Nothing for what is no size, or is 0.
std::optional<std::uint64_t> size_from(std::string_view text);
/// The shortest of those that says the same: "512 MiB".
std::string size_in_words(std::uint64_t bytes);

/// The mount point of the cgroup v2 hierarchy, and where this process is in it; empty where there is none.
/// `mountinfo` and `membership` are /proc/self/mountinfo and /proc/self/cgroup.
struct cgroup_place {
  std::filesystem::path mount;
  std::filesystem::path group;  // below `mount`
};
std::optional<cgroup_place> cgroup_from(std::string_view mountinfo, std::string_view membership);

/// The nearest group at or above `place` that limits its children's memory already and in which a child can be made:
/// nothing is changed about groups that are there. Empty: there is none.
std::filesystem::path writable_group(const cgroup_place& place);
/// The same for this process.
std::filesystem::path writable_group();

/// Removes groups that managers left which were killed, as far as nobody is in them.
void remove_empty_groups(const std::filesystem::path& parent);

/// One child's group. Destroying it removes it, if all that was in it has ended.
class memory_group {
 public:
  /// Nothing comes back when it cannot be made or limited; `error` says why.
  static std::unique_ptr<memory_group> make(const memory_limit& limit, const std::string& name, std::error_code& error);
  ~memory_group();
  memory_group(const memory_group&) = delete;
  memory_group& operator=(const memory_group&) = delete;

  /// The file into which a process writes "0" to enter.
  std::string entrance() const { return (path_ / "cgroup.procs").string(); }
  /// The kernel ended it because it used too much.
  bool ran_out() const;

 private:
  explicit memory_group(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

/// What to say of a child that ended by itself, without a result, under a limit; empty: the limit has nothing to do
/// with it. `ran_out`: the kernel said so. Without that, RLIMIT_DATA leaves traces only: how the child died, or what it
/// said.
std::string memory_hint(const memory_limit& limit, bool ran_out, int exit_code, std::string_view error_tail);

}  // namespace awm::worker
