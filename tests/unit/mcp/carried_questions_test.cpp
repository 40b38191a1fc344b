// Questions that belong to no request, in the stateless era: a call or a task of a tool with carries_questions brings
// them to the client.
#include "mcp/harness.hpp"

namespace awm::mcp::testing {
namespace {

using action = elicitation::action;

/// Its tools: "wait" waits for the gate and carries questions; "work" is the same as a task; "gate" carries none.
struct carrying : gated_harness {
  explicit carrying(session_options options = {}) : gated_harness(std::move(options)) {
    offer.add(carrier("wait", false));
    offer.add(carrier("work", true));
    start();
  }

  tool carrier(const std::string& name, bool is_task) {
    tool t = make_tool(name, [this, is_task](json, request_context& call) {
      if (is_task) call.begin_task();
      return door.pass(call);
    });
    t.carries_questions = true;
    if (is_task) t.task = task_support::optional;
    return t;
  }

  void wait(const json& id, json params = json::object(), const json& capabilities = with_all) {
    json client = capabilities;
    client.erase("extensions");
    send(harness::stateless_call(id, "wait", std::move(client), std::move(params)));
  }
  std::string start_work(const json& id) {
    const json created = answer_to(harness::stateless_call(id, "work", with_all)).at("result");
    EXPECT_EQ(created.at("resultType"), "task");
    return created.at("taskId");
  }
  json state_of(const std::string& task) {
    return answer_to(harness::stateless("get", "tasks/get", {{"taskId", task}}, with_all)).at("result");
  }
};

std::string key_of(const json& result) {
  return result.at("inputRequests").begin().key();
}
/// What a client that was asked sends along when it sends the call again.
json answers_to(const json& asked, json answer) {
  return {{"inputResponses", {{key_of(asked), std::move(answer)}}}, {"requestState", asked.at("requestState")}};
}

TEST(carried_questions, a_call_that_waits_is_answered_with_the_question_and_brings_the_answer) {
  carrying h;
  h.wait(1);
  EXPECT_TRUE(h.received().empty());
  const asker one(h);
  const json asked = h.answer();
  EXPECT_EQ(asked.at("id"), 1);
  EXPECT_EQ(asked.at("result").at("resultType"), "input_required");
  EXPECT_EQ(asked.at("result").at("inputRequests").begin()->at("params").at("message"), "May it?");
  EXPECT_EQ(h.door.stopped, 1);
  EXPECT_FALSE(one.is_over());

  h.wait(2, answers_to(asked.at("result"), accepted({{"ok", true}})));
  ASSERT_TRUE(one.answer);
  EXPECT_EQ(one.answer->content, json({{"ok", true}}));
  EXPECT_TRUE(h.received().empty());  // and waits again
  h.door.opened.set();
  EXPECT_EQ(h.answer().at("id"), 2);
}

TEST(carried_questions, one_that_was_put_before_waits_for_the_next_call_that_carries) {
  carrying h;
  h.send(harness::stateless_call(1, "gate", with_all));
  const asker one(h);
  EXPECT_TRUE(h.received().empty());
  EXPECT_FALSE(one.is_over());
  h.wait(2);
  const json asked = h.answer();
  EXPECT_EQ(asked.at("id"), 2);
  EXPECT_EQ(asked.at("result").at("resultType"), "input_required");
}

TEST(carried_questions, are_not_brought_to_a_client_that_does_not_take_them) {
  carrying h;
  h.wait(1, json::object(), with_elicitation);  // the last one before the question says what the client takes
  h.wait(2, json::object(), json::object());
  const asker nobody(h);
  ASSERT_TRUE(nobody.answer);
  EXPECT_EQ(nobody.answer->what, action::unavailable);
  h.send(harness::cancelled(1));
  h.send(harness::stateless("list", "tools/list", json::object(), with_elicitation));
  h.received();
  const asker one(h);
  EXPECT_FALSE(one.is_over());
  EXPECT_TRUE(h.received().empty());  // the call that waits is of a client without
  h.wait(3);
  EXPECT_EQ(h.answer().at("id"), 3);
}

TEST(carried_questions, a_no_and_a_closed_dialog_are_answers) {
  for (const auto& [word, what] : {std::pair("decline", action::decline), std::pair("cancel", action::cancel)}) {
    carrying h;
    h.wait(1);
    const asker one(h);
    h.wait(2, answers_to(h.answer().at("result"), {{"action", word}}));
    ASSERT_TRUE(one.answer);
    EXPECT_EQ(one.answer->what, what);
  }
}

TEST(carried_questions, are_shown_by_one_call_only) {
  carrying h;
  h.wait(1);
  h.wait(2);
  const asker one(h);
  EXPECT_EQ(h.received().size(), 1U);
  EXPECT_EQ(h.door.stopped, 1);
}

TEST(carried_questions, a_call_that_comes_without_the_answer_asks_again_under_the_same_name) {
  carrying h;
  h.wait(1);
  const asker one(h);
  const json first = h.answer().at("result");
  h.wait(2);
  const json second = h.answer().at("result");
  EXPECT_EQ(second.at("inputRequests"), first.at("inputRequests"));
  h.wait(3, answers_to(first, accepted({{"ok", true}})));  // both answers come: the first counts
  h.wait(4, answers_to(second, {{"action", "decline"}}));
  ASSERT_TRUE(one.answer);
  EXPECT_EQ(one.answer->what, action::accept);
}

TEST(carried_questions, one_that_the_client_never_saw_is_brought_by_a_call_that_waits) {
  carrying h;
  h.wait("seen");
  h.wait("waiting");
  h.output->set_capacity(0);
  h.send(harness::stateless("first", "tools/list", json::object(), with_all));  // fills the pipe
  const asker one(h);
  h.send(harness::cancelled("seen"));
  h.output->set_capacity(1'000'000);
  const auto messages = h.received();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[1].at("id"), "waiting");
  EXPECT_EQ(messages[1].at("result").at("resultType"), "input_required");
  EXPECT_FALSE(one.is_over());
}

TEST(carried_questions, one_that_crossed_the_cancellation_is_brought_by_a_call_that_waits) {
  carrying h;
  h.wait(1);
  h.wait(2);
  const asker one(h);
  EXPECT_EQ(h.answer().at("id"), 1);
  const json again = h.answer_to(harness::cancelled(1));
  EXPECT_EQ(again.at("id"), 2);
  EXPECT_EQ(again.at("result").at("resultType"), "input_required");
}

TEST(carried_questions, a_withdrawn_one_is_forgotten_also_while_it_is_shown) {
  carrying h;
  h.wait(1);
  asker one(h);
  const json asked = h.answer().at("result");
  one.cancel();
  EXPECT_TRUE(one.was_aborted());
  h.wait(2, answers_to(asked, accepted({{"ok", true}})));
  EXPECT_TRUE(h.received().empty());
  h.door.opened.set();
  EXPECT_EQ(h.answer().at("id"), 2);
}

TEST(carried_questions, a_second_question_that_came_meanwhile_answers_the_call_that_brings_the_first_answer) {
  carrying h;
  h.wait(1);
  const asker first(h, "First?");
  const json asked = h.answer().at("result");
  const asker second(h, "Second?");
  EXPECT_TRUE(h.received().empty());
  h.wait(2, answers_to(asked, accepted({{"ok", true}})));
  EXPECT_TRUE(first.answer);
  const json next = h.answer();
  EXPECT_EQ(next.at("id"), 2);
  EXPECT_EQ(next.at("result").at("inputRequests").begin()->at("params").at("message"), "Second?");
  // Its handler has ended, or the session could not.
  h.input->close();
  h.settle();
  EXPECT_TRUE(h.outcome);
  EXPECT_EQ(h.door.stopped, h.door.started);
}

TEST(carried_questions, two_at_once_travel_together) {
  carrying h;
  h.send(harness::stateless("hello", "tools/list", json::object(), with_all));
  h.received();
  const asker first(h, "First?");
  const asker second(h, "Second?");
  h.wait(1);
  const json asked = h.answer().at("result");
  ASSERT_EQ(asked.at("inputRequests").size(), 2U);
  json responses = json::object();
  for (const auto& [key, request] : asked.at("inputRequests").items()) {
    responses[key] = accepted({{"to", request.at("params").at("message")}});
  }
  h.wait(2, {{"inputResponses", responses}, {"requestState", asked.at("requestState")}});
  ASSERT_TRUE(first.answer && second.answer);
  EXPECT_EQ(first.answer->content.at("to"), "First?");
  EXPECT_EQ(second.answer->content.at("to"), "Second?");
}

TEST(carried_questions, a_task_shows_them_and_goes_on) {
  carrying h;
  const std::string task = h.start_work(1);
  const asker one(h);
  EXPECT_TRUE(h.received().empty());
  const json asking = h.state_of(task);
  EXPECT_EQ(asking.at("status"), "input_required");
  EXPECT_EQ(
      h.answer_to(harness::stateless(
                      2, "tasks/update",
                      {{"taskId", task}, {"inputResponses", {{key_of(asking), accepted({{"ok", true}})}}}}, with_all))
          .at("result")
          .at("resultType"),
      "complete");
  ASSERT_TRUE(one.answer);
  EXPECT_EQ(one.answer->what, action::accept);
  EXPECT_EQ(h.state_of(task).at("status"), "working");
  EXPECT_EQ(h.door.stopped, 0);
}

TEST(carried_questions, a_task_is_preferred_to_a_call_and_leaves_them_to_the_call_when_it_ends) {
  carrying h;
  h.wait(1);
  const std::string task = h.start_work(2);
  const asker one(h);
  EXPECT_TRUE(h.received().empty());
  h.send(harness::stateless(3, "tasks/cancel", {{"taskId", task}}, with_all));
  const auto messages = h.received();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].at("id"), 1);
  EXPECT_EQ(messages[0].at("result").at("resultType"), "input_required");
  EXPECT_FALSE(one.is_over());
}

TEST(carried_questions, withdrawn_from_a_task_set_it_to_work_again) {
  carrying h;
  const std::string task = h.start_work(1);
  asker one(h);
  EXPECT_EQ(h.state_of(task).at("status"), "input_required");
  one.cancel();
  EXPECT_EQ(h.state_of(task).at("status"), "working");
}

TEST(carried_questions, the_end_of_the_session_is_the_answer) {
  carrying h;
  h.wait(1);
  const asker shown(h);
  h.received();
  const asker waiting(h);
  h.input->close();
  h.settle();
  for (const asker* const each : {&shown, &waiting}) {
    ASSERT_TRUE(each->answer);
    EXPECT_EQ(each->answer->what, action::unavailable);
  }
  EXPECT_TRUE(h.outcome);
}

TEST(carried_questions, one_too_long_for_a_client_that_does_not_read_ends_the_session) {
  carrying h({.unsent_bytes = 3000});
  h.wait(1);
  h.send(harness::stateless_call(2, "wait", with_elicitation));
  h.output->set_capacity(0);
  const asker one(h, std::string(5000, '?'));
  ASSERT_TRUE(h.outcome);
  EXPECT_EQ(h.outcome->reason, session_end::output_stuck);
  ASSERT_TRUE(one.answer);
}

TEST(carried_questions, a_legacy_client_is_asked_by_request_and_calls_go_on) {
  carrying h;
  h.open("2025-11-25", with_elicitation);
  h.send(harness::call(1, "wait"));
  const asker one(h);
  EXPECT_EQ(h.answer().at("method"), "elicitation/create");
  EXPECT_EQ(h.door.stopped, 0);
}

TEST(carried_questions, a_world_torn_down_with_open_ones_leaves_nothing_behind) {
  auto h = std::make_unique<carrying>();
  h->wait(1);
  h->start_work(2);
  const asker one(*h);
  const asker two(*h);
  h->wait(3);
  h.reset();
}

}  // namespace
}  // namespace awm::mcp::testing
