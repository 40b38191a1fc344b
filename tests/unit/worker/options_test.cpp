#include "worker/options.hpp"

#include <gtest/gtest.h>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

namespace awm::worker {
namespace {

using nlohmann::json;

bool valid(const json& schema_json, const json& value) {
  valijson::Schema schema;
  valijson::SchemaParser parser;
  const valijson::adapters::NlohmannJsonAdapter schema_adapter{schema_json};
  parser.populateSchema(schema_adapter, schema);
  valijson::Validator validator;
  const valijson::adapters::NlohmannJsonAdapter value_adapter{value};
  return validator.validate(schema, value_adapter, nullptr);
}

const json all_options = json::parse(R"({
  "model": "opus", "system": "You are terse.", "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 1000,
  "thinking": 2048, "cwd": "/work", "add_dirs": ["/data"], "allowed_tools": ["Read"], "disallowed_tools": ["Bash"],
  "permission_mode": "acceptEdits", "max_turns": 3, "max_budget_usd": 0.25, "effort": "low", "fallback_model": "haiku",
  "mcp": {"db": {"command": "db"}}, "env": {"A": "1"}, "timeout_s": 60.5, "json_schema": {"type": "object"},
  "isolation": "worktree", "background": true, "ask": "human", "permissions": {"allow": ["Read"], "deny": ["Bash"]
}
, "rate_limit_retries" : 0
})");

TEST(options, go_through_json_and_back_whole) {
  ASSERT_TRUE(valid(options_schema(), all_options));
  EXPECT_EQ(options_to_json(options_from_json(all_options)), all_options);
  EXPECT_EQ(all_options.size(), options_schema()["properties"].size()) << "this test knows every option";
}

TEST(options, that_are_not_given_have_no_value) {
  EXPECT_EQ(options_from_json(json::object()), options{});
  EXPECT_EQ(options_to_json(options{}), json::object());
}

TEST(options, tell_thinking_switched_on_from_a_budget) {
  EXPECT_EQ(options_from_json({{"thinking", true}}).thinking, thinking_option{true});
  EXPECT_EQ(options_from_json({{"thinking", false}}).thinking, thinking_option{false});
  EXPECT_EQ(options_from_json({{"thinking", 1024}}).thinking, thinking_option{std::int64_t{1024}});
}

TEST(options, are_limited_by_the_schema) {
  struct row {
    const char* value;
    bool allowed;
  };
  const row rows[]{
      {R"({"temperature": 0})", true},
      {R"({"temperature": 1})", true},
      {R"({"temperature": 1.01})", false},
      {R"({"temperature": -0.1})", false},
      {R"({"top_p": 1.5})", false},
      {R"({"top_k": 0})", false},
      {R"({"top_k": 1})", true},
      {R"({"top_k": 1.5})", false},
      {R"({"max_tokens": 128000})", true},
      {R"({"max_tokens": 128001})", false},
      {R"({"max_tokens": 0})", false},
      {R"({"thinking": 1024})", true},
      {R"({"thinking": 1023})", false},
      {R"({"thinking": "on"})", false},
      {R"({"max_turns": 0})", false},
      {R"({"max_budget_usd": 0})", false},
      {R"({"max_budget_usd": 0.01})", true},
      {R"({"effort": "xhigh"})", true},
      {R"({"effort": "extreme"})", false},
      {R"({"permission_mode": "dontAsk"})", true},
      {R"({"permission_mode": "yolo"})", false},
      {R"({"mcp": "none"})", true},
      {R"({"mcp": "all"})", false},
      {R"({"timeout_s": 0})", false},
      {R"({"timeout_s": 0.5})", true},
      {R"({"isolation": "none"})", true},
      {R"({"isolation": "container"})", false},
      {R"({"ask": "auto"})", true},
      {R"({"ask": "dog"})", false},
      {R"({"permissions": {"ask": ["Bash"]}})", true},
      {R"({"permissions": {"maybe": ["Bash"]}})", false},
      {R"({"rate_limit_retries": -1})", false},
      {R"({"mcp": {"a": {"url": "http://x"}}})", true},
      {R"({"mcp": {"a": "x"}})", false},
      {R"({"env": {"A": 1}})", false},
      {R"({"add_dirs": "/a"})", false},
      {R"({"model": ""})", false},
      {R"({"temprature": 0.5})", false},
      {R"({"model": null})", false},
  };
  for (const row& r : rows) EXPECT_EQ(valid(options_schema(), json::parse(r.value)), r.allowed) << r.value;
}

TEST(options, are_each_described) {
  for (const auto& [name, property] : options_schema()["properties"].items()) {
    EXPECT_GT(property["description"].get<std::string>().size(), 20u) << name;
  }
}

TEST(options, of_a_resume_may_each_be_null) {
  for (const auto& [name, value] : all_options.items()) {
    EXPECT_TRUE(valid(resume_options_schema(), {{name, nullptr}})) << name;
    EXPECT_TRUE(valid(resume_options_schema(), {{name, value}})) << name;
  }
  EXPECT_FALSE(valid(resume_options_schema(), {{"temperature", 2}}));
  EXPECT_FALSE(valid(resume_options_schema(), {{"effort", "extreme"}}));
}

TEST(options, that_a_resume_does_not_give_stay_as_they_were) {
  const options last = options_from_json(all_options);
  EXPECT_EQ(merge_options(last, json::object()), last);
  EXPECT_EQ(merge_options(last, nullptr), last);
}

TEST(options, that_a_resume_gives_replace_whole_members) {
  const options merged = merge_options(options_from_json(all_options), {{"model", "haiku"}, {"env", {{"B", "2"}}}});
  EXPECT_EQ(merged.model, "haiku");
  EXPECT_EQ(merged.env, (std::map<std::string, std::string>{{"B", "2"}}));
  EXPECT_EQ(merged.effort, "low");
}

TEST(options, that_a_resume_sets_to_null_go_back_to_the_default) {
  const options merged = merge_options(options_from_json(all_options), {{"model", nullptr}, {"thinking", nullptr}});
  EXPECT_EQ(merged.model, std::nullopt);
  EXPECT_EQ(merged.thinking, std::nullopt);
  EXPECT_EQ(merged.temperature, 0.5);
}

TEST(options, errors_name_field_value_and_fix) {
  EXPECT_EQ(to_string(option_error{"cwd", "/no\"where", "give a directory"}), R"(cwd "/no\"where": give a directory)");
  EXPECT_NE(to_string(option_error{"cwd", "\xff", "x"}), "") << "broken UTF-8 does not throw";
}

}  // namespace
}  // namespace awm::worker
