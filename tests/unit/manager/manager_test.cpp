#include "stage.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>

namespace awm::manager {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::settle;
using testing::run;
using testing::session;
using testing::stage;

TEST(wait, delivers_what_finished_before_it_was_called) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.finish(0, "early");
    co_await settle();
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_TRUE(wait->over);
    EXPECT_EQ(wait->result().finished.at(0).worker_id, id);
    EXPECT_EQ(wait->result().finished.at(0).outcome.result, "early");
    wait->settle(true);
  });
}

TEST(wait, blocks_until_the_last_of_all_has_finished_and_reports_each_change) {
  run([](stage& stage) -> asio::awaitable<void> {
    for (int worker = 0; worker < 3; ++worker) co_await stage.spawn();
    const auto wait = stage.wait();
    stage.finish(0);
    stage.finish(2);
    co_await settle();
    EXPECT_FALSE(wait->over);
    stage.child(1).exit_with(9);
    co_await settle();
    EXPECT_TRUE(wait->over);
    EXPECT_EQ(wait->result().finished.size(), 3U) << "one that failed hides no other";
    EXPECT_EQ(wait->reports.front(), "0/3");
    EXPECT_EQ(wait->reports.back(), "2/1");
    wait->settle(true);
  });
}

TEST(wait, reports_that_nothing_has_changed_every_20_seconds) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    const auto wait = stage.wait();
    co_await settle();
    const auto before = wait->reports.size();
    stage.clock.advance(20s);
    co_await settle();
    EXPECT_EQ(wait->reports.size(), before + 1);
    stage.finish(0);
    co_await settle();
    wait->settle(true);
  });
}

TEST(wait, is_refused_when_there_is_nothing_to_wait_for_and_nothing_to_deliver) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_TRUE(wait->refused());
  });
}

TEST(wait, a_delivered_turn_is_not_delivered_again) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    stage.finish(0);
    const auto first = stage.wait();
    co_await settle();
    first->settle(true);
    const auto second = stage.wait();
    co_await settle();
    EXPECT_TRUE(second->refused());
  });
}

TEST(wait, a_turn_whose_response_was_never_written_is_delivered_by_the_next_wait_in_its_place) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto one = co_await stage.spawn();
    stage.finish(0);
    const auto lost = stage.wait();
    co_await settle();
    EXPECT_TRUE(lost->over);
    const auto two = co_await stage.spawn();
    stage.finish(1);
    co_await settle();
    lost->settle(false);
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_EQ(wait->result().finished.size(), 2U);
    EXPECT_EQ(wait->result().finished.at(0).worker_id, one);
    EXPECT_EQ(wait->result().finished.at(1).worker_id, two);
    wait->settle(true);
  });
}

TEST(wait, a_turn_whose_response_was_written_and_thrown_away_is_delivered_by_the_next_wait) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.finish(0);
    const auto lost = stage.wait();
    co_await settle();
    lost->settle(true);
    lost->settle(false);
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_TRUE(wait->over);
    EXPECT_EQ(wait->result().finished.at(0).worker_id, id);
    wait->settle(true);
    const auto none = stage.wait();
    co_await settle();
    EXPECT_TRUE(none->refused());
  });
}

TEST(wait, one_that_is_cancelled_takes_nothing_with_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    co_await stage.spawn();
    const auto cancelled = stage.wait();
    co_await settle();
    stage.finish(0);
    co_await settle();
    cancelled->cancel.emit(asio::cancellation_type::terminal);
    stage.finish(1);  // in the same instant: the wait could have returned
    co_await settle();
    EXPECT_TRUE(cancelled->aborted);
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_EQ(wait->result().finished.size(), 2U);
    wait->settle(true);
  });
}

TEST(wait, of_two_at_once_one_delivers_and_the_other_names_what_went_there) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    const auto first = stage.wait();
    const auto second = stage.wait();
    co_await settle();
    stage.finish(0);
    co_await settle();
    EXPECT_TRUE(first->over);
    EXPECT_FALSE(second->over) << "the loan may yet come back";
    first->settle(true);
    co_await settle();
    EXPECT_TRUE(second->over);
    EXPECT_TRUE(second->result().finished.empty());
    EXPECT_EQ(second->result().delivered_elsewhere, std::vector<std::string>{id});
  });
}

TEST(wait, of_two_at_once_the_second_delivers_what_the_first_could_not) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    const auto first = stage.wait();
    const auto second = stage.wait();
    co_await settle();
    stage.finish(0);
    co_await settle();
    first->settle(false);
    co_await settle();
    EXPECT_EQ(second->result().finished.at(0).worker_id, id);
    EXPECT_TRUE(second->result().delivered_elsewhere.empty());
    second->settle(true);
  });
}

TEST(wait, returns_at_once_when_a_permission_is_pending_and_lists_it_until_it_is_answered) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    co_await stage.spawn();
    stage.begin(0);
    const auto interrupted = stage.wait();
    co_await settle();
    EXPECT_FALSE(interrupted->over);
    stage.ask(0, "q1");
    co_await settle();
    EXPECT_TRUE(interrupted->over);
    EXPECT_EQ(stage.manager->outstanding().awaiting_permission, 1U);
    EXPECT_EQ(stage.manager->outstanding().running, 1U);
    const auto again = stage.wait();
    co_await settle();
    EXPECT_TRUE(again->over);
    const auto pending = stage.manager->questions_for_model().front();
    EXPECT_EQ(pending.worker_id, id);
    const auto decided = stage.manager->decide({pending.request_id}, {true, "", nullptr});
    EXPECT_TRUE(std::holds_alternative<testing::answered>(decided));
    EXPECT_EQ(stage.manager->outstanding().awaiting_permission, 0U);
    EXPECT_EQ(stage.child(0).lines().back()["response"]["request_id"], "q1");
    const auto blocked = stage.wait();
    co_await settle();
    EXPECT_FALSE(blocked->over);
    blocked->cancel.emit(asio::cancellation_type::terminal);
    co_await settle();
  });
}

TEST(wait, counts_queued_workers_as_outstanding_and_starts_them_in_order) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        std::vector<std::string> ids;
        for (int worker = 0; worker < 3; ++worker) {
          const auto accepted = co_await stage.try_spawn();
          EXPECT_EQ(std::get<accepted_turn>(accepted).queued, worker > 0);
          ids.push_back(std::get<accepted_turn>(accepted).worker_id);
        }
        EXPECT_EQ(stage.manager->outstanding().queued, 2U);
        EXPECT_EQ(stage.on_disk(ids[1])["state"], "queued");
        EXPECT_EQ(stage.launcher.children.size(), 1U);
        const auto wait = stage.wait();
        for (std::size_t number = 0; number < 3; ++number) {
          EXPECT_FALSE(wait->over);
          stage.finish(number);
          co_await settle();
        }
        EXPECT_TRUE(wait->over);
        for (std::size_t number = 0; number < 3; ++number) {
          EXPECT_EQ(wait->result().finished.at(number).worker_id, ids[number]);
        }
        wait->settle(true);
      },
      1);
}

TEST(manager, asks_the_cli_for_its_version_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.manager->begin();
    co_await stage.spawn();
    co_await stage.spawn();
    EXPECT_EQ(stage.launcher.version_questions, 1);
  });
}

TEST(manager, refuses_to_start_without_a_cli_and_says_where_to_get_one) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.config.claude.clear();
    stage.start();
    const auto without = co_await stage.try_spawn();
    EXPECT_NE(std::get<refusal>(without).reason.find("--claude"), std::string::npos);
    stage.config.claude = "/bin/claude";
    stage.start();
    stage.launcher.version = "I am something else\n";
    const auto other = co_await stage.try_spawn();
    EXPECT_NE(std::get<refusal>(other).reason.find("I am something else"), std::string::npos);
    stage.launcher.version = "2.1.329 (Claude Code)\n";
    const auto mended = co_await stage.try_spawn();
    EXPECT_TRUE(std::holds_alternative<accepted_turn>(mended)) << "a failure is not remembered";
  });
}

TEST(wait, waits_for_a_worker_whose_start_is_still_being_prepared) {
  run([](stage& stage) -> asio::awaitable<void> {
    asio::co_spawn(stage.executor, stage.spawn(), asio::detached);
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_FALSE(wait->over);
    EXPECT_EQ(stage.manager->outstanding().total(), 1U);
    stage.finish(0);
    co_await settle();
    EXPECT_EQ(wait->result().finished.size(), 1U);
    wait->settle(true);
  });
}

TEST(manager, a_spawn_that_is_cancelled_while_it_asks_for_the_version_blocks_nobody) {
  run([](stage& stage) -> asio::awaitable<void> {
    asio::cancellation_signal cancel;
    stage.launcher.hold_version = true;
    asio::co_spawn(stage.executor, stage.spawn(), asio::bind_cancellation_slot(cancel.slot(), asio::detached));
    co_await settle();
    cancel.emit(asio::cancellation_type::terminal);
    co_await settle();
    stage.launcher.hold_version = false;
    const auto accepted = co_await stage.try_spawn();
    EXPECT_TRUE(std::holds_alternative<accepted_turn>(accepted));
    EXPECT_EQ(stage.launcher.version_questions, 2);
  });
}

TEST(manager, options_that_cannot_work_leave_no_trace) {
  run([](stage& stage) -> asio::awaitable<void> {
    const json options = {{"cwd", "/nowhere/at/all"}};
    const auto accepted = co_await stage.try_spawn(options);
    EXPECT_NE(std::get<refusal>(accepted).reason.find("/nowhere/at/all"), std::string::npos);
    EXPECT_TRUE(stage.files.find(stage.config.log_dir, ".json").empty());
    EXPECT_EQ(stage.manager->outstanding().total(), 0U);
  });
}

TEST(manager, a_log_folder_that_cannot_be_written_is_a_refusal) {
  run([](stage& stage) -> asio::awaitable<void> {
    std::ofstream(stage.directory.path() / "file") << "x";
    stage.config.log_dir = stage.directory.path() / "file" / "logs";
    stage.start();
    const auto accepted = co_await stage.try_spawn();
    EXPECT_NE(std::get<refusal>(accepted).reason.find("--log-dir"), std::string::npos);
  });
}

TEST(resume, takes_another_turn_on_the_same_session_with_the_options_of_the_last) {
  run([](stage& stage) -> asio::awaitable<void> {
    const json first_options = {{"model", "haiku"}, {"effort", "low"}};
    const auto accepted = co_await stage.try_spawn(first_options);
    const auto id = std::get<accepted_turn>(accepted).worker_id;
    stage.finish(0, "first");
    co_await settle();
    const json changed = {{"model", "opus"}};
    const auto resumed = co_await stage.resume(id, changed);
    EXPECT_EQ(std::get<accepted_turn>(resumed).worker_id, id);
    const auto& arguments = stage.child(1).spec.arguments;
    const auto has = [&](const std::string& flag, const std::string& value) {
      const auto found = std::find(arguments.begin(), arguments.end(), flag);
      return found != arguments.end() && *(found + 1) == value;
    };
    EXPECT_TRUE(has("--resume", session));
    EXPECT_TRUE(has("--model", "opus"));
    stage.finish(1, "second");
    co_await settle();
    EXPECT_EQ(stage.on_disk(id)["turns"].size(), 2U);
    EXPECT_EQ(stage.on_disk(id)["options"], json::parse(R"({"model":"opus","effort":"low"})"));
    EXPECT_EQ(stage.on_disk(id)["total_cost_usd"], 1.0);
    const auto wait = stage.wait();
    co_await settle();
    EXPECT_EQ(wait->result().finished.size(), 2U);
    EXPECT_EQ(wait->result().finished.at(1).turn, 2U);
    wait->settle(true);
  });
}

TEST(resume, waits_until_the_child_of_the_turn_before_is_gone) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.begin(0);
    stage.child(0).print_result("done");
    co_await settle();
    const auto resumed = co_await stage.resume(id);
    EXPECT_TRUE(std::get<accepted_turn>(resumed).queued);
    EXPECT_EQ(stage.launcher.children.size(), 1U) << "two processes on one session lose a turn";
    stage.child(0).exit_with(0);
    co_await settle();
    EXPECT_EQ(stage.launcher.children.size(), 2U);
  });
}

TEST(resume, works_in_a_new_process_from_the_transcript_alone) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.finish(0);
    co_await settle();
    stage.start();
    const auto resumed = co_await stage.resume(id);
    EXPECT_TRUE(std::holds_alternative<accepted_turn>(resumed));
    stage.finish(1);
    co_await settle();
    EXPECT_EQ(stage.on_disk(id)["messages"].size(), 2U);
    EXPECT_EQ(stage.on_disk(id)["turns"].size(), 2U);
  });
}

TEST(resume, refuses_what_cannot_be_resumed_and_says_why) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto running = co_await stage.spawn();
    std::map<std::string, std::string> reasons;
    reasons[running] = "still working";
    reasons["../../etc/passwd"] = "not a worker id";
    reasons[""] = "not a worker id";
    reasons["00000000-0000-4000-8000-000000000000"] = "There is no worker";
    for (const auto& [id, words] : reasons) {
      const auto resumed = co_await stage.resume(id);
      EXPECT_NE(std::get<refusal>(resumed).reason.find(words), std::string::npos) << std::get<refusal>(resumed).reason;
    }
    stage.finish(0);
    co_await settle();
  });
}

TEST(resume, of_a_worker_that_never_had_a_session_begins_with_what_it_was_to_do_then) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto id = co_await stage.spawn();
    stage.child(0).exit_with(1);
    co_await settle();
    const auto resumed = co_await stage.resume(id);
    EXPECT_TRUE(std::holds_alternative<accepted_turn>(resumed));
    EXPECT_EQ(stage.argument(1, "--resume"), "");
    EXPECT_NE(stage.argument(1, "--session-id"), "");
    stage.begin(1);
    co_await settle();
    EXPECT_EQ(stage.prompts(1), std::vector<std::string>{"do it\n\ngo on"});
    stage.finish(1);
    co_await settle();
  });
}

TEST(decide, names_what_is_pending_when_the_id_is_not) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    stage.begin(0);
    stage.ask(0, "q1");
    co_await settle();
    const auto pending = stage.manager->questions_for_model().front().request_id;
    const auto decided = stage.manager->decide({"nonsense"}, {true, "", nullptr});
    EXPECT_NE(std::get<refusal>(decided).reason.find(pending), std::string::npos);
    EXPECT_TRUE(std::holds_alternative<testing::answered>(stage.manager->decide({pending}, {false, "no", nullptr})));
    EXPECT_EQ(stage.child(0).lines().back()["response"]["response"]["message"], "no");
    EXPECT_TRUE(std::holds_alternative<refusal>(stage.manager->decide({pending}, {true, "", nullptr})))
        << "answered once";
  });
}

TEST(decide, a_question_is_told_apart_by_worker_although_both_call_it_the_same) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto one = co_await stage.spawn();
    co_await stage.spawn();
    stage.begin(0);
    stage.begin(1);
    stage.ask(0, "same");
    stage.ask(1, "same");
    co_await settle();
    const auto first = stage.manager->questions_for_model().front();
    EXPECT_EQ(first.worker_id, one);
    stage.child(1).print({{"type", "control_cancel_request"}, {"request_id", "same"}});
    co_await settle();
    EXPECT_EQ(stage.manager->questions_for_model().size(), 1U);
    EXPECT_EQ(stage.manager->questions_for_model().front().request_id, first.request_id);
  });
}

TEST(decide, answers_to_a_users_question_go_beside_the_questions_and_are_needed) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    stage.begin(0);
    stage.ask(0, "q1", "AskUserQuestion", {{"questions", json::array({"Which?"})}});
    co_await settle();
    const auto id = stage.manager->questions_for_model().front().request_id;
    const auto empty = stage.manager->decide({id}, {true, "", nullptr});
    EXPECT_NE(std::get<refusal>(empty).reason.find("answers"), std::string::npos);
    stage.manager->decide({id}, {true, "", {{"answers", {{"Which?", "this"}}}}});
    EXPECT_EQ(stage.child(0).lines().back()["response"]["response"]["updatedInput"],
              json::parse(R"({"questions":["Which?"],"answers":{"Which?":"this"}})"));
  });
}

TEST(decide, an_unchanged_plan_does_not_travel_back_and_other_input_does) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await stage.spawn();
    stage.begin(0);
    stage.ask(0, "q1", "ExitPlanMode", {{"plan", "p"}});
    stage.ask(0, "q2", "Bash", {{"command", "ls"}});
    co_await settle();
    const auto pending = stage.manager->questions_for_model();
    stage.manager->decide({pending.front().request_id}, {true, "", nullptr});
    EXPECT_EQ(stage.child(0).lines().back()["response"]["response"]["updatedInput"], json::object());
    EXPECT_EQ(stage.manager->outstanding().awaiting_permission, 1U);
    stage.manager->decide({pending.back().request_id}, {true, "", nullptr});
    EXPECT_EQ(stage.child(0).lines().back()["response"]["response"]["updatedInput"],
              json::parse(R"({"command":"ls"})"));
    EXPECT_EQ(stage.manager->outstanding().running, 1U);
  });
}

TEST(stop, tells_the_children_puts_transcripts_in_order_and_starts_nothing_more) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        const auto running = co_await stage.spawn();
        const auto queued = co_await stage.spawn();
        stage.begin(0);
        co_await settle();
        stage.manager->stop();
        stage.manager->stop();
        EXPECT_EQ(stage.child(0).signals, std::vector{SIGINT})
            << "once: a second one would cut the child's own clean-up short";
        EXPECT_EQ(stage.on_disk(running)["state"], "interrupted");
        EXPECT_EQ(stage.on_disk(queued)["state"], "interrupted");
        const auto refused = co_await stage.try_spawn();
        EXPECT_TRUE(std::holds_alternative<refusal>(refused));
        EXPECT_FALSE(stage.manager->children_gone().is_set());
        stage.child(0).exit_with(0);
        co_await settle();
        EXPECT_TRUE(stage.manager->children_gone().is_set());
        EXPECT_EQ(stage.launcher.children.size(), 1U);
      },
      1);
}

}  // namespace
}  // namespace awm::manager
