#include "mcp/harness.hpp"

#include <stdexcept>

namespace awm::mcp::testing {
namespace {

asio::awaitable<resource_contents> contents_of(std::string uri, uri_variables variables) {
  if (variables["id"] == "gone") co_return std::nullopt;
  if (variables["id"] == "broken") throw std::runtime_error("the disk is full");
  std::vector<json> contents{text_contents(uri, "text/plain", json(variables).dump())};
  co_return contents;
}

/// A fixed resource, and a template of which w1 and w2 exist.
struct library : harness {
  library() {
    resource status{{"x://status", "status", "Status", "how it is", "text/plain", 12, {{"priority", 1}}, nullptr},
                    [](std::string uri, uri_variables variables, request_context&) {
                      return contents_of(std::move(uri), std::move(variables));
                    },
                    {std::chrono::milliseconds(1500), true}};
    offer.add(std::move(status));
    resource_template results;
    results.uri_template = "x://{id}/result";
    results.name = "result";
    results.mime_type = "text/plain";
    results.read = [](std::string uri, uri_variables variables, request_context&) {
      return contents_of(std::move(uri), std::move(variables));
    };
    results.list = [] { return std::vector<resource_entry>{{"x://w1/result", "w1"}, {"x://w2/result", "w2"}}; };
    offer.add(std::move(results));
  }
  json read(const std::string& uri) { return answer_to(harness::ask("read", "resources/read", {{"uri", uri}})); }
};

TEST(resources, are_listed_with_those_of_templates_that_exist) {
  library h;
  h.open();
  const json listed = h.answer_to(harness::ask(1, "resources/list")).at("result").at("resources");
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed[0], json::parse(R"({"uri":"x://status","name":"status","title":"Status","description":"how it is",
    "mimeType":"text/plain","size":12,"annotations":{"priority":1}})"));
  EXPECT_EQ(listed[2], json::parse(R"({"uri":"x://w2/result","name":"w2"})"));
  EXPECT_EQ(h.answer_to(harness::ask(2, "resources/templates/list")).at("result").at("resourceTemplates"),
            json::parse(R"([{"uriTemplate":"x://{id}/result","name":"result","mimeType":"text/plain"}])"));
}

TEST(resources, of_an_old_version_have_no_title) {
  library h;
  h.open("2025-03-26");
  EXPECT_FALSE(h.answer_to(harness::ask(1, "resources/list")).at("result").at("resources").at(0).contains("title"));
}

TEST(resources, are_read_by_uri_and_by_template_with_decoded_variables) {
  library h;
  h.open();
  EXPECT_EQ(h.read("x://status").at("result").at("contents"),
            json::parse(R"([{"uri":"x://status","mimeType":"text/plain","text":"{}"}])"));
  EXPECT_EQ(h.read("x://a%20b/result").at("result").at("contents").at(0).at("text"), R"({"id":"a b"})");
}

TEST(resources, that_do_not_exist_have_the_error_of_the_era) {
  library h;
  h.open();
  for (const char* const uri : {"x://unknown", "x://gone/result", ""}) {
    const json legacy = h.read(uri);
    EXPECT_EQ(legacy.at("error").at("code"), -32002) << uri;
    EXPECT_EQ(legacy.at("error").at("data").at("uri"), uri);
    EXPECT_EQ(h.error_code_for(harness::stateless(1, "resources/read", {{"uri", uri}})), -32602) << uri;
  }
}

TEST(resources, say_how_long_they_may_be_kept_in_the_stateless_era) {
  library h;
  h.open();
  const json status = h.answer_to(harness::stateless(1, "resources/read", {{"uri", "x://status"}})).at("result");
  EXPECT_EQ(status.at("ttlMs"), 1500);
  EXPECT_EQ(status.at("cacheScope"), "public");
  const json result = h.answer_to(harness::stateless(1, "resources/read", {{"uri", "x://w1/result"}})).at("result");
  EXPECT_EQ(result.at("ttlMs"), 0);
  EXPECT_EQ(result.at("cacheScope"), "private");
  EXPECT_FALSE(h.read("x://status").at("result").contains("ttlMs"));
}

TEST(resources, a_reader_that_throws_is_an_internal_error) {
  library h;
  h.open();
  const json answer = h.read("x://broken/result");
  EXPECT_EQ(answer.at("error").at("code"), -32603);
  EXPECT_NE(answer.at("error").at("message").get<std::string>().find("the disk is full"), std::string::npos);
}

TEST(resources, a_list_that_throws_is_an_internal_error_and_the_next_request_is_served) {
  library h;
  resource_template broken;
  broken.uri_template = "y://{id}";
  broken.name = "broken";
  broken.read = [](std::string uri, uri_variables variables, request_context&) {
    return contents_of(std::move(uri), std::move(variables));
  };
  broken.list = []() -> std::vector<resource_entry> { throw std::runtime_error("no list"); };
  h.offer.add(std::move(broken));
  h.open();
  EXPECT_EQ(h.error_code_for(harness::ask(1, "resources/list")), -32603);
  EXPECT_TRUE(h.answer_to(harness::ask(2, "ping")).contains("result"));
}

TEST(resources, that_are_subscribed_to_are_reported_when_they_change) {
  library h;
  h.open();
  h.offer.resource_updated("x://w1/result");
  EXPECT_TRUE(h.received().empty());
  h.answer_to(harness::ask(1, "resources/subscribe", {{"uri", "x://w1/result"}}));
  h.offer.resource_updated("x://w2/result");
  EXPECT_TRUE(h.received().empty());
  h.offer.resource_updated("x://w1/result");
  h.offer.resource_updated("x://w1/result");
  const json told = h.answer();  // once: it says only that there is something new
  EXPECT_EQ(told.at("method"), "notifications/resources/updated");
  EXPECT_EQ(told.at("params"), json({{"uri", "x://w1/result"}}));
  h.answer_to(harness::ask(2, "resources/unsubscribe", {{"uri", "x://w1/result"}}));
  h.offer.resource_updated("x://w1/result");
  EXPECT_TRUE(h.received().empty());
  EXPECT_EQ(h.error_code_for(harness::ask(3, "resources/subscribe", {{"uri", "y://"}})), -32002);
}

TEST(resources, a_changed_list_is_told_to_a_legacy_client_after_its_handshake) {
  library h;
  h.start();
  h.offer.resources_changed();
  EXPECT_TRUE(h.received().empty());
  h.open();
  h.offer.resources_changed();
  EXPECT_EQ(h.answer().at("method"), "notifications/resources/list_changed");
}

TEST(resources, capabilities_name_them_when_there_are_some) {
  library with;
  harness without;
  with.start();
  without.start();
  const json asked = harness::ask(0, "initialize", {{"protocolVersion", "2025-11-25"}});
  EXPECT_EQ(with.answer_to(asked).at("result").at("capabilities").at("resources"),
            json({{"subscribe", true}, {"listChanged", true}}));
  EXPECT_FALSE(without.answer_to(asked).at("result").at("capabilities").contains("resources"));
}

TEST(resources, that_are_not_in_order_are_refused_at_the_start) {
  library h;
  const resource_reader read = [](std::string uri, uri_variables variables, request_context&) {
    return contents_of(std::move(uri), std::move(variables));
  };
  EXPECT_THROW(h.offer.add(resource{{"x://status", "again"}, read, {}}), std::invalid_argument);
  EXPECT_THROW(h.offer.add(resource{{"", "no uri"}, read, {}}), std::invalid_argument);
  EXPECT_THROW(h.offer.add(resource{{"x://new", "unread"}, nullptr, {}}), std::invalid_argument);
  resource_template bad;
  bad.uri_template = "x://{+all}";
  bad.name = "bad";
  bad.read = read;
  EXPECT_THROW(h.offer.add(std::move(bad)), std::invalid_argument);
}

}  // namespace
}  // namespace awm::mcp::testing
