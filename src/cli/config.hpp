#pragma once

#include "manager/policy.hpp"
#include "worker/models.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace awm::cli {

/// What the program was told: by flags, else by the environment, else by the configuration file, else these.
struct config {
  /// A path, or a name to be found in PATH.
  std::string claude = "claude";
  std::filesystem::path log_dir = "logs";
  std::size_t max_workers = 0;  ///< 0: as many as the memory holds, see `workers_that_fit`
  /// What a worker may use, in bytes; 0: no limit.
  std::uint64_t worker_memory = 0;
  /// Of all turns together, in US dollars; 0: no limit.
  double budget_usd = 0;
  /// How many managers may stand below each other: with 1, workers start no workers.
  int max_depth = 1;
  /// How long the child of a completed turn stays, in seconds, and how many stay at most.
  int keep_warm_s = 300;
  std::size_t max_warm = 4;
  /// How many children are kept started for workers to come.
  std::size_t prewarm = 0;
  /// How often a turn that failed for a rate limit or an overload is taken up again, and how many seconds nothing
  /// starts after a refusal that does not say.
  int rate_limit_retries = 5;
  int rate_limit_pause_s = 60;
  std::string log_level = "info";
  std::string default_model = "sonnet";
  std::string sampling_model = "claude-sonnet-4-5";
  worker::sampling_table sampling;
  /// The allow, deny and ask rules of the file's table [permissions]; they hold for all workers.
  manager::permission_rules permissions;
  /// Who answers what no rule decides: `human`, `model`, or `auto`: the human where the client can ask one.
  std::string ask = "auto";
};

/// Reads the command line. `--help` and `--version` are printed and end the program with 0; what is wrong is printed,
/// with the name, the value and the fix, and ends it with 2: then `exit_code` is set and the configuration is not to be
/// used.
config read_config(int argc, char** argv, int& exit_code);

/// How many workers the machine takes: 256 MiB each, which leaves room for what a busy one and its tools use (98 to
/// 110 MiB measured without tools), of four fifths of the memory, and no more than 32 for a core; at least 4.
std::size_t workers_that_fit();

}  // namespace awm::cli
