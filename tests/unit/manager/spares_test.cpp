// Children that are started before a worker needs them.

#include "stage.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace awm::manager {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::settle;
using testing::run;
using testing::session;
using testing::stage;
using ids = std::vector<std::string>;

asio::awaitable<void> keep_spares(stage& stage, std::size_t count) {
  stage.config.prewarm = count;
  stage.start();
  stage.manager->begin();
  co_await settle();
}

/// What the status file says of them.
json spares_told(const stage& stage) {
  return json::parse(stage.manager->status())["spares"];
}

asio::awaitable<void> make_ready(stage& stage, std::size_t number) {
  stage.child(number).answer_requests();
  co_await settle();
}

TEST(spares, are_started_one_after_the_other_until_there_are_enough) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await keep_spares(stage, 2);
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    EXPECT_EQ(spares_told(stage), (json{{"ready", 0}, {"starting", 1}}));
    co_await make_ready(stage, 0);
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    co_await make_ready(stage, 1);
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    EXPECT_EQ(spares_told(stage), (json{{"ready", 2}, {"starting", 0}}));
    EXPECT_EQ(stage.manager->outstanding().total(), 0U) << "a spare is nobody's work";
  });
}

TEST(spares, serve_the_first_prompt_and_are_replaced_a_little_later) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await keep_spares(stage, 1);
    co_await make_ready(stage, 0);
    const json options = {{"system", "be brief"}, {"permission_mode", "acceptEdits"}, {"model", "opus"}};
    const auto id = co_await stage.spawn(options);
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    const auto spare_session = stage.argument(0, "--session-id");
    EXPECT_EQ(stage.on_disk(id)["session_id"], spare_session);
    EXPECT_EQ((co_await stage.summary(id)).state, worker_state::running);
    stage.child(0).answer_requests();
    co_await settle();
    EXPECT_EQ(stage.prompts(0), ids{"do it"});
    EXPECT_EQ(stage.child(0).lines().at(1)["request"]["systemPrompt"], (json{"be brief"}));
    stage.clock.advance(499ms);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.clock.advance(1ms);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    stage.child(0).print({{"type", "system"},
                          {"subtype", "init"},
                          {"session_id", spare_session},
                          {"model", "m"},
                          {"permissionMode", "acceptEdits"}});
    stage.child(0).print_result("done");
    stage.child(0).exit_with(0);
    co_await settle();
    EXPECT_EQ(stage.on_disk(id)["state"], "completed");
    EXPECT_EQ(stage.on_disk(id)["session_id"], spare_session);
    EXPECT_EQ(stage.on_disk(id)["warnings"], json::array());
  });
}

TEST(spares, that_do_not_fit_are_left_for_others) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await keep_spares(stage, 1);
    co_await make_ready(stage, 0);
    const json options = {{"allowed_tools", {"Read"}}};
    co_await stage.spawn(options);
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    EXPECT_EQ(stage.argument(1, "--allowedTools"), "Read");
    EXPECT_TRUE(stage.prompts(0).empty());
    co_await stage.spawn();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
  });
}

TEST(spares, one_that_is_still_starting_serves_too_and_its_start_counts_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.config.max_starts = 2;
    co_await keep_spares(stage, 1);
    const auto id = co_await stage.spawn();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    EXPECT_EQ((co_await stage.summary(id)).state, worker_state::starting);
    co_await stage.spawn();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    co_await stage.spawn();
    EXPECT_EQ(stage.launcher.children.size(), 2U) << "two are starting";
    co_await make_ready(stage, 0);
    EXPECT_EQ(stage.launcher.children.size(), 3U);
  });
}

TEST(spares, take_only_the_room_that_workers_leave) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        co_await keep_spares(stage, 5);
        co_await make_ready(stage, 0);
        co_await make_ready(stage, 1);
        EXPECT_EQ(stage.launcher.children.size(), 2U);
        const json options = {{"effort", "low"}};
        co_await stage.spawn(options);
        EXPECT_EQ(stage.launcher.children.size(), 3U);
        EXPECT_TRUE(stage.child(0).input_closed) << "the oldest makes room";
        EXPECT_FALSE(stage.child(1).input_closed);
        co_await stage.spawn(options);
        EXPECT_TRUE(stage.child(1).input_closed);
        const auto third = co_await stage.spawn();
        EXPECT_EQ((co_await stage.summary(third)).state, worker_state::queued);
        stage.child(0).exit_with(0);
        stage.child(1).exit_with(0);
        stage.clock.advance(10s);
        co_await settle();
        EXPECT_EQ(stage.launcher.children.size(), 4U) << "no place is free for a spare";
      },
      2);
}

TEST(spares, one_that_dies_is_not_handed_out_and_is_replaced_later_and_later) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await keep_spares(stage, 1);
    co_await make_ready(stage, 0);
    auto pause = 1s;
    for (std::size_t number = 0; number < 3; ++number, pause *= 2) {
      stage.child(number).exit_with(-SIGKILL);
      co_await settle();
      EXPECT_EQ(spares_told(stage)["ready"], 0);
      stage.clock.advance(pause - 1ms);
      co_await settle();
      EXPECT_EQ(stage.launcher.children.size(), number + 1);
      stage.clock.advance(1ms);
      co_await settle();
      EXPECT_EQ(stage.launcher.children.size(), number + 2);
    }
    stage.child(3).exit_with(1);
    co_await settle();
    co_await stage.spawn();
    EXPECT_EQ(stage.launcher.children.size(), 5U) << "a worker does not wait for the pool";
    EXPECT_EQ(stage.child(4).lines().at(0)["request"]["subtype"], "initialize");
  });
}

TEST(spares, that_cannot_be_started_are_tried_again_later_and_later) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.config.prewarm = 3;
    stage.start();
    stage.manager->begin();
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.launcher.failure = std::make_error_code(std::errc::too_many_files_open);
    co_await make_ready(stage, 0);
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.launcher.failure = {};
    stage.clock.advance(999ms);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.clock.advance(1ms);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
  });
}

TEST(spares, are_replaced_when_they_are_old) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await keep_spares(stage, 1);
    co_await make_ready(stage, 0);
    stage.clock.advance(300s - 1ms);
    co_await settle();
    EXPECT_FALSE(stage.child(0).input_closed);
    stage.clock.advance(1ms);
    co_await settle();
    EXPECT_TRUE(stage.child(0).input_closed);
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    stage.child(0).exit_with(0);
    co_await settle();
    stage.clock.advance(1s);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U) << "it was told to go";
  });
}

TEST(spares, that_have_read_what_has_changed_since_are_not_handed_out) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await keep_spares(stage, 1);
    co_await make_ready(stage, 0);
    std::error_code error;
    const auto memory = stage.files.create(stage.directory.path() / "CLAUDE.md", error);
    EXPECT_FALSE(memory->append("Be kind."));
    const auto id = co_await stage.spawn();
    EXPECT_TRUE(stage.child(0).input_closed);
    EXPECT_TRUE(stage.prompts(0).empty());
    EXPECT_EQ(stage.on_disk(id)["session_id"], stage.argument(1, "--session-id"));
    EXPECT_EQ(stage.child(1).lines().at(0)["request"]["subtype"], "initialize");
    stage.child(0).exit_with(0);
    co_await settle();
  });
}

TEST(spares, one_that_dies_in_the_taking_costs_the_turn_nothing) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await keep_spares(stage, 1);
    co_await make_ready(stage, 0);
    const auto id = co_await stage.spawn();
    stage.child(0).exit_with(-SIGKILL);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    stage.finish(1, "after all");
    co_await settle();
    EXPECT_EQ(stage.on_disk(id)["result"], "after all");
  });
}

TEST(spares, the_child_of_one_stays_warm_like_any_other) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.config.keep_warm = 300s;
    co_await keep_spares(stage, 1);
    co_await make_ready(stage, 0);
    const auto id = co_await stage.spawn();
    stage.child(0).answer_requests();
    co_await settle();
    stage.child(0).print({{"type", "system"}, {"subtype", "init"}, {"session_id", session}, {"model", "m"}});
    stage.child(0).print_result("first");
    co_await settle();
    EXPECT_TRUE((co_await stage.summary(id)).is_warm);
    co_await stage.resume(id);
    EXPECT_EQ(stage.prompts(0), (ids{"do it", "go on"}));
  });
}

TEST(spares, end_with_the_manager_and_are_not_replaced) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await keep_spares(stage, 2);
    co_await make_ready(stage, 0);
    stage.manager->stop();
    EXPECT_EQ(stage.child(0).signals, std::vector<int>{SIGINT});
    EXPECT_EQ(stage.child(1).signals, std::vector<int>{SIGINT});
    stage.child(0).exit_with(0);
    stage.child(1).exit_with(0);
    co_await settle();
    EXPECT_TRUE(stage.manager->children_gone().is_set());
    stage.clock.advance(1000s);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
  });
}

TEST(spares, are_not_kept_where_the_workers_share_a_budget) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.config.budget_usd = 1.0;
    co_await keep_spares(stage, 2);
    EXPECT_TRUE(stage.launcher.children.empty());
  });
}

TEST(spares, of_a_rate_limited_fleet_wait_for_its_end) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await keep_spares(stage, 1);
    co_await make_ready(stage, 0);
    co_await stage.spawn();
    stage.child(0).answer_requests();
    stage.child(0).print({{"type", "system"},
                          {"subtype", "api_retry"},
                          {"attempt", 1},
                          {"error_status", 429},
                          {"retry_delay_ms", 30000}});
    co_await settle();
    stage.clock.advance(20s);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.clock.advance(20s);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
  });
}

}  // namespace
}  // namespace awm::manager
