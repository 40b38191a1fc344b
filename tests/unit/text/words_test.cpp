#include "text/words.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace awm::text {
namespace {

TEST(nearest, finds_what_was_probably_meant_and_nothing_absurd) {
  const std::vector<std::string> names{"temperature", "top_p", "top_k", "max_tokens", "Explore"};
  EXPECT_EQ(nearest("temprature", names), "temperature");
  EXPECT_EQ(nearest("explore", names), "Explore");
  EXPECT_EQ(nearest("max_toknes", names), "max_tokens");
  EXPECT_EQ(nearest("topk", names), "top_k");
  EXPECT_EQ(nearest("top-k", names), "top_k");
  EXPECT_EQ(nearest("banana", names), "");
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(nearest(std::string(10'000'000, 't'), names), "");
  EXPECT_EQ(nearest("x", std::vector<std::string_view>{}), "");
}

TEST(joined, separates_words) {
  EXPECT_EQ(joined(std::vector<std::string>{}), "");
  EXPECT_EQ(joined(std::vector<std::string>{"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(joined(std::vector<std::string>{"a", "b"}, " or "), "a or b");
}

TEST(shortened, never_cuts_a_character) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc…");
  EXPECT_EQ(shortened("aäö", 2), "a…");
  EXPECT_EQ(shortened("aäö", 3), "aä…");
  EXPECT_EQ(beginning("ä", 1), "");
}

}  // namespace
}  // namespace awm::text
