#pragma once
// The third seam, simulated: a disk that outlives every server. It fails as the weather has it, and a server can be
// killed at any of its operations; whatever it does from then on has no effect.

#include "checks.hpp"
#include "setting.hpp"
#include "worker/files.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace awm::simulation {

/// One life of the server.
struct process {
  bool is_alive = true;
  /// It dies at the operation on a file that counts this down to zero; 0: it does not.
  std::size_t operations_to_live = 0;
  /// Only operations on a name that ends so count; empty: all.
  std::string deadly_suffix;
};

class disk {
 public:
  struct file {
    std::string bytes;
    std::uint64_t version = 0;
    std::size_t writers = 0;
  };
  enum class mood { well, full, failing };

  disk(setting& shared, checks& told) : shared_(shared), checks_(told) {}

  std::map<std::filesystem::path, std::shared_ptr<file>> files;
  std::set<std::filesystem::path> directories;
  std::map<std::pair<std::filesystem::path, std::uint64_t>, const process*> locks;

  /// What a server's process sees of it.
  std::unique_ptr<worker::files> mount(std::shared_ptr<process> whose);

  /// Changes its mood now and then, for as long as the world goes on.
  void begin_weather();
  mood current() const { return shared_.sky.disk_fails ? mood_ : mood::well; }
  /// On a full disk, what still fits.
  std::size_t room = 0;

  /// The locks of a process that is gone.
  void release(const process& gone);

 private:
  friend class mounted_disk;
  friend class open_file;
  /// The error with which an operation on `path` fails; none when it goes well.
  std::error_code trouble(process& whose, const std::filesystem::path& path);
  void changed(const std::filesystem::path& path);
  void refused(const std::filesystem::path& path);

  setting& shared_;
  checks& checks_;
  mood mood_ = mood::well;
  std::uint64_t versions_ = 0;
};

}  // namespace awm::simulation
