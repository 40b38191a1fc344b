// The stateless era: what each request has to say, and what it gets.
#include "mcp/harness.hpp"

namespace awm::mcp::testing {
namespace {

constexpr auto version_key = "io.modelcontextprotocol/protocolVersion";
constexpr auto capabilities_key = "io.modelcontextprotocol/clientCapabilities";
constexpr auto level_key = "io.modelcontextprotocol/logLevel";
constexpr auto server_key = "io.modelcontextprotocol/serverInfo";

TEST(stateless, needs_no_handshake_and_every_result_says_that_it_is_complete_and_of_whom) {
  gated_harness h;
  h.start();
  const json answer = h.answer_to(harness::stateless_call(1, "echo", json::object(), {{"arguments", {{"a", 1}}}}));
  EXPECT_EQ(answer.at("id"), 1);
  EXPECT_EQ(answer.at("result").at("structuredContent"), json({{"a", 1}}));
  EXPECT_EQ(answer.at("result").at("resultType"), "complete");
  EXPECT_EQ(answer.at("result").at("_meta").at(server_key), json({{"name", "probe"}, {"version", "1.2.3"}}));
}

TEST(stateless, a_request_without_version_or_capabilities_is_bad_params) {
  gated_harness h;
  h.start();
  for (const json& wrong : {json{{version_key, nullptr}}, json{{version_key, 1}}, json{{capabilities_key, nullptr}},
                            json{{capabilities_key, "all"}}, json{{level_key, "loud"}}, json{{level_key, 1}},
                            json{{"progressToken", json::object()}}}) {
    EXPECT_EQ(h.error_code_for(harness::stateless(1, "tools/list", json::object(), json::object(), wrong)), -32602)
        << wrong;
  }
  for (const char* const left_out : {version_key, capabilities_key}) {
    json asked = harness::stateless(1, "tools/list");
    asked["params"]["_meta"].erase(left_out);
    const json answer = h.answer_to(asked);
    EXPECT_EQ(answer.at("error").at("code"), -32602) << left_out;
    EXPECT_NE(answer.at("error").at("message").get<std::string>().find(left_out), std::string::npos);
  }
  EXPECT_EQ(h.error_code_for(harness::ask(1, "server/discover")), -32602);
}

TEST(stateless, an_unknown_version_is_told_the_supported_ones) {
  harness h;
  h.start();
  for (const char* const version : {"2099-01-01", "2025-11-25", ""}) {
    const json answer = h.answer_to(
        harness::stateless("x", "server/discover", json::object(), json::object(), {{version_key, version}}));
    EXPECT_EQ(answer.at("error").at("code"), -32022);
    EXPECT_EQ(answer.at("error").at("data"), json({{"supported", {"2026-07-28"}}, {"requested", version}}));
  }
}

TEST(stateless, discover_introduces_the_server) {
  gated_harness h;
  h.start();
  const json result = h.answer_to(harness::stateless("probe", "server/discover")).at("result");
  EXPECT_EQ(result.at("supportedVersions"), json({"2026-07-28"}));
  EXPECT_EQ(result.at("resultType"), "complete");
  EXPECT_EQ(result.at("instructions"), "Use it well.");
  EXPECT_TRUE(result.at("ttlMs").is_number_unsigned() || result.at("ttlMs") >= 0);
  EXPECT_TRUE(result.at("cacheScope") == "public" || result.at("cacheScope") == "private");
  EXPECT_EQ(result.at("_meta").at(server_key).at("title"), "Probe");
  EXPECT_TRUE(result.at("capabilities").contains("tools"));
  EXPECT_FALSE(result.at("capabilities").contains("extensions"));  // no tool becomes a task
  EXPECT_FALSE(result.contains("protocolVersion"));
  EXPECT_FALSE(result.contains("serverInfo"));
}

TEST(stateless, lists_say_how_long_they_may_be_kept_and_legacy_ones_do_not) {
  gated_harness h;
  h.open();
  for (const char* const method : {"tools/list", "prompts/list", "resources/list", "resources/templates/list"}) {
    const json result = h.answer_to(harness::stateless(1, method)).at("result");
    EXPECT_TRUE(result.contains("ttlMs") && result.contains("cacheScope")) << method;
    const json legacy = h.answer_to(harness::ask(2, method)).at("result");
    for (const char* const key : {"ttlMs", "cacheScope", "resultType", "_meta"}) {
      EXPECT_FALSE(legacy.contains(key)) << method;
    }
  }
}

TEST(stateless, methods_of_the_legacy_era_do_not_exist_in_it_and_the_other_way_round) {
  gated_harness h;
  h.open();
  for (const char* const method :
       {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}) {
    EXPECT_EQ(h.error_code_for(harness::stateless(1, method)), -32601) << method;
  }
  for (const char* const method : {"subscriptions/listen", "tasks/get", "tasks/update", "tasks/cancel"}) {
    EXPECT_EQ(h.error_code_for(harness::ask(1, method)), -32601) << method;
  }
}

TEST(stateless, both_eras_are_spoken_on_one_stream) {
  gated_harness h;
  h.open();
  h.send(harness::call(1, "gate"));
  h.send(harness::stateless_call(2, "gate"));
  h.send(harness::call(3, "echo"));
  EXPECT_FALSE(h.answer().at("result").contains("resultType"));
  h.door.opened.set();
  const auto answers = h.received();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_FALSE(answers[0].at("result").contains("resultType"));
  EXPECT_EQ(answers[1].at("result").at("resultType"), "complete");
  // What `initialize` settled is as it was.
  EXPECT_TRUE(h.answer_to(harness::ask(4, "ping")).contains("result"));
}

TEST(stateless, the_handler_knows_the_client_of_its_own_request) {
  harness h;
  h.offer.add(make_tool("who", [](json, request_context& call) -> asio::awaitable<tool_result> {
    json told = {{"client", call.caller().implementation.at("name")},
                 {"capabilities", call.caller().capabilities},
                 {"version", to_string(call.dialect().version)}};
    co_return tool_result::json(std::move(told));
  }));
  h.open();
  const auto who = [&](const json& asked) { return h.answer_to(asked).at("result").at("structuredContent"); };
  EXPECT_EQ(who(harness::stateless_call(1, "who", with_elicitation)),
            json({{"client", "stateless tester"}, {"capabilities", with_elicitation}, {"version", "2026-07-28"}}));
  EXPECT_EQ(who(harness::stateless_call(2, "who", with_tasks)).at("capabilities"), with_tasks);
  EXPECT_EQ(who(harness::stateless_call(3, "who", with_tasks)).at("capabilities"), with_tasks);
  EXPECT_EQ(who(harness::call(4, "who")).at("client"), "tester");
}

TEST(stateless, log_messages_are_of_the_request_that_asked_for_them) {
  harness h;
  h.offer.add(make_tool("log", [](json, request_context& call) -> asio::awaitable<tool_result> {
    call.log(log_level::info, "l", "quiet");
    call.log(log_level::error, "l", "loud");
    co_return tool_result::text("done");
  }));
  h.start();
  const auto said = [&](const json& meta) {
    h.send(harness::stateless(1, "tools/call", {{"name", "log"}}, json::object(), meta));
    return h.received().size() - 1;
  };
  EXPECT_EQ(said(json::object()), 0U);
  EXPECT_EQ(said({{level_key, "error"}}), 1U);
  EXPECT_EQ(said({{level_key, "debug"}}), 2U);
  h.talk->log(log_level::alert, "l", "of no request");
  EXPECT_TRUE(h.received().empty());
}

TEST(stateless, progress_goes_to_the_token_of_the_request) {
  gated_harness h;
  h.start();
  h.send(harness::stateless(1, "tools/call", {{"name", "gate"}}, json::object(), {{"progressToken", "t"}}));
  h.door.last->progress(1, 2.0, "half");
  EXPECT_EQ(h.answer().at("params"),
            json({{"progressToken", "t"}, {"progress", 1.0}, {"total", 2.0}, {"message", "half"}}));
}

TEST(stateless, a_cancelled_call_is_stopped_and_not_answered) {
  gated_harness h;
  h.start();
  h.send(harness::stateless_call(1, "gate"));
  h.send(harness::cancelled(1));
  EXPECT_EQ(h.door.stopped, 1);
  EXPECT_TRUE(h.received().empty());
}

TEST(stateless, a_request_in_a_batch_is_refused_and_the_rest_of_the_batch_answered) {
  gated_harness h;
  h.open("2025-03-26");
  h.send(json::array({harness::stateless(1, "subscriptions/listen", {{"notifications", json::object()}}),
                      harness::stateless_call(2, "gate"), harness::ask(3, "ping")}));
  const json answers = h.answer();
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[0].at("error").at("code"), -32600);
  EXPECT_EQ(answers[1].at("error").at("code"), -32600);
  EXPECT_TRUE(answers[2].contains("result"));
  EXPECT_EQ(h.door.started, 0);
}

}  // namespace
}  // namespace awm::mcp::testing
