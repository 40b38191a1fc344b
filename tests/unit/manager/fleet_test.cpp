// What a manager does with many workers: keeps their children warm, holds them back, chains, pays, cancels, steers, and
// finds them again.

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

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The one turn that a wait delivers now; it is delivered for good.
asio::awaitable<finished_turn> delivered(stage& stage) {
  const auto wait = stage.wait();
  co_await settle();
  EXPECT_TRUE(wait->over);
  EXPECT_FALSE(wait->refused());
  if (!wait->over || wait->refused()) co_return finished_turn{};
  EXPECT_EQ(wait->result().finished.size(), 1U);
  auto turn = wait->result().finished.at(0);
  wait->settle(true);
  co_return turn;
}

// ---- warmth ----

void keep_warm(stage& stage, std::size_t most = 4) {
  stage.config.keep_warm = 300s;
  stage.config.max_warm = most;
  stage.start();
}

TEST(warmth, the_child_of_a_completed_turn_takes_the_next_one) {
  run([](stage& stage) -> asio::awaitable<void> {
    keep_warm(stage);
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.child(0).print_result("first");
    co_await settle();
    EXPECT_FALSE(stage.child(0).input_closed);
    const auto warm = co_await stage.summary(id);
    EXPECT_TRUE(warm.is_warm);
    EXPECT_EQ(warm.state, worker_state::completed);
    const auto resumed = co_await stage.resume(id);
    EXPECT_FALSE(std::get<accepted_turn>(resumed).queued);
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    EXPECT_EQ(stage.prompts(0), (ids{"do it", "go on"}));
    EXPECT_EQ(stage.manager->outstanding().running, 1U);
    stage.child(0).print_result("second", {{"total_cost_usd", 0.75}});
    co_await settle();
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_EQ(wait->result().finished.size(), 2U);
    EXPECT_EQ(wait->result().finished.at(1).outcome.result, "second");
    EXPECT_EQ(wait->result().finished.at(1).outcome.cost_usd, 0.25);
    EXPECT_EQ(wait->result().finished.at(1).total_cost_usd, 0.75);
    EXPECT_EQ(stage.manager->spent_usd(), 0.75);
    wait->settle(true);
  });
}

TEST(warmth, a_child_that_has_a_message_which_its_turn_did_not_read_is_let_go) {
  run([](stage& stage) -> asio::awaitable<void> {
    keep_warm(stage);
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.call_tool(0, "t1");
    co_await settle();
    const auto call = stage.beside(stage.manager->send(id, "hurry", message_mode::steer));
    co_await settle();
    EXPECT_EQ(stage.prompts(0).size(), 2U);
    stage.child(0).print_result("first");
    co_await settle();
    stage.clock.advance(6s);  // in which the CLI could have begun a turn with it
    co_await settle();
    EXPECT_TRUE(call->over());
    EXPECT_TRUE(stage.child(0).input_closed) << "the message would get into the next prompt's turn";
  });
}

TEST(warmth, a_turn_with_other_options_gets_another_child_when_the_first_is_gone) {
  run([](stage& stage) -> asio::awaitable<void> {
    keep_warm(stage);
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.child(0).print_result("first");
    co_await settle();
    const json options = {{"effort", "high"}};
    const auto resumed = co_await stage.resume(id, options);
    EXPECT_TRUE(std::get<accepted_turn>(resumed).queued);
    EXPECT_TRUE(stage.child(0).input_closed);
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.child(0).exit_with(0);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    EXPECT_EQ(stage.argument(1, "--resume"), session);
    EXPECT_EQ(stage.argument(1, "--effort"), "high");
    stage.finish(1);
    co_await settle();
  });
}

TEST(warmth, a_child_that_can_be_told_of_the_other_options_takes_the_turn) {
  run([](stage& stage) -> asio::awaitable<void> {
    keep_warm(stage);
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.child(0).print_result("first");
    co_await settle();
    const json options = {{"permission_mode", "acceptEdits"}};
    co_await stage.resume(id, options);
    EXPECT_EQ(stage.prompts(0).size(), 1U) << "it is told first";
    stage.child(0).answer_requests();
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    EXPECT_EQ(stage.prompts(0), (ids{"do it", "go on"}));
    const auto lines = stage.child(0).lines();
    EXPECT_EQ(lines.at(lines.size() - 2)["request"],
              (json{{"subtype", "set_permission_mode"}, {"mode", "acceptEdits"}}));
  });
}

TEST(warmth, gives_its_slot_to_who_waits_and_takes_one_again_for_the_next_turn) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        keep_warm(stage);
        const auto one = co_await stage.spawn();
        co_await stage.spawn();
        EXPECT_EQ(stage.manager->outstanding().queued, 1U);
        stage.begin(0);
        stage.child(0).print_result("first");
        co_await settle();
        EXPECT_EQ(stage.launcher.children.size(), 2U);
        EXPECT_FALSE(stage.child(0).input_closed);
        const auto resumed = co_await stage.resume(one);
        EXPECT_TRUE(std::get<accepted_turn>(resumed).queued);
        EXPECT_EQ(stage.prompts(0).size(), 1U);
        stage.begin(1);
        stage.child(1).print_result("other");
        co_await settle();
        EXPECT_EQ(stage.prompts(0).back(), "go on");
      },
      1);
}

TEST(warmth, the_child_that_was_used_longest_ago_goes_first) {
  run([](stage& stage) -> asio::awaitable<void> {
    keep_warm(stage, 2);
    const auto one = co_await stage.spawn();
    co_await stage.spawn();
    co_await stage.spawn();
    for (std::size_t number = 0; number < 2; ++number) {
      stage.begin(number);
      stage.child(number).print_result("first");
      co_await settle();
    }
    co_await stage.resume(one);
    stage.child(0).print_result("second");
    co_await settle();
    stage.begin(2);
    stage.child(2).print_result("first");
    co_await settle();
    EXPECT_FALSE(stage.child(0).input_closed);
    EXPECT_TRUE(stage.child(1).input_closed);
    EXPECT_FALSE(stage.child(2).input_closed);
  });
}

TEST(warmth, ends_when_its_time_is_over) {
  run([](stage& stage) -> asio::awaitable<void> {
    keep_warm(stage);
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.child(0).print_result("first");
    co_await settle();
    stage.clock.advance(299s);
    EXPECT_FALSE(stage.child(0).input_closed);
    stage.clock.advance(1s);
    EXPECT_TRUE(stage.child(0).input_closed);
    stage.child(0).exit_with(0);
    co_await settle();
    co_await stage.resume(id);
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    EXPECT_EQ(stage.argument(1, "--resume"), session);
  });
}

TEST(warmth, a_warm_child_that_died_is_replaced) {
  run([](stage& stage) -> asio::awaitable<void> {
    keep_warm(stage);
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.child(0).print_result("first");
    co_await settle();
    stage.child(0).exit_with(-SIGKILL);
    co_await settle();
    const auto cold = co_await stage.summary(id);
    EXPECT_FALSE(cold.is_warm);
    EXPECT_EQ(cold.state, worker_state::completed);
    co_await stage.resume(id);
    EXPECT_EQ(stage.launcher.children.size(), 2U);
  });
}

// ---- what holds workers back ----

TEST(rate_limit, that_one_worker_meets_holds_the_others_back_until_it_ends) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    stage.begin(0);
    stage.child(0).print({{"type", "system"},
                          {"subtype", "api_retry"},
                          {"attempt", 1},
                          {"error_status", 429},
                          {"retry_delay_ms", 30000}});
    co_await settle();
    EXPECT_FALSE(stage.manager->rate_limited_until().empty());
    const auto second = co_await stage.spawn();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    const auto held = co_await stage.summary(second);
    EXPECT_EQ(held.state, worker_state::queued);
    EXPECT_TRUE(held.held_by.starts_with("waiting for rate limit until")) << held.held_by;
    stage.clock.advance(29s);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.clock.advance(4s);  // with the jitter
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    EXPECT_TRUE(stage.manager->rate_limited_until().empty());
  });
}

TEST(rate_limit, that_a_worker_makes_up_holds_the_others_for_no_longer_than_real_ones_last) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    stage.begin(0);
    stage.child(0).print(
        {{"type", "rate_limit_event"}, {"rate_limit_info", {{"status", "rejected"}, {"resetsAt", 9e18}}}});
    co_await settle();
    co_await stage.spawn();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.clock.advance(24h * 9);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
  });
}

TEST(rate_limit, a_turn_that_it_ended_is_taken_up_again_on_its_session) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    const auto wait = stage.wait();
    stage.fail(0, "API Error: 429", {{"api_error_status", 429}});
    co_await settle();
    EXPECT_FALSE(wait->over);
    EXPECT_EQ(stage.manager->outstanding().queued, 1U);
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.clock.advance(66s);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    EXPECT_EQ(stage.argument(1, "--resume"), session);
    stage.begin(1);
    co_await settle();
    EXPECT_EQ(stage.prompts(1), ids{"do it"}) << "it had done nothing";
    stage.child(1).print_result("done at last");
    stage.child(1).exit_with(0);
    co_await settle();
    EXPECT_EQ(wait->result().finished.size(), 1U);
    EXPECT_TRUE(wait->result().finished.at(0).outcome.completed);
    wait->settle(true);
    EXPECT_EQ(stage.on_disk(id)["turns"].size(), 1U);
    EXPECT_EQ(stage.on_disk(id)["turns"][0]["retries"], 1);
    EXPECT_EQ(stage.on_disk(id)["total_cost_usd"], 1.0);
    EXPECT_EQ(stage.on_disk(id)["turns"][0]["cost_usd"], 1.0);
  });
}

TEST(rate_limit, a_turn_that_had_begun_to_work_is_told_to_continue) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    stage.begin(0);
    stage.call_tool(0, "t1");
    stage.end_tool(0, "t1");
    stage.child(0).print_result("API Error: Repeated 529 Overloaded errors", {{"is_error", true}});
    stage.child(0).exit_with(1);
    co_await settle();
    stage.clock.advance(66s);
    co_await settle();
    stage.begin(1);
    co_await settle();
    EXPECT_TRUE(contains(stage.prompts(1).at(0), "Continue where you stopped"));
    stage.child(1).print_result("done");
    stage.child(1).exit_with(0);
    co_await settle();
  });
}

TEST(rate_limit, refusals_in_a_row_pause_longer_and_are_not_repeated_for_ever) {
  run([](stage& stage) -> asio::awaitable<void> {
    const json options = {{"rate_limit_retries", 1}};
    co_await stage.spawn(options);
    stage.fail(0, "API Error: 429", {{"api_error_status", 429}});
    co_await settle();
    stage.clock.advance(66s);
    co_await settle();
    stage.fail(1, "API Error: 429", {{"api_error_status", 429}});
    co_await settle();
    const auto turn = co_await delivered(stage);
    EXPECT_EQ(turn.state, worker_state::failed);
    EXPECT_TRUE(contains(turn.outcome.error_hint, "rate limit"));
    co_await stage.spawn();
    stage.clock.advance(119s);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    stage.clock.advance(13s);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 3U);
  });
}

TEST(rate_limit, a_worker_that_is_not_to_be_retried_fails_at_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    const json options = {{"rate_limit_retries", 0}};
    co_await stage.spawn(options);
    stage.fail(0, "Overloaded", {{"api_error_status", 529}});
    co_await settle();
    const auto turn = co_await delivered(stage);
    EXPECT_FALSE(turn.outcome.completed);
  });
}

TEST(sign_in, that_is_refused_stops_the_queue_and_ends_the_wait_with_one_message) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        co_await stage.spawn();
        co_await stage.spawn();
        co_await stage.spawn();
        const auto wait = stage.wait();
        stage.fail(0, "Invalid API key", {{"api_error_status", 401}});
        co_await settle();
        EXPECT_EQ(stage.launcher.children.size(), 1U);
        EXPECT_TRUE(wait->over);
        EXPECT_EQ(wait->result().finished.size(), 1U);
        EXPECT_EQ(wait->result().finished.at(0).state, worker_state::failed);
        wait->settle(true);
        EXPECT_TRUE(contains(stage.manager->queue_stopped(), "2 queued worker(s)")) << stage.manager->queue_stopped();
        EXPECT_EQ(stage.manager->outstanding().queued, 2U);
        co_await stage.spawn();
        EXPECT_TRUE(stage.manager->queue_stopped().empty()) << "who starts something has signed in";
        EXPECT_EQ(stage.launcher.children.size(), 2U);
      },
      1);
}

TEST(start, no_more_children_than_cores_start_at_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.config.max_starts = 1;
    stage.start();
    co_await stage.spawn();
    co_await stage.spawn();
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    stage.begin(0);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
  });
}

// ---- chains ----

TEST(after, a_worker_starts_when_those_before_it_have_completed_and_is_told_of_them) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto one = co_await stage.spawn();
    const auto two = co_await stage.spawn();
    ids both(1, one);
    both.push_back(two);
    const auto last = co_await stage.spawn_after(both);
    const auto held = co_await stage.summary(last);
    EXPECT_EQ(held.state, worker_state::queued);
    EXPECT_TRUE(contains(held.held_by, "2 worker(s)")) << held.held_by;
    stage.finish(0);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    stage.finish(1);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 3U);
    stage.begin(2);
    co_await settle();
    const auto prompt = stage.prompts(2).at(0);
    EXPECT_TRUE(prompt.starts_with("go on from there"));
    EXPECT_TRUE(contains(prompt, "task: completed, transcript " + (stage.config.log_dir / ("worker-" + one)).string()));
    EXPECT_TRUE(contains(prompt, two));
  });
}

TEST(after, one_that_has_ended_already_holds_nobody_back) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto first_id = co_await stage.spawn();
    const ids first(1, first_id);
    stage.finish(0);
    co_await settle();
    co_await stage.spawn_after(first);
    EXPECT_EQ(stage.launcher.children.size(), 2U);
  });
}

TEST(after, a_failure_fails_the_whole_chain_behind_it_and_says_whose_it_was) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto first_id = co_await stage.spawn();
    const ids first(1, first_id);
    const auto second_id = co_await stage.spawn_after(first);
    const ids second(1, second_id);
    const auto third = co_await stage.spawn_after(second);
    const auto wait = stage.wait();
    stage.child(0).exit_with(1);
    co_await settle();
    EXPECT_TRUE(wait->over);
    EXPECT_EQ(wait->result().finished.size(), 3U);
    for (const auto& turn : wait->result().finished) EXPECT_EQ(turn.state, worker_state::failed);
    const auto& last = wait->result().finished.back();
    EXPECT_EQ(last.worker_id, third);
    EXPECT_TRUE(contains(last.outcome.error_hint, second.at(0))) << last.outcome.error_hint;
    EXPECT_EQ(stage.launcher.children.size(), 1U);
    EXPECT_EQ(stage.on_disk(third)["state"], "failed");
    wait->settle(true);
  });
}

TEST(after, a_worker_that_starts_in_any_case_is_told_of_the_failure) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto first_id = co_await stage.spawn();
    const ids first(1, first_id);
    co_await stage.spawn_after(first, true);
    stage.child(0).exit_with(1);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
    stage.begin(1);
    co_await settle();
    EXPECT_TRUE(contains(stage.prompts(1).at(0), "task: failed"));
  });
}

TEST(after, an_id_that_is_none_is_refused) {
  run([](stage& stage) -> asio::awaitable<void> {
    const ids wrong = json::parse(R"(["nonsense", "00000000-0000-4000-8000-000000000000"])");
    for (const auto& id : wrong) {
      spawn_request request;
      request.description = "task";
      request.prompt = "do it";
      request.after.push_back(id);
      const auto accepted = co_await stage.try_spawn(std::move(request));
      const auto* const refused = std::get_if<refusal>(&accepted);
      EXPECT_TRUE(refused != nullptr && contains(refused->reason, id));
    }
    EXPECT_EQ(stage.manager->outstanding().total(), 0U);
  });
}

// ---- the bill ----

TEST(budget, that_is_spent_refuses_new_workers_and_fails_those_that_wait) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        stage.config.budget_usd = 1;
        stage.start();
        co_await stage.spawn();
        EXPECT_EQ(stage.argument(0, "--max-budget-usd").substr(0, 1), "1");
        const auto waiting = co_await stage.spawn();
        const auto wait = stage.wait();
        stage.begin(0);
        stage.child(0).print_result("dear", {{"total_cost_usd", 1.5}});
        stage.child(0).exit_with(0);
        co_await settle();
        EXPECT_TRUE(wait->over);
        EXPECT_EQ(wait->result().finished.size(), 2U);
        wait->settle(true);
        EXPECT_EQ(stage.launcher.children.size(), 1U);
        EXPECT_TRUE(contains(stage.on_disk(waiting)["error"], "budget_usd"));
        const auto refused = co_await stage.try_spawn();
        EXPECT_TRUE(contains(std::get<refusal>(refused).reason, "budget_usd"));
        EXPECT_EQ(stage.manager->spent_usd(), 1.5);
      },
      1);
}

TEST(budget, that_is_spent_lets_running_workers_come_to_an_end) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.config.budget_usd = 1;
    stage.start();
    co_await stage.spawn();
    const auto running = co_await stage.spawn();
    stage.begin(1);
    stage.call_tool(1, "t1");
    co_await settle();
    stage.begin(0);
    stage.child(0).print_result("dear", {{"total_cost_usd", 1.5}});
    stage.child(0).exit_with(0);
    co_await settle();
    EXPECT_TRUE(contains(stage.prompts(1).back(), "money for all workers is spent"));
    EXPECT_FALSE(stage.was_interrupted(1));
    stage.clock.advance(60s);
    EXPECT_TRUE(stage.was_interrupted(1));
    stage.child(1).print_result("", {{"is_error", true}, {"subtype", "error_during_execution"}});
    stage.child(1).exit_with(0);
    co_await settle();
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_EQ(wait->result().finished.at(1).worker_id, running);
    EXPECT_EQ(wait->result().finished.at(1).outcome.cap, "budget_usd");
    wait->settle(true);
  });
}

TEST(budget, counts_what_running_turns_have_cost_so_far) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.config.budget_usd = 1;
    stage.start();
    const auto id = co_await stage.spawn();
    stage.begin(0);
    const ids amounts = json::parse(R"(["0.00", "0.25"])");
    for (const auto& dollars : amounts) {
      json payload = {{"text", "Total cost: $" + dollars}};
      json response = {{"subtype", "success"}, {"request_id", "awm-cost"}, {"response", payload}};
      stage.child(0).print({{"type", "control_response"}, {"response", response}});
    }
    co_await settle();
    EXPECT_EQ(stage.manager->spent_usd(), 0.25);
    const auto shown = co_await stage.summary(id);
    EXPECT_EQ(shown.total_cost_usd, 0.25);
    stage.child(0).print_result("done", {{"total_cost_usd", 0.5}});
    co_await settle();
    EXPECT_EQ(stage.manager->spent_usd(), 0.5);
  });
}

// ---- reaching into what workers do ----

TEST(budget, counts_also_what_a_child_had_spent_that_died_without_a_result) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.config.budget_usd = 1;
    stage.start();
    const auto id = co_await stage.spawn();
    stage.begin(0);
    for (const auto* const text : {"Total cost: $0", "Total cost: $0.75"}) {
      json payload = {{"text", text}};
      json response = {{"subtype", "success"}, {"request_id", "awm-cost"}, {"response", std::move(payload)}};
      stage.child(0).print({{"type", "control_response"}, {"response", std::move(response)}});
    }
    stage.child(0).exit_with(1);
    co_await settle();
    EXPECT_DOUBLE_EQ(stage.manager->spent_usd(), 0.75);
    EXPECT_DOUBLE_EQ(stage.on_disk(id)["total_cost_usd"], 0.75);
    EXPECT_DOUBLE_EQ(stage.on_disk(id)["turns"][0]["cost_usd"], 0.75);
    const auto turn = co_await delivered(stage);
    EXPECT_DOUBLE_EQ(turn.outcome.cost_usd, 0.75);
  });
}

TEST(cancel, of_a_queued_worker_costs_nothing) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        co_await stage.spawn();
        const auto waiting = co_await stage.spawn();
        const auto call = stage.beside(stage.manager->cancel(waiting, "not needed"));
        co_await settle();
        EXPECT_EQ(call->value().cancelled, ids{waiting});
        EXPECT_EQ(stage.on_disk(waiting)["state"], "cancelled");
        EXPECT_TRUE(contains(stage.on_disk(waiting)["error"], "not needed"));
        stage.finish(0);
        co_await settle();
        EXPECT_EQ(stage.launcher.children.size(), 1U);
        const auto wait = stage.wait();
        co_await settle();
        EXPECT_EQ(wait->result().finished.at(0).state, worker_state::cancelled);
        wait->settle(true);
      },
      1);
}

TEST(cancel, does_not_wait_for_a_warm_child_whose_next_turn_never_began) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        keep_warm(stage);
        const auto id = co_await stage.spawn();
        stage.begin(0);
        stage.child(0).print_result("first");
        co_await settle();
        const auto first = co_await delivered(stage);
        EXPECT_TRUE(first.outcome.completed);
        co_await stage.spawn();
        const auto queued = co_await stage.resume(id);
        EXPECT_TRUE(std::get<accepted_turn>(queued).queued);
        const auto call = stage.beside(stage.manager->cancel(id, "not needed"));
        co_await settle();
        EXPECT_TRUE(call->over());
        EXPECT_FALSE(stage.child(0).input_closed) << "it stays warm";
      },
      1);
}

TEST(cancel, does_not_wait_for_a_turn_that_another_call_began_meanwhile) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    co_await settle();
    const auto call = stage.beside(stage.manager->cancel(id, ""));
    stage.child(0).print_result("", {{"is_error", true}, {"subtype", "error_during_execution"}});
    co_await settle();
    stage.child(0).exit_with(0);
    // Both happen before the first call hears of the end.
    resume_request request{id, "go on", nullptr};
    const auto again = stage.beside(stage.manager->resume(std::move(request)));
    co_await settle();
    if (std::holds_alternative<refusal>(again->found.value())) {
      const auto resumed = co_await stage.resume(id);
      EXPECT_TRUE(std::holds_alternative<accepted_turn>(resumed));
    }
    EXPECT_TRUE(call->over());
  });
}

TEST(cancel, of_a_starting_worker_ends_it_also_when_it_gets_ready_all_the_same) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    const auto call = stage.beside(stage.manager->cancel(id, ""));
    co_await settle();
    EXPECT_EQ(stage.child(0).signals, std::vector<int>{SIGINT});
    stage.child(0).answer_initialize();
    co_await settle();
    EXPECT_TRUE(stage.prompts(0).empty());
    stage.clock.advance(3s);
    co_await settle();
    EXPECT_EQ(stage.child(0).signals.back(), SIGKILL);
    stage.child(0).exit_with(-SIGKILL);
    co_await settle();
    EXPECT_TRUE(call->over());
  });
}

TEST(cancel, of_a_running_worker_returns_when_it_is_gone_and_leaves_it_resumable) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.call_tool(0, "t1");
    co_await settle();
    const auto call = stage.beside(stage.manager->cancel(id, ""));
    co_await settle();
    EXPECT_TRUE(stage.was_interrupted(0));
    stage.child(0).print_result("", {{"is_error", true}, {"subtype", "error_during_execution"}});
    co_await settle();
    EXPECT_FALSE(call->over());
    stage.child(0).exit_with(0);
    co_await settle();
    EXPECT_EQ(call->value().cancelled, ids{id});
    EXPECT_EQ(stage.on_disk(id)["state"], "cancelled");
    const auto turn = co_await delivered(stage);
    EXPECT_EQ(turn.state, worker_state::cancelled);
    EXPECT_TRUE(turn.outcome.cancelled);
    co_await stage.resume(id);
    EXPECT_EQ(stage.argument(1, "--resume"), session);
  });
}

TEST(cancel, of_all_starts_nobody_and_cancels_also_who_waits_for_another) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        const auto running_id = co_await stage.spawn();
        const ids running(1, running_id);
        const auto queued_id = co_await stage.spawn();
        const ids queued(1, queued_id);
        // Several: in which order they are gone through is nobody's choice.
        for (int number = 0; number < 8; ++number) {
          co_await stage.spawn_after(running);
          co_await stage.spawn_after(queued);
          co_await stage.spawn_after(queued, true);
        }
        stage.begin(0);
        co_await settle();
        const auto call = stage.beside(stage.manager->cancel(std::nullopt, "enough"));
        co_await settle();
        stage.child(0).exit_with(0);
        co_await settle();
        EXPECT_EQ(call->value().cancelled.size(), 26U);
        EXPECT_TRUE(call->value().idle.empty());
        EXPECT_EQ(stage.launcher.children.size(), 1U);
        const auto wait = stage.wait();
        co_await settle();
        EXPECT_EQ(wait->result().finished.size(), 26U);
        for (const auto& turn : wait->result().finished) EXPECT_EQ(turn.state, worker_state::cancelled);
        wait->settle(true);
      },
      1);
}

TEST(cancel, of_who_has_ended_says_so_and_of_nobody_is_refused) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.finish(0);
    co_await settle();
    const auto ended = co_await stage.manager->cancel(id, "");
    EXPECT_EQ(std::get<cancelled_workers>(ended).idle, ids{id});
    EXPECT_EQ(stage.on_disk(id)["state"], "completed");
    const auto unknown = co_await stage.manager->cancel("nonsense", "");
    EXPECT_TRUE(std::holds_alternative<refusal>(unknown));
  });
}

TEST(send, a_queued_message_begins_the_next_turn_and_a_wait_does_not_see_the_gap) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    co_await settle();
    const auto sent = co_await stage.manager->send(id, "one more thing", message_mode::queue);
    EXPECT_EQ(std::get<message_receipt>(sent).fate, worker::message_fate::next_turn);
    EXPECT_EQ(stage.prompts(0).size(), 1U);
    const auto wait = stage.wait();
    stage.child(0).print_result("first");
    co_await settle();
    stage.child(0).exit_with(0);
    co_await settle();
    EXPECT_FALSE(wait->over);
    EXPECT_EQ(stage.argument(1, "--resume"), session);
    stage.finish(1, "second");
    co_await settle();
    EXPECT_EQ(wait->result().finished.size(), 2U);
    EXPECT_EQ(wait->result().finished.at(1).outcome.result, "second");
    EXPECT_EQ(stage.prompts(1), ids{"one more thing"});
    wait->settle(true);
  });
}

TEST(send, a_steering_message_is_receipted_with_what_became_of_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.call_tool(0, "t1");
    co_await settle();
    const auto call = stage.beside(stage.manager->send(id, "be quick", message_mode::steer));
    co_await settle();
    EXPECT_EQ(stage.prompts(0).back(), "be quick");
    EXPECT_FALSE(call->over());
    const auto message = stage.child(0).lines().back()["uuid"];
    stage.child(0).print({{"type", "command_lifecycle"}, {"command_uuid", message}, {"state", "started"}});
    co_await settle();
    EXPECT_EQ(call->value().fate, worker::message_fate::delivered);
  });
}

TEST(send, a_steering_message_that_stays_unread_begins_the_next_turn) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    co_await settle();
    const auto call = stage.beside(stage.manager->send(id, "be quick", message_mode::steer));
    co_await settle();
    stage.child(0).print_result("done");
    co_await settle();
    EXPECT_EQ(call->value().fate, worker::message_fate::next_turn);
    stage.child(0).exit_with(0);
    co_await settle();
    stage.begin(1);
    co_await settle();
    EXPECT_EQ(stage.prompts(1), ids{"be quick"});
  });
}

TEST(send, a_receipt_does_not_wait_for_a_long_tool_and_names_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.call_tool(0, "t1");
    co_await settle();
    const auto call = stage.beside(stage.manager->send(id, "be quick", message_mode::steer));
    co_await settle();
    stage.clock.advance(5s);
    co_await settle();
    EXPECT_TRUE(call->over());
    EXPECT_FALSE(call->value().fate);
    EXPECT_TRUE(contains(call->value().note, "Bash: make")) << call->value().note;
  });
}

TEST(send, an_interrupting_message_goes_on_with_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    co_await settle();
    const auto call = stage.beside(stage.manager->send(id, "that instead", message_mode::interrupt));
    co_await settle();
    EXPECT_TRUE(stage.was_interrupted(0));
    stage.child(0).print_result("", {{"is_error", true}, {"subtype", "error_during_execution"}});
    co_await settle();
    EXPECT_EQ(call->value().fate, worker::message_fate::after_interrupt);
    EXPECT_EQ(stage.prompts(0).back(), "that instead");
    EXPECT_EQ(stage.manager->outstanding().running, 1U);
  });
}

TEST(send, to_a_worker_that_is_not_at_work_is_refused_with_what_to_do) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.finish(0);
    co_await settle();
    const auto ended = co_await stage.manager->send(id, "hello", message_mode::steer);
    EXPECT_TRUE(contains(std::get<refusal>(ended).reason, "resume_worker"));
    const auto unknown = co_await stage.manager->send("nonsense", "hello", message_mode::queue);
    EXPECT_TRUE(std::holds_alternative<refusal>(unknown));
  });
}

TEST(send, a_queued_message_takes_no_more_than_one_slot) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        const auto id = co_await stage.spawn();
        stage.begin(0);
        co_await settle();
        co_await stage.manager->send(id, "one more thing", message_mode::queue);
        stage.child(0).print_result("first");
        co_await settle();
        co_await stage.spawn();
        stage.child(0).exit_with(0);
        co_await settle();
        stage.begin(1);
        co_await settle();
        EXPECT_EQ(stage.prompts(1), ids{"one more thing"});
        EXPECT_EQ(stage.launcher.children.size(), 2U) << "the other one waits for the only slot";
      },
      1);
}

TEST(send, a_queued_message_that_cannot_be_run_is_told_with_the_turn_that_it_waited_for) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    co_await settle();
    co_await stage.manager->send(id, "one more thing", message_mode::queue);
    // Nothing can be saved under this name.
    std::filesystem::create_directory(stage.config.log_dir / ("worker-" + id + ".tmp"));
    stage.child(0).print_result("first");
    stage.child(0).exit_with(0);
    co_await settle();
    const auto turn = co_await delivered(stage);
    EXPECT_TRUE(turn.outcome.completed);
    EXPECT_EQ(turn.outcome.warnings.size(), 1U);
    EXPECT_TRUE(contains(json(turn.outcome.warnings).dump(), "one more thing"));
    const auto again = stage.wait();
    co_await settle();
    EXPECT_TRUE(again->refused()) << "the turn is told once";
  });
}

// ---- what a lead reads ----

TEST(list, shows_all_workers_the_last_changed_first) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        const auto one = co_await stage.spawn();
        stage.clock.advance(1s);
        const auto two = co_await stage.spawn();
        stage.clock.advance(1s);
        stage.begin(0);
        stage.call_tool(0, "t1");
        co_await settle();
        stage.clock.advance(7s);
        stage.ask(0, "q1");
        co_await settle();
        const auto all = co_await stage.manager->list();
        EXPECT_EQ(all.size(), 2U);
        const auto& running = all.at(0);
        EXPECT_EQ(running.worker_id, one);
        EXPECT_EQ(running.state, worker_state::awaiting_permission);
        EXPECT_EQ(running.activity, "Bash: make");
        EXPECT_EQ(running.activity_seconds, 7);
        EXPECT_EQ(running.idle_seconds, 7);
        EXPECT_EQ(running.pending_requests, 1U);
        EXPECT_EQ(running.turns, 1U);
        EXPECT_EQ(running.recent, ids{"Bash: make"});
        EXPECT_FALSE(running.is_delivered);
        EXPECT_FALSE(running.is_elsewhere);
        const auto& queued = all.at(1);
        EXPECT_EQ(queued.worker_id, two);
        EXPECT_EQ(queued.state, worker_state::queued);
        EXPECT_EQ(queued.queue_position, 1U);
        EXPECT_EQ(queued.description, "task");
      },
      1);
}

TEST(list, tells_whether_a_result_was_delivered_and_what_it_cost) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.child(0).print_result("done", {{"usage", {{"input_tokens", 7}, {"output_tokens", 3}}}});
    stage.child(0).exit_with(0);
    co_await settle();
    const auto before = co_await stage.summary(id);
    EXPECT_EQ(before.state, worker_state::completed);
    EXPECT_FALSE(before.is_delivered);
    EXPECT_EQ(before.input_tokens, 7);
    EXPECT_EQ(before.output_tokens, 3);
    EXPECT_EQ(before.total_cost_usd, 0.5);
    EXPECT_EQ(before.model_calls, 1);
    EXPECT_EQ(before.idle_seconds, std::nullopt);
    co_await delivered(stage);
    const auto after = co_await stage.summary(id);
    EXPECT_TRUE(after.is_delivered);
  });
}

TEST(list, stands_in_the_status_file_too) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.call_tool(0, "t1");
    co_await settle();
    stage.clock.advance(1s);
    const auto path = stage.config.log_dir / "current-session.json";
    auto now = json::parse(stage.files.read(path).value_or("null"));
    EXPECT_EQ(now["agents"].size(), 1U);
    EXPECT_EQ(now["agents"][0]["id"], id);
    EXPECT_EQ(now["agents"][0]["status"], "running");
    EXPECT_EQ(now["agents"][0]["activity"], "Bash: make");
    EXPECT_EQ(now["agents"][0]["type"], "general-purpose");
    stage.child(0).print_result("done");
    co_await settle();
    stage.clock.advance(1s);
    now = json::parse(stage.files.read(path).value_or("null"));
    EXPECT_EQ(now["agents"][0]["status"], "completed");
    EXPECT_EQ(now["agents"][0]["cost_usd"], 0.5);
    EXPECT_FALSE(now["agents"][0]["ended"].is_null());
  });
}

TEST(output, waits_for_the_end_and_gives_the_result) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    const auto call = stage.beside(stage.manager->output(id, 30s));
    co_await settle();
    EXPECT_FALSE(call->over());
    stage.child(0).print_result("the whole of it");
    stage.child(0).exit_with(0);
    co_await settle();
    EXPECT_TRUE(call->value().is_finished);
    EXPECT_EQ(call->value().result, "the whole of it");
    const auto turn = co_await delivered(stage);
    EXPECT_EQ(turn.worker_id, id) << "to read it is not to collect it";
  });
}

TEST(output, of_a_worker_that_takes_longer_is_what_it_does) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.call_tool(0, "t1");
    const auto call = stage.beside(stage.manager->output(id, 30s));
    co_await settle();
    stage.clock.advance(30s);
    co_await settle();
    EXPECT_TRUE(call->over());
    EXPECT_FALSE(call->value().is_finished);
    EXPECT_EQ(call->value().summary.recent, ids{"Bash: make"});
    const auto unknown = co_await stage.manager->output("nonsense", 0s);
    EXPECT_TRUE(std::holds_alternative<refusal>(unknown));
  });
}

// ---- results ----

TEST(results, name_the_files_that_were_written_and_who_wrote_them_too) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    const auto two = co_await stage.spawn();
    for (std::size_t number = 0; number < 2; ++number) {
      stage.begin(number);
      stage.call_tool(number, "t1", "Write", {{"file_path", "/x/same"}, {"content", "c"}});
      stage.end_tool(number, "t1");
      stage.call_tool(number, "t2", "Read", {{"file_path", "/x/other"}});
      stage.end_tool(number, "t2");
      stage.child(number).print_result("done");
      stage.child(number).exit_with(0);
      co_await settle();
    }
    const auto wait = stage.wait();
    co_await settle();
    const auto& last = wait->result().finished.at(1);
    EXPECT_EQ(last.worker_id, two);
    EXPECT_EQ(last.files_written, ids{"/x/same"});
    EXPECT_EQ(last.conflicts.size(), 1U);
    wait->settle(true);
  });
}

TEST(results, a_turn_with_background_tasks_is_a_state_of_its_own_and_outstanding) {
  run([](stage& stage) -> asio::awaitable<void> {
    const json options = {{"background", true}};
    const auto id = co_await stage.spawn(options);
    stage.begin(0);
    auto tasks = json::array({{{"task_id", "b1"}}});
    stage.child(0).print({{"type", "system"}, {"subtype", "background_tasks_changed"}, {"tasks", tasks}});
    stage.child(0).print_result("started");
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_FALSE(wait->over);
    EXPECT_EQ(stage.manager->outstanding().background, 1U);
    const auto shown = co_await stage.summary(id);
    EXPECT_EQ(shown.state, worker_state::background);
    EXPECT_EQ(shown.background_tasks, 1U);
    stage.child(0).print({{"type", "system"}, {"subtype", "background_tasks_changed"}, {"tasks", json::array()}});
    co_await settle();
    stage.clock.advance(2s);
    co_await settle();
    EXPECT_TRUE(wait->over);
    EXPECT_EQ(wait->result().finished.at(0).state, worker_state::completed);
    wait->settle(true);
  });
}

// ---- the manager that comes back ----

TEST(recovery, what_was_not_delivered_is_delivered_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto told = co_await stage.spawn();
    stage.finish(0, "told");
    co_await settle();
    co_await delivered(stage);
    const auto id = co_await stage.spawn();
    stage.finish(1, "not told");
    co_await settle();
    stage.be_killed();
    const auto wait = stage.wait_on(*stage.successor);
    co_await settle();
    EXPECT_EQ(wait->result().finished.size(), 1U);
    EXPECT_EQ(wait->result().finished.at(0).worker_id, id);
    EXPECT_EQ(wait->result().finished.at(0).outcome.result, "not told");
    EXPECT_TRUE(wait->result().finished.at(0).outcome.completed);
    wait->settle(true);
    stage.start_successor();
    const auto again = stage.wait_on(*stage.successor);
    co_await settle();
    EXPECT_TRUE(again->refused());
    const auto all = co_await stage.successor->list();
    EXPECT_EQ(all.size(), 2U);
    for (const auto& one : all) EXPECT_TRUE(one.is_delivered);
    const auto shown = co_await stage.summary_by(*stage.successor, told);
    EXPECT_EQ(shown.total_cost_usd, 0.5);
  });
}

TEST(recovery, what_a_lost_answer_carried_is_delivered_by_the_next_manager) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.finish(0);
    co_await settle();
    const auto lost = stage.wait();
    co_await settle();
    lost->settle(true);
    lost->settle(false);
    stage.be_killed();
    const auto wait = stage.wait_on(*stage.successor);
    co_await settle();
    EXPECT_EQ(wait->result().finished.at(0).worker_id, id);
    wait->settle(true);
  });
}

TEST(recovery, a_turn_in_flight_is_interrupted_with_all_that_was_printed_and_resumable) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.call_tool(0, "t1");
    co_await settle();
    stage.be_killed();
    const auto shown = co_await stage.summary_by(*stage.successor, id);
    EXPECT_EQ(shown.state, worker_state::interrupted);
    EXPECT_FALSE(shown.is_elsewhere);
    const auto wait = stage.wait_on(*stage.successor);
    co_await settle();
    EXPECT_EQ(wait->result().finished.at(0).state, worker_state::interrupted);
    EXPECT_FALSE(wait->result().finished.at(0).outcome.error_hint.empty());
    wait->settle(true);
    const auto path = stage.successor_config.log_dir / ("worker-" + id + ".json");
    const auto disk = json::parse(stage.files.read(path).value_or("null"));
    EXPECT_EQ(disk["state"], "interrupted");
    EXPECT_TRUE(contains(disk["messages"].dump(), "make"));
    resume_request request{id, "go on", nullptr};
    const auto resumed = co_await stage.successor->resume(std::move(request));
    co_await settle();
    EXPECT_TRUE(std::holds_alternative<accepted_turn>(resumed));
    EXPECT_EQ(stage.argument(1, "--resume"), stage.argument(0, "--session-id"));
  });
}

TEST(recovery, the_mcp_servers_of_a_killed_managers_worker_do_not_stay_on_disk) {
  run([](stage& stage) -> asio::awaitable<void> {
    const json servers = {{"mcp", {{"one", {{"command", "server"}, {"env", {{"TOKEN", "secret"}}}}}}}};
    const auto id = co_await stage.spawn(servers);
    stage.begin(0);
    co_await settle();
    const auto name = "worker-" + id + ".mcp.json";
    EXPECT_TRUE(stage.files.is_regular_file(stage.config.log_dir / name));
    stage.be_killed();
    co_await stage.successor->list();
    EXPECT_FALSE(stage.files.is_regular_file(stage.successor_config.log_dir / name));
    stage.successor.emplace(stage.executor, stage.config, stage.launcher, stage.clock, stage.files);
    co_await stage.successor->list();
    EXPECT_TRUE(stage.files.is_regular_file(stage.config.log_dir / name)) << "that of another's worker does";
  });
}

TEST(recovery, a_worker_is_given_up_when_only_the_disk_had_not_heard_that_its_turn_was_delivered) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    co_await settle();
    stage.be_killed();
    const auto& folder = stage.successor_config.log_dir;
    deliveries journal(stage.files, folder / ".delivered.ndjson");
    EXPECT_FALSE(journal.note(id, 1, true));
    stage.start_successor();
    const auto shown = co_await stage.summary_by(*stage.successor, id);
    EXPECT_EQ(shown.state, worker_state::interrupted);
    const auto key = worker::lock_key(id);
    worker::system_files of_another;
    std::error_code error;
    const auto name = std::string(".owners-") + "0123456789abcdef"[key % 16];
    EXPECT_TRUE(of_another.try_lock(folder / name, key, error));
  });
}

TEST(recovery, a_turn_that_was_queued_is_interrupted_too) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        co_await stage.spawn();
        const auto queued = co_await stage.spawn();
        stage.be_killed();
        const auto shown = co_await stage.summary_by(*stage.successor, queued);
        EXPECT_EQ(shown.state, worker_state::interrupted);
        EXPECT_FALSE(shown.is_delivered);
      },
      1);
}

TEST(recovery, what_another_manager_owns_is_left_to_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto running = co_await stage.spawn();
    const auto ended = co_await stage.spawn();
    stage.begin(0);
    stage.finish(1);
    co_await settle();
    stage.start_beside();
    const auto wait = stage.wait_on(*stage.successor);
    co_await settle();
    EXPECT_TRUE(wait->refused()) << "both are the other one's to deliver";
    const auto shown = co_await stage.summary_by(*stage.successor, running);
    EXPECT_EQ(shown.state, worker_state::running);
    EXPECT_TRUE(shown.is_elsewhere);
    EXPECT_EQ(stage.on_disk(running)["state"], "running") << "not recovered under its owner's hands";
    resume_request request{ended, "go on", nullptr};
    const auto refused = co_await stage.successor->resume(std::move(request));
    EXPECT_TRUE(contains(std::get<refusal>(refused).reason, "another server process"));
    wait_request of_ended;
    of_ended.workers = selection(ids(1, ended));
    const auto own = stage.wait(of_ended);
    co_await settle();
    EXPECT_EQ(own->result().finished.size(), 1U);
    own->settle(true);
  });
}

}  // namespace
}  // namespace awm::manager
