// subscriptions/listen: a request that stays open, and what belongs to it.
#include "mcp/harness.hpp"

namespace awm::mcp::testing {
namespace {

constexpr auto subscription = "io.modelcontextprotocol/subscriptionId";

struct listening : gated_harness {
  listening() {
    offer.add(resource{{"x://a", "a"}, read, {}});
    offer.add(resource{{"x://b", "b"}, read, {}});
    start();
  }
  static asio::awaitable<resource_contents> read(std::string, uri_variables, request_context&) {
    co_return std::nullopt;
  }
  void listen(const json& id, json wanted) {
    send(harness::stateless(id, "subscriptions/listen", {{"notifications", std::move(wanted)}}));
  }
  void change_tools() { offer.add(make_tool("t" + std::to_string(++added), door_handler())); }
  tool_handler door_handler() {
    return [this](json, request_context& call) { return door.pass(call); };
  }
  int added = 0;
};

TEST(listen, is_acknowledged_with_what_is_honoured) {
  listening h;
  h.listen("ear", {{"toolsListChanged", true},
                   {"promptsListChanged", true},  // there are none
                   {"resourcesListChanged", false},
                   {"resourceSubscriptions", {"x://a", "x://unknown", 5}},
                   {"unheardOf", true}});
  EXPECT_EQ(h.answer(), json::parse(R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{
    "_meta":{"io.modelcontextprotocol/subscriptionId":"ear"},
    "notifications":{"toolsListChanged":true,"resourceSubscriptions":["x://a"]}}})"));
}

TEST(listen, tells_only_what_was_asked_for_and_under_the_id_of_the_request) {
  listening h;
  h.listen(7, {{"toolsListChanged", true}});
  h.listen("x", {{"resourcesListChanged", true}, {"resourceSubscriptions", {"x://a"}}});
  h.received();
  h.change_tools();
  json told = h.answer();
  EXPECT_EQ(told.at("method"), "notifications/tools/list_changed");
  EXPECT_EQ(told.at("params").at("_meta").at(subscription), 7);
  h.offer.resources_changed();
  EXPECT_EQ(h.answer().at("params").at("_meta").at(subscription), "x");
  h.offer.resource_updated("x://b");
  EXPECT_TRUE(h.received().empty());
  h.offer.resource_updated("x://a");
  told = h.answer();
  EXPECT_EQ(told.at("params").at("uri"), "x://a");
  EXPECT_EQ(told.at("params").at("_meta").at(subscription), "x");
}

TEST(listen, two_that_want_the_same_are_told_each) {
  listening h;
  h.listen(1, {{"toolsListChanged", true}});
  h.listen(2, {{"toolsListChanged", true}});
  h.received();
  h.change_tools();
  EXPECT_EQ(h.received().size(), 2U);
}

TEST(listen, changes_that_a_client_did_not_read_are_told_once) {
  listening h;
  h.listen(1, {{"toolsListChanged", true}});
  h.received();
  h.change_tools();
  h.change_tools();
  EXPECT_EQ(h.received().size(), 1U);
}

TEST(listen, is_in_flight_until_it_is_cancelled_and_is_never_answered_then) {
  listening h;
  h.listen("ear", {{"toolsListChanged", true}});
  h.received();
  EXPECT_EQ(h.error_code_for(harness::stateless("ear", "tools/list")), -32600);
  h.send(harness::cancelled("ear"));
  h.change_tools();
  EXPECT_TRUE(h.received().empty());
  EXPECT_TRUE(h.answer_to(harness::stateless("ear", "tools/list")).contains("result"));
}

TEST(listen, cancelled_takes_back_what_is_unsent) {
  listening h;
  h.output->set_capacity(0);
  h.send(harness::stateless("first", "tools/list"));  // fills the pipe
  h.listen("ear", {{"toolsListChanged", true}});
  h.listen("other", {{"toolsListChanged", true}});
  h.change_tools();
  h.send(harness::cancelled("ear"));
  h.output->set_capacity(1'000'000);
  const auto messages = h.received();
  ASSERT_EQ(messages.size(), 3U);
  for (std::size_t i = 1; i < 3; ++i) EXPECT_EQ(messages[i].at("params").at("_meta").at(subscription), "other");
}

TEST(listen, is_answered_when_the_server_ends_it) {
  listening h;
  h.listen("ear", {{"toolsListChanged", true}});
  h.received();
  h.talk->shutdown();
  const json answer = h.answer();
  EXPECT_EQ(answer.at("id"), "ear");
  EXPECT_EQ(answer.at("result").at("resultType"), "complete");
  EXPECT_EQ(answer.at("result").at("_meta").at(subscription), "ear");
  EXPECT_TRUE(h.outcome);
}

TEST(listen, without_a_filter_is_bad_params) {
  listening h;
  for (const json& wrong : {json(), json(true), json::array(), json("all")}) {
    h.listen(1, wrong);
    EXPECT_EQ(h.answer().at("error").at("code"), -32602) << wrong;
  }
  EXPECT_EQ(h.error_code_for(harness::stateless(1, "subscriptions/listen")), -32602);
}

TEST(listen, a_legacy_client_on_the_same_stream_is_told_in_its_own_way) {
  listening h;
  h.open();
  h.listen("ear", {{"toolsListChanged", true}});
  h.received();
  h.change_tools();
  const auto told = h.received();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_TRUE(told[0].at("params").contains("_meta"));
  EXPECT_FALSE(told[1].at("params").contains("_meta"));
}

}  // namespace
}  // namespace awm::mcp::testing
