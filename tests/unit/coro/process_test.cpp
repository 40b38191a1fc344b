#include "coro/process.hpp"

#include "support/run.hpp"

#include <asio/buffer.hpp>
#include <asio/read.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace awm::coro {
namespace {

using test::run;

process_options shell(std::string script) {
  return {"/bin/sh", {"sh", "-c", std::move(script)}, {"PATH=/usr/bin:/bin"}, "", 0};
}

asio::awaitable<std::string> read_all(asio::posix::stream_descriptor& stream) {
  std::string text;
  for (;;) {
    std::array<char, 256> buffer;
    const auto [error, size] = co_await stream.async_read_some(asio::buffer(buffer), as_value);
    if (error) co_return text;
    text.append(buffer.data(), size);
  }
}

/// What the script prints.
asio::awaitable<std::string> output_of(asio::any_io_executor executor, process_options options) {
  std::error_code error;
  auto child = process::start(executor, options, error);
  EXPECT_FALSE(error) << error.message();
  auto text = co_await read_all(child.standard_output());
  co_await child.wait();
  co_return text;
}

TEST(process, passes_all_three_streams_and_tells_the_exit_code) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell("read line; echo out $line; echo err >&2; exit 7"), error);
    EXPECT_FALSE(error);
    child.standard_input().write_some(asio::buffer("in\n", 3));
    const auto out = co_await read_all(child.standard_output());
    const auto err = co_await read_all(child.standard_error());
    EXPECT_EQ(out, "out in\n");
    EXPECT_EQ(err, "err\n");
    const auto ended = co_await child.wait();
    EXPECT_FALSE(ended.first);
    EXPECT_EQ(ended.second.code, 7);
  });
}

TEST(process, tells_the_signal_that_ended_a_child_as_a_negative_number) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell("kill -TERM $$"), error);
    const auto ended = co_await child.wait();
    EXPECT_EQ(ended.second.code, -SIGTERM);
  });
}

TEST(process, a_program_or_directory_that_is_not_there_is_an_error_and_leaves_no_zombie) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    {
      process_options missing = shell("true");
      missing.file = "/nonexistent/program";
      const auto child = process::start(executor, missing, error);
      EXPECT_EQ(error, std::errc::no_such_file_or_directory);
    }
    {
      process_options misplaced = shell("true");
      misplaced.working_directory = "/nonexistent";
      const auto child = process::start(executor, misplaced, error);
      EXPECT_EQ(error, std::errc::no_such_file_or_directory);
    }
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
    co_return;
  });
}

TEST(process, runs_with_the_given_environment_and_directory) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    process_options options = shell("pwd; env | sort | tr '\\n' ' '");
    options.environment = {"ONE=1", "PATH=/usr/bin:/bin"};
    options.working_directory = "/usr";
    const auto text = co_await output_of(executor, options);
    EXPECT_EQ(text, "/usr\nONE=1 PATH=/usr/bin:/bin PWD=/usr ");
  });
}

TEST(process, a_child_inherits_nothing_but_its_three_streams) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto other = process::start(executor, shell("read x"), error);  // its pipes are open here
    const auto text = co_await output_of(executor, shell("ls /proc/self/fd | tr '\\n' ' '"));
    EXPECT_EQ(text, "0 1 2 3 ");  // 3 is the directory that ls reads
    other.standard_input().close();
    co_await other.wait();
  });
}

TEST(process, a_child_has_default_dispositions_and_an_empty_mask_whatever_the_parent_has) {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigset_t before;
  sigprocmask(SIG_BLOCK, &blocked, &before);
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    const auto text = co_await output_of(executor, shell("grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\t\\n'"));
    EXPECT_EQ(text, "SigBlk:0000000000000000SigIgn:0000000000000000");
  });
  sigprocmask(SIG_SETMASK, &before, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
}

TEST(process, leads_a_group_of_its_own_that_is_signalled_as_one) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell("tail -f /dev/null & echo ready; wait"), error);
    std::array<char, 6> ready;
    co_await asio::async_read(child.standard_output(), asio::buffer(ready), as_value);
    EXPECT_EQ(::getpgid(child.pid()), child.pid());
    child.signal_group(SIGKILL);
    // The grandchild holds the pipe too: its end comes only when both are gone.
    const auto rest = co_await read_all(child.standard_output());
    EXPECT_EQ(rest, "");
    const auto ended = co_await child.wait();
    EXPECT_EQ(ended.second.code, -SIGKILL);
  });
}

TEST(process, destroying_it_ends_and_reaps_the_child) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    {
      auto child = process::start(executor, shell("tail -f /dev/null"), error);
      EXPECT_GT(child.pid(), 0);
    }
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
    co_return;
  });
}

TEST(process, a_child_dies_with_its_parent) {
  // The parent in question is a fork of this test, which is killed without a chance to clean up.
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    asio::io_context context;
    std::error_code error;
    auto options = shell("echo $$; exec tail -f /dev/null");
    options.parent_death_signal = SIGKILL;
    auto child = process::start(context.get_executor(), options, error);
    const int descriptor = child.exit_descriptor();
    ::fcntl(descriptor, F_SETFD, 0);
    std::array<char, 32> pid{};
    child.standard_output().non_blocking(false);
    const auto size = child.standard_output().read_some(asio::buffer(pid));
    (void)!::write(ready[1], pid.data(), size);
    ::pause();
  }
  ::close(ready[1]);
  std::array<char, 32> text{};
  ASSERT_GT(::read(ready[0], text.data(), text.size() - 1), 0);
  const pid_t orphan = std::stoi(text.data());
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  // Reparented, so it cannot be waited for: its end is seen through a pidfd, or it has ended already.
  asio::io_context context;
  const int descriptor = static_cast<int>(::syscall(434 /* pidfd_open */, orphan, 0));
  if (descriptor >= 0) {
    asio::posix::stream_descriptor watch(context, descriptor);
    bool ended = false;
    watch.async_wait(asio::posix::stream_descriptor::wait_read, [&](std::error_code error) { ended = !error; });
    context.run();
    EXPECT_TRUE(ended);
  }
  ::close(ready[0]);
}

}  // namespace
}  // namespace awm::coro
