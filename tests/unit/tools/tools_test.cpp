// What the model gets to read, and what the person at the client's end does.

#include "tools/tools.hpp"

#include "manager/stage.hpp"
#include "tools/elicited_human.hpp"

#include <gtest/gtest.h>

#include <set>

namespace awm::tools {
namespace {

using manager::testing::run;
using manager::testing::stage;
using nlohmann::json;
using test::settle;

constexpr std::size_t longest_answer = 40'000;
constexpr std::size_t workers = 500;
constexpr std::size_t questions = 300;
constexpr std::size_t finished = 60;  // beside the questions

/// Where nobody can be asked.
class deaf_client final : public mcp::client {
 public:
  bool takes(const mcp::question&) const override { return false; }
  asio::awaitable<std::vector<mcp::rpc_outcome>> ask(std::vector<mcp::question> asked) override {
    std::vector<mcp::rpc_outcome> answers(asked.size(), mcp::rpc_error{});
    co_return answers;
  }
};

class silent_context final : public mcp::request_context {
 public:
  bool wants_progress() const override { return false; }
  void progress(double, std::optional<double>, std::string) override {}
  void log(mcp::log_level, std::string_view, json) override {}
  void begin_task(std::string) override {}
  mcp::client& client() override { return client_; }
  const mcp::client_info& caller() const override { return caller_; }
  const mcp::dialect& dialect() const override { return dialect_; }

 private:
  deaf_client client_;
  mcp::client_info caller_;
  mcp::dialect dialect_{};
};

/// Calls wait as a client does that reads the answer.
asio::awaitable<mcp::tool_result> wait_now(stage& stage, json arguments = json::object()) {
  silent_context context;
  const auto tool = wait(*stage.manager);
  auto result = co_await tool.handler(std::move(arguments), context);
  if (!result.is_error) {
    EXPECT_LT(result.structured.dump().size(), longest_answer);
    result.settled.write();
  }
  co_return result;
}

asio::awaitable<void> spawn_many(stage& stage, std::size_t count) {
  for (std::size_t number = 0; number < count; ++number) {
    manager::spawn_request request;
    request.description = std::string(150, 'd') + std::to_string(number);
    request.prompt = "do it";
    co_await stage.manager->spawn(std::move(request));
  }
  co_await settle();
}

void ask_much(stage& stage, std::size_t child, std::size_t number) {
  const auto id = std::to_string(number);
  stage.ask(child, "q" + id, "Bash", {{"command", "make " + id + " " + std::string(3000, 'x')}});
}

/// Puts the ids of all entries into `ids`; false when one was there already.
bool collect(const json& answer, std::set<std::string>& ids) {
  bool all_new = true;
  for (const auto* list : {"completed", "failed", "cancelled"}) {
    for (const auto& entry : answer.value(list, json::array())) all_new &= ids.insert(entry["worker_id"]).second;
  }
  return all_new;
}

TEST(wait_tool, answers_with_500_results_stay_short_and_deliver_each_once) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        co_await spawn_many(stage, workers);
        for (std::size_t number = 0; number < workers; ++number) {
          if (number % 10 == 0) {
            stage.child(number).stderr_text = std::string(3000, 'e');
            stage.child(number).exit_with(1);
          } else {
            stage.finish(number, std::string(5000, 'r'));
          }
        }
        co_await settle();
        std::set<std::string> ids;
        int answers = 0;
        for (; ids.size() < workers && answers < 100; ++answers) {
          const auto result = co_await wait_now(stage);
          EXPECT_FALSE(result.is_error);
          if (result.is_error) break;
          EXPECT_TRUE(collect(result.structured, ids));
          EXPECT_EQ(result.structured.contains("more"), ids.size() < workers);
        }
        EXPECT_EQ(ids.size(), workers);
        EXPECT_LE(answers, 10);
        const auto nothing = co_await wait_now(stage);
        EXPECT_TRUE(nothing.is_error);
      },
      workers);
}

TEST(wait_tool, answers_with_300_questions_stay_short_and_show_each_sooner_or_later) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await spawn_many(stage, 1);
    stage.begin(0);
    for (std::size_t number = 0; number < questions; ++number) ask_much(stage, 0, number);
    co_await settle();
    std::size_t answered = 0;
    for (int answers = 0; answered < questions && answers < 100; ++answers) {
      const auto result = co_await wait_now(stage);
      const auto& shown = result.structured["pending_permissions"];
      const auto hidden = result.structured.value("pending_not_shown", std::size_t{0});
      EXPECT_EQ(answered + shown.size() + hidden, questions);
      EXPECT_FALSE(shown.empty());
      manager::permission_answer yes;
      yes.allow = true;
      std::vector<std::string> ids;
      for (const auto& one : shown) ids.push_back(one["request_id"]);
      stage.manager->decide(ids, yes);
      answered += ids.size();
    }
    EXPECT_EQ(answered, questions);
    EXPECT_EQ(stage.manager->outstanding().running, 1U);
  });
}

TEST(wait_tool, questions_do_not_keep_results_back) {
  run(
      [](stage& stage) -> asio::awaitable<void> {
        co_await spawn_many(stage, finished + 1);
        stage.begin(finished);
        for (std::size_t number = 0; number < 300; ++number) ask_much(stage, finished, number);
        for (std::size_t number = 0; number < finished; ++number) stage.finish(number, std::string(5000, 'r'));
        co_await settle();
        std::set<std::string> ids;
        for (int answers = 0; ids.size() < finished && answers < 100; ++answers) {
          const auto result = co_await wait_now(stage);
          EXPECT_TRUE(collect(result.structured, ids));
          EXPECT_FALSE(result.structured["pending_permissions"].empty());
        }
        EXPECT_EQ(ids.size(), finished);
      },
      finished + 1);
}

TEST(wait_tool, an_answer_that_was_lost_comes_again) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await spawn_many(stage, 1);
    stage.finish(0, "found it");
    co_await settle();
    {
      silent_context context;
      const auto tool = wait(*stage.manager);
      const auto lost = co_await tool.handler(json::object(), context);
      EXPECT_EQ(lost.structured["completed"].size(), 1U);
    }
    const auto result = co_await wait_now(stage);
    EXPECT_EQ(result.structured["completed"][0]["result_preview"], "found it");
  });
}

TEST(wait_tool, a_timeout_is_no_error_and_a_long_result_is_marked_as_cut) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await spawn_many(stage, 2);
    stage.finish(0, std::string(5000, 'r'));
    co_await settle();
    json arguments = {{"timeout_s", 0}};
    const auto result = co_await wait_now(stage, std::move(arguments));
    EXPECT_FALSE(result.is_error);
    EXPECT_EQ(result.structured["timed_out"], true);
    EXPECT_EQ(result.structured["outstanding"]["running"], 1);
    const std::string preview = result.structured["completed"][0]["result_preview"];
    EXPECT_LT(preview.size(), 300U);
    EXPECT_NE(preview.find("5000 bytes"), std::string::npos);
  });
}

TEST(wait_tool, the_same_request_is_shown_in_full_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    co_await spawn_many(stage, 2);
    for (std::size_t number = 0; number < 2; ++number) {
      stage.begin(number);
      stage.ask(number, "q1");
    }
    co_await settle();
    const auto result = co_await wait_now(stage);
    const auto& shown = result.structured["pending_permissions"];
    EXPECT_EQ(shown.size(), 2U);
    EXPECT_EQ(shown[0]["input"]["command"], "ls");
    EXPECT_EQ(shown[1]["same_as"], shown[0]["request_id"]);
  });
}

// ---- the person ----

/// A client whose person answers what the test says.
class fake_client final : public mcp::client {
 public:
  bool takes(const mcp::question&) const override { return reachable; }
  asio::awaitable<std::vector<mcp::rpc_outcome>> ask(std::vector<mcp::question> asked) override {
    words = asked.front().params.at("message");
    schema = asked.front().params.at("requestedSchema");
    std::vector<mcp::rpc_outcome> answers{reply};
    co_return answers;
  }

  bool reachable = true;
  mcp::rpc_outcome reply;
  std::string words;
  json schema;
};

manager::pending_permission question(const std::string& tool, const json& input) {
  manager::pending_permission pending;
  pending.request_id = "r1";
  pending.worker_id = "w1";
  pending.description = "build it";
  pending.question.tool = tool;
  pending.question.input = input.dump();
  pending.question.reason = "outside of the project";
  return pending;
}

mcp::rpc_outcome in_words(const mcp::elicitation& reply) {
  using action = mcp::elicitation::action;
  if (reply.what == action::unavailable) return mcp::rpc_error{};
  const char* const word = reply.what == action::accept    ? "accept"
                           : reply.what == action::decline ? "decline"
                                                           : "cancel";
  return json{{"action", word}, {"content", reply.content}};
}

/// What the manager hears of `reply` to that question; `client` keeps what was shown.
manager::human_answer ask(fake_client& client, const manager::pending_permission& pending, mcp::elicitation reply) {
  client.reply = in_words(reply);
  manager::human_answer heard;
  test::run([&](asio::any_io_executor) -> asio::awaitable<void> {
    elicited_human person(client);
    heard = co_await person.ask(pending);
  });
  return heard;
}

mcp::elicitation accepted(json content) {
  return {mcp::elicitation::action::accept, std::move(content), ""};
}

using answer_kind = manager::human_answer::kind;

TEST(elicited_human, sees_who_wants_what_and_the_whole_input) {
  fake_client client;
  const auto pending = question("Bash", {{"command", "rm -rf build"}});
  const auto heard = ask(client, pending, accepted({{"decision", "Allow once"}}));
  for (const auto* part : {"build it", "w1", "Bash", "rm -rf build", "outside of the project"}) {
    EXPECT_NE(client.words.find(part), std::string::npos) << client.words;
  }
  EXPECT_EQ(client.schema["properties"]["decision"]["enum"].size(), 4U);
  EXPECT_EQ(client.schema["required"], json::array({"decision"}));
  EXPECT_EQ(heard.what, answer_kind::decided);
  EXPECT_TRUE(heard.answer.allow);
}

TEST(elicited_human, chooses_how_far_the_answer_reaches) {
  struct row {
    const char* words;
    bool allow;
    manager::answer_scope scope;
  };
  for (const auto& [words, allow, scope] : {row{"Allow once", true, manager::answer_scope::once},
                                            row{"Allow for this worker", true, manager::answer_scope::worker},
                                            row{"Allow for all workers", true, manager::answer_scope::all},
                                            row{"Deny", false, manager::answer_scope::once}}) {
    fake_client client;
    const auto heard =
        ask(client, question("Bash", {{"command", "ls"}}), accepted({{"decision", words}, {"reason", "why"}}));
    EXPECT_EQ(heard.what, answer_kind::decided);
    EXPECT_EQ(heard.answer.allow, allow) << words;
    EXPECT_EQ(heard.answer.scope, scope) << words;
    EXPECT_EQ(heard.answer.reason, "why");
  }
}

TEST(elicited_human, a_no_without_the_form_denies_and_a_closed_form_decides_nothing) {
  fake_client client;
  const auto pending = question("Bash", {{"command", "ls"}});
  const auto declined = ask(client, pending, {mcp::elicitation::action::decline, nullptr, ""});
  EXPECT_EQ(declined.what, answer_kind::decided);
  EXPECT_FALSE(declined.answer.allow);
  EXPECT_FALSE(declined.answer.reason.empty());
  EXPECT_EQ(ask(client, pending, {mcp::elicitation::action::cancel, nullptr, ""}).what, answer_kind::dismissed);
  EXPECT_EQ(ask(client, pending, {}).what, answer_kind::unreachable);
  EXPECT_NE(ask(client, pending, accepted(json::object())).what, answer_kind::decided);
  EXPECT_NE(ask(client, pending, accepted({{"decision", 5}})).what, answer_kind::decided);
}

TEST(elicited_human, gets_a_workers_own_questions_as_a_form_of_their_own) {
  const auto input = json::parse(R"({"questions": [
    {"question": "Which colour?", "options": [{"label": "red", "description": "warm"}, {"label": "blue"}]},
    {"question": "Which sizes?", "multiSelect": true, "options": [{"label": "S"}, {"label": "L"}]}]})");
  fake_client client;
  const auto heard =
      ask(client, question("AskUserQuestion", input), accepted({{"answer_1", "blue"}, {"answer_2", "S, L"}}));
  const auto& fields = client.schema["properties"];
  EXPECT_EQ(fields["answer_1"]["enum"], json::array({"red", "blue"}));
  EXPECT_EQ(fields["answer_1"]["title"], "Which colour?");
  EXPECT_FALSE(fields["answer_2"].contains("enum")) << "several may be given";
  EXPECT_EQ(client.schema["required"].size(), 2U);
  EXPECT_EQ(heard.what, answer_kind::decided);
  EXPECT_TRUE(heard.answer.allow);
  EXPECT_EQ(heard.answer.updated_input,
            json::parse(R"({"answers": {"Which colour?": "blue", "Which sizes?": "S, L"}})"));
}

TEST(elicited_human, a_question_of_a_shape_that_is_none_is_shown_as_it_is_or_left_to_the_model) {
  fake_client client;
  const auto odd = question("AskUserQuestion", {{"questions", json::array({1, 2})}});
  EXPECT_EQ(ask(client, odd, accepted({{"decision", "Deny"}})).what, answer_kind::decided);
  EXPECT_TRUE(client.schema["properties"].contains("decision"));
  const auto odder = question("AskUserQuestion", json::parse(R"({"questions": [{"question": 5}]})"));
  EXPECT_EQ(ask(client, odder, accepted({{"answer_1", "x"}})).what, answer_kind::unreachable);
}

TEST(elicited_human, is_there_where_the_client_can_ask) {
  fake_client client;
  elicited_human person(client);
  EXPECT_TRUE(person.is_reachable());
  client.reachable = false;
  EXPECT_FALSE(person.is_reachable());
}

}  // namespace
}  // namespace awm::tools
