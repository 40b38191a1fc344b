#include "mcp/client.hpp"

#include "mcp/harness.hpp"
#include "mcp/question.hpp"

#include <asio/error.hpp>
#include <asio/this_coro.hpp>

#include <system_error>

namespace awm::mcp::testing {
namespace {

using action = elicitation::action;

const json with_forms = {{"elicitation", json::object()}};

json result_for(const json& id, json result) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}};
}

/// What becomes of a question that is answered with this, a response but for its id.
elicitation outcome_of(json reply) {
  harness h;
  h.open("2025-11-25", with_forms);
  const asker one(h);
  reply["id"] = h.answer().at("id");
  if (!reply.contains("jsonrpc")) reply["jsonrpc"] = "2.0";
  h.send(reply);
  EXPECT_TRUE(h.received().empty());  // a response is never answered
  EXPECT_TRUE(one.answer);
  return one.answer.value_or(elicitation{action::unavailable, nullptr, "it still waits"});
}

bool can_elicit(const std::string& version, const json& capabilities) {
  harness h;
  h.open(version, capabilities);
  return h.talk->peer().can_elicit();
}

// ---- who can be asked ----

TEST(can_elicit, a_client_that_declared_forms) {
  EXPECT_TRUE(can_elicit("2025-06-18", with_forms));
  EXPECT_TRUE(can_elicit("2025-11-25", with_forms));
  EXPECT_TRUE(can_elicit("2025-11-25", json::parse(R"({"elicitation":{"form":{},"url":{}}})")));
}

TEST(can_elicit, no_client_that_did_not) {
  for (const char* const declared : {R"({})", R"({"roots":{}})", R"({"elicitation":{"url":{}}})",
                                     R"({"elicitation":true})", R"({"elicitation":null})", R"([])", R"("x")"}) {
    EXPECT_FALSE(can_elicit("2025-11-25", json::parse(declared))) << declared;
  }
}

TEST(can_elicit, no_client_of_a_version_without_elicitation) {
  EXPECT_FALSE(can_elicit("2025-03-26", with_forms));
  EXPECT_FALSE(can_elicit("2024-11-05", with_forms));
}

TEST(can_elicit, only_between_initialized_and_the_end) {
  harness h;
  EXPECT_FALSE(h.talk->peer().can_elicit());
  h.start();
  h.send({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
  EXPECT_FALSE(h.talk->peer().can_elicit());
  h.send(harness::ask(0, "initialize", {{"protocolVersion", "2025-11-25"}, {"capabilities", with_forms}}));
  EXPECT_FALSE(h.talk->peer().can_elicit());
  h.send({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
  EXPECT_TRUE(h.talk->peer().can_elicit());
  h.input->close();
  h.settle();
  EXPECT_FALSE(h.talk->peer().can_elicit());
}

TEST(elicit, where_it_cannot_is_unavailable_at_once_and_sends_nothing) {
  harness h;
  h.open();
  const asker undeclared(h);
  ASSERT_TRUE(undeclared.answer);
  EXPECT_EQ(undeclared.answer->what, action::unavailable);
  EXPECT_NE(undeclared.answer->error.find("did not declare"), std::string::npos);
  h.talk->shutdown();
  const asker late(h);
  ASSERT_TRUE(late.answer);
  EXPECT_NE(late.answer->error.find("the session is over"), std::string::npos);
  EXPECT_TRUE(h.received().empty());
}

// ---- the answers ----

TEST(elicit, sends_the_form_and_delivers_what_the_person_filled_in) {
  harness h;
  h.open("2025-11-25", with_forms);
  const asker one(h);
  EXPECT_EQ(h.answer(), json::parse(R"({"jsonrpc":"2.0","id":"awm-1","method":"elicitation/create","params":{
    "message":"May it?","requestedSchema":{"type":"object","properties":{"ok":{"type":"boolean"}}}}})"));
  EXPECT_FALSE(one.is_over());
  h.send(result_for("awm-1", {{"action", "accept"}, {"content", {{"ok", true}}}}));
  ASSERT_TRUE(one.answer);
  EXPECT_EQ(one.answer->what, action::accept);
  EXPECT_EQ(one.answer->content, json({{"ok", true}}));
  EXPECT_EQ(one.answer->error, "");
}

TEST(elicit, tells_a_no_from_a_closed_form) {
  const elicitation declined = outcome_of({{"result", {{"action", "decline"}, {"content", {{"ok", true}}}}}});
  EXPECT_EQ(declined.what, action::decline);
  EXPECT_TRUE(declined.content.is_null());
  EXPECT_EQ(outcome_of({{"result", {{"action", "cancel"}}}}).what, action::cancel);
}

TEST(elicit, an_error_response_is_unavailable_and_says_why) {
  const elicitation refused = outcome_of({{"error", {{"code", -32601}, {"message", "Method not found"}}}});
  EXPECT_EQ(refused.what, action::unavailable);
  EXPECT_EQ(refused.error, "elicitation/create failed with error -32601: Method not found");
}

TEST(elicit, a_malformed_answer_is_unavailable_and_says_why) {
  const std::vector<std::pair<const char*, const char*>> cases{
      {R"({"result":null})", "the result must be an object"},
      {R"({"result":"accept"})", "the result must be an object"},
      {R"({"result":{}})", "action must be"},
      {R"({"result":{"action":"maybe"}})", "action must be accept, decline or cancel, not \"maybe\""},
      {R"({"result":{"action":["accept"]}})", "action must be"},
      {R"({"result":{"action":"accept"}})", "content must be an object"},
      {R"({"result":{"action":"accept","content":[]}})", "content must be an object"},
      {R"({"result":{},"error":{"code":1,"message":"m"}})", "both a result and an error"},
      {R"({"error":"no"})", "error must be an object"},
      {R"({"jsonrpc":"1.0","result":{"action":"cancel"}})", "jsonrpc must be"}};
  for (const auto& [reply, why] : cases) {
    const elicitation got = outcome_of(json::parse(reply));
    EXPECT_EQ(got.what, action::unavailable) << reply;
    EXPECT_NE(got.error.find(why), std::string::npos) << reply << ": " << got.error;
  }
}

TEST(elicit, quotes_little_of_a_long_answer) {
  EXPECT_LT(outcome_of({{"result", {{"action", std::string(100'000, 'x')}}}}).error.size(), 500U);
  EXPECT_LT(outcome_of({{"error", {{"code", 1}, {"message", std::string(100'000, 'x')}}}}).error.size(), 500U);
}

TEST(elicit, two_at_once_are_answered_in_any_order) {
  harness h;
  h.open("2025-11-25", with_forms);
  const asker first(h);
  const asker second(h);
  const auto asked = h.received();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_NE(asked[0].at("id"), asked[1].at("id"));
  h.send(result_for(asked[1].at("id"), {{"action", "decline"}}));
  EXPECT_FALSE(first.is_over());
  ASSERT_TRUE(second.answer);
  EXPECT_EQ(second.answer->what, action::decline);
  h.send(result_for(asked[0].at("id"), {{"action", "cancel"}}));
  ASSERT_TRUE(first.answer);
  EXPECT_EQ(first.answer->what, action::cancel);
}

TEST(elicit, responses_that_nobody_waits_for_are_ignored) {
  harness h;
  h.open("2025-11-25", with_forms);
  const asker one(h);
  h.received();
  for (const json& id : {json("awm-2"), json("awm-"), json(1), json("x"), json(nullptr)}) {
    h.send({{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", 1}, {"message", "m"}}}});
    if (!id.is_null()) h.send(result_for(id, {{"action", "accept"}, {"content", json::object()}}));
  }
  EXPECT_TRUE(h.received().empty());
  EXPECT_FALSE(one.is_over());
  h.send(result_for("awm-1", {{"action", "decline"}}));
  h.send(result_for("awm-1", {{"action", "cancel"}}));  // the second answer is nobody's
  EXPECT_TRUE(h.received().empty());
  ASSERT_TRUE(one.answer);
  EXPECT_EQ(one.answer->what, action::decline);
}

TEST(elicit, the_clients_own_request_of_the_same_id_is_another_one) {
  harness h;
  h.open("2025-11-25", with_forms);
  const asker one(h);
  h.received();
  EXPECT_TRUE(h.answer_to(harness::ask("awm-1", "ping")).contains("result"));
  h.send(harness::cancelled("awm-1"));  // the client can cancel only what it asked itself
  EXPECT_FALSE(one.is_over());
}

// ---- cancellation ----

TEST(elicit, cancelled_takes_the_form_back_and_ends_without_an_answer) {
  harness h;
  h.open("2025-11-25", with_forms);
  asker one(h);
  h.received();
  one.cancel();
  EXPECT_TRUE(one.was_aborted());
  const json told = h.answer();
  EXPECT_EQ(told.at("method"), "notifications/cancelled");
  EXPECT_EQ(told.at("params").at("requestId"), "awm-1");
  EXPECT_TRUE(told.at("params").at("reason").is_string());
  h.send(result_for("awm-1", {{"action", "accept"}, {"content", json::object()}}));
  EXPECT_TRUE(h.received().empty());
}

TEST(elicit, cancelled_after_the_answer_came_sends_nothing) {
  harness h;
  h.open("2025-11-25", with_forms);
  asker one(h);
  h.received();
  h.send(result_for("awm-1", {{"action", "decline"}}));
  one.cancel();
  ASSERT_TRUE(one.answer);
  EXPECT_TRUE(h.received().empty());
}

TEST(elicit, in_a_call_that_the_client_cancels_takes_the_form_back) {
  harness h;
  tool t;
  t.name = "ask";
  t.handler = [&h](json, request_context&) -> asio::awaitable<tool_result> {
    json schema = {{"type", "object"}};
    asio::awaitable<elicitation> asking = h.talk->peer().elicit("?", std::move(schema));
    const elicitation got = co_await std::move(asking);
    co_return tool_result::text(got.content.dump());
  };
  h.offer.add(t);
  h.open("2025-11-25", with_forms);
  h.send(harness::call(1, "ask"));
  h.received();
  h.send(harness::cancelled(1));
  const json told = h.answer();
  EXPECT_EQ(told.at("method"), "notifications/cancelled");
  EXPECT_EQ(told.at("params").at("requestId"), "awm-1");

  h.send(harness::call(2, "ask"));
  const json asked = h.answer();
  const json answer = h.answer_to(result_for(asked.at("id"), {{"action", "accept"}, {"content", {{"n", 1}}}}));
  EXPECT_EQ(answer.at("result").at("content").at(0).at("text"), R"({"n":1})");
}

// ---- pages ----

TEST(elicit_url, shows_a_page_to_a_client_that_declared_pages_and_tells_when_the_person_is_through) {
  harness h;
  h.open("2025-11-25", {{"elicitation", {{"url", json::object()}}}});
  client& peer = h.talk->peer();
  EXPECT_FALSE(peer.can_elicit());
  std::optional<elicitation> answer;
  asio::co_spawn(h.context, peer.elicit_url("Sign in", "https://example.org/in", "e-1"),
                 [&answer](const std::exception_ptr&, elicitation got) { answer = std::move(got); });
  const json asked = h.answer();
  EXPECT_EQ(asked.at("params"), json::parse(R"({"mode":"url","message":"Sign in","url":"https://example.org/in",
    "elicitationId":"e-1"})"));
  h.send(result_for(asked.at("id"), {{"action", "accept"}}));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->what, action::accept);
  EXPECT_TRUE(answer->content.is_null());
  h.talk->page_was_opened("e-1");
  const json told = h.answer();
  EXPECT_EQ(told.at("method"), "notifications/elicitation/complete");
  EXPECT_EQ(told.at("params"), json({{"elicitationId", "e-1"}}));
}

TEST(elicit_url, is_not_for_clients_of_forms_nor_for_versions_without_pages) {
  for (const auto& [version, capabilities] : std::vector<std::pair<const char*, json>>{
           {"2025-11-25", with_forms}, {"2025-06-18", {{"elicitation", {{"url", json::object()}}}}}}) {
    harness h;
    h.open(version, capabilities);
    EXPECT_FALSE(h.talk->peer().takes(url_question("Sign in", "https://example.org/in", "e-1"))) << version;
  }
}

TEST(elicit_url, a_request_that_needs_a_page_first_is_refused_with_it) {
  const rpc_error error = url_elicitation_required({url_question("Sign in", "https://example.org/in", "e-1")});
  EXPECT_EQ(error.code, -32042);
  EXPECT_EQ(error.data.at("elicitations").at(0).at("elicitationId"), "e-1");
}

// ---- the end of the session ----

TEST(elicit, the_end_of_the_session_is_the_answer_for_all_that_wait) {
  harness h;
  h.open("2025-11-25", with_forms);
  const asker first(h);
  const asker second(h);
  h.received();
  h.input->close();
  h.settle();
  for (const asker* const each : {&first, &second}) {
    ASSERT_TRUE(each->answer);
    EXPECT_EQ(each->answer->what, action::unavailable);
    EXPECT_NE(each->answer->error.find("the session is over"), std::string::npos) << each->answer->error;
  }
  EXPECT_TRUE(h.received().empty());
}

TEST(elicit, is_answered_when_the_session_begins_to_end_and_not_when_the_client_has_read_all) {
  harness h;
  h.open("2025-11-25", with_forms);
  h.output->set_capacity(0);
  const asker one(h);
  h.input->close();
  h.settle();
  EXPECT_FALSE(h.outcome);
  EXPECT_TRUE(one.answer);
}

TEST(elicit, a_question_too_long_for_a_client_that_does_not_read_ends_the_session_and_is_answered) {
  harness h({}, {.unsent_bytes = 100});
  h.open("2025-11-25", with_forms);
  const asker one(h);
  ASSERT_TRUE(one.answer);
  EXPECT_EQ(one.answer->what, action::unavailable);
  ASSERT_TRUE(h.outcome);
  EXPECT_EQ(h.outcome->reason, session_end::output_stuck);
}

}  // namespace
}  // namespace awm::mcp::testing
