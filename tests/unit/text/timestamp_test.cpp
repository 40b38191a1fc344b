#include "text/timestamp.hpp"

#include <gtest/gtest.h>

namespace awm::text {
namespace {

using std::chrono::system_clock;

TEST(timestamps, a_moment_is_read_as_it_is_written) {
  const auto moment = system_clock::from_time_t(1'800'000'000) + std::chrono::milliseconds(123);
  EXPECT_EQ(time_of(timestamp(moment)), moment);
}

TEST(timestamps, offsets_count_and_a_missing_one_means_utc) {
  const auto moment = time_of("2026-11-21T12:00:00Z");
  EXPECT_EQ(time_of("2026-11-21T12:00:00"), moment);
  EXPECT_EQ(time_of("2026-11-21T14:30:00+02:30"), moment);
  EXPECT_EQ(time_of("2026-11-21T07:00:00.000-05:00"), moment);
}

TEST(timestamps, what_is_no_moment_is_the_epoch_and_what_is_too_late_the_last_one) {
  for (const auto* const wrong :
       {"", "tomorrow", "2026-11-21", "2026-11-21T12:00:00 noon", "2026-11-21T12:00:00Zulu"}) {
    EXPECT_EQ(time_of(wrong), system_clock::time_point{}) << wrong;
  }
  EXPECT_EQ(time_of("2999-01-01T00:00:00Z"), system_clock::time_point::max());
}

}  // namespace
}  // namespace awm::text
