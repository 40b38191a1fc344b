#include "worker/child_plan.hpp"

#include <gtest/gtest.h>

namespace awm::worker {
namespace {

using nlohmann::json;
using words = std::vector<std::string>;

child_plan plan(words more = {}, const std::string& model = "m") {
  child_plan made;
  made.launch = {"/bin/claude", {"-p", "--session-id", "s1", "--model", model}, {"A=1"}, "/tmp", "w"};
  made.launch.arguments.insert(made.launch.arguments.end(), more.begin(), more.end());
  made.takes_models = true;
  return made;
}

bool is_equal(const child_plan& one, const child_plan& other, child_use use = child_use::used) {
  const auto changes = changes_between(one, other, use);
  return changes && changes->empty();
}

bool needs_another(const child_plan& one, const child_plan& other, child_use use = child_use::used) {
  return !changes_between(one, other, use).has_value();
}

TEST(child_plan, the_session_makes_no_difference_to_a_used_child) {
  auto resumed = plan();
  resumed.launch.arguments.at(1) = "--resume";
  resumed.launch.arguments.at(2) = "s2";
  resumed.launch.label = "another worker";
  EXPECT_TRUE(is_equal(plan(), resumed));
  EXPECT_EQ(session_of(plan()), "s1");
  EXPECT_EQ(session_of(resumed), "s2");
}

TEST(child_plan, a_child_that_is_not_used_begins_a_session_and_resumes_none) {
  auto begun = plan();
  begun.launch.arguments.at(2) = "s2";
  auto resumed = begun;
  resumed.launch.arguments.at(1) = "--resume";
  EXPECT_TRUE(is_equal(plan(), begun, child_use::unused));
  EXPECT_TRUE(needs_another(plan(), resumed, child_use::unused));
}

TEST(child_plan, whatever_a_child_cannot_be_told_makes_another_necessary) {
  const auto one = plan();
  auto other_environment = one;
  other_environment.launch.environment = {"A=2"};
  auto other_directory = one;
  other_directory.launch.working_directory = "/";
  auto other_program = one;
  other_program.launch.program = "/bin/other";
  for (const auto& other :
       {other_environment, other_directory, other_program, plan({"--agent", "x"}), plan({"--an-option-of-tomorrow"}),
        plan({"--permission-mode", "bypassPermissions"}), plan({"--permission-mode", "plan"})}) {
    EXPECT_TRUE(needs_another(one, other, child_use::used));
    EXPECT_TRUE(needs_another(one, other, child_use::unused));
    EXPECT_TRUE(needs_another(other, one, child_use::unused));
  }
}

TEST(child_plan, what_initialize_says_takes_effect_once) {
  auto other = plan();
  other.initialize = {{"systemPrompt", "x"}};
  EXPECT_TRUE(is_equal(plan(), other, child_use::unused));
  EXPECT_TRUE(needs_another(plan(), other, child_use::used));
}

TEST(child_plan, a_mode_is_set_and_none_means_that_of_the_users_settings) {
  const auto edits = plan({"--permission-mode", "acceptEdits"});
  const auto changes = changes_between(plan(), edits, child_use::unused);
  ASSERT_TRUE(changes);
  EXPECT_EQ(*changes, (std::vector<json>{{{"subtype", "set_permission_mode"}, {"mode", "acceptEdits"}}}));
  EXPECT_TRUE(needs_another(edits, plan()));
  EXPECT_TRUE(is_equal(edits, edits));
}

TEST(child_plan, a_model_is_set_where_the_cli_leaves_no_trace_of_it) {
  const auto changes = changes_between(plan(), plan({}, "n"), child_use::unused);
  ASSERT_TRUE(changes);
  EXPECT_EQ(*changes, (std::vector<json>{{{"subtype", "apply_flag_settings"}, {"settings", {{"model", "n"}}}}}));
  auto older = plan();
  older.takes_models = false;
  EXPECT_TRUE(needs_another(older, plan({}, "n"), child_use::unused));
  EXPECT_TRUE(needs_another(plan(), plan({}, "n"), child_use::used));
  const words settings{"--settings", "{}"};
  EXPECT_TRUE(needs_another(plan(settings), plan(settings, "n"), child_use::unused));
}

}  // namespace
}  // namespace awm::worker
