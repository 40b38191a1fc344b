#include "worker/redaction.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace awm::worker {
namespace {

const std::vector<std::string> environment{"HOME=/home/user",          "ANTHROPIC_API_KEY=plain-words-as-key",
                                           "GITLAB_TOKEN=abcdefgh",    "GITLAB_TOKEN_LONG_TOKEN=abcdefghijkl",
                                           "SHORT_TOKEN=on",           "EMPTY_API_KEY=",
                                           "EDITOR=vi-without-secrets"};

std::string redact(std::string_view text) {
  return redacted(text, environment);
}

TEST(redaction, takes_out_the_values_of_secret_variables_wherever_they_stand) {
  EXPECT_EQ(redact("login with plain-words-as-key failed"), "login with [redacted] failed");
  EXPECT_EQ(redact("https://user:abcdefgh@host/"), "https://user:[redacted]@host/");
  EXPECT_EQ(redact("xplain-words-as-keyx"), "x[redacted]x");
  EXPECT_EQ(redact("abcdefghijkl"), "[redacted]");
}

TEST(redaction, leaves_other_variables_and_short_values_alone) {
  EXPECT_EQ(redact("turned on in /home/user by vi-without-secrets"), "turned on in /home/user by vi-without-secrets");
}

TEST(redaction, takes_out_the_end_of_a_secret_where_the_text_was_cut) {
  EXPECT_EQ(redact("words-as-key is no key"), "[redacted] is no key");
  EXPECT_EQ(redact("key is no key"), "key is no key");
}

TEST(redaction, knows_keys_by_their_form) {
  EXPECT_EQ(redact("bad key sk-ant-api03-AbC_d-9, sorry"), "bad key [redacted], sorry");
  EXPECT_EQ(redact("ghp_0123456789abcdef"), "[redacted]");
  EXPECT_EQ(redact("a task-force and risk-averse sk-learn"), "a task-force and risk-averse sk-learn");
}

TEST(redaction, knows_what_headers_and_assignments_announce) {
  EXPECT_EQ(redact("Authorization: Bearer eyJhbGciOi.x1.y-z=="), "Authorization: Bearer [redacted]");
  EXPECT_EQ(redact("authorization: basic dXNlcjpwYXNz1"), "authorization: basic [redacted]");
  EXPECT_EQ(redact("x-api-key: 12345678"), "x-api-key: [redacted]");
  EXPECT_EQ(redact(R"({"apiKey":"k1k2k3k4k5","model":"m"})"), R"({"apiKey":"[redacted]","model":"m"})");
  EXPECT_EQ(redact("AWS_SECRET=nodigitshere"), "AWS_SECRET=[redacted]");
  EXPECT_EQ(redact("DB_PASSWORD='p4ssw0rd!'"), "DB_PASSWORD='[redacted]!'");
}

TEST(redaction, leaves_prose_alone) {
  for (const char* const text : {"SyntaxError: Unexpected token: identifier", "Invalid API key · Please run /login",
                                 "the key is: authentication", "a Bearer of bad news", "",
                                 "Error: EACCES: permission denied, open '/etc/shadow'"}) {
    EXPECT_EQ(redact(text), text);
  }
}

TEST(redaction, survives_any_bytes) {
  EXPECT_EQ(redact(std::string("\xff\0TOKEN=", 8)), std::string("\xff\0TOKEN=", 8));
  EXPECT_EQ(redact("KEY"), "KEY");
  EXPECT_EQ(redact("Bearer "), "Bearer ");
}

}  // namespace
}  // namespace awm::worker
