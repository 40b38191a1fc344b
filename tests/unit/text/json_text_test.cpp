#include "text/json_text.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace awm::text {
namespace {

using nlohmann::json;

std::string as_the_library_does(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

TEST(json_text, is_what_the_library_makes_of_it) {
  const json values = {nullptr,
                       true,
                       false,
                       0,
                       -1,
                       std::numeric_limits<std::int64_t>::min(),
                       std::numeric_limits<std::uint64_t>::max(),
                       0.1,
                       1e300,
                       3.0,
                       std::numeric_limits<double>::infinity(),
                       "",
                       "plain",
                       "say \"hi\" \\ there/",
                       std::string("nul \0 in it", 11),
                       "Grüße, 世界 🎉",
                       "\x7f",
                       json::array(),
                       json::object(),
                       {{"a\n", {1, {{"b", "c"}}}}, {"ü", json::array({nullptr})}}};
  for (const auto& value : values) EXPECT_EQ(json_text(value), as_the_library_does(value));
  EXPECT_EQ(json_text(values), as_the_library_does(values));
}

TEST(json_text, prints_fractions_as_the_library_does) {
  const std::vector<double> numbers{0.0,       -0.0,  1e-4,  0.00012345, 9.99e-5, 0.1 + 0.2,         12345.678,
                                    100000.0,  -2e-7, 3e14,  1e15,       1.5e15,  999999999999999.9, 123456789.0,
                                    0.0234567, 1e22,  5e-324};
  for (const auto number : numbers) EXPECT_EQ(json_text(number), as_the_library_does(number));
}

TEST(json_text, finds_what_is_special_wherever_it_stands) {
  for (const std::string special : {"\"", "\n", "ü", "\x1f", "\xff"}) {
    for (std::size_t at = 0; at < 20; ++at) {
      std::string text(24, 'x');
      text.replace(at, 1, special);
      EXPECT_EQ(json_text(text), as_the_library_does(text)) << at;
      EXPECT_EQ(json_text(text + "ü\""), as_the_library_does(text + "ü\"")) << at;
    }
  }
}

TEST(json_text, escapes_every_byte_that_has_to_be) {
  for (int byte = 0; byte < 0x80; ++byte) {
    const auto text =
        "before" + std::string(1, static_cast<char>(byte)) + "after" + std::string(1, static_cast<char>(byte));
    EXPECT_EQ(json_text(text), as_the_library_does(text)) << byte;
    EXPECT_EQ(json::parse(json_text(text)), text) << byte;
  }
}

TEST(json_text, replaces_what_is_no_utf8) {
  for (const std::string text : {"\xff", "cut \xe4\xb8", "\xc0\x80", "\xed\xa0\x80", "a\x80\"b"}) {
    EXPECT_EQ(json_text(text), as_the_library_does(text));
    EXPECT_TRUE(json::accept(json_text(text)));
  }
}

TEST(member_text, is_the_value_as_it_stands) {
  const std::string object =
      R"( {"a": 1 , "b" :"x\\\"}]\\", "c":[{"d":"]"},{"m":0}],"m":{"d": "\"{", "e":[1, 2]},"m":3,"z":true} )";
  ASSERT_TRUE(json::accept(object));
  EXPECT_EQ(member_text(object, "m"), R"({"d": "\"{", "e":[1, 2]})");
  EXPECT_EQ(member_text(object, "b"), R"("x\\\"}]\\")");
  EXPECT_EQ(member_text(object, "c"), R"([{"d":"]"},{"m":0}])");
  EXPECT_EQ(json::parse(member_text(object, "a")), 1);
  EXPECT_EQ(member_text(object, "z"), "true");
  EXPECT_EQ(member_text(object, "d"), "");
  EXPECT_EQ(member_text("{}", "a"), "");
}

// Whatever it is given, it stays inside.
TEST(member_text, ends_with_a_text_that_is_cut_anywhere) {
  const std::string object = R"({"a":{"b":["x\\",{}]},"m":"\"y"})";
  for (std::size_t size = 0; size < object.size(); ++size) {
    const std::string cut = object.substr(0, size);
    const auto found = member_text(cut, "m");
    EXPECT_TRUE(found.empty() ||
                (found.data() >= cut.data() && found.data() + found.size() <= cut.data() + cut.size()));
  }
}

TEST(json_text, is_appended) {
  std::string text = "x";
  append_json(text, {1, "2"});
  append_json_string(text, "3");
  EXPECT_EQ(text, "x[1,\"2\"]\"3\"");
}

}  // namespace
}  // namespace awm::text
