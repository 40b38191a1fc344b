#include "mcp/server.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace awm::mcp {
namespace {

using nlohmann::json;

tool complete_tool() {
  tool t;
  t.name = "probe";
  t.title = "A probe";
  t.description = "Looks.";
  t.input_schema = {{"type", "object"}, {"additionalProperties", false}};
  t.output_schema = {{"type", "object"}};
  t.annotations = {{"readOnlyHint", true}};
  t.meta = {{"anthropic/alwaysLoad", true}};
  t.handler = [](json, request_context&) -> asio::awaitable<tool_result> { co_return tool_result::text("x"); };
  return t;
}

void offering_of(std::vector<tool> tools) {
  const server offer({"s", "1", "S", "", "", "", nullptr}, {std::move(tools), {}, {}, {}});
}

json first_listed(const tool& one, const dialect& to) {
  const server offer({"s", "1", "S", "", "", "", nullptr}, {{one}, {}, {}, {}});
  return std::get<json>(offer.list_tools("", to)).at("tools").at(0);
}

json listed(protocol_version version) {
  return first_listed(complete_tool(), dialect{era::legacy, version});
}

TEST(server, a_version_is_told_only_what_it_knows) {
  const json basic = {{"name", "probe"},
                      {"description", "Looks."},
                      {"inputSchema", {{"type", "object"}, {"additionalProperties", false}}}};
  EXPECT_EQ(listed(protocol_version::v2024_11_05), basic);

  json annotated = basic;
  annotated["annotations"] = {{"readOnlyHint", true}};
  EXPECT_EQ(listed(protocol_version::v2025_03_26), annotated);

  json full = annotated;
  full["title"] = "A probe";
  full["outputSchema"] = {{"type", "object"}};
  full["_meta"] = {{"anthropic/alwaysLoad", true}};
  EXPECT_EQ(listed(protocol_version::v2025_06_18), full);
  EXPECT_EQ(listed(protocol_version::v2025_11_25), full);
}

TEST(server, what_a_tool_does_not_have_is_not_listed) {
  tool bare = complete_tool();
  bare.title.clear();
  bare.output_schema = bare.annotations = bare.meta = nullptr;
  const json one = first_listed(bare, dialect{});
  EXPECT_EQ(one.size(), 3U) << one;
  const server offer({"s", "1", "", "", "", "", nullptr});
  EXPECT_FALSE(offer.describe(dialect{}).contains("instructions"));
  EXPECT_FALSE(offer.describe(dialect{}).at("serverInfo").contains("title"));
}

TEST(server, structured_content_goes_out_as_text_too_and_alone_to_old_versions) {
  const json structured = {{"a", 1}};
  const json text = {{{"type", "text"}, {"text", R"({"a":1})"}}};
  EXPECT_EQ(call_result(tool_result::json(structured), {era::legacy, protocol_version::v2025_06_18}),
            json({{"content", text}, {"structuredContent", structured}}));
  EXPECT_EQ(call_result(tool_result::json(structured), {era::legacy, protocol_version::v2025_03_26}),
            json({{"content", text}}));
}

TEST(server, an_error_result_says_so) {
  EXPECT_EQ(call_result(tool_result::error("no"), dialect{}),
            json({{"content", {{{"type", "text"}, {"text", "no"}}}}, {"isError", true}}));
  EXPECT_FALSE(call_result(tool_result::text("yes"), dialect{}).contains("isError"));
}

void expect_refused(const tool& t, const std::string& reason) {
  try {
    offering_of({t});
    ADD_FAILURE() << "taken, in spite of: " << reason;
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  }
}

TEST(server, a_tool_that_is_not_in_order_is_refused_at_the_start) {
  tool t = complete_tool();
  t.name = "a b";
  expect_refused(t, "\"a b\"");
  t.name = std::string(129, 'a');
  expect_refused(t, "128 characters");
  t = complete_tool();
  t.handler = nullptr;
  expect_refused(t, "no handler");
  t = complete_tool();
  t.input_schema = {{"type", "array"}};
  expect_refused(t, "input_schema must");
  t.input_schema = {{"type", "object"}, {"required", 1}};
  expect_refused(t, "not a JSON schema");
  t = complete_tool();
  t.output_schema = true;
  expect_refused(t, "output_schema must");
  std::vector<tool> twice{complete_tool(), complete_tool()};
  EXPECT_THROW(offering_of(twice), std::invalid_argument);
}

}  // namespace
}  // namespace awm::mcp
