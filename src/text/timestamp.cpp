#include "text/timestamp.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace awm::text {

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
  using std::chrono::system_clock;
  std::tm utc{};
  const char* rest = ::strptime(timestamp.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (rest == nullptr) return {};
  double fraction = 0;
  if (*rest == '.') {
    char* end = nullptr;
    fraction = std::strtod(rest, &end);
    rest = end;
  }
  // glibc reads `Z` and `+02:00` alike; what is not there means UTC.
  std::tm zone{};
  if (*rest != '\0') rest = ::strptime(rest, "%z", &zone);
  if (rest == nullptr || *rest != '\0') return {};
  const std::chrono::seconds moment(::timegm(&utc) - zone.tm_gmtoff);
  // Nanoseconds since 1970 end in 2262.
  if (moment >= std::chrono::duration_cast<std::chrono::seconds>(system_clock::duration::max())) {
    return system_clock::time_point::max();
  }
  return system_clock::time_point(moment) + std::chrono::milliseconds(static_cast<std::int64_t>(fraction * 1000));
}

}  // namespace awm::text
