#include "worker/environment.hpp"

#include <gtest/gtest.h>

namespace awm::worker {
namespace {

TEST(environment, reads_assignments_and_writes_them_sorted) {
  const std::vector<std::string> assignments{"B=2", "A=1=x", "nothing", "=C", "B=3", "EMPTY="};
  const environment variables = environment_from(assignments);
  EXPECT_EQ(to_assignments(variables), (std::vector<std::string>{"A=1=x", "B=2", "EMPTY="}));
}

TEST(environment, takes_out_what_the_calling_session_said_about_itself) {
  for (const char* name : {"AI_AGENT",
                           "CLAUDECODE",
                           "CLAUDE_CODE_CHILD_SESSION",
                           "CLAUDE_CODE_ENTRYPOINT",
                           "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
                           "CLAUDE_CODE_MESSAGING_SOCKET",
                           "CLAUDE_CODE_MESSAGING_TOKEN",
                           "CLAUDE_CODE_SESSION_ID",
                           "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
                           "CLAUDE_CODE_SESSION_KIND",
                           "CLAUDE_CODE_SSE_PORT",
                           "CLAUDE_CODE_TOOL_USE_ID",
                           "CLAUDE_CODE_RESUME_INTERRUPTED_TURN",
                           "CLAUDE_ENV_FILE",
                           "CLAUDE_PLUGIN_DATA",
                           "CLAUDE_PLUGIN_ROOT",
                           "CLAUDE_PLUGIN_OPTION_TOKEN",
                           "CLAUDE_PROJECT_DIR",
                           "CLAUDE_SKILL_DIR",
                           "CLAUDE_BG_SESSION_CREDENTIAL"}) {
    EXPECT_TRUE(describes_calling_session(name)) << name;
    EXPECT_FALSE(inherited_environment({{name, "x"}}).contains(name)) << name;
  }
}

TEST(environment, keeps_credentials_and_settings) {
  for (const char* name :
       {"ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_MODEL", "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_MAX_RETRIES", "CLAUDE_CODE_TMPDIR",
        "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_EXTRA_BODY", "CLAUDE_CODE_SESSIONEND_HOOKS_TIMEOUT_MS", "PATH", "HOME",
        "IS_SANDBOX", "HTTPS_PROXY"}) {
    EXPECT_EQ(value_of(inherited_environment({{name, "x"}}), name), "x") << name;
  }
}

TEST(environment, counts_the_managers_above_a_worker) {
  EXPECT_EQ(value_of(inherited_environment({}), "AWM_DEPTH"), "1");
  EXPECT_EQ(value_of(inherited_environment({{"AWM_DEPTH", "2"}}), "AWM_DEPTH"), "3");
  EXPECT_EQ(value_of(inherited_environment({{"AWM_DEPTH", "deep"}}), "AWM_DEPTH"), "1");
  EXPECT_EQ(value_of(inherited_environment({{"AWM_DEPTH", "-5"}}), "AWM_DEPTH"), "1");
}

}  // namespace
}  // namespace awm::worker
