#include "mcp/jsonrpc.hpp"

#include <gtest/gtest.h>

namespace awm::mcp {
namespace {

using nlohmann::json;

int code_of_line(std::string_view line) {
  const auto parsed = parse_line(line);
  const auto* const error = std::get_if<rpc_error>(&parsed);
  return error == nullptr ? 0 : error->code;
}

malformed refused(const char* text) {
  return std::get<malformed>(read_message(json::parse(text)));
}

TEST(jsonrpc, text_that_is_no_json_is_a_parse_error) {
  for (const char* const line : {"{", "{\"a\":}", "hello", "[1,2", "\"\xff\"", "{\"a\":1e999}", "{} {}"}) {
    EXPECT_EQ(code_of_line(line), rpc_code::parse_error) << line;
  }
  EXPECT_EQ(code_of_line("{\"jsonrpc\":\"2.0\"}"), 0);
}

TEST(jsonrpc, a_parse_error_quotes_little_of_a_long_line) {
  const auto parsed = parse_line("\"" + std::string(100'000, 'x'));
  EXPECT_LT(std::get<rpc_error>(parsed).message.size(), 300U);
}

TEST(jsonrpc, json_that_nests_too_deeply_is_refused_before_it_is_parsed) {
  const std::string fits = std::string(max_nesting, '[') + std::string(max_nesting, ']');
  const std::string deep = std::string(5'000'000, '[');
  EXPECT_EQ(code_of_line(fits), 0);
  EXPECT_EQ(code_of_line("[" + fits + "]"), rpc_code::invalid_request);
  EXPECT_EQ(code_of_line(deep), rpc_code::invalid_request);
}

TEST(jsonrpc, brackets_inside_strings_do_not_nest) {
  EXPECT_EQ(code_of_line("[\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"]"), 0);
}

TEST(jsonrpc, a_message_with_method_and_id_is_a_request_and_without_id_a_notification) {
  const auto asked =
      std::get<request>(read_message(json::parse(R"({"jsonrpc":"2.0","id":"x","method":"m","params":{"a":1}})")));
  EXPECT_EQ(asked.id, "x");
  EXPECT_EQ(asked.method, "m");
  EXPECT_EQ(asked.params, json({{"a", 1}}));
  const auto told = std::get<notification>(read_message(json::parse(R"({"jsonrpc":"2.0","method":"m"})")));
  EXPECT_EQ(told.method, "m");
  EXPECT_TRUE(told.params.is_object());
}

TEST(jsonrpc, results_and_errors_are_responses) {
  const auto good = std::get<response>(read_message(json::parse(R"({"jsonrpc":"2.0","id":7,"result":{"a":1}})")));
  EXPECT_EQ(good.id, 7);
  EXPECT_EQ(std::get<json>(good.outcome), json({{"a", 1}}));
  const auto bad = std::get<response>(
      read_message(json::parse(R"({"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"no","data":[1]}})")));
  EXPECT_EQ(bad.id, "x");
  const auto& error = std::get<rpc_error>(bad.outcome);
  EXPECT_EQ(error.code, -1);
  EXPECT_EQ(error.message, "no");
  EXPECT_EQ(error.data, json::array({1}));
}

TEST(jsonrpc, a_response_that_breaks_the_rules_is_an_error_for_whoever_waits) {
  for (const char* const text : {R"({"id":7,"result":{}})", R"({"jsonrpc":"1.0","id":7,"result":{}})",
                                 R"({"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":"m"}})",
                                 R"({"jsonrpc":"2.0","id":7,"error":"m"})", R"({"jsonrpc":"2.0","id":7,"error":null})",
                                 R"({"jsonrpc":"2.0","id":7,"error":{"code":"1","message":"m"}})",
                                 R"({"jsonrpc":"2.0","id":7,"error":{"code":1}})"}) {
    const auto got = std::get<response>(read_message(json::parse(text)));
    EXPECT_EQ(got.id, 7) << text;
    EXPECT_EQ(std::get<rpc_error>(got.outcome).code, rpc_code::invalid_request) << text;
  }
}

TEST(jsonrpc, an_error_about_nothing_known_is_a_response_and_a_result_for_nobody_is_malformed) {
  for (const char* const text : {R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}})",
                                 R"({"jsonrpc":"2.0","error":{"code":-32700,"message":"m"}})"}) {
    EXPECT_TRUE(std::get<response>(read_message(json::parse(text))).id.is_null()) << text;
  }
  EXPECT_TRUE(refused(R"({"jsonrpc":"2.0","id":null,"result":{}})").id.is_null());
}

TEST(jsonrpc, every_kind_of_number_and_string_is_an_id) {
  for (const char* const id : {"0", "-1", "1.5", "18446744073709551615", "\"\"", "\"a b\""}) {
    const auto text = std::string(R"({"jsonrpc":"2.0","method":"m","id":)") + id + "}";
    EXPECT_EQ(std::get<request>(read_message(json::parse(text))).id.dump(), id);
  }
}

TEST(jsonrpc, other_ids_are_refused_with_id_null) {
  for (const char* const id : {"null", "true", "[]", "{}"}) {
    const auto text = std::string(R"({"jsonrpc":"2.0","method":"m","id":)") + id + "}";
    const malformed bad = refused(text.c_str());
    EXPECT_TRUE(bad.id.is_null());
    EXPECT_EQ(bad.error.code, rpc_code::invalid_request);
    EXPECT_FALSE(bad.is_notification);
  }
}

TEST(jsonrpc, an_invalid_request_keeps_its_id_where_it_is_known) {
  for (const char* const text : {R"({"id":4,"method":"m"})", R"({"jsonrpc":"1.0","id":4,"method":"m"})",
                                 R"({"jsonrpc":"2.0","id":4,"method":5})", R"({"jsonrpc":"2.0","id":4})"}) {
    const malformed bad = refused(text);
    EXPECT_EQ(bad.id, 4) << text;
    EXPECT_EQ(bad.error.code, rpc_code::invalid_request) << text;
  }
  EXPECT_TRUE(refused("17").id.is_null());
}

TEST(jsonrpc, params_that_are_no_object_are_invalid_params) {
  for (const char* const params : {"[]", "1", "\"x\"", "null"}) {
    const auto text = std::string(R"({"jsonrpc":"2.0","method":"m","id":4,"params":)") + params + "}";
    EXPECT_EQ(refused(text.c_str()).error.code, rpc_code::invalid_params) << params;
    EXPECT_FALSE(refused(text.c_str()).is_notification);
  }
  EXPECT_TRUE(refused(R"({"jsonrpc":"2.0","method":"m","params":[]})").is_notification);
}

TEST(jsonrpc, text_that_is_not_utf8_is_written_as_replacement_characters) {
  EXPECT_EQ(to_text("a\xff"
                    "b"),
            "\"a\xEF\xBF\xBD"
            "b\"");
}

TEST(jsonrpc, messages_of_ours_are_one_line_each) {
  EXPECT_EQ(result_text(1, {{"a", "x\ny"}}), R"({"jsonrpc":"2.0","id":1,"result":{"a":"x\ny"}})");
  EXPECT_EQ(error_text(nullptr, {-32700, "no"}),
            R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}})");
  EXPECT_EQ(error_text("a", {-1, "no", {{"x", 1}}}),
            R"({"jsonrpc":"2.0","id":"a","error":{"code":-1,"data":{"x":1},"message":"no"}})");
  EXPECT_EQ(request_text("awm-1", "m", {{"a", 1}}), R"({"jsonrpc":"2.0","id":"awm-1","method":"m","params":{"a":1}})");
  EXPECT_EQ(notification_text("n", {{"a", 1}}), R"({"jsonrpc":"2.0","method":"n","params":{"a":1}})");
}

}  // namespace
}  // namespace awm::mcp
