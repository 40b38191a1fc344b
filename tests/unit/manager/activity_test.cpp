#include "manager/activity.hpp"

#include "manager/worker_state.hpp"
#include "support/manual_clock.hpp"

#include <gtest/gtest.h>

#include <string>

namespace awm::manager {
namespace {

using namespace std::chrono_literals;

worker::message_line call(const std::string& id, const std::string& tool, const std::string& summary) {
  worker::message_line line;
  line.role = "assistant";
  line.tool_uses.push_back({id, tool, "", summary});
  return line;
}

worker::message_line end_of(const std::string& id, bool is_error = false) {
  worker::message_line line;
  line.role = "user";
  line.tool_ends.push_back({id, is_error});
  return line;
}

worker::message_line saying(std::string_view text) {
  worker::message_line line;
  line.role = "assistant";
  line.text = text;
  return line;
}

TEST(activity, is_the_tool_that_runs_and_since_when) {
  test::manual_clock clock;
  activity doing;
  doing.reset(clock.now());
  clock.advance(5s);
  const auto begun = clock.now();
  doing.note(call("t1", "Bash", "make"), begun);
  EXPECT_EQ(doing.current(), "Bash: make");
  clock.advance(5s);
  doing.note(saying("a subagent says"), clock.now());
  EXPECT_EQ(doing.since(), begun);
  EXPECT_EQ(doing.last(), clock.now());
  doing.note(end_of("another"), clock.now());
  EXPECT_EQ(doing.current(), "Bash: make");
  doing.note(end_of("t1"), clock.now());
  EXPECT_EQ(doing.current(), "");
  EXPECT_EQ(doing.since(), clock.now());
}

TEST(activity, keeps_the_last_lines_short_and_without_line_breaks) {
  activity doing;
  for (int number = 0; number < 20; ++number) doing.note(call("t", "Read", std::to_string(number)), {});
  EXPECT_EQ(doing.lines().size(), 12U);
  EXPECT_EQ(doing.lines().back(), "Read: 19");
  EXPECT_EQ(doing.lines().front(), "Read: 8");
  const std::string long_text = "one\ntwo\t" + std::string(1000, 'x');
  doing.note(saying(long_text), {});
  EXPECT_TRUE(doing.lines().back().starts_with("said: one two x"));
  EXPECT_LE(doing.lines().back().size(), 200U);
  doing.note(call("t2", "Bash", "make"), {});
  doing.note(end_of("t2", true), {});
  EXPECT_EQ(doing.lines().back(), "failed: Bash: make");
}

TEST(activity, of_a_new_turn_is_nothing_and_remembers_the_lines) {
  activity doing;
  doing.note(call("t", "Bash", ""), {});
  EXPECT_EQ(doing.current(), "Bash");
  doing.reset({});
  EXPECT_EQ(doing.current(), "");
  EXPECT_EQ(doing.lines().size(), 1U);
}

TEST(worker_state, has_a_name_and_a_name_has_a_state) {
  for (const auto state : {worker_state::queued, worker_state::starting, worker_state::running,
                           worker_state::awaiting_permission, worker_state::background, worker_state::completed,
                           worker_state::failed, worker_state::cancelled, worker_state::interrupted}) {
    EXPECT_EQ(worker_state_of(to_string(state)), state);
  }
  EXPECT_EQ(to_string(worker_state::awaiting_permission), "awaiting_permission");
  EXPECT_EQ(worker_state_of("dancing"), worker_state::failed);
}

TEST(worker_state, is_outstanding_until_its_turn_has_ended) {
  EXPECT_TRUE(is_outstanding(worker_state::queued));
  EXPECT_TRUE(is_outstanding(worker_state::background));
  EXPECT_FALSE(is_outstanding(worker_state::completed));
  EXPECT_FALSE(is_outstanding(worker_state::interrupted));
}

TEST(worker_state, workers_are_counted_by_it_while_they_are_outstanding) {
  outstanding_turns turns;
  turns.count(worker_state::queued, 1);
  turns.count(worker_state::starting, 1);
  turns.count(worker_state::running, 1);
  turns.count(worker_state::awaiting_permission, 1);
  turns.count(worker_state::background, 1);
  turns.count(worker_state::completed, 1);
  EXPECT_EQ(turns.queued, 1U);
  EXPECT_EQ(turns.running, 2U);
  EXPECT_EQ(turns.awaiting_permission, 1U);
  EXPECT_EQ(turns.background, 1U);
  EXPECT_EQ(turns.total(), 5U);
  turns.count(worker_state::starting, -1);
  EXPECT_EQ(turns.running, 1U);
}

}  // namespace
}  // namespace awm::manager
