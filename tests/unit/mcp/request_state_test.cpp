#include "mcp/request_state.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>

namespace awm::mcp {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

const state_seal::time_point now{1'000'000s};

TEST(request_state, brings_back_what_was_sealed) {
  const state_seal seal;
  const json content = {{"a", {{"b", "\xc3\xa9"}}}};
  EXPECT_EQ(seal.open(seal.seal(content, "request", now + 1h), "request", now), content);
}

TEST(request_state, is_refused_when_any_character_was_changed_or_cut_off) {
  const state_seal seal;
  const std::string sealed = seal.seal({{"a", 1}}, "request", now + 1h);
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    std::string changed = sealed;
    changed[at] = changed[at] == 'w' ? 'B' : 'w';
    EXPECT_FALSE(seal.open(changed, "request", now)) << at;
    EXPECT_FALSE(seal.open(sealed.substr(0, at), "request", now)) << at;
  }
  for (const char* const nonsense : {"", ".", "a.b", "....", "\xff.\xff"}) {
    EXPECT_FALSE(seal.open(nonsense, "request", now)) << nonsense;
  }
}

TEST(request_state, is_for_one_request_and_one_process_and_expires) {
  const state_seal seal;
  const state_seal other_process;
  const std::string sealed = seal.seal(json::object(), "request", now + 1h);
  EXPECT_FALSE(seal.open(sealed, "other request", now));
  EXPECT_FALSE(other_process.open(sealed, "request", now));
  EXPECT_TRUE(seal.open(sealed, "request", now + 1h));
  EXPECT_FALSE(seal.open(sealed, "request", now + 1h + 1s));
}

TEST(digest_of_a_request, changes_with_method_and_params_but_not_with_what_a_second_sending_adds) {
  const json params = {{"name", "t"}, {"arguments", {{"a", 1}}}};
  json again = params;
  again["_meta"] = {{"progressToken", 2}};
  again["inputResponses"] = {{"k", json::object()}};
  again["requestState"] = "s";
  EXPECT_EQ(digest_of("tools/call", params), digest_of("tools/call", again));
  again["arguments"]["a"] = 2;
  EXPECT_NE(digest_of("tools/call", params), digest_of("tools/call", again));
  EXPECT_NE(digest_of("tools/call", params), digest_of("prompts/get", params));
}

TEST(random_name, is_another_one_each_time) {
  std::set<std::string> names;
  for (int i = 0; i < 100; ++i) names.insert(random_name());
  EXPECT_EQ(names.size(), 100U);
  EXPECT_EQ(names.begin()->size(), 32U);
}

}  // namespace
}  // namespace awm::mcp
