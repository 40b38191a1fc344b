// Runs worlds. Every failure prints its seed, what happened last, and the command that shows it again.

#include "world.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using awm::simulation::tally;
using awm::simulation::world;

constexpr std::uint64_t fixed_seeds = 40;

struct wishes {
  bool is_loud = false;
  std::optional<std::uint64_t> seed;
  std::uint64_t first = 1;
  std::uint64_t count = fixed_seeds;
  std::optional<std::chrono::seconds> fresh;
};

int usage(const char* program) {
  std::fprintf(stderr,
               "usage: %s [--trace] [--fixed | --seed N | --seeds FROM COUNT | --fresh SECONDS]\n"
               "  --fixed          the seeds 1 to %llu, as the tests do (default)\n"
               "  --fresh SECONDS  random seeds, printed, for so long\n"
               "  --trace          says everything that happens\n",
               program, static_cast<unsigned long long>(fixed_seeds));
  return 2;
}

std::optional<wishes> read(const std::vector<std::string_view>& words) {
  wishes wanted;
  const auto number = [](std::string_view text) { return std::strtoull(std::string(text).c_str(), nullptr, 10); };
  for (std::size_t at = 0; at < words.size(); ++at) {
    const auto left = words.size() - at - 1;
    if (words[at] == "--trace") {
      wanted.is_loud = true;
    } else if (words[at] == "--fixed") {
      wanted.count = fixed_seeds;
    } else if (words[at] == "--seed" && left >= 1) {
      wanted.seed = number(words[++at]);
    } else if (words[at] == "--seeds" && left >= 2) {
      wanted.first = number(words[++at]);
      wanted.count = number(words[++at]);
    } else if (words[at] == "--fresh" && left >= 1) {
      wanted.fresh = std::chrono::seconds(number(words[++at]));
    } else {
      return std::nullopt;
    }
  }
  return wanted;
}

bool live(std::uint64_t seed, bool is_loud, tally& total) {
  world one(seed, is_loud);
  const bool is_well = one.run();
  total.add(one.counts());
  if (is_well) return true;
  one.print_trace();
  std::printf("\nFAILED with seed %llu: %s\nAgain: simulation --seed %llu --trace\n",
              static_cast<unsigned long long>(seed), one.failure().c_str(), static_cast<unsigned long long>(seed));
  return false;
}

/// Returns how many failed.
int live_all(const wishes& wanted, tally& total) {
  if (wanted.seed) return live(*wanted.seed, wanted.is_loud, total) ? 0 : 1;
  int failures = 0;
  if (!wanted.fresh) {
    for (auto seed = wanted.first; seed < wanted.first + wanted.count; ++seed) {
      failures += live(seed, wanted.is_loud, total) ? 0 : 1;
    }
    return failures;
  }
  std::random_device source;
  const auto end = std::chrono::steady_clock::now() + *wanted.fresh;
  while (std::chrono::steady_clock::now() < end) {
    const auto seed = std::uint64_t{source()};
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    failures += live(seed, wanted.is_loud, total) ? 0 : 1;
  }
  return failures;
}

void report(const tally& total) {
  const auto number = [](std::uint64_t count) { return static_cast<unsigned long long>(count); };
  std::printf(
      "%llu steps, %.0f simulated hours, %llu children, %llu turns, %llu deliveries, %llu questions, %llu requests, "
      "%llu "
      "kills, %llu restarts, %llu faults\n",
      number(total.steps), total.hours, number(total.children), number(total.turns), number(total.delivered),
      number(total.questions), number(total.requests), number(total.kills), number(total.restarts),
      number(total.faults));
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // what was said is not lost when a long run is ended
  const auto wanted = read({argv + 1, argv + argc});
  if (!wanted) return usage(*argv);
  tally total;
  const int failures = live_all(*wanted, total);
  report(total);
  if (failures > 0) std::printf("%d failed\n", failures);
  return failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
