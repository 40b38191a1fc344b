// A child that is started before there is a turn for it.

#include "conversation_stage.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace awm::worker {
namespace {

using nlohmann::json;
using test::settle;
using testing::init;
using testing::recorder;
using testing::run;
using testing::stage;

/// Starts a child without a turn; `taker` is whom the turn's news are for.
asio::awaitable<void> start_spare(stage& stage) {
  stage.plan.launch.arguments = {"-p", "--session-id", "of-the-spare", "--model", "m"};
  stage.plan.takes_models = true;
  stage.running.emplace(stage.plan, stage.launcher, stage.clock, stage.buffers, stage.observer);
  const auto executor = co_await asio::this_coro::executor;
  const auto run = [](conversation& started, bool& done) -> asio::awaitable<void> {
    co_await started.run();
    done = true;
  };
  asio::co_spawn(executor, run(*stage.running, stage.over), asio::detached);
  co_await settle();
}

child_plan wanted_by(const stage& stage, std::vector<std::string> more = {}, const std::string& model = "m") {
  auto plan = stage.plan;
  plan.launch.arguments = {"-p", "--session-id", "of-the-worker", "--model", model};
  plan.launch.arguments.insert(plan.launch.arguments.end(), more.begin(), more.end());
  plan.initialize = {{"systemPrompt", {"be brief"}}};
  return plan;
}

json on_line(const test::fake_child& child, std::size_t number) {
  return child.lines().at(number)["request"];
}

TEST(spare_child, is_asked_whether_it_is_ready_and_is_given_nothing_else) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await start_spare(stage);
    EXPECT_FALSE(stage.running->is_idle());
    EXPECT_FALSE(stage.running->has_started());
    stage.child().answer_requests();
    co_await settle();
    EXPECT_TRUE(stage.running->is_idle());
    EXPECT_TRUE(stage.running->has_started());
    EXPECT_EQ(stage.child().lines().size(), 1U);
    EXPECT_EQ(on_line(stage.child(), 0)["subtype"], "get_session_cost");
    stage.running->let_go();
    EXPECT_TRUE(stage.child().input_closed);
    co_await stage.exit();
    EXPECT_TRUE(stage.over);
    EXPECT_EQ(stage.observer.endings, 0);
  });
}

TEST(spare_child, becomes_what_the_turn_wants_before_it_gets_the_prompt) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await start_spare(stage);
    stage.child().answer_requests();
    co_await settle();
    recorder taker;
    const auto wanted = wanted_by(stage, {"--permission-mode", "dontAsk"}, "n");
    EXPECT_TRUE(stage.running->can_take(wanted));
    stage.running->take(wanted, stage.request, *stage.transcript, taker);
    EXPECT_EQ(stage.on_disk()["session_id"], "of-the-spare");
    EXPECT_EQ(stage.child().lines().size(), 4U);
    EXPECT_EQ(on_line(stage.child(), 1)["systemPrompt"], (json{"be brief"}));
    EXPECT_EQ(on_line(stage.child(), 2)["mode"], "dontAsk");
    EXPECT_EQ(on_line(stage.child(), 3)["settings"]["model"], "n");
    stage.child().answer_requests();
    co_await settle();
    EXPECT_EQ(stage.last_line()["message"]["content"], "do it");
    stage.child().print(init("of-the-spare"));
    stage.child().print_result("done");
    co_await settle();
    EXPECT_TRUE(taker.outcome.completed);
    EXPECT_EQ(stage.observer.endings, 0) << "the turn is the taker's";
    EXPECT_EQ(stage.on_disk()["session_id"], "of-the-spare");
    co_await stage.exit();
  });
}

TEST(spare_child, that_is_still_starting_takes_a_turn_too) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await start_spare(stage);
    recorder taker;
    stage.running->take(wanted_by(stage), stage.request, *stage.transcript, taker);
    EXPECT_FALSE(stage.running->has_started());
    json late = {{"subtype", "error"}, {"request_id", stage.child().lines().at(0)["request_id"]}};
    stage.child().print({{"type", "control_response"}, {"response", std::move(late)}});
    co_await settle();
    EXPECT_FALSE(stage.child().input_closed) << "whatever it answers, it is there";
    stage.child().answer_requests();
    co_await settle();
    EXPECT_EQ(stage.last_line()["message"]["content"], "do it");
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.child().print(init("of-the-spare"));
    co_await settle();
    co_await stage.exit();
    EXPECT_TRUE(stage.over);
  });
}

TEST(spare_child, cannot_be_taken_for_what_it_cannot_become) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await start_spare(stage);
    EXPECT_FALSE(stage.running->can_take(wanted_by(stage, {"--agent", "x"})));
    stage.running->let_go();
    EXPECT_FALSE(stage.running->can_take(wanted_by(stage)));
    co_await stage.exit();
  });
}

TEST(spare_child, that_dies_in_the_taking_is_replaced_and_the_turn_knows_nothing_of_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await start_spare(stage);
    stage.child().answer_requests();
    co_await settle();
    recorder taker;
    stage.running->take(wanted_by(stage), stage.request, *stage.transcript, taker);
    co_await stage.exit(-SIGKILL);
    EXPECT_EQ(taker.endings, 0);
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    auto& second = *stage.launcher.children.at(1);
    EXPECT_EQ(second.spec.arguments.at(2), "of-the-worker");
    EXPECT_EQ(on_line(second, 0)["systemPrompt"], (json{"be brief"}));
    second.answer_requests();
    co_await settle();
    second.print(init("of-the-worker"));
    second.print_result("done");
    second.exit_with(0);
    co_await settle();
    EXPECT_TRUE(taker.outcome.completed);
    EXPECT_EQ(taker.outcome.result, "done");
    EXPECT_TRUE(taker.outcome.warnings.empty());
    EXPECT_EQ(stage.on_disk()["session_id"], "of-the-worker");
    EXPECT_TRUE(stage.over);
  });
}

TEST(spare_child, that_refuses_a_change_is_replaced_by_one_that_is_started_so) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await start_spare(stage);
    recorder taker;
    const auto wanted = wanted_by(stage, {"--permission-mode", "dontAsk"});
    stage.running->take(wanted, stage.request, *stage.transcript, taker);
    const auto lines = stage.child().lines();
    stage.child().print({{"type", "control_response"},
                         {"response", {{"subtype", "error"}, {"request_id", lines.back()["request_id"]}}}});
    co_await settle();
    EXPECT_TRUE(stage.child().input_closed);
    co_await stage.exit();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    EXPECT_EQ(stage.launcher.children.at(1)->spec.arguments, wanted.launch.arguments);
    EXPECT_EQ(taker.endings, 0);
    stage.running->cancel("Enough.");
    stage.launcher.children.at(1)->exit_with(0);
    co_await settle();
    EXPECT_TRUE(taker.outcome.cancelled);
  });
}

TEST(spare_child, that_has_begun_the_turn_fails_with_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await start_spare(stage);
    recorder taker;
    stage.running->take(wanted_by(stage), stage.request, *stage.transcript, taker);
    stage.child().answer_requests();
    stage.child().print(init("of-the-spare"));
    co_await settle();
    co_await stage.exit(-SIGKILL);
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    EXPECT_EQ(taker.endings, 1);
    EXPECT_FALSE(taker.outcome.completed);
  });
}

TEST(spare_child, that_begins_a_turn_nobody_sent_is_let_go) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await start_spare(stage);
    stage.child().answer_requests();
    co_await settle();
    stage.child().print(init("of-the-spare"));
    co_await settle();
    EXPECT_TRUE(stage.child().input_closed);
    EXPECT_FALSE(stage.running->can_take(wanted_by(stage)));
    co_await stage.exit();
    EXPECT_TRUE(stage.over);
  });
}

TEST(spare_child, that_was_let_go_before_it_began_is_not_started) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.running.emplace(stage.plan, stage.launcher, stage.clock, stage.buffers, stage.observer);
    stage.running->let_go();
    co_await stage.running->run();
    EXPECT_TRUE(stage.launcher.children.empty());
  });
}

}  // namespace
}  // namespace awm::worker
