#include "setting.hpp"

#include <sodium/core.h>
#include <sodium/randombytes.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

namespace awm::simulation {
namespace {

constexpr std::size_t kept_events = 600;

// The one global of the simulation: the functions of the C library and of libsodium that it stands in for know no
// object.
std::optional<chance>& id_source() {
  static std::optional<chance> source;
  return source;
}

void fill(void* to, std::size_t size) {
  auto* const bytes = static_cast<unsigned char*>(to);
  for (std::size_t at = 0; at < size; ++at) bytes[at] = static_cast<unsigned char>(id_source()->next());
}

const char* name() {
  return "simulation";
}
std::uint32_t random_word() {
  return static_cast<std::uint32_t>(id_source()->next());
}

}  // namespace

std::uint64_t chance::next() {
  auto mixed = state_ += 0x9E3779B97F4A7C15U;
  mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
  return mixed ^ (mixed >> 31U);
}

duration chance::about(duration least, duration most) {
  constexpr std::size_t parts = 1U << 20U;
  const auto low = std::log(std::chrono::duration<double>(least).count());
  const auto high = std::log(std::chrono::duration<double>(most).count());
  const auto share = static_cast<double>(below(parts)) / static_cast<double>(parts);
  const std::chrono::duration<double> drawn(std::exp(low + (high - low) * share));
  return std::chrono::duration_cast<duration>(drawn);
}

random_ids::random_ids(std::uint64_t seed) {
  static randombytes_implementation ours{name, random_word, nullptr, nullptr, fill, nullptr};
  randombytes_set_implementation(&ours);
  id_source().emplace(seed);
  if (sodium_init() < 0) std::abort();  // takes some of it the first time
  id_source().emplace(seed);
}

random_ids::~random_ids() = default;  // the source stays for what is destroyed later

void trace::note(std::string_view who, std::string_view what) {
  const auto seconds = std::chrono::duration<double>(time_.now().time_since_epoch()).count();
  char moment[32];
  std::snprintf(moment, sizeof moment, "%12.3f ", seconds);
  std::string line = moment;
  line.append(who).append(": ").append(what);
  if (is_loud_) std::printf("%s\n", line.c_str());
  last_.push_back(std::move(line));
  if (last_.size() > kept_events) last_.pop_front();
}

void trace::print() const {
  if (is_loud_) return;
  for (const auto& line : last_) std::printf("%s\n", line.c_str());
}

void tally::add(const tally& other) {
  steps += other.steps;
  turns += other.turns;
  delivered += other.delivered;
  children += other.children;
  questions += other.questions;
  requests += other.requests;
  kills += other.kills;
  restarts += other.restarts;
  faults += other.faults;
  hours += other.hours;
}

std::vector<std::string> tags_in(std::string_view text) {
  constexpr std::size_t longest_tag = 12;
  std::vector<std::string> found;
  for (auto begin = text.find('@'); begin != std::string_view::npos; begin = text.find('@')) {
    text.remove_prefix(begin + 1);
    const auto end = text.find('@');
    if (end == std::string_view::npos) break;
    if (end > longest_tag) continue;
    found.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return found;
}

}  // namespace awm::simulation

// Takes the place of the C library's function in this program, so that the seed decides the ids as well.
extern "C" int getentropy(void* to, size_t size) {
  awm::simulation::fill(to, size);
  return 0;
}
