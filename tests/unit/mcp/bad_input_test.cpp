// Whatever comes: the specified error or silence, and the next request is served.
#include "mcp/harness.hpp"

#include <vector>

namespace awm::mcp::testing {
namespace {

using namespace std::string_literals;

/// A server with one of everything.
struct full : gated_harness {
  explicit full(session_options options = {}) : gated_harness(std::move(options)) {
    offer.add(resource{{"x://a", "a"}, read, {}});
    resource_template many;
    many.uri_template = "x://{id}/b";
    many.name = "b";
    many.read = read;
    offer.add(std::move(many));
    prompt one;
    one.name = "p";
    one.arguments = {{"a", "", true, nullptr}};
    one.handler = [](std::map<std::string, std::string>, request_context&) -> asio::awaitable<prompt_result> {
      co_return prompt_result{};
    };
    offer.add(std::move(one));
  }
  static asio::awaitable<resource_contents> read(std::string, uri_variables, request_context&) {
    std::vector<json> contents{text_contents("x://a", "", "a")};
    co_return contents;
  }
  bool serves_the_next() {
    return answer_to(harness::ask("next", "ping")).value(json::json_pointer("/id"), "") == "next";
  }
};

struct wrong_params {
  const char* method;
  const char* params;
};

std::ostream& operator<<(std::ostream& to, const wrong_params& what) {
  return to << what.method << " " << what.params;
}

// What each method requires, with a wrong type in its place.
const std::vector<wrong_params> in_both_eras{
    {"tools/list", R"({"cursor":1})"},
    {"tools/list", R"({"cursor":""})"},
    {"tools/list", R"({"cursor":"x"})"},
    {"prompts/list", R"({"cursor":{}})"},
    {"resources/list", R"({"cursor":[]})"},
    {"resources/templates/list", R"({"cursor":true})"},
    {"tools/call", R"({})"},
    {"tools/call", R"({"name":1})"},
    {"tools/call", R"({"name":null})"},
    {"tools/call", R"({"name":"unknown"})"},
    {"tools/call", R"({"name":"echo","arguments":[]})"},
    {"tools/call", R"({"name":"echo","arguments":"x"})"},
    {"prompts/get", R"({})"},
    {"prompts/get", R"({"name":{}})"},
    {"prompts/get", R"({"name":"p"})"},
    {"prompts/get", R"({"name":"p","arguments":7})"},
    {"prompts/get", R"({"name":"p","arguments":{"a":[]}})"},
    {"resources/read", R"({})"},
    {"resources/read", R"({"uri":[]})"},
    {"completion/complete", R"({})"},
    {"completion/complete", R"({"ref":1,"argument":1})"},
    {"completion/complete", R"({"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a"}})"},
    {"completion/complete", R"({"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":1}})"},
    {"completion/complete", R"({"ref":{"type":"ref/prompt","name":1},"argument":{"name":"a","value":""}})"},
    {"completion/complete", R"({"ref":{"type":"ref/resource","uri":1},"argument":{"name":"a","value":""}})"},
};
const std::vector<wrong_params> in_the_legacy_era{
    {"initialize", R"({})"},
    {"initialize", R"({"protocolVersion":20250618})"},
    {"logging/setLevel", R"({})"},
    {"logging/setLevel", R"({"level":3})"},
    {"logging/setLevel", R"({"level":"loud"})"},
    {"resources/subscribe", R"({"uri":null})"},
    {"resources/unsubscribe", R"({"uri":{}})"},
    {"tools/list", R"({"_meta":7})"},
    {"tools/call", R"({"name":"echo","_meta":{"progressToken":{}}})"},
};
const std::vector<wrong_params> in_the_stateless_era{
    {"subscriptions/listen", R"({})"},
    {"subscriptions/listen", R"({"notifications":[]})"},
    {"tasks/get", R"({})"},
    {"tasks/get", R"({"taskId":1})"},
    {"tasks/update", R"({"taskId":[]})"},
    {"tasks/cancel", R"({"taskId":null})"},
    {"tools/call", R"({"name":"echo","requestState":1})"},
    {"tools/call", R"({"name":"echo","inputResponses":1})"},
    {"tools/call", R"({"name":"echo","inputResponses":{"a":1}})"},
    {"prompts/get", R"({"name":"p","arguments":{"a":""},"requestState":"x"})"},
    {"resources/read", R"({"uri":"x://a","inputResponses":[]})"},
};

TEST(bad_input, params_of_the_wrong_type_are_bad_params_for_every_method_of_the_legacy_era) {
  full h;
  h.open();
  for (const auto& cases : {in_both_eras, in_the_legacy_era}) {
    for (const wrong_params& wrong : cases) {
      const json answer = h.answer_to(harness::ask("bad", wrong.method, json::parse(wrong.params)));
      EXPECT_EQ(answer.at("id"), "bad") << wrong;
      EXPECT_EQ(answer.value(json::json_pointer("/error/code"), 0), -32602) << wrong;
    }
  }
  EXPECT_TRUE(h.serves_the_next());
}

TEST(bad_input, params_of_the_wrong_type_are_bad_params_for_every_method_of_the_stateless_era) {
  full h;
  h.open();
  for (const auto& cases : {in_both_eras, in_the_stateless_era}) {
    for (const wrong_params& wrong : cases) {
      const json answer = h.answer_to(harness::stateless("bad", wrong.method, json::parse(wrong.params), with_all));
      EXPECT_EQ(answer.at("id"), "bad") << wrong;
      EXPECT_EQ(answer.value(json::json_pointer("/error/code"), 0), -32602) << wrong;
    }
  }
  EXPECT_TRUE(h.serves_the_next());
}

TEST(bad_input, params_that_are_no_object_are_bad_params_for_every_method) {
  full h;
  h.open();
  for (const char* const method :
       {"initialize", "ping", "tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list",
        "resources/read", "resources/templates/list", "resources/subscribe", "resources/unsubscribe",
        "completion/complete", "logging/setLevel", "server/discover", "subscriptions/listen", "tasks/get",
        "tasks/update", "tasks/cancel"}) {
    for (const json& params : {json(7), json("x"), json::array({1}), json(nullptr), json(true)}) {
      EXPECT_EQ(h.error_code_for({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}), -32602)
          << method << " " << params;
    }
  }
}

TEST(bad_input, what_a_client_says_of_itself_in_a_wrong_type_is_taken_for_nothing) {
  full h;
  h.start();
  for (const json& odd : {json(5), json("x"), json::array(), json()}) {
    EXPECT_TRUE(
        h.answer_to(harness::ask(1, "initialize",
                                 {{"protocolVersion", "2025-11-25"}, {"capabilities", odd}, {"clientInfo", odd}}))
            .contains("result"));
    EXPECT_FALSE(h.talk->peer().can_elicit());
    EXPECT_TRUE(h.answer_to(harness::call(2, "echo")).contains("result"));
  }
}

TEST(bad_input, ids_of_every_legal_type_come_back_as_they_are) {
  full h;
  h.open();
  for (const char* const id : {"0", "-1", "1.5", "9007199254740993", "-9223372036854775808", "18446744073709551615",
                               R"("")", R"("a \" b")", R"("\u00e9")", R"("1")"}) {
    h.send_text(R"({"jsonrpc":"2.0","id":)"s + id + R"(,"method":"ping"})" + "\n");
    EXPECT_EQ(h.answer().at("id"), json::parse(id)) << id;
  }
}

TEST(bad_input, ids_of_other_types_are_refused_without_one) {
  full h;
  h.open();
  for (const char* const id : {"null", "true", "{}", "[1]"}) {
    h.send_text(R"({"jsonrpc":"2.0","id":)"s + id + R"(,"method":"ping"})" + "\n");
    const json answer = h.answer();
    EXPECT_EQ(answer.at("error").at("code"), -32600) << id;
    EXPECT_TRUE(answer.at("id").is_null()) << id;
  }
}

TEST(bad_input, a_message_cut_off_anywhere_is_a_parse_error) {
  full h;
  h.open();
  const std::string whole = harness::call("x", "echo", {{"a", {1, "\\\"", nullptr}}}).dump();
  for (std::size_t size = 1; size < whole.size(); ++size) {
    h.send_text(whole.substr(0, size) + "\n");
    EXPECT_EQ(h.answer().at("error").at("code"), -32700) << whole.substr(0, size);
  }
  EXPECT_TRUE(h.serves_the_next());
}

TEST(bad_input, text_that_is_not_utf8_is_a_parse_error) {
  full h;
  h.open();
  for (const char* const bytes : {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\x80"}) {
    h.send_text(R"({"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":")"s + bytes + "\"}}\n");
    EXPECT_EQ(h.answer().at("error").at("code"), -32700);
  }
  h.send_text("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\0ng\"}\n"s);
  EXPECT_EQ(h.answer().at("error").at("code"), -32700);
  EXPECT_TRUE(h.serves_the_next());
}

TEST(bad_input, a_batch_in_the_wrong_era_is_refused_once) {
  for (const char* const version : {"2024-11-05", "2025-06-18", "2025-11-25"}) {
    full h;
    h.open(version);
    EXPECT_EQ(h.error_code_for(json::array({harness::ask(1, "ping"), harness::ask(2, "ping")})), -32600) << version;
  }
  full h;
  h.start();
  EXPECT_EQ(h.error_code_for(json::array({harness::stateless(1, "tools/list")})), -32600);
}

TEST(bad_input, a_batch_with_more_messages_than_anybody_sends_is_refused) {
  full h;
  h.open("2025-03-26");
  EXPECT_EQ(h.error_code_for(json(std::vector<int>(10'001, 1))), -32600);
  EXPECT_EQ(h.answer_to(json(std::vector<int>(10'000, 1))).size(), 10'000U);
}

TEST(bad_input, the_same_id_twice_in_one_batch_is_refused_the_second_time) {
  full h;
  h.open("2025-03-26");
  h.send(json::array({harness::call(1, "gate"), harness::call(1, "gate")}));
  EXPECT_EQ(h.door.started, 1);
  h.door.opened.set();
  const json answers = h.answer();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_TRUE(answers[0].at("id").is_null());
  EXPECT_EQ(answers[1].at("id"), 1);
}

TEST(bad_input, nesting_as_deep_as_a_line_is_refused_and_at_the_limit_served) {
  full h;
  h.open();
  const auto nested = [](std::size_t depth) {
    return R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"x":)"s +
           std::string(depth, '[') + std::string(depth, ']') + "}}}\n";
  };
  h.send_text(nested(1'000'000));
  EXPECT_EQ(h.answer().at("error").at("code"), -32600);
  h.send_text(nested(max_nesting - 3));
  EXPECT_TRUE(h.answer().contains("result"));
}

TEST(bad_input, requests_before_initialize_and_unknown_methods_keep_their_id) {
  full h;
  h.start();
  const json early = h.answer_to(harness::ask("early", "tools/list"));
  EXPECT_EQ(early.at("id"), "early");
  EXPECT_EQ(early.at("error").at("code"), -32600);
  const json unknown = h.answer_to(harness::stateless("u", "tools/lists"));
  EXPECT_EQ(unknown.at("id"), "u");
  EXPECT_EQ(unknown.at("error").at("code"), -32601);
}

TEST(bad_input, notifications_are_never_answered) {
  full h;
  h.open();
  for (const char* const text :
       {R"({"jsonrpc":"2.0","method":"tools/call"})", R"({"jsonrpc":"2.0","method":"notifications/cancelled"})",
        R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}})",
        R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":[]})",
        R"({"jsonrpc":"2.0","method":"notifications/initialized","params":{"a":1}})"}) {
    h.send_text(text + "\n"s);
    EXPECT_TRUE(h.received().empty()) << text;
  }
}

// ---- long lines ----

constexpr std::size_t limit = 10'000;

/// Sends what is longer than the limit in pieces, and returns the error, which must be the only answer.
json refusal_of(full& h, const std::string& text) {
  for (std::size_t at = 0; at < text.size(); at += 3000) h.send_text(text.substr(at, 3000));
  h.send_text("\n");
  json answer = h.answer();
  EXPECT_EQ(answer.at("error").at("code"), -32600);
  EXPECT_TRUE(h.serves_the_next());
  return answer.at("id");
}

TEST(bad_input, a_message_that_is_too_long_is_refused_with_its_id_wherever_that_stands) {
  full h({.line_bytes = limit});
  h.open();
  const std::string filling(3 * limit, 'x');
  EXPECT_EQ(refusal_of(h, R"({"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":")" + filling + "\"}}"), 7);
  EXPECT_EQ(refusal_of(h, R"({"method":"ping","params":{"x":")" + filling + R"("},"jsonrpc":"2.0","id":"end"})"),
            "end");
  // Nobody's id: of a notification, a response, a batch, a request whose id is in flight.
  EXPECT_EQ(refusal_of(h, R"({"jsonrpc":"2.0","method":"ping","params":{"id":7,"x":")" + filling + "\"}}"), json());
  EXPECT_EQ(refusal_of(h, R"({"jsonrpc":"2.0","id":7,"result":")" + filling + "\"}"), json());
  EXPECT_EQ(refusal_of(h, R"([{"jsonrpc":"2.0","id":7,"method":"ping"},")" + filling + "\"]"), json());
  h.send(harness::call("busy", "gate"));
  EXPECT_EQ(refusal_of(h, R"({"jsonrpc":"2.0","id":"busy","method":"ping","params":")" + filling + "\"}"), json());
}

TEST(bad_input, a_message_that_is_too_long_is_refused_before_it_ends_when_its_id_comes_first) {
  full h({.line_bytes = limit});
  h.open();
  h.send_text(R"({"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":")" + std::string(2 * limit, 'x'));
  EXPECT_EQ(h.answer().at("id"), 7);
  h.send_text(std::string(limit, 'x') + "\n");
  EXPECT_TRUE(h.serves_the_next());
}

TEST(bad_input, a_message_of_just_the_limit_is_served) {
  full h({.line_bytes = limit});
  h.open();
  const std::string begin = R"({"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":")";
  h.send_text(begin + std::string(limit - begin.size() - 3, 'x') + "\"}}\n");
  EXPECT_TRUE(h.answer().contains("result"));
  EXPECT_EQ(refusal_of(h, begin + std::string(limit - begin.size() - 2, 'x') + "\"}}"), 1);
}

TEST(bad_input, whitespace_without_end_is_refused_when_it_ends_and_takes_no_memory) {
  full h({.line_bytes = limit});
  h.open();
  // A hundred times the limit stands for a gigabyte against the real one.
  const std::string blank(limit, ' ');
  for (int i = 0; i < 100; ++i) h.send_text(blank);
  EXPECT_TRUE(h.received().empty());
  h.send_text("\n");
  EXPECT_EQ(h.answer().at("error").at("code"), -32600);
  EXPECT_TRUE(h.serves_the_next());
}

}  // namespace
}  // namespace awm::mcp::testing
