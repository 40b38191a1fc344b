#pragma once

#include "worker/files.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <string>
#include <system_error>

namespace awm::manager {

/// Who decided. `remembered`: an earlier "always" did; `withdrawn`: nobody, the child took its question back.
enum class decided_by { rule, human, model, remembered, withdrawn };

/// How a question of a worker ended. Empty strings are left out of the log where the comment says so.
struct logged_decision {
  std::string worker_id;
  std::string description;
  std::string request_id;
  std::string tool;
  /// The tool's input as received: JSON text.
  std::string input;
  bool allowed = false;
  decided_by by = decided_by::human;
  std::string rule;    ///< the rule that decided; left out when empty
  std::string scope;   ///< what the decision also holds for; left out when empty
  std::string reason;  ///< left out when empty
};

/// Tells later who let which worker do what: one JSON object a line in `permissions.ndjson` in the log folder, with
/// `time`, `worker_id`, `description`, `request_id`, `tool`, `input`, `decision` (`allow` or `deny`), `by`, and `rule`,
/// `scope`, `reason` where there is one. Several managers may share the file. It is opened for each line, so that it
/// may be moved away at any time.
class permission_log {
 public:
  permission_log(worker::files& files, const std::filesystem::path& log_dir);

  const std::filesystem::path& path() const { return path_; }

  /// Appends one line; `when` becomes its time. Strings of the decision and of its input that are longer than 4 000
  /// characters are cut and say so. Returns what the file system refused; what was written by then is a line of its
  /// own, and the whole line follows with the next `append` or `catch_up` that can be done.
  std::error_code append(const logged_decision& decision, std::chrono::system_clock::time_point when);

  /// So many lines wait at most; of more the first are lost.
  static constexpr std::size_t most_waiting = 1000;
  bool is_behind() const { return !waiting_.empty(); }
  std::error_code catch_up();

 private:
  worker::files& files_;
  std::filesystem::path path_;
  std::deque<std::string> waiting_;
  bool line_is_open_ = false;
};

}  // namespace awm::manager
