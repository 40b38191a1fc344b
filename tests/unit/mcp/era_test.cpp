#include "mcp/era.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

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

TEST(era, a_request_has_a_dialect_only_after_a_version_is_settled) {
  EXPECT_FALSE(dialect_of({}, std::nullopt));
  const auto how = dialect_of({}, protocol_version::v2025_03_26);
  ASSERT_TRUE(how);
  EXPECT_EQ(how->era, era::legacy);
  EXPECT_TRUE(how->has_batches());
  EXPECT_TRUE(how->has_annotations());
  EXPECT_FALSE(how->has_structured_content());
}

TEST(era, elicitation_came_with_2025_06_18) {
  EXPECT_FALSE((dialect{era::legacy, protocol_version::v2025_03_26}).has_elicitation());
  EXPECT_TRUE((dialect{era::legacy, protocol_version::v2025_06_18}).has_elicitation());
  EXPECT_TRUE((dialect{era::legacy, protocol_version::v2025_11_25}).has_elicitation());
}

}  // namespace
}  // namespace awm::mcp
