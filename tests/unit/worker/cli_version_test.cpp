#include "worker/cli_version.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace awm::worker {
namespace {

TEST(cli_version, reads_what_claude_version_prints) {
  EXPECT_EQ(parse_cli_version("2.1.329 (Claude Code)\n"), (cli_version{2, 1, 329}));
  EXPECT_EQ(parse_cli_version("  2.1.197"), (cli_version{2, 1, 197}));
  EXPECT_EQ(parse_cli_version("3.0.0-beta.1 (Claude Code)"), (cli_version{3, 0, 0}));
}

TEST(cli_version, refuses_what_is_no_version) {
  for (const char* text : {"", "claude", "2.1", "2.1.", "2.x.3", "-2.1.3", "99999999999.1.1"}) {
    EXPECT_EQ(parse_cli_version(text), std::nullopt) << text;
  }
}

TEST(cli_version, orders_by_number_and_not_by_text) {
  EXPECT_LT((cli_version{2, 1, 9}), (cli_version{2, 1, 10}));
  EXPECT_LT((cli_version{2, 9, 99}), (cli_version{2, 10, 0}));
  EXPECT_EQ(to_string(cli_version{2, 1, 329}), "2.1.329");
}

TEST(cli_version, takes_the_features_of_the_newest_version_that_is_not_newer) {
  struct row {
    cli_version version;
    cli_version features_of;
  };
  for (const row& r : {row{{2, 1, 197}, {2, 1, 197}}, row{{2, 1, 329}, {2, 1, 329}}, row{{2, 1, 250}, {2, 1, 197}},
                       row{{2, 1, 328}, {2, 1, 197}}, row{{2, 2, 0}, {2, 1, 329}}, row{{1, 0, 0}, {2, 1, 197}}}) {
    EXPECT_EQ(features_of(r.version).since, r.features_of) << to_string(r.version);
  }
}

TEST(cli_version, tells_the_two_measured_versions_apart) {
  const cli_features& old = features_of({2, 1, 197});
  const cli_features& now = features_of({2, 1, 329});
  for (const auto feature :
       {&cli_features::system_prompt_snapshot, &cli_features::client_composed, &cli_features::peer_tools,
        &cli_features::lifecycle, &cli_features::cost_continues_after_resume, &cli_features::await_initialize,
        &cli_features::sigterm_kills_tools, &cli_features::resumes_from_any_cwd, &cli_features::usage_since_last_result,
        &cli_features::startup_failure_results, &cli_features::plan_mode_asks_classifier}) {
    EXPECT_FALSE(old.*feature);
    EXPECT_TRUE(now.*feature);
  }
  EXPECT_TRUE(old.allow_needs_updated_input);
  EXPECT_FALSE(now.allow_needs_updated_input);
}

TEST(cli_version, knows_the_tools_of_each_version) {
  const auto has = [](const cli_version& version, std::string_view tool) {
    return std::ranges::find(features_of(version).tools, tool) != features_of(version).tools.end();
  };
  for (const char* tool : {"Bash", "Read", "Write", "Edit", "Task", "Agent", "WebFetch"}) {
    EXPECT_TRUE(has({2, 1, 197}, tool)) << tool;
    EXPECT_TRUE(has({2, 1, 329}, tool)) << tool;
  }
  EXPECT_TRUE(has({2, 1, 329}, "ListAgents"));
  EXPECT_FALSE(has({2, 1, 197}, "ListAgents"));
  EXPECT_FALSE(has({2, 1, 329}, "Grep"));
}

TEST(cli_version, warns_of_an_older_version_and_names_both) {
  EXPECT_EQ(version_warning({2, 1, 197}), std::nullopt);
  EXPECT_EQ(version_warning({9, 0, 0}), std::nullopt);
  const auto warning = version_warning({2, 0, 44});
  ASSERT_TRUE(warning);
  EXPECT_NE(warning->find("2.0.44"), std::string::npos);
  EXPECT_NE(warning->find("2.1.197"), std::string::npos);
}

TEST(cli_version, resolves_aliases_as_the_version_does) {
  EXPECT_EQ(resolve_alias(features_of({2, 1, 197}), "sonnet"), "claude-sonnet-5");
  EXPECT_EQ(resolve_alias(features_of({2, 1, 329}), "sonnet"), "claude-sonnet-5-5");
  EXPECT_EQ(resolve_alias(features_of({2, 1, 329}), "opus[1m]"), "claude-opus-5-5");
  EXPECT_EQ(resolve_alias(features_of({2, 1, 329}), "claude-opus-4-8[1m]"), "claude-opus-4-8[1m]");
}

}  // namespace
}  // namespace awm::worker
