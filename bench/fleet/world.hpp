#pragma once
// What a scenario stands in: a folder of its own, a server in it, and the FIFOs by which workers and bench meet.

#include "fleet/client.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace awm::bench {

/// A new folder, removed with all that is in it.
class scratch_folder {
 public:
  explicit scratch_folder(const std::filesystem::path& below);
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Holds workers: each that is told ` arrive=… gate=…` says that it is there, and goes on when the gate opens.
class gate {
 public:
  gate(const std::filesystem::path& folder, const std::string& name);
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;
  ~gate();

  /// What a prompt has to say.
  const std::string& words() const { return words_; }
  /// Waits until so many are there; fewer come back when none came for `patience_ms`.
  std::size_t await(std::size_t count, int patience_ms);
  void open();

 private:
  std::filesystem::path arrivals_path_;
  std::filesystem::path gate_path_;
  std::string words_;
  int arrivals_ = -1;
  int gate_ = -1;
};

/// How to start what is measured.
struct subject {
  /// Where async-worker-manager and bench_worker are.
  std::filesystem::path bin;
  /// Another server with the same tools; empty: ours.
  std::vector<std::string> command;
  /// Further arguments.
  std::vector<std::string> arguments;
  std::filesystem::path scratch;
  std::size_t at_once = 100;
  /// RLIMIT_NOFILE of the server, soft and hard; 0: as it is.
  std::size_t soft_descriptors = 0;
  std::size_t hard_descriptors = 0;

  std::filesystem::path worker() const { return bin / "bench_worker"; }
};

/// Starts it in `folder`, with a HOME of its own.
std::unique_ptr<server> start_server(const subject& wanted, const std::filesystem::path& folder);

}  // namespace awm::bench
