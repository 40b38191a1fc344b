// What a handler of the stateless era asks: the request is answered with the questions, and sent again with the
// answers.
#include "mcp/harness.hpp"

#include <chrono>

namespace awm::mcp::testing {
namespace {

using namespace std::chrono_literals;

const json no_schema = {{"type", "object"}};

/// Its tools: "name" asks for a name and greets; "steps" asks twice, one after the other; "both" asks two at once.
struct asking : harness {
  explicit asking(session_options options = {}) : harness({}, std::move(options)) {
    offer.add(make_tool("name", [this](json, request_context& call) { return name(call); }));
    offer.add(make_tool("steps", [this](json, request_context& call) { return steps(call); }));
    offer.add(make_tool("both", [this](json, request_context& call) { return both(call); }));
    offer.add(prompt{"greeting", "", "", {}, [](std::map<std::string, std::string>, request_context& call) {
                       return greeting(call);
                     }});
    offer.add(resource{{"x://asked", "asked"},
                       [](std::string, uri_variables, request_context& call) { return reading(call); }});
    start();
  }

  asio::awaitable<tool_result> name(request_context& call) {
    ++runs;
    asio::awaitable<elicitation> asking_got = call.client().elicit("Your name?", no_schema, "who");
    const elicitation got = co_await std::move(asking_got);
    if (got.what == elicitation::action::unavailable) co_return tool_result::error(got.error);
    co_return tool_result::text(got.content.dump());
  }
  asio::awaitable<tool_result> steps(request_context& call) {
    ++runs;
    asio::awaitable<elicitation> asking_first = call.client().elicit("First?", no_schema);
    const elicitation first = co_await std::move(asking_first);
    asio::awaitable<elicitation> asking_second = call.client().elicit("Second?", no_schema);
    const elicitation second = co_await std::move(asking_second);
    co_return tool_result::text(first.content.dump() + second.content.dump());
  }
  asio::awaitable<tool_result> both(request_context& call) {
    std::vector<question> asked;
    asked.push_back(form_question("Form?", no_schema, "form"));
    asked.push_back({"roots", "roots/list", json::object()});
    asio::awaitable<std::vector<rpc_outcome>> asking = call.client().ask(std::move(asked));
    std::vector<rpc_outcome> answers = co_await std::move(asking);
    json got = json::array();
    for (const rpc_outcome& each : answers) {
      const auto* const error = std::get_if<rpc_error>(&each);
      got.push_back(error == nullptr ? std::get<json>(each) : json(error->code));
    }
    co_return tool_result::json({{"got", std::move(got)}});
  }
  static asio::awaitable<prompt_result> greeting(request_context& call) {
    asio::awaitable<elicitation> asking_got = call.client().elicit("Your name?", no_schema, "who");
    const elicitation got = co_await std::move(asking_got);
    prompt_result out;
    out.messages.push_back(prompt_result::message("user", text_block(got.content.dump())));
    co_return out;
  }
  static asio::awaitable<resource_contents> reading(request_context& call) {
    asio::awaitable<elicitation> asking_got = call.client().elicit("Your name?", no_schema, "who");
    const elicitation got = co_await std::move(asking_got);
    std::vector<json> contents{text_contents("x://asked", "text/plain", got.content.dump())};
    co_return contents;
  }

  json first_of(const std::string& tool) {
    return answer_to(harness::stateless_call(++last_id, tool, with_all)).at("result");
  }
  /// Sends the call again with what the client brings back.
  json again(const std::string& tool, json responses, const json& state) {
    json params = {{"inputResponses", std::move(responses)}};
    if (!state.is_null()) params["requestState"] = state;
    return answer_to(harness::stateless_call(++last_id, tool, with_all, std::move(params)));
  }

  int runs = 0;
  int last_id = 0;
};

json text_of(const json& answer) {
  return answer.at("result").at("content").at(0).at("text");
}

TEST(input_required, a_question_answers_the_request_and_the_handler_ends) {
  asking h;
  const json result = h.first_of("name");
  EXPECT_EQ(result.at("resultType"), "input_required");
  EXPECT_EQ(result.at("inputRequests"),
            json::parse(R"({"who":{"method":"elicitation/create","params":{"message":"Your name?",
              "requestedSchema":{"type":"object"}}}})"));
  EXPECT_TRUE(result.at("requestState").is_string());
  EXPECT_TRUE(result.at("_meta").contains("io.modelcontextprotocol/serverInfo"));
  EXPECT_FALSE(result.contains("content"));
  h.input->close();
  h.settle();
  EXPECT_TRUE(h.outcome);  // no handler is left
}

TEST(input_required, sent_again_with_the_answer_runs_the_handler_again) {
  asking h;
  const json state = h.first_of("name").at("requestState");
  const json answer = h.again("name", {{"who", accepted({{"n", 1}})}}, state);
  EXPECT_EQ(text_of(answer), R"({"n":1})");
  EXPECT_EQ(answer.at("result").at("resultType"), "complete");
  EXPECT_EQ(h.runs, 2);
}

TEST(input_required, later_rounds_bring_only_new_questions_and_keep_the_answers_in_the_state) {
  asking h;
  const json first = h.first_of("steps");
  ASSERT_EQ(first.at("inputRequests").size(), 1U);
  const json second = h.again("steps", {{"question-1", accepted({{"n", 1}})}}, first.at("requestState")).at("result");
  EXPECT_EQ(second.at("resultType"), "input_required");
  EXPECT_EQ(second.at("inputRequests").begin().key(), "question-2");
  EXPECT_EQ(second.at("inputRequests").size(), 1U);
  EXPECT_EQ(text_of(h.again("steps", {{"question-2", accepted({{"n", 2}})}}, second.at("requestState"))),
            R"({"n":1}{"n":2})");
}

TEST(input_required, missing_answers_are_asked_for_again_and_unknown_ones_ignored) {
  asking h;
  const json first = h.first_of("both");
  EXPECT_EQ(first.at("inputRequests").size(), 2U);
  const json second =
      h.again("both", {{"form", accepted({{"n", 1}})}, {"extra", json::object()}}, first.at("requestState"))
          .at("result");
  EXPECT_EQ(second.at("resultType"), "input_required");
  EXPECT_EQ(second.at("inputRequests"), json({{"roots", {{"method", "roots/list"}, {"params", json::object()}}}}));
  const json third = h.again("both", {{"roots", {{"roots", json::array()}}}}, second.at("requestState"));
  EXPECT_EQ(third.at("result").at("structuredContent").at("got"),
            json({accepted({{"n", 1}}), {{"roots", json::array()}}}));
}

TEST(input_required, answers_of_the_wrong_type_are_bad_params_and_start_nothing) {
  asking h;
  const json state = h.first_of("name").at("requestState");
  for (const json& wrong : {json("x"), json(1), json::array(), json{{"who", "accept"}}, json{{"who", nullptr}}}) {
    EXPECT_EQ(h.again("name", wrong, state).at("error").at("code"), -32602) << wrong;
  }
  for (const json& wrong : {json(1), json::object(), json::array()}) {
    EXPECT_EQ(h.again("name", json::object(), wrong).at("error").at("code"), -32602) << wrong;
  }
  EXPECT_EQ(h.runs, 1);
}

TEST(input_required, a_malformed_result_of_the_client_is_the_handlers_to_judge) {
  asking h;
  const json state = h.first_of("name").at("requestState");
  const json answer = h.again("name", {{"who", {{"action", "perhaps"}}}}, state);
  EXPECT_EQ(answer.at("result").at("isError"), true);
  EXPECT_NE(text_of(answer).get<std::string>().find("action must be"), std::string::npos);
}

TEST(input_required, answers_without_a_state_are_taken_too) {
  asking h;
  EXPECT_EQ(text_of(h.again("name", {{"who", accepted({{"n", 1}})}}, nullptr)), R"({"n":1})");
}

TEST(input_required, a_state_that_was_changed_or_is_of_another_request_is_refused) {
  asking h;
  std::string state = h.first_of("name").at("requestState");
  const json answers = {{"who", accepted(json::object())}};
  EXPECT_EQ(h.again("steps", answers, state).at("error").at("code"), -32602);
  json other = {{"name", "name"}, {"arguments", {{"a", 1}}}, {"requestState", state}};
  EXPECT_EQ(h.error_code_for(harness::stateless(90, "tools/call", other, with_all)), -32602);
  other.erase("arguments");
  EXPECT_EQ(h.error_code_for(
                harness::stateless(91, "prompts/get", {{"name", "greeting"}, {"requestState", state}}, with_all)),
            -32602);
  state[3] = state[3] == 'x' ? 'y' : 'x';
  EXPECT_EQ(h.again("name", answers, state).at("error").at("code"), -32602);
  EXPECT_EQ(h.runs, 1);
}

TEST(input_required, a_state_of_another_process_is_refused) {
  asking one;
  asking other;
  const json state = one.first_of("name").at("requestState");
  EXPECT_EQ(other.again("name", {{"who", accepted(json::object())}}, state).at("error").at("code"), -32602);
}

TEST(input_required, a_state_expires) {
  auto now = std::make_shared<std::chrono::system_clock::time_point>(1'000'000s);
  asking h({.input_expiry = 2h, .utc_now = [now] { return *now; }});
  const json state = h.first_of("name").at("requestState");
  const json answers = {{"who", accepted(json::object())}};
  *now += 2h;
  EXPECT_TRUE(h.again("name", answers, state).contains("result"));
  *now += 1s;
  EXPECT_EQ(h.again("name", answers, state).at("error").at("code"), -32602);
}

TEST(input_required, what_the_client_did_not_declare_is_not_asked) {
  asking h;
  const json refused = h.answer_to(harness::stateless_call(1, "name")).at("result");
  EXPECT_EQ(refused.at("isError"), true);
  const json answer = h.answer_to(harness::stateless_call(2, "both"));
  EXPECT_EQ(answer.at("result").at("structuredContent").at("got"), json({-32021, -32021}));
  // What it did declare is asked all the same.
  const json half = h.answer_to(harness::stateless_call(3, "both", with_elicitation)).at("result");
  EXPECT_EQ(half.at("inputRequests").size(), 1U);
  EXPECT_TRUE(half.at("inputRequests").contains("form"));
}

TEST(input_required, a_handler_may_refuse_with_the_capabilities_that_it_needs) {
  harness h;
  h.offer.add(make_tool("strict", [](json, request_context& call) -> asio::awaitable<tool_result> {
    json params = {{"messages", json::array()}, {"maxTokens", 1}};
    asio::awaitable<rpc_outcome> asking = call.client().sample(std::move(params));
    rpc_outcome got = co_await std::move(asking);
    if (const auto* const error = std::get_if<rpc_error>(&got)) co_return tool_result::failed(*error);
    co_return tool_result::text("sampled");
  }));
  h.start();
  const json answer = h.answer_to(harness::stateless_call(1, "strict"));
  EXPECT_EQ(answer.at("error").at("code"), -32021);
  EXPECT_EQ(answer.at("error").at("data"), json({{"requiredCapabilities", {{"sampling", json::object()}}}}));
}

TEST(input_required, prompts_and_resources_ask_as_well) {
  asking h;
  const json responses = {{"who", accepted({{"n", 1}})}};
  json prompt = {{"name", "greeting"}};
  const json asked = h.answer_to(harness::stateless(1, "prompts/get", prompt, with_all)).at("result");
  EXPECT_EQ(asked.at("resultType"), "input_required");
  prompt["inputResponses"] = responses;
  prompt["requestState"] = asked.at("requestState");
  EXPECT_EQ(h.answer_to(harness::stateless(2, "prompts/get", prompt, with_all))
                .at("result")
                .at("messages")
                .at(0)
                .at("content")
                .at("text"),
            R"({"n":1})");
  json read = {{"uri", "x://asked"}};
  EXPECT_EQ(h.answer_to(harness::stateless(3, "resources/read", read, with_all)).at("result").at("resultType"),
            "input_required");
  read["inputResponses"] = responses;
  EXPECT_EQ(
      h.answer_to(harness::stateless(4, "resources/read", read, with_all)).at("result").at("contents").at(0).at("text"),
      R"({"n":1})");
}

TEST(input_required, an_unsent_one_is_withdrawn_when_the_client_cancels) {
  asking h;
  h.output->set_capacity(0);
  h.send(harness::stateless_call("first", "name", with_all));  // is being written, into a full pipe
  h.send(harness::stateless_call("second", "name", with_all));
  h.send(harness::cancelled("second"));
  h.output->set_capacity(1'000'000);
  EXPECT_EQ(h.answer().at("id"), "first");
}

TEST(input_required, the_id_is_free_for_the_next_request) {
  asking h;
  h.send(harness::stateless_call(1, "name", with_all));
  h.received();
  EXPECT_TRUE(h.answer_to(harness::stateless_call(1, "name", with_all)).contains("result"));
}

TEST(input_required, in_the_legacy_era_the_same_handler_asks_by_a_request_and_goes_on) {
  asking h;
  h.open("2025-11-25", with_elicitation);
  h.send(harness::call(1, "name"));
  const json asked = h.answer();
  EXPECT_EQ(asked.at("method"), "elicitation/create");
  const json answer = h.answer_to({{"jsonrpc", "2.0"}, {"id", asked.at("id")}, {"result", accepted({{"n", 1}})}});
  EXPECT_EQ(text_of(answer), R"({"n":1})");
  EXPECT_EQ(h.runs, 1);
}

}  // namespace
}  // namespace awm::mcp::testing
