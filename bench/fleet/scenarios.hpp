#pragma once
// What is done to a server, and what it cost. Each returns its figures as JSON: times in seconds unless the name says
// otherwise, sizes in bytes.

#include "fleet/world.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>

namespace awm::bench {

/// What the workers of a fleet do.
struct fleet_load {
  std::size_t workers = 100;
  /// `quiet`, `chatty`, `bursts`, `giant`, `permissions`, `failures`, `resumes`, or a prompt for bench_worker.
  std::string mix = "quiet";
  /// All are there at the same time before the first ends.
  bool hold = false;
};

/// The prompts of a mix, used in turn; throws std::invalid_argument for a word that is none.
std::vector<std::string> prompts_of(const std::string& mix);

/// Spawns them, answers what they ask, resumes them where the mix says so, and collects them all. `delivered` counts
/// turns, `lost` those that no wait gave, `twice` those that came again.
nlohmann::json run_fleet(const subject& wanted, const fleet_load& load);

/// The same without a server: the manager in this process. Ends when the last result was collected.
nlohmann::json run_in_process(const subject& wanted, const fleet_load& load);

/// How long a result, a question and an approval take, `samples` times, beside so many workers that print
/// `rate` lines a second each.
nlohmann::json measure_latency(const subject& wanted, std::size_t samples, std::size_t beside, std::size_t rate);

/// What the server's memory is: new, with workers that run, and with workers whose processes are kept warm. Once with
/// short transcripts and once with `lines` of 1 KiB.
nlohmann::json measure_memory(const subject& wanted, std::size_t workers, std::size_t lines);

/// From before the process to its first reply.
nlohmann::json measure_start(const subject& wanted, std::size_t times);

/// What a wait brings into the caller's context, for so many results of `size` bytes.
nlohmann::json measure_context(const subject& wanted, std::size_t workers, std::size_t size);

}  // namespace awm::bench
