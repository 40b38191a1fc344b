#include "coro/process_tree.hpp"

#include "support/processes.hpp"
#include "support/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace awm::coro {
namespace {

using test::announcements;
using test::process_handle;

/// Starts the script in a session of its own; returns its pid.
pid_t start(const std::string& script) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setsid();
    ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
    ::_exit(127);
  }
  return pid;
}

class process_tree : public ::testing::Test {
 protected:
  test::temporary_directory folder_;
  announcements announced_{folder_.path() / "pids"};
};

TEST_F(process_tree, finds_descendants_in_other_sessions_at_any_depth) {
  const pid_t top = start("setsid sh -c 'setsid sh -c \"echo \\$\\$; exec tail -f /dev/null\" & wait' > " +
                          announced_.path() + " & wait");
  const pid_t deepest = announced_.next();
  const std::array roots{top};
  const auto found = descendants_of(roots);
  EXPECT_TRUE(std::any_of(found.begin(), found.end(), [&](const auto& one) { return one.pid == deepest; }));
  EXPECT_GE(found.size(), 2U);
  EXPECT_TRUE(std::all_of(found.begin(), found.end(), [](const auto& one) { return is_alive(one); }));
  kill_trees(roots);
  EXPECT_TRUE(process_handle(deepest).ends());
  test::reap_everything();
}

TEST_F(process_tree, killing_a_tree_reaches_every_session_and_what_ignores_signals) {
  const pid_t top = start("trap '' INT TERM HUP; for i in 1 2 3; do setsid sh -c 'echo $$; exec tail -f /dev/null' > " +
                          announced_.path() + " & done; wait");
  std::vector<process_handle> tools;
  for (int i = 0; i < 3; ++i) tools.emplace_back(announced_.next());
  const std::array roots{top};
  const auto killed = kill_trees(roots);
  EXPECT_EQ(killed.size(), 4U);
  for (const auto& tool : tools) EXPECT_TRUE(tool.ends());
  int status = 0;
  ::waitpid(top, &status, 0);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  test::reap_everything();
}

TEST_F(process_tree, neither_this_process_nor_what_is_no_process_is_ever_killed) {
  // In a fork, which is what would be killed; to kill(2) 0 and -1 are whole groups of processes.
  const pid_t inner = ::fork();
  if (inner == 0) {
    ::setsid();
    const std::array<pid_t, 4> roots{::getpid(), 0, -1, -::getpid()};
    ::_exit(kill_trees(roots).empty() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(inner, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(process_tree, tells_the_start_time_by_which_a_pid_that_is_used_again_is_told_apart) {
  const auto facts = facts_of(::getpid());
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->parent, ::getppid());
  EXPECT_TRUE(is_alive({::getpid(), facts->start_time}));
  EXPECT_FALSE(is_alive({::getpid(), facts->start_time + 1}));
}

TEST_F(process_tree, one_that_has_ended_and_is_not_yet_reaped_is_not_alive) {
  const pid_t child = start("exit 0");
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  const auto facts = facts_of(child);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->state, 'Z');
  EXPECT_FALSE(is_alive({child, facts->start_time}));
  test::reap_everything();
  EXPECT_FALSE(facts_of(child));
}

TEST_F(process_tree, a_name_with_parentheses_and_spaces_does_not_confuse_the_facts) {
  const auto program = folder_.path() / "a) R 1 (b";
  std::filesystem::copy_file("/bin/sleep", program);
  const pid_t child = ::fork();
  if (child == 0) ::execl(program.c_str(), "x", "1000", nullptr);
  std::string name;
  while (name.find("a) R 1 (b") == std::string::npos) {  // until it has executed
    std::array<char, 256> text{};
    const int fd = ::open(("/proc/" + std::to_string(child) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GT(::read(fd, text.data(), text.size() - 1), 0);
    ::close(fd);
    name = text.data();
  }
  const auto facts = facts_of(child);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->parent, ::getpid());
  ::kill(child, SIGKILL);
  test::reap_everything();
}

TEST_F(process_tree, finds_a_variable_by_its_whole_name) {
  const std::string environment("XAB=0\0ABC=1\0AB=2\0AB=3\0", 23);
  EXPECT_EQ(value_in(environment, "AB"), "2");
  EXPECT_EQ(value_in(environment, "ABC"), "1");
  EXPECT_EQ(value_in(environment, "B"), std::nullopt);
  EXPECT_EQ(value_in("", "B"), std::nullopt);
}

TEST_F(process_tree, an_inherited_ignored_sigchld_is_put_right) {
  const pid_t inner = ::fork();
  if (inner == 0) {
    ::signal(SIGCHLD, SIG_IGN);
    become_subreaper();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(5);
    int status = 0;
    ::_exit(::waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(inner, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace awm::coro
