#pragma once
// A manager that is killed cannot end its workers, and not every worker heeds the signal that the kernel then sends it.
// So a manager writes down whom it started, and the next one in the same log folder ends whom it finds of them.

#include "coro/clock.hpp"
#include "coro/process_tree.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace awm::worker {

/// The file `<log folder>/.manager-<UUID>.ndjson`, mode 0600. It is created with the first child, and held locked
/// (flock(2)) until this is destroyed or the process ends. Its first line is
/// `{"pid":…,"start_time":…,"boot_id":"…"}` of the manager; each further one is
/// `{"pid":…,"start_time":…,"worker_id":"…"}` of a child. Start times as in /proc/PID/stat, field 22.
class ledger {
 public:
  /// Nothing is written yet. `manager_id`: a UUID.
  ledger(std::filesystem::path log_dir, std::string manager_id);
  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;
  ~ledger();

  const std::string& manager_id() const { return manager_id_; }
  const std::filesystem::path& path() const { return path_; }
  /// The open file, which holds the lock; -1 while there is none.
  int descriptor() const { return file_; }

  /// Puts the file there, so that a child that starts now is found by its mark also when this process is killed before
  /// it is noted.
  void prepare();

  /// Adds a child. Where it cannot be written, as long as there is no log folder, it is kept for the next time.
  void note(const coro::process_identity& child, std::string_view worker_id);

  /// The orderly end: no child is left.
  void remove();

 private:
  bool open();
  void write();

  std::filesystem::path path_;
  std::string manager_id_;
  std::string unwritten_;
  int file_ = -1;
};

/// Ends what managers that were killed left behind: for each ledger in `log_dir` that nobody holds locked, its children
/// and whatever carries that manager's mark. They get SIGINT, on which the CLI ends its tools, and those that are still
/// there after two seconds SIGKILL with their descendants. Then the ledger is removed; one of another boot is just
/// removed.
///
/// A ledger names nobody who does not belong to it: of its children only a process of this user counts that has the
/// very start time and carries the mark of that ledger's manager. The ledger of a manager that lives is left alone, as
/// is one to whose workers this process itself belongs.
///
/// Returns how many processes were ended. Cancellation: no more patience, SIGKILL at once; the ledger stays where it
/// was not seen that they are gone.
asio::awaitable<std::size_t> end_leftovers(std::filesystem::path log_dir, coro::clock& clock);

}  // namespace awm::worker
