// How a child is started, listened to and let go.

#include "conversation_stage.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace awm::worker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::settle;
using testing::question;
using testing::run;
using testing::stage;

TEST(conversation, the_prompt_follows_the_answer_to_initialize_and_stdin_stays_open_until_the_result) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.plan.initialize = {{"systemPrompt", json::array({"be brief"})}};
    stage.plan.literal_prompts = true;
    co_await stage.start();
    EXPECT_EQ(stage.child().lines().size(), 1U);
    EXPECT_EQ(stage.child().lines()[0]["request"]["systemPrompt"][0], "be brief");
    EXPECT_EQ(stage.child().lines()[0]["request"]["subtype"], "initialize");
    stage.child().answer_initialize();
    co_await settle();
    EXPECT_EQ(stage.child().lines().at(1)["message"]["content"], "do it");
    EXPECT_EQ(stage.child().lines()[1]["uuid"], "p1");
    EXPECT_FALSE(stage.child().input_closed);
    stage.child().print_result("done");
    co_await settle();
    EXPECT_TRUE(stage.child().input_closed);
    EXPECT_EQ(stage.observer.endings, 1) << "the result ends the turn, not the exit";
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.result, "done");
    EXPECT_FALSE(stage.over);
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_TRUE(stage.over);
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_EQ(stage.clock.armed(), 0U);
  });
}

TEST(conversation, the_transcript_is_complete_when_the_observer_hears_of_the_end) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    EXPECT_EQ(stage.on_disk()["state"], "running");
    stage.child().answer_initialize();
    stage.child().print({{"type", "system"}, {"subtype", "init"}, {"session_id", "s9"}, {"model", "m"}});
    stage.child().print(
        {{"type", "assistant"}, {"message", {{"id", "a"}, {"role", "assistant"}, {"content", json::array({1})}}}});
    stage.child().print_result("done",
                               {{"permission_denials", json::array({{{"tool_name", "Bash"}}})}, {"duration_ms", 12}});
    co_await settle();
    const auto disk = stage.on_disk();
    EXPECT_EQ(disk["state"], "completed");
    EXPECT_EQ(disk["session_id"], "s9");
    EXPECT_EQ(disk["model"], "m");
    EXPECT_EQ(disk["result"], "done");
    EXPECT_EQ(disk["total_cost_usd"], 0.5);
    EXPECT_EQ(disk["permission_denials"].size(), 1U);
    EXPECT_EQ(disk["messages"].size(), 2U);
    EXPECT_EQ(disk["turns"].back()["duration_ms"], 12);
    EXPECT_EQ(disk["turns"].back()["prompt"], "do it");
    stage.child().exit_with(0);
    co_await settle();
  });
}

TEST(conversation, a_cost_that_the_cli_states_for_this_result_counts_before_the_total) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.transcript->record().total_cost_usd = 1;
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print_result(
        "r", {{"total_cost_usd", 9},
              {"model_usage_since_last_result", {{"a", {{"costUSD", 0.25}}}, {"b", {{"costUSD", 0.5}}}}}});
    co_await settle();
    EXPECT_EQ(stage.observer.outcome.cost_usd, 0.75);
    EXPECT_EQ(stage.on_disk()["total_cost_usd"], 1.75);
    stage.child().exit_with(0);
    co_await settle();
  });
}

TEST(conversation, an_error_result_is_told_with_the_exit_status_and_a_hint) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print_result("API Error: 429", {{"is_error", true}, {"api_error_status", 429}});
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 0);
    EXPECT_TRUE(stage.child().input_closed);
    stage.child().exit_with(1);
    co_await settle();
    EXPECT_EQ(stage.observer.endings, 1);
    EXPECT_FALSE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.returncode, 1);
    EXPECT_NE(stage.observer.outcome.error_hint.find("rate limit"), std::string::npos)
        << stage.observer.outcome.error_hint;
    EXPECT_EQ(stage.on_disk()["state"], "failed");
    EXPECT_EQ(stage.on_disk()["error"], stage.observer.outcome.error_hint);
  });
}

TEST(conversation, an_exit_without_a_result_is_a_failure_that_quotes_stderr) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().stderr_text = "noise\nerror: unknown option '--x'\n";
    stage.child().exit_with(1);
    co_await settle();
    EXPECT_TRUE(stage.over);
    EXPECT_EQ(stage.observer.outcome.returncode, 1);
    EXPECT_NE(stage.observer.outcome.error_hint.find("unknown option '--x'"), std::string::npos);
  });
}

TEST(conversation, a_worker_that_asks_without_end_is_ended) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    for (int count = 0; count < 1000; ++count) stage.child().print(question("q" + std::to_string(count)));
    co_await settle();
    EXPECT_EQ(stage.observer.asked.size(), 1000U);
    EXPECT_FALSE(stage.child().input_closed);
    stage.child().print(question("one more"));
    co_await settle();
    EXPECT_EQ(stage.observer.asked.size(), 1000U);
    EXPECT_TRUE(stage.child().input_closed);
    co_await stage.exit(0);
    EXPECT_FALSE(stage.observer.outcome.completed);
    EXPECT_NE(stage.observer.outcome.error_hint.find("more than 1000 permissions"), std::string::npos);
    EXPECT_EQ(stage.observer.withdrawn.size(), 1000U);
  });
}

TEST(conversation, denials_of_any_shape_are_counted_and_the_transcript_is_complete) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start_working();
    const auto denials = nlohmann::json::parse(R"([1, null, {"tool_name": 7}, {}, [2], {"tool_name": "Bash"}])");
    stage.child().print_result("done", {{"permission_denials", denials}});
    co_await stage.exit();
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_TRUE(stage.observer.outcome.is_on_disk);
    EXPECT_EQ(stage.observer.outcome.denied_tools,
              (std::vector<std::string>{"a tool", "a tool", "a tool", "a tool", "a tool", "Bash"}));
    EXPECT_EQ(stage.on_disk()["result"], "done");
    EXPECT_EQ(stage.on_disk()["permission_denials"], denials);
  });
}

TEST(conversation, what_signs_a_worker_in_stands_in_no_error) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.plan.launch.environment = {"ANTHROPIC_API_KEY=my-own-key-of-words"};
    co_await stage.start();
    stage.child().stderr_text = "error: my-own-key-of-words and sk-ant-api03-0123456789 were refused\n";
    stage.child().exit_with(1);
    co_await settle();
    const auto& hint = stage.observer.outcome.error_hint;
    EXPECT_NE(hint.find("error: [redacted] and [redacted] were refused"), std::string::npos) << hint;
    EXPECT_EQ(stage.on_disk()["error"], hint);
    EXPECT_EQ(stage.on_disk().dump().find("my-own-key-of-words"), std::string::npos);
  });
}

TEST(conversation, what_signs_a_worker_in_stands_in_no_error_of_the_api_or_of_the_start) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.plan.launch.environment = {"ANTHROPIC_API_KEY=my-own-key-of-words"};
    co_await stage.start();
    stage.child().print({{"type", "control_response"},
                         {"response",
                          {{"subtype", "error"},
                           {"request_id", stage.child().lines().at(0).at("request_id")},
                           {"error", "bad key my-own-key-of-words"}}}});
    co_await stage.exit(1);
    EXPECT_NE(stage.observer.outcome.error_hint.find("bad key [redacted]"), std::string::npos);
  });
  run([](stage& stage) -> asio::awaitable<void> {
    stage.plan.launch.environment = {"ANTHROPIC_API_KEY=my-own-key-of-words"};
    co_await stage.start_working();
    stage.child().print_result("401: x-api-key: my-own-key-of-words", {{"is_error", true}, {"api_error_status", 401}});
    co_await stage.exit(1);
    EXPECT_NE(stage.observer.outcome.error_hint.find("x-api-key: [redacted]"), std::string::npos);
    EXPECT_EQ(stage.on_disk()["error"].dump().find("my-own-key-of-words"), std::string::npos);
  });
}

TEST(conversation, a_child_that_was_killed_is_a_failure_that_names_the_signal) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().exit_with(-SIGKILL);
    co_await settle();
    EXPECT_EQ(stage.observer.outcome.returncode, -SIGKILL);
    EXPECT_NE(stage.observer.outcome.error_hint.find("signal 9"), std::string::npos)
        << stage.observer.outcome.error_hint;
  });
}

TEST(conversation, a_program_that_does_not_start_is_a_failure_without_returncode) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.launcher.failure = std::make_error_code(std::errc::no_such_file_or_directory);
    co_await stage.start();
    EXPECT_TRUE(stage.over);
    EXPECT_FALSE(stage.observer.outcome.returncode);
    EXPECT_NE(stage.observer.outcome.error_hint.find("/bin/claude"), std::string::npos);
    EXPECT_EQ(stage.on_disk()["state"], "failed");
  });
}

TEST(conversation, a_grandchild_that_holds_the_pipe_hangs_nothing) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    co_await settle();
    stage.child().print_result("last words");
    stage.child().exit_with(0, true);
    co_await settle();
    EXPECT_TRUE(stage.over);
    EXPECT_TRUE(stage.observer.outcome.completed);
  });
}

TEST(conversation, an_output_that_ends_before_the_child_does_lets_the_child_go) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().close_output();
    co_await settle();
    EXPECT_TRUE(stage.child().input_closed);
    EXPECT_FALSE(stage.over);
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_TRUE(stage.over);
    EXPECT_FALSE(stage.observer.outcome.completed);
  });
}

TEST(conversation, a_child_that_does_not_go_is_interrupted_and_then_killed) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print_result("done");
    co_await settle();
    EXPECT_TRUE(stage.child().signals.empty());
    stage.clock.advance(10s);
    EXPECT_EQ(stage.child().signals, std::vector{SIGINT});
    stage.clock.advance(3s);
    EXPECT_EQ(stage.child().signals, (std::vector{SIGINT, SIGKILL}));
    stage.child().exit_with(-SIGKILL);
    co_await settle();
    EXPECT_TRUE(stage.over);
    EXPECT_TRUE(stage.observer.outcome.completed) << "what happens after the result does not change it";
  });
}

TEST(conversation, a_child_that_never_answers_initialize_is_ended) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.clock.advance(180s);
    EXPECT_TRUE(stage.child().input_closed);
    stage.clock.advance(1s);
    EXPECT_EQ(stage.child().signals, std::vector{SIGINT});
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_NE(stage.observer.outcome.error_hint.find("180 s"), std::string::npos);
  });
}

TEST(conversation, an_agent_that_the_cli_does_not_list_gets_no_prompt) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.plan.expectations.agent = "myplug:bar";
    co_await stage.start();
    stage.child().answer_initialize({{"agents", json::array({{{"name", "Explore"}}})}});
    co_await settle();
    EXPECT_EQ(stage.child().lines().size(), 1U);
    EXPECT_TRUE(stage.child().input_closed);
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_NE(stage.observer.outcome.error_hint.find("myplug:bar"), std::string::npos);
    EXPECT_NE(stage.observer.outcome.error_hint.find("Explore"), std::string::npos);
  });
}

TEST(conversation, what_the_cli_says_of_itself_otherwise_than_expected_is_a_warning) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.plan.expectations.permission_mode = "plan";
    stage.plan.expectations.tools = {"Bahs"};
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print({{"type", "system"},
                         {"subtype", "init"},
                         {"permissionMode", "default"},
                         {"tools", json::array({"Bash"})},
                         {"mcp_servers", json::array({{{"name", "db"}, {"status", "failed"}}})}});
    stage.child().print_result("done");
    co_await settle();
    EXPECT_EQ(stage.observer.outcome.warnings.size(), 3U);
    EXPECT_EQ(stage.on_disk()["warnings"].size(), 3U);
    stage.child().exit_with(0);
    co_await settle();
  });
}

TEST(conversation, a_question_is_passed_on_and_answered_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print(question("q1"));
    stage.child().print(question("q2"));
    co_await settle();
    EXPECT_EQ(stage.observer.asked.size(), 2U);
    stage.running->allow("q1", R"({"command":"pwd"})");
    stage.running->allow("q1", R"({"command":"pwd"})");
    stage.running->deny("q2", "too risky");
    stage.running->deny("unknown", "x");
    EXPECT_EQ(stage.child().lines().size(), 4U);
    EXPECT_EQ(stage.child().lines()[2]["response"]["response"]["updatedInput"]["command"], "pwd");
    EXPECT_EQ(stage.child().lines()[3]["response"]["response"]["message"], "too risky");
    stage.child().print_result("done");
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_TRUE(stage.observer.withdrawn.empty());
  });
}

TEST(conversation, a_question_that_is_withdrawn_or_outlived_by_its_child_is_taken_back) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print(question("q1"));
    stage.child().print(question("q2"));
    stage.child().print({{"type", "control_cancel_request"}, {"request_id", "q1"}});
    co_await settle();
    EXPECT_EQ(stage.observer.withdrawn, std::vector<std::string>{"q1"});
    stage.running->allow("q1", "{}");
    EXPECT_EQ(stage.child().lines().size(), 2U) << "an answer that comes too late is not sent";
    stage.child().exit_with(-SIGSEGV);
    co_await settle();
    EXPECT_EQ(stage.observer.withdrawn, (std::vector<std::string>{"q1", "q2"}));
    EXPECT_EQ(stage.observer.endings, 1);
  });
}

TEST(conversation, a_question_that_nobody_serves_here_is_answered_with_an_error) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print(
        {{"type", "control_request"}, {"request_id", "h1"}, {"request", {{"subtype", "hook_callback"}}}});
    co_await settle();
    EXPECT_EQ(stage.child().lines().back()["response"]["subtype"], "error");
    EXPECT_EQ(stage.child().lines().back()["response"]["request_id"], "h1");
    stage.child().exit_with(0);
    co_await settle();
  });
}

TEST(conversation, broken_lines_are_counted_and_named_and_end_nothing) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print_raw("garbage\n{\"half\":\n");
    stage.child().print_result("done");
    stage.child().print_raw("{\"unfinished");
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_TRUE(stage.observer.outcome.completed);
    EXPECT_EQ(stage.observer.outcome.warnings.size(), 1U);
    EXPECT_NE(stage.observer.outcome.warnings.at(0).find("2 line(s)"), std::string::npos);
  });
}

TEST(conversation, a_refused_key_is_not_tried_for_three_minutes) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    for (int attempt = 1; attempt <= 3; ++attempt) {
      EXPECT_EQ(stage.child().lines().size(), attempt == 1 ? 1U : 2U);
      stage.child().print({{"type", "system"},
                           {"subtype", "api_retry"},
                           {"attempt", attempt},
                           {"error_status", 401},
                           {"error", "authentication_failed"}});
      co_await settle();
    }
    EXPECT_EQ(stage.child().lines().back()["request"]["subtype"], "interrupt");
    stage.child().print_result("", {{"is_error", true}, {"subtype", "error_during_execution"}});
    stage.child().exit_with(1);
    co_await settle();
    EXPECT_NE(stage.observer.outcome.error_hint.find("not signed in"), std::string::npos)
        << stage.observer.outcome.error_hint;
  });
}

TEST(conversation, a_question_that_is_asked_twice_is_one_question) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print(question("q1"));
    stage.child().print(question("q1"));
    co_await settle();
    EXPECT_EQ(stage.observer.asked.size(), 1U);
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_EQ(stage.observer.withdrawn.size(), 1U);
  });
}

TEST(conversation, a_result_or_question_that_cannot_be_read_fails_the_turn_and_does_not_hang_it) {
  for (const std::string line :
       {R"({"type":"result","is_error":false,"result":"\x"})", R"({"type":"control_request","request":[[[}})"}) {
    run([&line](stage& stage) -> asio::awaitable<void> {
      co_await stage.start();
      stage.child().answer_initialize();
      stage.child().print_raw(line + "\n");
      co_await settle();
      EXPECT_TRUE(stage.child().input_closed);
      stage.child().exit_with(0);
      co_await settle();
      EXPECT_FALSE(stage.observer.outcome.completed);
      EXPECT_NE(stage.observer.outcome.error_hint.find("cannot be read"), std::string::npos);
    });
  }
}

TEST(conversation, what_is_thrown_in_it_fails_it_and_goes_no_further) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.transcript->record().turns = 5;  // as no transcript that was loaded can have it
    co_await stage.start();
    EXPECT_TRUE(stage.over);
  });
}

TEST(conversation, stopping_puts_the_transcript_in_order_at_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.start();
    stage.child().answer_initialize();
    stage.child().print(
        {{"type", "assistant"}, {"message", {{"id", "a"}, {"role", "assistant"}, {"content", json::array({1})}}}});
    co_await settle();
    stage.running->stop();
    EXPECT_EQ(stage.on_disk()["state"], "interrupted");
    EXPECT_EQ(stage.on_disk()["messages"].size(), 2U);
    stage.child().print_result("", {{"is_error", true}});
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_TRUE(stage.over);
    EXPECT_EQ(stage.observer.endings, 0);
    EXPECT_EQ(stage.on_disk()["state"], "interrupted");
  });
}

}  // namespace
}  // namespace awm::worker
