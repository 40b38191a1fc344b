#include "mcp/era.hpp"

#include <gtest/gtest.h>

namespace awm::mcp {
namespace {

TEST(era, a_supported_version_is_echoed_and_any_other_answered_with_the_latest) {
  for (const char* const known : {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}) {
    EXPECT_EQ(to_string(negotiate(known)), known);
  }
  for (const char* const other : {"2026-07-28", "2024-10-07", "", "x"}) {
    EXPECT_EQ(to_string(negotiate(other)), "2025-11-25");
  }
}

TEST(era, only_2026_07_28_is_stateless) {
  EXPECT_EQ(stateless_version("2026-07-28"), protocol_version::v2026_07_28);
  for (const char* const other : {"2025-11-25", "2026-07-29", ""}) EXPECT_FALSE(stateless_version(other)) << other;
  EXPECT_EQ(stateless_versions(), std::vector<std::string_view>{"2026-07-28"});
}

TEST(era, elicitation_came_with_2025_06_18) {
  EXPECT_FALSE((dialect{era::legacy, protocol_version::v2025_03_26}).has_elicitation());
  EXPECT_TRUE((dialect{era::legacy, protocol_version::v2025_06_18}).has_elicitation());
  EXPECT_TRUE((dialect{era::legacy, protocol_version::v2025_11_25}).has_elicitation());
}

}  // namespace
}  // namespace awm::mcp
