#include "support/processes.hpp"
#include "support/run.hpp"
#include "support/temporary_directory.hpp"
#include "worker/launcher.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>

namespace awm::worker {
namespace {

using test::announcements;
using test::process_handle;

launch_spec shell(std::string script) {
  return {"/bin/sh", {"-c", std::move(script)}, {"PATH=/usr/bin:/bin"}, ""};
}

class local_launcher_test : public ::testing::Test {
 protected:
  /// Runs `body(executor, launcher)`; nothing that it starts may be left afterwards.
  template <class Body>
  void with_launcher(Body body) {
    test::run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
      local_launcher launcher(executor);
      co_await body(executor, launcher);
    });
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child or an orphan is left";
    EXPECT_EQ(errno, ECHILD);
  }

  /// A tool as the CLI runs it: in a session of its own. It announces itself.
  std::string tool(const std::string& before = "") const {
    return before + "setsid sh -c 'echo $$ > " + announced_.path() + "; read nothing < " + announced_.path() +
           ".never' & ";
  }

  test::temporary_directory folder_;
  announcements announced_{folder_.path() / "pids"};
};

using awaitable = asio::awaitable<void>;

TEST_F(local_launcher_test, tools_in_sessions_of_their_own_die_with_a_child_that_is_killed) {
  with_launcher([this](asio::any_io_executor, local_launcher& launcher) -> awaitable {
    std::error_code error;
    const auto child = launcher.start(shell(tool() + tool() + "wait"), error);
    EXPECT_FALSE(error);
    const process_handle first(announced_.next());
    const process_handle second(announced_.next());
    child->signal(SIGKILL);
    co_await child->exited().async_wait(coro::as_value);
    EXPECT_TRUE(first.has_ended());
    EXPECT_TRUE(second.has_ended());
    EXPECT_EQ(child->exit()->code, -SIGKILL);
  });
}

TEST_F(local_launcher_test, what_a_child_left_behind_is_gone_when_it_is_told_to_have_ended) {
  with_launcher([this](asio::any_io_executor, local_launcher& launcher) -> awaitable {
    std::error_code error;
    const auto child = launcher.start(shell(tool() + "read line; exit 7"), error);
    const process_handle left(announced_.next());
    child->send("go\n");
    co_await child->exited().async_wait(coro::as_value);
    EXPECT_TRUE(left.has_ended());
    EXPECT_EQ(child->exit()->code, 7);
  });
}

TEST_F(local_launcher_test, a_tool_of_a_tool_dies_too) {
  with_launcher([this](asio::any_io_executor, local_launcher& launcher) -> awaitable {
    std::error_code error;
    const auto deep = "setsid sh -c 'setsid sh -c \"echo \\$\\$ > " + announced_.path() + "; read nothing < " +
                      announced_.path() + ".never\" & wait' & read line";
    const auto child = launcher.start(shell(deep), error);
    const process_handle left(announced_.next());
    child->close_input();
    co_await child->exited().async_wait(coro::as_value);
    EXPECT_TRUE(left.has_ended());
  });
}

TEST_F(local_launcher_test, a_child_that_is_destroyed_takes_its_tools_along) {
  std::vector<process_handle> tools;
  with_launcher([&](asio::any_io_executor, local_launcher& launcher) -> awaitable {
    std::error_code error;
    const auto child = launcher.start(shell(tool() + "wait"), error);
    tools.emplace_back(announced_.next());
    co_return;
  });
  EXPECT_TRUE(tools.front().has_ended());
}

TEST_F(local_launcher_test, the_tools_of_one_child_survive_the_end_of_another) {
  with_launcher([this](asio::any_io_executor, local_launcher& launcher) -> awaitable {
    std::error_code error;
    // The second tool is an orphan already while its child lives: it was given to this process.
    const auto busy = launcher.start(shell(tool() + "sh -c \"" + tool() + "\"; read line"), error);
    const process_handle first(announced_.next());
    const process_handle second(announced_.next());
    const auto short_lived = launcher.start(shell("exit 0"), error);
    co_await short_lived->exited().async_wait(coro::as_value);
    EXPECT_FALSE(first.has_ended());
    EXPECT_FALSE(second.has_ended());
    busy->close_input();
    co_await busy->exited().async_wait(coro::as_value);
    EXPECT_TRUE(first.has_ended());
    EXPECT_TRUE(second.has_ended());
  });
}

TEST_F(local_launcher_test, an_orphan_without_the_mark_is_ended_with_the_last_child) {
  with_launcher([this](asio::any_io_executor, local_launcher& launcher) -> awaitable {
    std::error_code error;
    const auto unmarked = "env -i /usr/bin/setsid /bin/sh -c 'echo $$ > " + announced_.path() +
                          "; exec /usr/bin/tail -f /dev/null' & read line";
    const auto child = launcher.start(shell(unmarked), error);
    const process_handle left(announced_.next());
    child->close_input();
    co_await child->exited().async_wait(coro::as_value);
    EXPECT_TRUE(left.has_ended());
  });
}

TEST_F(local_launcher_test, orphans_that_end_by_themselves_are_reaped_while_the_child_works) {
  with_launcher([this](asio::any_io_executor executor, local_launcher& launcher) -> awaitable {
    const announcements gate(folder_.path() / "gate");
    std::error_code error;
    const auto orphan = "sh -c \"setsid sh -c 'echo \\$\\$ > " + announced_.path() + "; read line < " + gate.path() +
                        "' &\"; read line";
    const auto child = launcher.start(shell(orphan), error);
    const pid_t pid = announced_.next();
    std::ofstream(gate.path()) << "go\n" << std::flush;
    while (coro::facts_of(pid)) co_await asio::post(executor, asio::use_awaitable);
    EXPECT_FALSE(child->exit());
    child->close_input();
    co_await child->exited().async_wait(coro::as_value);
  });
}

TEST_F(local_launcher_test, no_exit_code_is_lost_among_two_hundred_children_and_their_orphans) {
  with_launcher([](asio::any_io_executor, local_launcher& launcher) -> awaitable {
    constexpr int count = 200;
    std::vector<std::unique_ptr<child>> children;
    for (int number = 0; number < count; ++number) {
      std::error_code error;
      const auto script =
          "setsid tail -f /dev/null > /dev/null & setsid true & read line; exit " + std::to_string(number);
      children.push_back(launcher.start(shell(script), error));
      EXPECT_FALSE(error) << error.message();
    }
    for (const auto& child : children) child->close_input();
    for (int number = 0; number < count; ++number) {
      const auto& child = children[static_cast<std::size_t>(number)];
      co_await child->exited().async_wait(coro::as_value);
      EXPECT_EQ(child->exit()->code, number);
    }
    EXPECT_TRUE(launcher.running().empty());
  });
}

TEST_F(local_launcher_test, children_from_before_are_neither_ended_nor_reaped) {
  const pid_t stranger = ::fork();
  if (stranger == 0) {
    ::pause();
    ::_exit(0);
  }
  test::run([](asio::any_io_executor executor) -> awaitable {
    local_launcher launcher(executor);
    std::error_code error;
    const auto child = launcher.start(shell("exit 0"), error);
    co_await child->exited().async_wait(coro::as_value);
  });
  EXPECT_EQ(::waitpid(stranger, nullptr, WNOHANG), 0) << "it runs, and is still ours";
  ::kill(stranger, SIGKILL);
  test::reap_everything();
}

}  // namespace
}  // namespace awm::worker
