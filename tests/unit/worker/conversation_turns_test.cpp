// What happens inside a turn, and from one turn to the next: messages, caps, the end that somebody else wants,
// background work, warmth.

#include "conversation_stage.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

namespace awm::worker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::settle;
using testing::init;
using testing::lifecycle;
using testing::recorder;
using testing::run;
using testing::said;
using testing::stage;
using testing::task_ended;
using testing::tool_call;
using testing::tool_result;

/// What the CLI prints of a turn that an interrupt ended.
const json& interrupted() {
  static const json line = {
      {"is_error", true}, {"subtype", "error_during_execution"}, {"terminal_reason", "aborted_tools"}};
  return line;
}

json session_cost(const std::string& dollars) {
  json payload = {{"text", "Total cost:            $" + dollars + "\nTotal duration (API):  1s"}};
  json response = {{"subtype", "success"}, {"request_id", "awm-cost"}, {"response", std::move(payload)}};
  return {{"type", "control_response"}, {"response", std::move(response)}};
}

json running_tasks(const std::vector<std::string>& ids) {
  auto tasks = json::array();
  for (const auto& id : ids) tasks.push_back({{"task_id", id}});
  return {{"type", "system"}, {"subtype", "background_tasks_changed"}, {"tasks", std::move(tasks)}};
}

/// The texts of all user messages that the child got.
std::vector<std::string> prompts(const test::fake_child& child) {
  std::vector<std::string> texts;
  for (const auto& line : child.lines()) {
    if (line["type"] == "user") texts.push_back(line["message"]["content"]);
  }
  return texts;
}

std::size_t count_requests(const test::fake_child& child, const std::string& subtype) {
  const auto lines = child.lines();
  return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), [&](const json& line) {
    return line.value(json::json_pointer("/request/subtype"), "") == subtype;
  }));
}

// ---- from one turn to the next ----

TEST(warm_child, serves_a_second_turn_and_its_cost_is_what_the_process_total_grew_by) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.keep_warm = true;
    co_await stage.start_working();
    stage.child().print_result("first", {{"total_cost_usd", 0.5}});
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_TRUE(stage.running->is_idle());
    EXPECT_FALSE(stage.child().input_closed);
    EXPECT_FALSE(stage.observer.outcome.returncode);
    EXPECT_EQ(stage.clock.armed(), 0U) << "an idle child waits as long as it is let";
    stage.begin_another("more");
    EXPECT_FALSE(stage.running->is_idle());
    EXPECT_EQ(prompts(stage.child()), (std::vector<std::string>{"do it", "more"}));
    stage.child().print_result("second", {{"total_cost_usd", 0.75}});
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 2);
    EXPECT_EQ(stage.observer.outcome.result, "second");
    EXPECT_EQ(stage.observer.outcome.cost_usd, 0.25);
    EXPECT_EQ(stage.on_disk()["total_cost_usd"], 0.75);
    EXPECT_EQ(stage.on_disk()["turns"].size(), 2U);
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.running->let_go();
    EXPECT_TRUE(stage.child().input_closed);
    co_await stage.exit();
    EXPECT_TRUE(stage.over);
    EXPECT_EQ(stage.observer.endings, 2);
  });
}

TEST(warm_child, a_cost_that_the_cli_states_for_each_result_is_not_taken_as_a_difference) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.keep_warm = true;
    co_await stage.start_working();
    stage.child().print_result(
        "first", {{"total_cost_usd", 9.5}, {"model_usage_since_last_result", {{"m", {{"costUSD", 0.5}}}}}});
    co_await settle();
    EXPECT_EQ(stage.observer.outcome.cost_usd, 0.5) << "the total of a resumed session is not this turn's";
    stage.begin_another("more");
    stage.child().print_result(
        "second", {{"total_cost_usd", 9.75}, {"model_usage_since_last_result", {{"m", {{"costUSD", 0.125}}}}}});
    co_await settle();
    EXPECT_EQ(stage.observer.outcome.cost_usd, 0.125);
    EXPECT_EQ(stage.on_disk()["total_cost_usd"], 0.625);
    co_await stage.exit();
  });
}

TEST(warm_child, takes_the_next_turn_from_inside_the_news_of_the_last_ones_end) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.keep_warm = true;
    co_await stage.start_working();
    stage.observer.at_end = [&stage] { stage.begin_another("more"); };
    stage.child().print_result("first");
    co_await settle();
    EXPECT_TRUE(stage.running->serves_turn());
    EXPECT_EQ(prompts(stage.child()).back(), "more");
    EXPECT_FALSE(stage.child().input_closed);
    stage.child().print_result("second");
    co_await settle();
    EXPECT_EQ(stage.observer.outcome.result, "second");
    co_await stage.exit();
  });
}

TEST(warm_child, one_that_dies_while_it_is_idle_is_no_failure_of_anybody) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.keep_warm = true;
    co_await stage.start_working();
    stage.child().print_result("first");
    co_await settle();
    co_await stage.exit(-SIGKILL);
    EXPECT_TRUE(stage.over);
    EXPECT_EQ(stage.observer.endings, 1);
  });
}

TEST(turn_end, is_told_when_the_child_is_gone_where_that_was_asked_for) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.report_at_exit = true;
    stage.request.keep_warm = true;
    co_await stage.start_working();
    stage.child().print_result("done");
    co_await settle();
    EXPECT_TRUE(stage.child().input_closed);
    EXPECT_EQ(stage.observer.endings, 0);
    EXPECT_EQ(stage.observer.reports, 0);
    co_await stage.exit();
    EXPECT_EQ(stage.observer.reports, 1);
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.returncode, 0);
  });
}

TEST(turn_end, names_a_session_that_was_lost) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.session_id = "s1";
    co_await stage.start_working();
    stage.child().print(init("s2"));
    stage.child().print_result("who are you?");
    co_await settle();
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_TRUE(stage.observer.outcome.context_lost);
    EXPECT_NE(stage.observer.outcome.warnings.at(0).find("s1"), std::string::npos);
    EXPECT_EQ(stage.on_disk()["turns"].back()["context_lost"], true);
    EXPECT_EQ(stage.on_disk()["session_id"], "s2");
    co_await stage.exit();
  });
}

TEST(turn_end, a_session_that_was_found_is_not_lost) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.session_id = "s1";
    co_await stage.start_working();
    stage.child().print(init("s1"));
    stage.child().print_result("again");
    co_await settle();
    EXPECT_FALSE(stage.observer.outcome.context_lost);
    EXPECT_TRUE(stage.observer.outcome.warnings.empty());
    co_await stage.exit();
  });
}

TEST(turn_end, a_structured_result_that_is_missing_is_a_failure_and_one_that_is_there_goes_on_record) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.is_structured = true;
    stage.request.keep_warm = true;
    co_await stage.start_working();
    stage.child().print_result("I would rather talk");
    co_await settle();
    EXPECT_TRUE(stage.child().input_closed);
    co_await stage.exit();
    EXPECT_FALSE(stage.observer.outcome.completed);
    EXPECT_NE(stage.observer.outcome.error_hint.find("json_schema"), std::string::npos);
    EXPECT_EQ(stage.observer.outcome.result, "I would rather talk");
  });
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.is_structured = true;
    co_await stage.start_working();
    stage.child().print_result("", {{"structured_output", {{"n", 5}}}});
    co_await settle();
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.structured_output, R"({"n":5})");
    EXPECT_EQ(stage.on_disk()["structured_output"]["n"], 5);
    co_await stage.exit();
  });
}

struct failure_case {
  json result;
  failure_kind kind;
};

TEST(turn_end, tells_what_kind_of_failure_decides_what_is_done_next) {
  const std::vector<failure_case> cases{
      {{{"result", "API Error: 429"}, {"api_error_status", 429}}, failure_kind::rate_limit},
      {{{"result", "Overloaded"}, {"api_error_status", 529}}, failure_kind::overloaded},
      {{{"result", "API Error: Repeated 529 Overloaded errors"}}, failure_kind::overloaded},
      {{{"result", "Invalid API key"}, {"api_error_status", 401}}, failure_kind::authentication},
      {{{"result", "Forbidden"}, {"api_error_status", 403}}, failure_kind::authentication},
      {{{"result", "API Error: 400"}, {"api_error_status", 400}}, failure_kind::other},
  };
  for (const auto& one : cases) {
    run([&one](stage& stage) -> asio::awaitable<void> {
      co_await stage.start_working();
      auto result = one.result;
      result["is_error"] = true;
      stage.child().print_result("", result);
      co_await settle();
      co_await stage.exit(1);
      EXPECT_EQ(stage.observer.outcome.failure, one.kind) << one.result;
    });
  }
}

TEST(turn_end, a_completed_turn_is_no_failure_and_tells_whether_tools_ran) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    stage.child().print(tool_result("t1"));
    stage.child().print_result("529 Overloaded was the old name");
    co_await settle();
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.failure, failure_kind::none);
    EXPECT_TRUE(stage.observer.outcome.worked);
    co_await stage.exit();
  });
}

TEST(turn, tells_of_limits_of_the_api) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    for (const int status : {429, 529, 500}) {
      stage.child().print({{"type", "system"},
                           {"subtype", "api_retry"},
                           {"attempt", 1},
                           {"error_status", status},
                           {"retry_delay_ms", 1500}});
    }
    stage.child().print({{"type", "rate_limit_event"}, {"rate_limit_info", {{"status", "allowed"}, {"resetsAt", 7}}}});
    stage.child().print({{"type", "rate_limit_event"}, {"rate_limit_info", {{"status", "rejected"}, {"resetsAt", 8}}}});
    co_await settle();
    using limit = std::pair<coro::clock::duration, std::int64_t>;
    EXPECT_EQ(stage.observer.limits, (std::vector<limit>{{1500ms, 0}, {1500ms, 0}, {0ms, 8}}));
    co_await stage.exit();
  });
}

// ---- messages into the running turn ----

TEST(steer, a_message_is_held_until_a_tool_runs_and_delivered_with_the_reply_behind_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.running->steer("s1", "be quick");
    EXPECT_EQ(prompts(stage.child()).size(), 1U) << "without a tool it would begin a turn of its own";
    stage.child().print(tool_call("t1"));
    co_await settle();
    EXPECT_EQ(prompts(stage.child()).back(), "be quick");
    EXPECT_EQ(stage.last_line()["uuid"], "s1");
    EXPECT_TRUE(stage.observer.fates.empty());
    stage.child().print(tool_result("t1"));
    co_await settle();
    EXPECT_TRUE(stage.observer.fates.empty());
    stage.child().print(said("quick it is"));
    co_await settle();
    EXPECT_EQ(stage.observer.fates, (std::vector<recorder::settled_message>{{"s1", message_fate::delivered}}));
    stage.child().print_result("done");
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1) << "nothing is waited for any more";
    EXPECT_TRUE(stage.observer.outcome.unread_messages.empty());
    EXPECT_EQ(stage.observer.fates.size(), 1U);
    co_await stage.exit();
  });
}

TEST(steer, a_message_that_comes_while_a_tool_runs_is_sent_at_once_and_stands_in_the_transcript) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    co_await settle();
    stage.running->steer("s1", "be quick");
    EXPECT_EQ(prompts(stage.child()).back(), "be quick");
    stage.child().print(tool_result("t1"));
    stage.child().print(said("ok"));
    stage.child().print_result("done");
    co_await settle();
    EXPECT_NE(stage.on_disk()["messages"].dump().find("be quick"), std::string::npos);
    co_await stage.exit();
  });
}

TEST(steer, a_subagents_tools_are_none_of_the_main_conversation) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.running->steer("s1", "be quick");
    auto call = tool_call("t1");
    call["parent_tool_use_id"] = "task";
    stage.child().print(call);
    co_await settle();
    EXPECT_EQ(prompts(stage.child()).size(), 1U);
    co_await stage.exit();
  });
}

TEST(steer, a_cli_that_says_what_became_of_a_message_is_believed) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.plan.literal_prompts = true;
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    co_await settle();
    stage.running->steer("s1", "one");
    stage.running->steer("s2", "two");
    stage.child().print(lifecycle("s1", "queued"));
    stage.child().print(tool_result("t1"));
    stage.child().print(said("ok"));
    co_await settle();
    EXPECT_TRUE(stage.observer.fates.empty());
    stage.child().print(lifecycle("s1", "started"));
    stage.child().print(lifecycle("s1", "completed"));
    stage.child().print(lifecycle("s2", "cancelled"));
    co_await settle();
    EXPECT_EQ(stage.observer.fates,
              (std::vector<recorder::settled_message>{{"s1", message_fate::delivered}, {"s2", message_fate::dropped}}));
    co_await stage.exit();
  });
}

TEST(steer, a_message_that_no_tool_came_for_is_left_for_the_next_turn) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.running->steer("s1", "be quick");
    stage.child().print_result("done");
    co_await settle();
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.fates, (std::vector<recorder::settled_message>{{"s1", message_fate::next_turn}}));
    EXPECT_EQ(stage.observer.outcome.unread_messages, std::vector<std::string>{"be quick"});
    co_await stage.exit();
  });
}

TEST(steer, a_message_that_just_missed_the_turn_is_read_in_the_one_that_the_cli_begins_with_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.plan.literal_prompts = true;
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    co_await settle();
    stage.running->steer("s1", "be quick");
    stage.child().print_result("too late for that");
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0);
    stage.child().print(init("s"));
    stage.child().print(lifecycle("s1", "started"));
    co_await settle();
    stage.clock.advance(60s);
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0) << "it is at work again";
    stage.child().print_result("quick it was", {{"total_cost_usd", 0.75}});
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_EQ(stage.observer.outcome.result, "quick it was");
    EXPECT_EQ(stage.observer.outcome.cost_usd, 0.75);
    EXPECT_EQ(stage.observer.outcome.num_turns, 2);
    EXPECT_TRUE(stage.observer.outcome.unread_messages.empty());
    co_await stage.exit();
  });
}

TEST(steer, a_turn_that_no_other_follows_ends_two_seconds_behind_its_result_and_sends_nothing_twice) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    co_await settle();
    stage.running->steer("s1", "be quick");
    stage.child().print_result("done");
    co_await settle();
    stage.clock.advance(1999ms);
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0);
    stage.clock.advance(1ms);
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_EQ(stage.observer.outcome.result, "done");
    EXPECT_TRUE(stage.observer.outcome.unread_messages.empty()) << "it was written, and perhaps read";
    co_await stage.exit();
  });
}

TEST(steer, a_message_into_a_turn_that_fails_is_dropped) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.running->steer("s1", "be quick");
    co_await stage.exit(1);
    EXPECT_EQ(stage.observer.fates, (std::vector<recorder::settled_message>{{"s1", message_fate::dropped}}));
    EXPECT_TRUE(stage.observer.outcome.unread_messages.empty());
  });
}

TEST(redirect, interrupts_and_goes_on_with_the_message_in_the_same_turn) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    co_await settle();
    stage.running->redirect("r1", "do that instead");
    EXPECT_TRUE(stage.was_interrupted());
    EXPECT_EQ(prompts(stage.child()).size(), 1U) << "the interrupt drops what waits in the child";
    stage.child().print_result("", interrupted());
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0);
    EXPECT_EQ(prompts(stage.child()).back(), "do that instead");
    EXPECT_EQ(stage.observer.fates, (std::vector<recorder::settled_message>{{"r1", message_fate::after_interrupt}}));
    stage.child().print_result("did that", {{"total_cost_usd", 0.75}});
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.result, "did that");
    EXPECT_EQ(stage.observer.outcome.cost_usd, 0.75);
    EXPECT_EQ(stage.observer.outcome.num_turns, 2);
    co_await stage.exit();
  });
}

TEST(redirect, of_a_child_that_still_starts_comes_behind_its_prompt) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.running->redirect("r1", "do that instead");
    EXPECT_FALSE(stage.was_interrupted());
    stage.child().answer_initialize();
    co_await settle();
    EXPECT_TRUE(stage.was_interrupted());
    EXPECT_EQ(prompts(stage.child()), std::vector<std::string>{"do it"});
    stage.child().print_result("", interrupted());
    co_await settle();
    EXPECT_EQ(prompts(stage.child()).back(), "do that instead");
    co_await stage.exit();
  });
}

TEST(redirect, that_comes_behind_the_result_begins_the_next_turn) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.running->redirect("r1", "do that instead");
    stage.child().print_result("done before");
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_EQ(stage.observer.outcome.result, "done before");
    EXPECT_EQ(stage.observer.fates, (std::vector<recorder::settled_message>{{"r1", message_fate::next_turn}}));
    EXPECT_EQ(stage.observer.outcome.unread_messages, std::vector<std::string>{"do that instead"});
    co_await stage.exit();
  });
}

// ---- the end that somebody else wants ----

TEST(cancel, of_a_child_that_heeds_nothing_climbs_from_interrupt_to_sigkill) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.child().print(said("half of it"));
    co_await settle();
    stage.running->cancel("Cancelled by the caller.");
    EXPECT_TRUE(stage.was_interrupted());
    stage.clock.advance(1999ms);
    EXPECT_FALSE(stage.child().input_closed);
    stage.clock.advance(1ms);
    EXPECT_TRUE(stage.child().input_closed);
    stage.clock.advance(4999ms);
    EXPECT_TRUE(stage.child().signals.empty());
    stage.clock.advance(1ms);
    EXPECT_EQ(stage.child().signals, std::vector{SIGINT});
    stage.clock.advance(2999ms);
    EXPECT_EQ(stage.child().signals.size(), 1U);
    stage.clock.advance(1ms);
    EXPECT_EQ(stage.child().signals, (std::vector{SIGINT, SIGKILL}));
    EXPECT_EQ(stage.observer.endings, 0) << "told when everything is gone";
    co_await stage.exit(-SIGKILL);
    const auto& outcome = stage.observer.outcome;
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_EQ(stage.observer.reports, 1);
    EXPECT_FALSE(outcome.completed);
    EXPECT_TRUE(outcome.cancelled);
    EXPECT_TRUE(outcome.cap.empty());
    EXPECT_EQ(outcome.returncode, -SIGKILL);
    EXPECT_EQ(outcome.result, "half of it");
    EXPECT_TRUE(outcome.error_hint.starts_with("Cancelled by the caller.")) << outcome.error_hint;
    EXPECT_EQ(stage.on_disk()["state"], "cancelled");
  });
}

TEST(cancel, of_a_child_that_heeds_the_interrupt_needs_no_signal) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.running->cancel("Enough.");
    stage.running->cancel("Enough, I said.");
    EXPECT_EQ(count_requests(stage.child(), "interrupt"), 1U);
    stage.child().print_result("", interrupted());
    co_await settle();
    EXPECT_TRUE(stage.child().input_closed);
    EXPECT_EQ(stage.observer.endings, 0);
    co_await stage.exit();
    EXPECT_TRUE(stage.child().signals.empty());
    EXPECT_TRUE(stage.observer.outcome.cancelled);
    EXPECT_TRUE(stage.observer.outcome.error_hint.starts_with("Enough. "));
    EXPECT_EQ(stage.clock.armed(), 0U);
  });
}

TEST(cancel, a_result_that_was_on_its_way_does_not_make_a_cancelled_turn_complete) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.keep_warm = true;
    co_await stage.start_working();
    stage.running->cancel("Enough.");
    stage.child().print_result("all done");
    co_await settle();
    EXPECT_TRUE(stage.child().input_closed);
    co_await stage.exit();
    EXPECT_TRUE(stage.observer.outcome.cancelled);
    EXPECT_FALSE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.result, "all done");
  });
}

TEST(cancel, of_a_child_that_still_starts_is_a_signal_at_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.running->cancel("Enough.");
    EXPECT_EQ(stage.child().signals, std::vector{SIGINT});
    stage.clock.advance(3s);
    EXPECT_EQ(stage.child().signals, (std::vector{SIGINT, SIGKILL}));
    co_await stage.exit(-SIGKILL);
    EXPECT_TRUE(stage.observer.outcome.cancelled);
  });
}

TEST(cancel, before_the_child_was_started_starts_none) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.running.emplace(stage.plan, stage.launcher, stage.clock, stage.buffers, stage.observer);
    stage.running->begin(stage.request, *stage.transcript);
    stage.running->cancel("Enough.");
    co_await stage.running->run();
    EXPECT_TRUE(stage.launcher.children.empty());
    EXPECT_TRUE(stage.observer.outcome.cancelled);
    EXPECT_FALSE(stage.observer.outcome.returncode);
  });
}

TEST(cancel, of_a_turn_with_background_tasks_ends_those_by_sigint) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.has_background = true;
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    stage.child().print(tool_result("t1", "b1"));
    stage.child().print_result("it runs");
    co_await settle();
    stage.running->cancel("Enough.");
    EXPECT_TRUE(stage.child().input_closed);
    EXPECT_EQ(stage.child().signals, std::vector{SIGINT}) << "the end of the input would wait for the tasks";
    co_await stage.exit();
    EXPECT_TRUE(stage.observer.outcome.cancelled);
    EXPECT_EQ(stage.observer.outcome.result, "it runs");
  });
}

TEST(cancel, withdraws_questions_and_drops_messages) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.child().print(testing::question("q1"));
    co_await settle();
    stage.running->steer("s1", "x");
    stage.running->cancel("Enough.");
    stage.child().print_result("", interrupted());
    co_await stage.exit();
    EXPECT_EQ(stage.observer.withdrawn, std::vector<std::string>{"q1"});
    EXPECT_EQ(stage.observer.fates, (std::vector<recorder::settled_message>{{"s1", message_fate::dropped}}));
  });
}

TEST(cap, of_time_asks_for_an_end_and_then_makes_one) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.timeout = 100s;
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    co_await settle();
    stage.clock.advance(79s);
    EXPECT_EQ(prompts(stage.child()).size(), 1U);
    stage.clock.advance(1s);
    EXPECT_NE(prompts(stage.child()).back().find("time is nearly over"), std::string::npos);
    stage.clock.advance(19s);
    EXPECT_FALSE(stage.was_interrupted());
    stage.clock.advance(1s);
    EXPECT_TRUE(stage.was_interrupted());
    stage.child().print_result("", interrupted());
    co_await settle();
    co_await stage.exit();
    const auto& outcome = stage.observer.outcome;
    EXPECT_FALSE(outcome.completed);
    EXPECT_FALSE(outcome.cancelled);
    EXPECT_EQ(outcome.cap, "timeout_s");
    EXPECT_NE(outcome.error_hint.find("timeout_s (100 s)"), std::string::npos) << outcome.error_hint;
    EXPECT_EQ(stage.on_disk()["turns"].back()["cap"], "timeout_s");
    EXPECT_EQ(stage.on_disk()["state"], "failed");
    EXPECT_TRUE(stage.observer.fates.empty()) << "nobody sent the advice";
  });
}

TEST(cap, of_time_does_not_outlive_its_turn) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.timeout = 100s;
    stage.request.keep_warm = true;
    co_await stage.start_working();
    stage.child().print_result("in time");
    co_await settle();
    EXPECT_EQ(stage.clock.armed(), 0U);
    EXPECT_TRUE(stage.observer.outcome.cap.empty());
    co_await stage.exit();
  });
}

TEST(cap, of_model_calls_is_told_with_one_reply_left) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.max_turns = 3;
    co_await stage.start_working();
    stage.child().print(tool_call("t1", "m1"));
    stage.child().print(tool_call("t2", "m1"));
    stage.child().print(tool_result("t1"));
    stage.child().print(tool_result("t2"));
    co_await settle();
    EXPECT_EQ(prompts(stage.child()).size(), 1U);
    stage.child().print(tool_call("t3", "m2"));
    co_await settle();
    EXPECT_NE(prompts(stage.child()).back().find("one reply left"), std::string::npos);
    stage.child().print_result("", {{"is_error", true}, {"subtype", "error_max_turns"}});
    co_await settle();
    co_await stage.exit(1);
    EXPECT_EQ(stage.observer.outcome.cap, "max_turns");
    EXPECT_FALSE(stage.observer.outcome.cancelled);
  });
}

TEST(cap, of_money_is_watched_reply_by_reply_and_told_when_most_of_it_is_spent) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.max_budget_usd = 1;
    co_await stage.start_working();
    EXPECT_EQ(count_requests(stage.child(), "get_session_cost"), 1U);
    stage.child().print(session_cost("7.00"));
    stage.child().print(tool_call("t1", "m1"));
    stage.child().print(session_cost("7.75"));
    co_await settle();
    EXPECT_EQ(count_requests(stage.child(), "get_session_cost"), 2U);
    EXPECT_EQ(prompts(stage.child()).size(), 1U);
    stage.child().print(session_cost("7.875"));
    co_await settle();
    EXPECT_NE(prompts(stage.child()).back().find("budget"), std::string::npos);
    EXPECT_EQ(stage.observer.costs, (std::vector<double>{0, 0.75, 0.875}))
        << "what a resumed session cost before is not this turn's";
    stage.child().print_result("", {{"is_error", true}, {"subtype", "error_max_budget_usd"}});
    co_await settle();
    co_await stage.exit(1);
    EXPECT_EQ(stage.observer.outcome.cap, "max_budget_usd");
  });
}

TEST(cap, of_everybody_lets_the_worker_come_to_an_end) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    co_await settle();
    stage.running->wind_down("budget_usd", "The money for all workers is spent", 60s);
    EXPECT_NE(prompts(stage.child()).back().find("The money for all workers is spent"), std::string::npos);
    EXPECT_FALSE(stage.was_interrupted());
    stage.clock.advance(60s);
    EXPECT_TRUE(stage.was_interrupted());
    stage.child().print_result("", interrupted());
    co_await settle();
    co_await stage.exit();
    EXPECT_EQ(stage.observer.outcome.cap, "budget_usd");
    EXPECT_FALSE(stage.observer.outcome.cancelled);
  });
}

// ---- background work ----

TEST(background, a_result_with_live_tasks_is_no_end_and_the_turn_about_them_is) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.has_background = true;
    co_await stage.start_working();
    stage.child().print(tool_call("t1"));
    stage.child().print(tool_result("t1", "b1"));
    stage.child().print_result("started it");
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0);
    EXPECT_EQ(stage.observer.background, std::vector<std::size_t>{1});
    stage.clock.advance(1h);
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0) << "it takes as long as it takes";
    stage.child().print(task_ended("b1"));
    co_await settle();
    EXPECT_EQ(stage.observer.background, (std::vector<std::size_t>{1, 0}));
    stage.clock.advance(1s);
    stage.child().print(init("s"));
    co_await settle();
    stage.clock.advance(1h);
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0) << "the model is at work on what came out";
    stage.child().print_result("it printed 5", {{"total_cost_usd", 0.75}});
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.result, "it printed 5");
    EXPECT_EQ(stage.observer.outcome.cost_usd, 0.75);
    co_await stage.exit();
  });
}

TEST(background, a_turn_that_no_other_follows_ends_two_seconds_behind_the_last_task) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.has_background = true;
    co_await stage.start_working();
    stage.child().print(running_tasks({"b1", "b2"}));
    stage.child().print_result("started them");
    co_await settle();
    EXPECT_EQ(stage.observer.background, std::vector<std::size_t>{2});
    stage.child().print(running_tasks({"b2"}));
    co_await settle();
    stage.clock.advance(1h);
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0);
    stage.child().print(running_tasks({}));
    co_await settle();
    stage.clock.advance(1999ms);
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0);
    stage.clock.advance(1ms);
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.result, "started them");
    co_await stage.exit();
  });
}

TEST(background, a_follow_up_that_says_nothing_leaves_the_last_words_that_say_something) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.has_background = true;
    co_await stage.start_working();
    stage.child().print(running_tasks({"b1"}));
    stage.child().print_result("the report");
    stage.child().print(running_tasks({}));
    stage.child().print(init("s"));
    stage.child().print_result("");
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_EQ(stage.observer.outcome.result, "the report");
    co_await stage.exit();
  });
}

TEST(background, a_turn_that_was_not_to_have_any_ends_with_its_result) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    stage.child().print(running_tasks({"b1"}));
    stage.child().print_result("done");
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_TRUE(stage.child().input_closed);
    co_await stage.exit();
  });
}

}  // namespace
}  // namespace awm::worker
