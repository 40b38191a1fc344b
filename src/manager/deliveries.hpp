#pragma once

#include "worker/files.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <system_error>

namespace awm::manager {

/// Remembers which turns somebody was told of, over the life of the manager: a manager that comes back delivers the
/// others. A journal of one short line a delivery, because a transcript is too long to be written again for it.
class deliveries {
 public:
  /// `journal` is the file; nothing is read or written yet.
  deliveries(worker::files& files, std::filesystem::path journal) : files_(files), journal_(std::move(journal)) {}

  /// Reads what earlier managers noted. Lines that cannot be read are left out: their turns are delivered again.
  void load();

  bool contains(const std::string& worker_id, std::size_t turn) const;

  /// Notes that `turn` was delivered, or that it was not after all. It says nothing of the turns before: a later turn
  /// may reach the client first. What an error keeps from the disk is written by the next `note` or `catch_up` that can.
  std::error_code note(const std::string& worker_id, std::size_t turn, bool delivered);

  /// Something is not in the journal that should be.
  bool is_behind() const { return !unwritten_.empty(); }
  std::error_code catch_up();

 private:
  void apply(const std::string& worker_id, std::size_t turn, bool delivered);

  worker::files& files_;
  std::filesystem::path journal_;
  std::unique_ptr<worker::output_file> open_;
  std::string unwritten_;
  bool line_is_open_ = false;  // of the journal, the last one: it was cut short
  std::map<std::string, std::set<std::size_t>, std::less<>> delivered_;
};

}  // namespace awm::manager
