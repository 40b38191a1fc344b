#include "mcp/server.hpp"

#include <gtest/gtest.h>

namespace awm::mcp {
namespace {

using nlohmann::json;

tool named(const std::string& name) {
  tool t;
  t.name = name;
  t.handler = [](json, request_context&) -> asio::awaitable<tool_result> { co_return tool_result::text("x"); };
  return t;
}

struct five : server {
  explicit five(std::size_t page_size) : server({"s", "1", "", "", "", "", nullptr}, {}, page_size) {
    for (int i = 1; i <= 5; ++i) add(named("t" + std::to_string(i)));
  }
  json page(const std::string& cursor = {}) const { return std::get<json>(list_tools(cursor, dialect{})); }
  static std::string names(const json& page) {
    std::string out;
    for (const json& each : page.at("tools")) out += each.at("name").get<std::string>() + " ";
    return out;
  }
};

TEST(pagination, gives_out_a_long_list_in_pages) {
  const five offer(2);
  json page = offer.page();
  EXPECT_EQ(five::names(page), "t1 t2 ");
  page = offer.page(page.at("nextCursor"));
  EXPECT_EQ(five::names(page), "t3 t4 ");
  page = offer.page(page.at("nextCursor"));
  EXPECT_EQ(five::names(page), "t5 ");
  EXPECT_FALSE(page.contains("nextCursor"));
}

TEST(pagination, a_list_that_just_fits_is_one_page) {
  EXPECT_FALSE(five(5).page().contains("nextCursor"));
  EXPECT_TRUE(five(4).page().contains("nextCursor"));
}

TEST(pagination, neither_repeats_nor_loses_what_stays_when_the_list_changes) {
  five offer(2);
  const json first = offer.page();
  offer.remove_tool("t1");
  offer.add(named("t6"));
  const json second = offer.page(first.at("nextCursor"));
  EXPECT_EQ(five::names(second), "t3 t4 ");
  EXPECT_EQ(five::names(offer.page(second.at("nextCursor"))), "t5 t6 ");
}

TEST(pagination, a_cursor_that_was_not_given_out_is_bad_params) {
  const five offer(2);
  EXPECT_EQ(std::get<rpc_error>(offer.list_tools("nonsense", dialect{})).code, rpc_code::invalid_params);
}

}  // namespace
}  // namespace awm::mcp
