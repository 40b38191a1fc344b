#pragma once

#include "worker/files.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
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

  /// The number of the last turn that was delivered; 0 for none.
  std::size_t last_delivered(const std::string& worker_id) const;

  /// Notes that `turn` and those before it were delivered. What an error keeps from the disk is written by the next
  /// `note` or `catch_up` that can.
  std::error_code note(const std::string& worker_id, std::size_t turn);

  /// Something is not in the journal that should be.
  bool is_behind() const { return !unwritten_.empty(); }
  std::error_code catch_up();

 private:
  worker::files& files_;
  std::filesystem::path journal_;
  std::unique_ptr<worker::output_file> open_;
  std::string unwritten_;
  std::map<std::string, std::size_t, std::less<>> delivered_;
};

}  // namespace awm::manager
