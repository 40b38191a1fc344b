#include "worker/models.hpp"

#include <gtest/gtest.h>

namespace awm::worker {
namespace {

using enum sampling_support;

TEST(models, reads_family_and_version_from_every_form_of_name) {
  struct row {
    const char* name;
    const char* family;
    std::optional<model_version> version;
  };
  const row rows[]{
      {"claude-sonnet-4-5", "sonnet", model_version{4, 5}},
      {"claude-sonnet-4-5-20250929", "sonnet", model_version{4, 5}},
      {"claude-opus-4-8[1m]", "opus", model_version{4, 8}},
      {"Claude-Opus-5", "opus", model_version{5, 0}},
      {"claude-sonnet-4-20250514", "sonnet", model_version{4, 0}},
      {"claude-3-5-sonnet-20241022", "sonnet", model_version{3, 5}},
      {"claude-3-5-sonnet-latest", "sonnet", model_version{3, 5}},
      {"claude-3-opus-20240229", "opus", model_version{3, 0}},
      {"claude-2.1", "", model_version{2, 1}},
      {"claude-fable-5", "fable", model_version{5, 0}},
      {"claude-mythos", "mythos", std::nullopt},
      {"claude-sonnet-latest", "sonnet", std::nullopt},
      {"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "sonnet", model_version{4, 5}},
      {"anthropic.claude-opus-4-6-v1", "opus", model_version{4, 6}},
      {"arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0", "haiku",
       model_version{4, 5}},
      {"claude-opus-4-1@20250805", "opus", model_version{4, 1}},
      {"anthropic/claude-sonnet-4.5", "sonnet", model_version{4, 5}},
  };
  for (const row& r : rows) EXPECT_EQ(parse_model_name(r.name), (model_name{r.family, r.version})) << r.name;
  EXPECT_EQ(parse_model_name("gpt-9"), std::nullopt);
  EXPECT_EQ(parse_model_name(""), std::nullopt);
}

TEST(models, decides_sampling_and_thinking_by_the_version) {
  struct row {
    const char* name;
    sampling_support sampling;
    thinking_support thinking;
    thinking_off off;
    bool effort;
  };
  using enum thinking_off;
  const row rows[]{
      {"claude-opus-5-5", none, thinking_support::adaptive, omitted, true},
      {"claude-sonnet-6", none, thinking_support::adaptive, omitted, true},
      {"claude-fable-5", none, thinking_support::adaptive, omitted, true},
      {"claude-fable-5-2", none, thinking_support::adaptive, omitted, true},
      {"claude-haiku", none, thinking_support::adaptive, omitted, true},
      {"claude-opus-5", none, thinking_support::adaptive, disabled, true},
      {"claude-sonnet-5", none, thinking_support::adaptive, disabled, true},
      {"claude-opus-4-8", none, thinking_support::adaptive, disabled, true},
      {"claude-opus-4-7", none, thinking_support::adaptive, disabled, true},
      {"claude-opus-4-6", one_without_thinking, thinking_support::adaptive_or_budget, disabled, true},
      {"claude-sonnet-4-6", one_without_thinking, thinking_support::adaptive_or_budget, disabled, true},
      {"claude-opus-4-5", one, thinking_support::budget, disabled, true},
      {"claude-sonnet-4-5", one, thinking_support::budget, disabled, false},
      {"claude-haiku-4-5-20251001", one, thinking_support::budget, disabled, false},
      {"claude-opus-4-1", one, thinking_support::budget, disabled, false},
      {"claude-sonnet-4-20250514", both, thinking_support::budget, disabled, false},
      {"claude-3-7-sonnet-20250219", both, thinking_support::none, disabled, false},
      {"claude-3-haiku-20240307", both, thinking_support::none, disabled, false},
  };
  for (const row& r : rows) {
    const model_traits traits = traits_of(r.name);
    EXPECT_EQ(traits.sampling, r.sampling) << r.name;
    EXPECT_EQ(traits.thinking, r.thinking) << r.name;
    EXPECT_EQ(traits.off, r.off) << r.name;
    EXPECT_EQ(traits.takes_effort, r.effort) << r.name;
    EXPECT_TRUE(traits.known) << r.name;
  }
}

TEST(models, treats_an_unknown_name_like_the_newest) {
  for (const char* name : {"claude-foo-2", "gpt-9", "sonet", ""}) {
    const model_traits traits = traits_of(name);
    EXPECT_FALSE(traits.known) << name;
    EXPECT_EQ(traits.sampling, none) << name;
    EXPECT_EQ(traits.thinking, thinking_support::adaptive) << name;
  }
}

TEST(models, knows_which_ones_claude_code_replaces) {
  for (const char* name :
       {"claude-opus-4-1", "claude-opus-4-1-20250805", "claude-opus-4-20250514", "claude-opus-4-0"}) {
    EXPECT_TRUE(traits_of(name).replaced_by_newest) << name;
  }
  for (const char* name :
       {"claude-opus-4-5", "claude-sonnet-4-20250514", "us.anthropic.claude-opus-4-1-20250805-v1:0"}) {
    EXPECT_FALSE(traits_of(name).replaced_by_newest) << name;
  }
}

TEST(models, lets_the_configuration_override_sampling) {
  const sampling_table table{{"claude-opus-*", one}, {"claude-opus-5-?", both}, {"Fast", one_without_thinking}};
  EXPECT_EQ(traits_of("claude-opus-4-8", table).sampling, one);
  EXPECT_EQ(traits_of("CLAUDE-OPUS-5-5", table).sampling, both) << "the longest pattern counts";
  EXPECT_EQ(traits_of("claude-opus-5-5", {{"*opus-5-5", both}, {"claude-*", one}}).sampling, both) << "in any order";
  EXPECT_EQ(traits_of("claude-sonnet-5", table).sampling, none);
  EXPECT_EQ(traits_of("claude-sonnet-5", {{"*", both}}).sampling, both);
  EXPECT_TRUE(traits_of("fast", table).known) << "named in the table";
  EXPECT_EQ(traits_of("claude-sonnet-5", {{"sonnet", one}}, "sonnet").sampling, one) << "a pattern may mean the alias";
}

TEST(models, reads_the_words_of_the_configuration) {
  EXPECT_EQ(parse_sampling_support("none"), none);
  EXPECT_EQ(parse_sampling_support("one"), one);
  EXPECT_EQ(parse_sampling_support("one_without_thinking"), one_without_thinking);
  EXPECT_EQ(parse_sampling_support("both"), both);
  EXPECT_EQ(parse_sampling_support("Both"), std::nullopt);
}

}  // namespace
}  // namespace awm::worker
