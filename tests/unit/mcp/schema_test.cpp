#include "mcp/schema.hpp"

#include "mcp/schema_wording.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <stdexcept>

namespace awm::mcp {
namespace {

using nlohmann::json;

const json published = json::parse(R"({
  "type": "object",
  "required": ["prompt", "description"],
  "additionalProperties": false,
  "properties": {
    "prompt": {"type": "string", "minLength": 1},
    "description": {"type": "string", "minLength": 3, "maxLength": 20},
    "worker_id": {"type": "string", "pattern": "^[0-9a-f]+$", "maxLength": 36},
    "count": {"type": "integer", "minimum": 1},
    "options": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "temperature": {"type": "number", "minimum": 0, "maximum": 1},
        "top_k": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 500},
        "even": {"type": "integer", "multipleOf": 2},
        "effort": {"enum": ["low", "medium", "high"]},
        "version": {"const": 2},
        "thinking": {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1024}]},
        "mcp": {"oneOf": [{"type": "string", "enum": ["none", "inherit"]}, {"type": "object"}]},
        "either": {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 10}]},
        "system": {"type": ["string", "null"]},
        "add_dirs": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3, "uniqueItems": true},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "shared": {"$ref": "#/$defs/positive"},
        "both": {"allOf": [{"type": "integer"}, {"minimum": 5}]},
        "odd": {"not": {"type": "string"}}
      }
    }
  },
  "$defs": {"positive": {"type": "integer", "minimum": 1}}
})");

struct wording {
  const char* merge;  // over a valid instance; null removes
  const char* text;
};

class schema_wording : public ::testing::TestWithParam<wording> {};

TEST_P(schema_wording, says_it_to_a_model) {
  json instance = {{"prompt", "do it"}, {"description", "a test"}};
  instance.merge_patch(json::parse(GetParam().merge));
  EXPECT_EQ(schema(published).violation(instance).value_or("(valid)"), GetParam().text) << GetParam().merge;
}

INSTANTIATE_TEST_SUITE_P(
    cases, schema_wording,
    ::testing::ValuesIn(std::vector<wording>{
        {R"({})", "(valid)"},
        {R"({"options": {"temperature": 0.5, "top_k": 40, "effort": "low", "version": 2, "thinking": 2048, "mcp": {"a": 1},
         "system": "s", "add_dirs": ["a"], "env": {"A": "b"}, "shared": 1, "both": 5, "even": 4, "odd": 1}})",
         "(valid)"},
        {R"({"options": {"temperature": 3}})", "options.temperature is 3, but must be a number from 0 to 1"},
        {R"({"options": {"temperature": -0.25}})", "options.temperature is -0.25, but must be a number from 0 to 1"},
        {R"({"options": {"temperature": "hot"}})", "options.temperature is \"hot\", but must be a number from 0 to 1"},
        {R"({"count": 0})", "count is 0, but must be an integer of at least 1"},
        {R"({"count": 1.5})", "count is 1.5, but must be an integer of at least 1"},
        {R"({"options": {"top_k": 0}})", "options.top_k is 0, but must be an integer greater than 0 and less than 500"},
        {R"({"options": {"top_k": 500}})",
         "options.top_k is 500, but must be an integer greater than 0 and less than 500"},
        {R"({"options": {"even": 3}})", "options.even is 3, but must be an integer, a multiple of 2"},
        {R"({"options": {"effort": "max"}})",
         "options.effort is \"max\", but must be one of \"low\", \"medium\", \"high\""},
        {R"({"options": {"version": 3}})", "options.version is 3, but must be 2"},
        {R"({"options": {"thinking": "yes"}})",
         "options.thinking is \"yes\", but must be true or false, or an integer of at least 1024"},
        {R"({"options": {"thinking": 5}})", "options.thinking is 5, but must be an integer of at least 1024"},
        {R"({"options": {"mcp": "all"}})", "options.mcp is \"all\", but must be one of \"none\", \"inherit\""},
        {R"({"options": {"mcp": 1}})", "options.mcp is 1, but must be one of \"none\", \"inherit\", or an object"},
        {R"({"options": {"either": 5}})",
         "options.either is 5, which fits more than one of the forms it may have: "
         "an integer of at least 0, or an integer of at most 10"},
        {R"({"options": {"system": 1}})", "options.system is 1, but must be a string, or null"},
        {R"({"options": {"add_dirs": "a"}})", "options.add_dirs is \"a\", but must be an array of 1 to 3 strings"},
        {R"({"options": {"add_dirs": []}})", "options.add_dirs has 0 items, but must be an array of 1 to 3 strings"},
        {R"({"options": {"add_dirs": ["a", "b", "c", "d"]}})",
         "options.add_dirs has 4 items, but must be an array of 1 to 3 strings"},
        {R"({"options": {"add_dirs": ["a", 7]}})", "options.add_dirs[1] is 7, but must be a string"},
        {R"({"options": {"add_dirs": ["a", "a"]}})", "options.add_dirs holds an item twice, but its items must differ"},
        {R"({"options": {"env": {"PATH": 1}}})", "options.env.PATH is 1, but must be a string"},
        {R"({"options": {"env": {"a.b": 1}}})", "options.env[\"a.b\"] is 1, but must be a string"},
        {R"({"options": {"shared": 0}})", "options.shared is 0, but must be an integer of at least 1"},
        {R"({"options": {"both": 4}})", "options.both is 4, but must be a number of at least 5"},
        {R"({"options": {"odd": "text"}})",
         "the value {\"description\":\"a test\",\"options\":{\"odd\":\"text\"},\"prompt\":\"do it\"} "
         "does not match the schema"},
        {R"({"options": 1})",
         "options is 1, but must be an object with the fields add_dirs, both, effort, either, env, even, mcp, "
         "odd, shared, system, temperature, thinking, top_k, version"},
        {R"({"prompt": ""})", "prompt is empty, but must be a non-empty string"},
        {R"({"description": "ab"})",
         "description is \"ab\", 2 characters long, but must be a string of 3 to 20 characters"},
        {R"({"description": "äöäöäöäöäöäöäöäöäöäöä"})",
         "description is \"äöäöäöäöäöäöäöäöäöäöä\", 21 characters long, but must be a string of 3 to 20 characters"},
        {R"({"worker_id": "XY"})",
         "worker_id is \"XY\", but must be a string of at most 36 characters that matches the pattern ^[0-9a-f]+$"},
        {R"({"prompt": null})", "prompt is missing; it is required: a non-empty string"},
        {R"({"options": {"temprature": 1}})",
         "options.temprature is not known; did you mean options.temperature? Known: add_dirs, both, effort, either, "
         "env, even, mcp, "
         "odd, shared, system, temperature, thinking, top_k, version"},
        {R"({"zzzzzz": 1})", "zzzzzz is not known. Known: count, description, options, prompt, worker_id"},
        {R"({"zzzzzz": 1, "count": 0, "options": {"effort": 1, "system": 1}, "description": null, "prmpt": ""})",
         "\n- prmpt is not known; did you mean prompt? Known: count, description, options, prompt, worker_id"
         "\n- description is missing; it is required: a string of 3 to 20 characters"
         "\n- options.system is 1, but must be a string, or null"
         "\n- count is 0, but must be an integer of at least 1"
         "\n- options.effort is 1, but must be one of \"low\", \"medium\", \"high\""
         "\n- zzzzzz is not known. Known: count, description, options, prompt, worker_id"},
    }));

TEST(schema, a_long_value_is_shortened) {
  const json instance = {{"prompt", std::string(1000, 'x')}, {"description", std::string(1000, 'y')}};
  const auto text = schema(published).violation(instance);
  ASSERT_TRUE(text);
  EXPECT_LT(text->size(), 200U);
  EXPECT_NE(text->find("1000 characters long"), std::string::npos) << *text;
}

TEST(schema, a_flood_of_violations_is_cut_and_counted) {
  json instance = {{"prompt", "x"}, {"description", "fine"}};
  for (int i = 0; i < 50; ++i) instance["unknown_" + std::to_string(i)] = i;
  const auto text = schema(published).violation(instance);
  EXPECT_NE(text.value().find("\n- and 30 more"), std::string::npos);
}

TEST(schema, a_document_that_is_no_schema_is_refused) {
  EXPECT_THROW(schema(json(17)), std::invalid_argument);
  const json wrong = {{"type", "object"}, {"required", 5}};
  EXPECT_THROW(schema{wrong}, std::invalid_argument);
}

TEST(schema, a_pattern_without_a_length_limit_is_refused) {
  const json unbounded = {{"properties", {{"a", {{"type", "string"}, {"pattern", "^a*$"}}}}}};
  EXPECT_THROW(schema{unbounded}, std::invalid_argument);
  const json bounded = {{"properties", {{"a", {{"type", "string"}, {"pattern", "^a*$"}, {"maxLength", 100}}}}}};
  EXPECT_TRUE(schema(bounded).violation({{"a", std::string(10'000'000, 'a')}}));
  EXPECT_FALSE(schema(bounded).violation({{"a", "aaa"}}));
}

TEST(schema, a_schema_that_refers_to_itself_ends) {
  const json tree = json::parse(R"({"type":"object","properties":{"left":{"$ref":"#"},"value":{"type":"integer"}}})");
  EXPECT_EQ(schema(tree).violation(json::parse(R"({"left":{"left":{"value":"x"}}})")).value_or(""),
            "left.left.value is \"x\", but must be an integer");
}

}  // namespace
}  // namespace awm::mcp
