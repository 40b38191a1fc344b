#include "manager/broker.hpp"

#include "support/manual_clock.hpp"
#include "support/run.hpp"
#include "support/temporary_directory.hpp"
#include "worker/files.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace awm::manager {
namespace {

using nlohmann::json;
using test::settle;
using names = std::vector<std::string>;

/// Somebody who answers when the test says so.
class fake_human final : public human {
 public:
  explicit fake_human(const asio::any_io_executor& executor) : has_answer_(executor) {}

  bool is_reachable() const override { return reachable; }
  asio::awaitable<human_answer> ask(pending_permission question) override {
    asked.push_back(question.request_id);
    const auto [cancelled] = co_await has_answer_.async_wait(coro::as_value);
    if (cancelled) ++taken_back;
    co_return answer_;
  }

  void say(human_answer answer) {
    answer_ = std::move(answer);
    has_answer_.pulse();
  }
  void decide(bool allow, answer_scope scope = answer_scope::once) {
    human_answer answer;
    answer.what = human_answer::kind::decided;
    answer.answer.allow = allow;
    answer.answer.scope = scope;
    say(std::move(answer));
  }
  void dismiss() { say({human_answer::kind::dismissed, {}}); }

  bool reachable = true;
  names asked;
  int taken_back = 0;

 private:
  coro::event has_answer_;
  human_answer answer_;
};

permission_rules rules(const rule_lists& lists) {
  return std::get<permission_rules>(permission_rules::parse(lists));
}

/// A broker and two workers, `one` and `two`.
struct stage {
  explicit stage(const asio::any_io_executor& executor, const rule_lists& lists = {})
      : person(executor),
        log(files, directory.path()),
        asked(executor, rules(lists), log, clock,
              {[this](const auto& question, const auto& answer) {
                 answers.push_back(question.request_id + (answer.allow ? ":yes" : ":no"));
                 reasons.push_back(answer.reason);
               },
               [this] { ++changes; }}) {
    one.context = two.context = {"/work", "/home/u"};
  }

  /// The question `id` of a worker: may it run `command`?
  void ask(const std::string& id, const std::string& command = "make", bool second_worker = false) {
    pending_permission question;
    question.request_id = id;
    question.worker_id = second_worker ? "two" : "one";
    question.description = "task";
    question.question.request_id = "child-" + id;
    question.question.tool = "Bash";
    question.question.input = json{{"command", command}}.dump();
    asked.ask(std::move(question), second_worker ? two : one);
  }
  void decide(const std::string& id, bool allow, answer_scope scope = answer_scope::once) {
    permission_answer answer;
    answer.allow = allow;
    answer.scope = scope;
    asked.decide(id, answer);
  }
  /// Field `key` of each line of the log.
  names logged(const char* key) {
    names values;
    auto text = files.read(log.path()).value_or("");
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find('\n', at);
      values.push_back(json::parse(text.substr(at, end - at)).value(key, "-"));
      at = end + 1;
    }
    return values;
  }

  test::temporary_directory directory;
  worker::system_files files;
  test::manual_clock clock;
  fake_human person;
  permission_log log;
  worker_policy one;
  worker_policy two;
  names answers;
  names reasons;
  int changes = 0;
  broker asked;
};

template <class Body>
void run(Body body, const rule_lists& lists = {}) {
  test::run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    stage stage(executor, lists);
    co_await body(stage);
    stage.asked.stop();
    co_await settle();
    EXPECT_TRUE(stage.asked.stopped().is_set());
  });
}

TEST(broker, what_a_rule_decides_is_asked_of_nobody) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        stage.asked.use_human(&stage.person);
        stage.ask("q1", "make test");
        stage.ask("q2", "rm -rf x");
        EXPECT_EQ(stage.answers, (names{"q1:yes", "q2:no"}));
        EXPECT_NE(stage.reasons.at(1).find("Bash(rm *)"), std::string::npos);
        EXPECT_EQ(stage.asked.size(), 0U);
        co_await settle();
        EXPECT_TRUE(stage.person.asked.empty());
        EXPECT_EQ(stage.logged("by"), (names{"rule", "rule"}));
        EXPECT_EQ(stage.logged("decision"), (names{"allow", "deny"}));
        EXPECT_EQ(stage.logged("rule"), (names{"Bash(make *)", "Bash(rm *)"}));
      },
      {{"Bash(make *)"}, {"Bash(rm *)"}, {}});
}

TEST(broker, a_workers_own_rules_are_its_own_and_an_ask_rule_wants_the_question) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        stage.one.rules = rules({{"Bash(make)"}, {}, {}});
        stage.ask("q1");
        stage.ask("q2", "make", true);
        stage.ask("q3", "git push");
        EXPECT_EQ(stage.answers, names{"q1:yes"});
        EXPECT_EQ(stage.asked.for_model().size(), 2U);
        co_return;
      },
      {{"Bash(git *)"}, {}, {"Bash(git push)"}});
}

TEST(broker, without_a_human_the_model_is_asked) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.ask("q1");
    EXPECT_TRUE(stage.asked.needs_model());
    EXPECT_EQ(stage.asked.for_model().front().request_id, "q1");
    stage.decide("q1", true);
    EXPECT_FALSE(stage.asked.needs_model());
    EXPECT_EQ(stage.answers, names{"q1:yes"});
    EXPECT_EQ(stage.logged("by"), names{"model"});
    co_return;
  });
}

TEST(broker, a_human_is_asked_one_question_after_the_other_and_the_model_hears_nothing) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.asked.use_human(&stage.person);
    stage.ask("q1");
    stage.ask("q2", "make it");
    co_await settle();
    EXPECT_EQ(stage.person.asked, names{"q1"});
    EXPECT_FALSE(stage.asked.needs_model());
    EXPECT_EQ(stage.asked.with_human(), 2U);
    stage.person.decide(true);
    co_await settle();
    EXPECT_EQ(stage.person.asked, (names{"q1", "q2"}));
    stage.person.decide(false);
    co_await settle();
    EXPECT_EQ(stage.answers, (names{"q1:yes", "q2:no"}));
    EXPECT_EQ(stage.logged("by"), (names{"human", "human"}));
    EXPECT_EQ(stage.asked.size(), 0U);
  });
}

TEST(broker, a_worker_whose_questions_are_the_models_asks_no_human) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.asked.use_human(&stage.person);
    stage.one.ask = respondent::model;
    stage.ask("q1");
    stage.ask("q2", "make", true);
    co_await settle();
    EXPECT_EQ(stage.person.asked, names{"q2"});
    EXPECT_EQ(stage.asked.for_model().size(), 1U);
    EXPECT_TRUE(stage.asked.needs_model());
  });
}

TEST(broker, an_answer_for_a_worker_answers_the_same_request_of_that_worker_from_then_on) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.ask("q1");
    stage.ask("q2");
    stage.ask("q3", "make", true);
    stage.decide("q1", true, answer_scope::worker);
    EXPECT_EQ(stage.answers, (names{"q1:yes", "q2:yes"})) << "and the one that is pending";
    stage.ask("q4");
    stage.ask("q5", "make clean");
    EXPECT_EQ(stage.answers, (names{"q1:yes", "q2:yes", "q4:yes"}));
    EXPECT_EQ(stage.logged("by"), (names{"model", "remembered", "remembered"}));
    EXPECT_EQ(stage.logged("scope"), (names{"worker", "-", "-"}));
    co_return;
  });
}

TEST(broker, an_answer_for_all_answers_the_same_request_of_every_worker_also_a_no) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.asked.use_human(&stage.person);
    stage.ask("q1");
    stage.ask("q2", "make", true);
    co_await settle();
    stage.person.decide(false, answer_scope::all);
    co_await settle();
    EXPECT_EQ(stage.person.asked, names{"q1"});
    stage.ask("q3", "make", true);
    EXPECT_EQ(stage.answers, (names{"q1:no", "q2:no", "q3:no"}));
    EXPECT_EQ(stage.logged("by"), (names{"human", "remembered", "remembered"}));
  });
}

TEST(broker, an_answer_that_changes_the_input_is_for_its_own_request_whatever_its_scope) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.ask("q1");
    stage.ask("q2");
    permission_answer answer;
    answer.allow = true;
    answer.updated_input = {{"command", "make -n"}};
    for (const auto scope : {answer_scope::worker, answer_scope::all}) {
      answer.scope = scope;
      stage.asked.decide(scope == answer_scope::worker ? "q1" : "q2", answer);
      stage.ask(scope == answer_scope::worker ? "q3" : "q4");
    }
    EXPECT_EQ(stage.answers, (names{"q1:yes", "q2:yes"})) << "make was never allowed as it was asked for";
    EXPECT_EQ(stage.asked.size(), 2U);
    co_return;
  });
}

TEST(broker, a_client_that_dismisses_its_first_question_has_nobody_and_is_asked_no_more) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.asked.use_human(&stage.person);
    stage.ask("q1");
    stage.ask("q2", "make it");
    co_await settle();
    stage.person.dismiss();
    co_await settle();
    EXPECT_EQ(stage.asked.for_model().size(), 2U);
    stage.ask("q3", "make that");
    co_await settle();
    EXPECT_EQ(stage.person.asked, names{"q1"});
    EXPECT_EQ(stage.asked.for_model().size(), 3U);
    EXPECT_TRUE(stage.answers.empty()) << "no answer is no answer";
  });
}

TEST(broker, somebody_who_has_answered_before_passes_only_this_question_on_by_dismissing_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.asked.use_human(&stage.person);
    stage.ask("q1");
    co_await settle();
    stage.person.decide(true);
    co_await settle();
    stage.ask("q2", "make it");
    stage.ask("q3", "make that");
    co_await settle();
    stage.person.dismiss();
    co_await settle();
    EXPECT_EQ(stage.asked.for_model().size(), 1U);
    EXPECT_EQ(stage.asked.for_model().front().request_id, "q2");
    EXPECT_EQ(stage.person.asked, (names{"q1", "q2", "q3"}));
    EXPECT_EQ(stage.asked.with_human(), 1U);
  });
}

TEST(broker, a_human_who_cannot_be_reached_leaves_the_question_to_the_model) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.asked.use_human(&stage.person);
    stage.person.reachable = false;
    stage.ask("q1");
    co_await settle();
    EXPECT_TRUE(stage.person.asked.empty());
    stage.person.reachable = true;
    stage.ask("q2", "make it");
    co_await settle();
    stage.person.say({human_answer::kind::unreachable, {}});
    co_await settle();
    EXPECT_EQ(stage.asked.for_model().size(), 2U);
  });
}

TEST(broker, a_question_that_is_withdrawn_is_taken_back_from_the_human_too) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.asked.use_human(&stage.person);
    stage.ask("q1");
    stage.ask("q2", "make it");
    co_await settle();
    const auto changes = stage.changes;
    stage.asked.withdraw("two", "child-q1");
    EXPECT_EQ(stage.asked.size(), 2U) << "another worker's";
    stage.asked.withdraw("one", "child-q1");
    EXPECT_GT(stage.changes, changes);
    co_await settle();
    EXPECT_EQ(stage.person.taken_back, 1);
    EXPECT_EQ(stage.person.asked, (names{"q1", "q2"})) << "the next one is asked";
    EXPECT_EQ(stage.asked.find("q1"), nullptr);
    EXPECT_TRUE(stage.answers.empty());
    EXPECT_EQ(stage.logged("by"), names{"withdrawn"});
    stage.person.decide(true);
    co_await settle();
    EXPECT_EQ(stage.answers, names{"q2:yes"});
  });
}

TEST(broker, an_answer_from_elsewhere_takes_the_form_back) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.asked.use_human(&stage.person);
    stage.ask("q1");
    co_await settle();
    stage.decide("q1", true);
    co_await settle();
    EXPECT_EQ(stage.person.taken_back, 1);
    EXPECT_EQ(stage.answers, names{"q1:yes"});
  });
}

TEST(broker, that_ends_takes_the_open_form_back) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.asked.use_human(&stage.person);
    stage.ask("q1");
    co_await settle();
    EXPECT_FALSE(stage.asked.stopped().is_set());
    stage.asked.stop();
    co_await settle();
    EXPECT_EQ(stage.person.taken_back, 1);
    EXPECT_TRUE(stage.answers.empty());
  });
}

}  // namespace
}  // namespace awm::manager
