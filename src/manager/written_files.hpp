#pragma once
// Workers run side by side, often in one checkout. Their caller wants to know which files each of them wrote, and which
// files more than one did: there one may have undone the other's work, and nobody was told.

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace awm::manager {

/// What one worker's file tools wrote: `Write`, `Edit`, `MultiEdit`, `NotebookEdit`. What its shell commands wrote is
/// not known.
class written_files {
 public:
  /// More paths than these are only counted.
  static constexpr std::size_t most_files = 1000;
  /// Calls that wait for their answer; of more the oldest are forgotten. A reply has some ten.
  static constexpr std::size_t most_calls = 1000;
  /// Longer paths are no paths of this system (PATH_MAX, limits.h) and are left out.
  static constexpr std::size_t longest_path = 4096;

  /// `cwd` is absolute: the worker's.
  explicit written_files(std::string cwd) : cwd_(std::move(cwd)) {}

  /// The worker called a tool. `file_path` is what the call names as `file_path`, or as `notebook_path`. Other tools
  /// and calls that were seen before are of no account.
  void used(std::string_view tool_use_id, std::string_view tool, std::string_view file_path);

  /// The tool answered. Returns the path that it wrote now, normal and absolute, also when it is past `most_files` or
  /// was written before; empty when this answer is of no account: to be handed to `write_conflicts::wrote`.
  std::string answered(std::string_view tool_use_id, bool is_error);

  /// Absolute and lexically normal, in the order of the first write, each once.
  std::vector<std::string> files() const { return files_; }

  /// Writes to paths that are not among `files()`, because there are too many. A path that was written twice counts
  /// twice.
  std::size_t more() const { return more_; }

 private:
  std::string cwd_;
  std::unordered_map<std::string, std::string> calls_;  // id and path, of those without an answer
  std::deque<std::string> call_order_;                  // may name calls that were answered
  std::vector<std::string> files_;
  std::unordered_set<std::string> known_;
  std::size_t more_ = 0;
};

/// Another worker wrote the same file, at whatever time.
struct conflict {
  std::string path;
  std::string other_worker_id;
  std::string other_description;

  bool operator==(const conflict&) const = default;
};

/// Who wrote what, over all workers of this manager.
class write_conflicts {
 public:
  /// Of more paths those that were written longest ago are forgotten.
  static constexpr std::size_t most_paths = 100'000;
  /// Of more writers of one path the first are known.
  static constexpr std::size_t most_writers = 16;
  /// `conflicts_of` returns at most so many.
  static constexpr std::size_t most_conflicts = 100;

  explicit write_conflicts(std::size_t paths = most_paths) : most_paths_(paths) {}

  /// The name under which the worker appears in others' conflicts; the last one counts.
  void describe(const std::string& worker_id, std::string description);

  /// `path` as `written_files::answered` returned it; an empty one is of no account.
  void wrote(const std::string& worker_id, const std::string& path);

  /// In the order of the worker's own first writes, then of the others' first writes of the file.
  std::vector<conflict> conflicts_of(const std::string& worker_id) const;

  /// Forgets the worker: its transcript was removed, or its conflicts are of no interest any more.
  void forget(const std::string& worker_id);

 private:
  struct path_record {
    std::vector<std::string> writers;
    std::size_t age = 0;  // key in `by_age_`
  };
  struct worker_record {
    std::string description;
    std::map<std::size_t, std::string> paths;  // by the count of the first write
  };

  void forget_oldest();
  void leave(const std::string& worker_id, const std::string& path);

  std::size_t most_paths_;
  std::size_t writes_ = 0;  // counts up: the order of all writes
  std::unordered_map<std::string, path_record> paths_;
  std::map<std::size_t, std::string> by_age_;
  std::unordered_map<std::string, worker_record> workers_;
};

}  // namespace awm::manager
