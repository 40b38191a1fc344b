#include "worker/timestamp.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace awm::worker {

std::string timestamp(std::chrono::system_clock::time_point when) {
  const auto since_epoch = std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch());
  const std::time_t seconds = since_epoch.count() / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%s.%03dZ", date.data(), static_cast<int>(since_epoch.count() % 1000));
  return text.data();
}

std::chrono::system_clock::time_point time_of(const std::string& timestamp) {
  std::tm utc{};
  const char* const rest = ::strptime(timestamp.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (rest == nullptr) return {};
  double fraction = 0;
  if (*rest == '.') fraction = std::strtod(rest, nullptr);
  return std::chrono::system_clock::from_time_t(::timegm(&utc)) +
         std::chrono::milliseconds(static_cast<std::int64_t>(fraction * 1000));
}

}  // namespace awm::worker
