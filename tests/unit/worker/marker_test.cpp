#include "worker/marker.hpp"

#include <gtest/gtest.h>

namespace awm::worker {
namespace {

const std::string outer = "11111111-1111-4111-8111-111111111111";
const std::string inner = "22222222-2222-4222-8222-222222222222";

TEST(marker, is_added_to_the_environment) {
  const auto marked = with_mark({"A=1"}, outer, 7);
  EXPECT_EQ(marked, (std::vector<std::string>{"A=1", "AWM_CHILD=" + outer + "/7"}));
}

TEST(marker, a_manager_inside_a_worker_adds_its_own_to_those_above) {
  const auto marked = with_mark({"AWM_CHILD=" + outer + "/7", "A=1"}, inner, 3);
  EXPECT_EQ(marked, (std::vector<std::string>{"AWM_CHILD=" + outer + "/7:" + inner + "/3", "A=1"}));
  const auto marks = marked.front().substr(10);
  EXPECT_EQ(number_in(marks, outer), 7U);
  EXPECT_EQ(number_in(marks, inner), 3U);
}

TEST(marker, only_a_whole_mark_counts) {
  EXPECT_EQ(number_in("", outer), std::nullopt);
  EXPECT_EQ(number_in(outer, outer), std::nullopt);
  EXPECT_EQ(number_in(outer + "/", outer), std::nullopt);
  EXPECT_EQ(number_in(outer + "/7x", outer), std::nullopt);
  EXPECT_EQ(number_in("x" + outer + "/7", outer), std::nullopt);
  EXPECT_EQ(number_in(":::" + outer + "/7:", outer), 7U);
}

}  // namespace
}  // namespace awm::worker
