#include "worker/protocol.hpp"

#include "coro/line_buffer.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace awm::worker {
namespace {

using nlohmann::json;

class protocol : public testing::Test {
 protected:
  /// As a reader would: with padding behind the line.
  child_line parse(std::string text) {
    text_ = std::move(text);
    text_.reserve(text_.size() + coro::line_buffer::padding);
    return parser_.parse(text_);
  }
  template <class Line>
  Line parse_as(std::string text) {
    auto line = parse(std::move(text));
    auto* const wanted = std::get_if<Line>(&line);
    if (wanted == nullptr) throw std::runtime_error("another kind of line, number " + std::to_string(line.index()));
    return *wanted;
  }
  std::vector<std::string> recorded(const std::string& name) {
    std::ifstream file(std::string(AWM_FIXTURES) + "/streams/" + name);
    EXPECT_TRUE(file) << name;
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  template <class Line>
  std::vector<Line> all_of(const std::string& name) {
    std::vector<Line> found;
    for (const auto& text : recorded(name)) {
      auto line = parse(text);
      if (auto* const wanted = std::get_if<Line>(&line)) found.push_back(*wanted);
    }
    return found;
  }

 private:
  line_parser parser_;
  std::string text_;
};

TEST_F(protocol, no_line_that_the_real_cli_printed_is_broken) {
  std::size_t lines = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(AWM_FIXTURES) + "/streams")) {
    if (!entry.path().native().ends_with(".out.ndjson")) continue;
    for (const auto& text : recorded(entry.path().filename())) {
      ++lines;
      const auto line = parse(text);
      const auto* const broken = std::get_if<broken_line>(&line);
      EXPECT_EQ(broken, nullptr) << entry.path() << ": " << (broken ? broken->reason : "");
    }
  }
  EXPECT_GT(lines, 100U);
}

TEST_F(protocol, reads_a_whole_recorded_turn_of_both_versions) {
  for (const std::string version : {"2.1.197", "2.1.329"}) {
    const auto init = all_of<init_line>(version + "-permission-allow.out.ndjson");
    ASSERT_EQ(init.size(), 1U);
    EXPECT_EQ(init[0].cli_version, version);
    EXPECT_EQ(init[0].permission_mode, "default");
    EXPECT_NE(std::find(init[0].tools.begin(), init[0].tools.end(), "Bash"), init[0].tools.end());
    const auto questions = all_of<permission_line>(version + "-permission-allow.out.ndjson");
    ASSERT_EQ(questions.size(), 1U);
    EXPECT_EQ(questions[0].tool, "Bash");
    EXPECT_EQ(json::parse(questions[0].input)["description"], "lab");
    EXPECT_FALSE(questions[0].blocked_path.empty());
    const auto results = all_of<result_line>(version + "-permission-allow.out.ndjson");
    ASSERT_EQ(results.size(), 1U);
    EXPECT_FALSE(results[0].is_error);
    EXPECT_EQ(results[0].subtype, "success");
    EXPECT_EQ(results[0].text, "tool said: CHANGED");
    EXPECT_EQ(results[0].num_turns, 2);
    EXPECT_EQ(results[0].session_id, init[0].session_id);
    EXPECT_GT(results[0].total_cost_usd, 0);
    EXPECT_EQ(results[0].cost_since_last_result_usd.has_value(), version == "2.1.329");
  }
}

TEST_F(protocol, an_api_failure_is_an_error_although_its_subtype_says_success) {
  for (const std::string version : {"2.1.197", "2.1.329"}) {
    const auto results = all_of<result_line>(version + "-api-529-default.out.ndjson");
    ASSERT_FALSE(results.empty());
    EXPECT_TRUE(results[0].is_error);
    EXPECT_EQ(results[0].subtype, "success");
    const auto retries = all_of<retry_line>(version + "-api-529-default.out.ndjson");
    ASSERT_FALSE(retries.empty());
    EXPECT_EQ(retries[0].attempt, 1);
    EXPECT_EQ(retries[0].status, 529);
  }
}

TEST_F(protocol, a_message_is_handed_on_byte_for_byte) {
  const std::string message =
      R"({"id":"m1","role":"assistant","content":[{"type":"text","text":"ä \u00e4 \"x\"" }],"n":1.50})";
  auto line = parse(R"({"type":"assistant", "parent_tool_use_id":null, "message": )" + message + "}");
  const auto& found = std::get<message_line>(line);
  EXPECT_EQ(found.raw, message);
  EXPECT_EQ(found.id, "m1");
  EXPECT_EQ(found.role, "assistant");
  EXPECT_EQ(found.parent_tool_use_id, "");
}

TEST_F(protocol, the_order_of_keys_does_not_matter) {
  auto line = parse(R"({"message":{"content":"hi","role":"user"},"parent_tool_use_id":"t1","type":"user"})");
  EXPECT_EQ(std::get<message_line>(line).parent_tool_use_id, "t1");
  const auto result = parse_as<result_line>(R"({"result":"r","is_error":false,"type":"result"})");
  EXPECT_EQ(result.text, "r");
}

TEST_F(protocol, what_is_unknown_is_ignored_and_what_is_broken_is_named) {
  for (const auto* text : {R"({"type":"new_thing"})", R"({"type":"system","subtype":"new"})", R"({})", "", "   "}) {
    EXPECT_TRUE(std::holds_alternative<other_line>(parse(text))) << text;
  }
  for (const auto* text :
       {"{", "[1]", "nonsense", "{\"type\":\"assistant\"}", R"({"type":"assistant","message":5})",
        R"({"type":"control_request"})", "{\"type\":\"user\",\"message\":{\"a\":tru}}",
        "{\"type\":\"user\",\"message\":{\"a\":\"\xff\"}}", R"({"type":"user","message":{"a":[1,2}})"}) {
    auto line = parse(text);
    ASSERT_TRUE(std::holds_alternative<broken_line>(line)) << text;
    EXPECT_FALSE(std::get<broken_line>(line).reason.empty());
  }
}

TEST_F(protocol, what_javascript_prints_beyond_strict_json_is_read) {
  auto half = parse(R"({"type":"user","message":{"role":"user","content":"a\ud83d"},"n":1})");
  EXPECT_EQ(std::get<message_line>(half).raw, R"({"role":"user","content":"a\ufffd"})");
  auto low = parse(R"({"type":"user","message":{"role":"user","content":"\uDE00 \ud83d\ude00 \\ud83d"}})");
  EXPECT_EQ(std::get<message_line>(low).raw, R"({"role":"user","content":"\ufffd \ud83d\ude00 \\ud83d"})");
  const auto big = parse_as<result_line>(
      R"({"type":"result","is_error":false,"result":"r","x":[100000000000000000000,-100000000000000000000,1.5e300,12]})");
  EXPECT_EQ(big.text, "r");
}

TEST_F(protocol, numbers_beyond_all_measure_are_cut_to_some_that_can_be_counted_with) {
  const auto result = parse_as<result_line>(
      R"({"type":"result","num_turns":123456789012345678901234567890,"duration_ms":-5,"usage":{"input_tokens":9e18,"output_tokens":1e300}})");
  EXPECT_EQ(result.num_turns, 1'000'000'000'000);
  EXPECT_EQ(result.duration_ms, 0);
  EXPECT_EQ(result.input_tokens, 1'000'000'000'000);
  EXPECT_EQ(result.output_tokens, 1'000'000'000'000);
  const auto retry = parse_as<retry_line>(R"({"type":"system","subtype":"api_retry","retry_delay_ms":9e15})");
  EXPECT_GT(std::chrono::nanoseconds(std::chrono::milliseconds(retry.delay_ms)).count(), 0);
  const auto limit = parse_as<rate_limit_line>(
      R"({"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":9e18}})");
  EXPECT_GT(std::chrono::nanoseconds(std::chrono::seconds(limit.resets_at)).count(), 0);
}

TEST_F(protocol, a_result_that_does_not_say_whether_it_is_an_error_is_one) {
  EXPECT_TRUE(parse_as<result_line>(R"({"type":"result"})").is_error);
}

TEST_F(protocol, a_tool_input_that_is_no_object_is_an_empty_one) {
  const auto asked = parse_as<permission_line>(
      R"({"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool","tool_name":"T","input":5}})");
  EXPECT_EQ(asked.input, "{}");
}

TEST_F(protocol, a_parser_survives_a_giant_line) {
  const std::string giant(3 * 1024 * 1024, 'x');
  auto line = parse(R"({"type":"assistant","message":{"role":"assistant","content":")" + giant + "\"}}");
  EXPECT_GT(std::get<message_line>(line).raw.size(), giant.size());
  EXPECT_TRUE(std::holds_alternative<other_line>(parse(R"({"type":"x"})")));
}

TEST_F(protocol, the_answer_to_initialize_lists_the_agents) {
  const auto answer = parse_as<response_line>(
      R"({"type":"control_response","response":{"subtype":"success","request_id":"i","response":{"agents":[{"name":"Explore"},{"name":"p:x"}]}}})");
  EXPECT_TRUE(answer.success);
  EXPECT_EQ(answer.agents, (std::vector<std::string>{"Explore", "p:x"}));
  const auto refused = parse_as<response_line>(
      R"({"type":"control_response","response":{"subtype":"error","request_id":"i","error":"why"}})");
  EXPECT_FALSE(refused.success);
  EXPECT_EQ(refused.error, "why");
}

json only_line(const std::string& text) {
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  return json::parse(text);
}

TEST_F(protocol, a_prompt_that_starts_with_a_slash_is_no_command) {
  const auto old = only_line(user_message("/clear\nnow", "u1", false));
  EXPECT_EQ(old["message"]["content"], " /clear\nnow");
  EXPECT_FALSE(old.contains("client_composed"));
  const auto literal = only_line(user_message("/clear", "u1", true));
  EXPECT_EQ(literal["message"]["content"], "/clear");
  EXPECT_EQ(literal["client_composed"], true);
  EXPECT_EQ(literal["uuid"], "u1");
}

TEST_F(protocol, bytes_that_are_no_utf8_cannot_break_a_line) {
  EXPECT_EQ(only_line(user_message("a\xff", "u1", true))["message"]["content"], "a\xEF\xBF\xBD");
}

TEST_F(protocol, answers_have_the_form_that_both_versions_take) {
  const auto allow = only_line(allow_response("r1", R"({"command":"ls"})"))["response"];
  EXPECT_EQ(allow["request_id"], "r1");
  EXPECT_EQ(allow["subtype"], "success");
  EXPECT_EQ(allow["response"], json::parse(R"({"behavior":"allow","updatedInput":{"command":"ls"}})"));
  const auto deny = only_line(deny_response("r1", "no"))["response"];
  EXPECT_EQ(deny["response"], json::parse(R"({"behavior":"deny","message":"no"})"));
}

}  // namespace
}  // namespace awm::worker
