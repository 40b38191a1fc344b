#include "mcp/uri_template.hpp"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

namespace awm::mcp {
namespace {

using values = std::map<std::string, std::string>;

TEST(uri_template, gives_the_variables_of_a_uri_of_its_form) {
  EXPECT_EQ(uri_template("worker://{id}/result").match("worker://w1/result"), values({{"id", "w1"}}));
  EXPECT_EQ(uri_template("x://{a}/{b}").match("x://1/2"), values({{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(uri_template("x://{a}-{b}.txt").match("x://1-2.txt"), values({{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(uri_template("x://{a}?q={b}").match("x://1?q=2"), values({{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(uri_template("x://fixed").match("x://fixed"), values{});
}

TEST(uri_template, decodes_values) {
  EXPECT_EQ(uri_template("x://{a}").match("x://a%20b%2Fc%c3%a9"), values({{"a", "a b/c\xc3\xa9"}}));
  for (const char* const bad : {"x://%", "x://%1", "x://%zz", "x://a%-1"}) {
    EXPECT_FALSE(uri_template("x://{a}").match(bad)) << bad;
  }
}

TEST(uri_template, does_not_match_another_form) {
  const uri_template one("worker://{id}/result");
  for (const char* const other : {"", "worker://", "worker:///result", "worker://w1/resul", "worker://w1/result/",
                                  "worker://a/b/result", "worker://w1?x/result", "Worker://w1/result", "w1/result"}) {
    EXPECT_FALSE(one.match(other)) << other;
  }
  EXPECT_FALSE(uri_template("x://{a}").match("x://a/b"));
  EXPECT_FALSE(uri_template("x://{a}").match("x://a#b"));
  EXPECT_FALSE(uri_template("x://{a}").match("x://"));
}

TEST(uri_template, a_value_may_contain_what_ends_the_last_one) {
  EXPECT_EQ(uri_template("x://{a}.txt").match("x://a.txt.txt"), values({{"a", "a.txt"}}));
}

TEST(uri_template, refuses_what_it_cannot_match) {
  for (const char* const bad :
       {"{", "a{b", "a}b", "x{}", "x{+path}", "x{a*}", "x{a,b}", "x{a}{b}", "x{a}/{a}", "x{a}}", "x{ a}"}) {
    EXPECT_THROW(uri_template{bad}, std::invalid_argument) << bad;
  }
}

}  // namespace
}  // namespace awm::mcp
