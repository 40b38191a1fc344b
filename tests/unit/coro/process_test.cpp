#include "coro/process.hpp"

#include "support/every_step.hpp"
#include "support/manual_clock.hpp"
#include "support/processes.hpp"
#include "support/run.hpp"
#include "support/temporary_directory.hpp"

#include <asio/buffer.hpp>
#include <asio/read.hpp>
#include <asio/use_future.hpp>
#include <gtest/gtest.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace awm::coro {
namespace {

using namespace std::chrono_literals;
using test::run;
using test::settle;
using end_of_wait = std::pair<std::error_code, exit_status>;
using end_of_stop = std::pair<std::error_code, stop_result>;

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

asio::awaitable<std::string> read_line(asio::posix::stream_descriptor& stream) {
  std::string text;
  for (char character = 0; character != '\n';) {
    const auto [error, size] = co_await asio::async_read(stream, asio::buffer(&character, 1), as_value);
    if (error) break;
    if (character != '\n') text += character;
  }
  co_return text;
}

std::size_t open_descriptors() {
  const auto begin = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

/// No child of this process is left, also none that has ended and was not reaped.
void expect_no_child() {
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  EXPECT_EQ(errno, ECHILD);
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

TEST(process, every_wait_gets_the_status_those_included_that_begin_after_the_end) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell("read line; exit 3"), error);
    std::vector<end_of_wait> results;
    const auto note = [&](std::error_code failed, exit_status status) { results.emplace_back(failed, status); };
    child.async_wait(note);
    child.async_wait(note);
    co_await settle();
    EXPECT_TRUE(results.empty());
    child.standard_input().close();
    const auto third = co_await child.wait();
    EXPECT_EQ(third, (end_of_wait{{}, {3}}));
    co_await settle();
    child.async_wait(note);
    EXPECT_EQ(results.size(), 2U) << "called inside the initiation";
    co_await settle();
    const auto fifth = co_await child.wait();
    EXPECT_EQ(fifth, (end_of_wait{{}, {3}}));
    EXPECT_EQ(results, (std::vector<end_of_wait>(3, {{}, {3}})));
    EXPECT_EQ(child.exit_descriptor(), -1);
  });
}

TEST(process, waits_and_pipes_survive_a_move_and_futures_work) {
  asio::io_context context;
  std::error_code error;
  auto first = process::start(context.get_executor(), shell("read line; exit 3"), error);
  auto status = first.async_wait(asio::use_future);
  auto& input = first.standard_input();
  const auto second = std::move(first);
  input.close();
  context.run();
  EXPECT_EQ(status.get().code, 3);
}

TEST(process, a_wait_that_is_cancelled_at_any_step_leaves_the_status_to_the_next_one) {
  const auto before = open_descriptors();
  int aborted = 0;
  test::cancel_at_every_step([&aborted](test::stepped_run& run) {
    std::error_code error;
    auto child = process::start(run.context().get_executor(), shell("read line; exit 3"), error);
    run.meanwhile = [&](int done) {
      constexpr int last_words_at = 3;
      if (done == 1) child.look_again();
      if (done == last_words_at) child.standard_input().close();
      return done >= last_words_at;
    };
    const auto first = run.run<end_of_wait>([&](auto token) { child.async_wait(token); });
    // A cancellation that finds the child ended changes nothing.
    const auto expected = first.first ? end_of_wait(asio::error::operation_aborted, {}) : end_of_wait({}, {3});
    EXPECT_EQ(first, expected);
    aborted += first.first ? 1 : 0;
    child.standard_input().close();
    std::optional<end_of_wait> second;
    child.async_wait([&](std::error_code failed, exit_status status) { second = end_of_wait{failed, status}; });
    run.context().restart();
    run.context().run();
    EXPECT_EQ(second, (end_of_wait{{}, {3}}));
    expect_no_child();
  });
  EXPECT_GE(aborted, 3);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(process, destroying_it_completes_its_waits_and_stops) {
  const auto before = open_descriptors();
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    test::manual_clock clock;
    std::vector<std::error_code> ends;
    {
      std::error_code error;
      auto child = process::start(executor, shell("trap '' INT; echo; tail -f /dev/null"), error);
      char deaf_from_here_on = 0;
      co_await asio::async_read(child.standard_output(), asio::buffer(&deaf_from_here_on, 1), asio::use_awaitable);
      child.async_wait([&](std::error_code failed, exit_status) { ends.push_back(failed); });
      child.async_stop(clock, {}, [&](std::error_code failed, stop_result) { ends.push_back(failed); });
      co_await settle();
    }
    EXPECT_TRUE(ends.empty());
    co_await settle();
    EXPECT_EQ(ends, (std::vector<std::error_code>(2, asio::error::operation_aborted)));
    EXPECT_EQ(clock.armed(), 0U);
    expect_no_child();
  });
  EXPECT_EQ(open_descriptors(), before);
}

TEST(process, a_wait_that_goes_down_with_the_event_loop_leaves_no_child) {
  std::optional<asio::io_context> context;
  context.emplace();
  const auto wait = [](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell("tail -f /dev/null"), error);
    co_await child.wait();
    ADD_FAILURE();
  };
  asio::co_spawn(*context, wait(context->get_executor()), asio::detached);
  context->poll();
  context.reset();
  expect_no_child();
}

TEST(process, one_that_was_not_started_has_no_end) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto options = shell("true");
    options.file = "/nonexistent";
    auto child = process::start(executor, options, error);
    const auto result = co_await child.wait();
    EXPECT_EQ(result.first, std::errc::no_child_process);
    test::manual_clock clock;
    const auto stop = co_await child.stop(clock);
    EXPECT_EQ(stop.first, std::errc::no_child_process);
    child.signal_group(SIGKILL);
  });
}

TEST(process, tells_when_somebody_else_has_reaped_the_child) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell("exit 3"), error);
    ::waitpid(child.pid(), nullptr, 0);
    const auto result = co_await child.wait();
    EXPECT_EQ(result.first, std::errc::no_child_process);
  });
}

TEST(process, is_over_although_a_grandchild_holds_its_pipe) {
  test::temporary_directory folder;
  const test::announcements announced(folder.path() / "pids");
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    const auto script = "setsid sh -c 'echo $$ > " + announced.path() + "; read nothing < " + announced.path() +
                        ".never' & read line; exit 4";
    auto child = process::start(executor, shell(script), error);
    std::optional<test::process_handle> grandchild(announced.next());
    child.standard_input().close();
    const auto result = co_await child.wait();
    EXPECT_EQ(result, (end_of_wait{{}, {4}}));
    EXPECT_FALSE(grandchild->has_ended());
    std::array<char, 1> byte;
    child.standard_output().read_some(asio::buffer(byte), error);
    EXPECT_EQ(error, asio::error::would_block);
    grandchild.reset();
    const auto rest = co_await read_all(child.standard_output());
    EXPECT_EQ(rest, "");
  });
}

TEST(process, standard_streams_lead_where_they_are_to) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    auto options = shell("where=$(readlink /proc/$$/fd/0 /proc/$$/fd/1); echo \"$where\" >&2");
    options.standard_input = child_stream::null;
    options.standard_output = child_stream::inherit;
    std::error_code error;
    auto child = process::start(executor, options, error);
    EXPECT_FALSE(error);
    EXPECT_FALSE(child.standard_input().is_open());
    EXPECT_FALSE(child.standard_output().is_open());
    const auto text = co_await read_all(child.standard_error());
    EXPECT_EQ(text, "/dev/null\n" + std::filesystem::read_symlink("/proc/self/fd/1").string() + "\n");
    co_await child.wait();
  });
}

TEST(process, a_parent_without_standard_streams_can_start_children) {
  const pid_t parent = ::fork();
  if (parent == 0) {
    for (const int fd : {0, 1, 2}) ::close(fd);
    std::string out;
    std::string err;
    run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
      std::error_code error;
      auto child = process::start(executor, shell("read line; echo out $line; echo err >&2"), error);
      child.standard_input().write_some(asio::buffer("in\n", 3));
      out = co_await read_all(child.standard_output());
      err = co_await read_all(child.standard_error());
    });
    ::_exit(out == "out in\n" && err == "err\n" ? 0 : 1);
  }
  int status = 0;
  ::waitpid(parent, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(process, a_lack_of_descriptors_is_an_error_that_leaves_nothing_behind) {
  asio::io_context context;
  { asio::posix::stream_descriptor first(context, ::open("/dev/null", O_RDONLY)); }  // what the reactor itself needs
  const auto before = open_descriptors();
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  bool starts = false;
  int lacks = 0;
  const int first_free = ::dup(0);
  ::close(first_free);
  for (auto most = static_cast<rlim_t>(first_free); !starts; ++most) {
    rlimit lower{most, limit.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &lower);
    std::error_code error;
    {
      auto child = process::start(context.get_executor(), shell("true"), error);
      starts = !error;
    }
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (error) {
      EXPECT_EQ(error, std::errc::too_many_files_open);
      ++lacks;
    }
    EXPECT_EQ(open_descriptors(), before) << most;
    expect_no_child();
  }
  EXPECT_GE(lacks, 7) << "three pipes and a pidfd";
}

TEST(process, tells_who_the_child_is) {
  asio::io_context context;
  for (int time = 0; time < 20; ++time) {
    std::error_code error;
    auto child = process::start(context.get_executor(), shell("read line"), error);
    const auto facts = facts_of(child.pid());
    ASSERT_TRUE(facts);
    EXPECT_EQ(child.identity(), (process_identity{child.pid(), facts->start_time}));
  }
}

// ---- starts that cost the same however many descriptors there are ----

/// Runs `body` in a process of its own, since `start_cheaply` is for good; true when it returned true.
template <class Body>
bool holds_elsewhere(Body&& body) {
  const pid_t other = ::fork();
  if (other == 0) ::_exit(body() ? 0 : 1);
  int status = 1;
  ::waitpid(other, &status, 0);
  return status == 0;
}

void open_many() {
  for (int count = 0; count < 500; ++count) ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

std::string told_by(const std::string& script) {
  std::string text;
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    text = co_await output_of(executor, shell(script));
  });
  return text;
}

/// How many descriptors the kernel had to make room for in the child.
int room_in_child() {
  return std::stoi(
      told_by("while read name value rest; do [ $name != FDSize: ] || echo $value; done < /proc/$$/status"));
}

TEST(cheap_start, takes_along_only_what_was_open_before) {
  EXPECT_TRUE(holds_elsewhere([] {
    const bool is_known = !process::start_cheaply();
    open_many();
    return is_known && room_in_child() < 256;
  }));
  EXPECT_TRUE(holds_elsewhere([] {
    open_many();
    return room_in_child() >= 512;
  })) << "without it, everything";
}

TEST(cheap_start, gives_the_child_its_streams_and_nothing_else) {
  EXPECT_TRUE(holds_elsewhere([] {
    process::start_cheaply();
    process::start_cheaply();  // no harm
    open_many();
    const auto before = open_descriptors();
    bool is_right = told_by("ls /proc/$$/fd | tr '\\n' ' '").starts_with("0 1 2 ");
    is_right = is_right && told_by("echo out; (sleep 0; echo late)") == "out\nlate\n";
    return is_right && open_descriptors() == before;
  }));
}

TEST(cheap_start, leaves_nothing_behind_where_the_child_cannot_be_started) {
  EXPECT_TRUE(holds_elsewhere([] {
    process::start_cheaply();
    asio::io_context context;
    { asio::posix::stream_descriptor first(context, ::open("/dev/null", O_RDONLY)); }
    const auto before = open_descriptors();
    std::error_code error;
    auto options = shell("true");
    options.file = "/nonexistent";
    { auto child = process::start(context.get_executor(), options, error); }
    return error == std::errc::no_such_file_or_directory && open_descriptors() == before &&
           told_by("echo on") == "on\n";
  }));
}

TEST(cheap_start, works_for_a_parent_without_standard_streams) {
  EXPECT_TRUE(holds_elsewhere([] {
    for (const int fd : {0, 1, 2}) ::close(fd);
    process::start_cheaply();
    return told_by("echo out; echo err >&2") == "out\n";
  }));
}

// ---- the kill ladder ----

class kill_ladder_test : public ::testing::Test {
 protected:
  std::size_t descriptors_before_ = open_descriptors();
  test::manual_clock clock_;
  std::optional<end_of_stop> result_;

  auto note() {
    return [this](std::error_code error, stop_result result) { result_ = end_of_stop{error, result}; };
  }
  void TearDown() override {
    EXPECT_EQ(clock_.armed(), 0U);
    EXPECT_EQ(open_descriptors(), descriptors_before_);
    expect_no_child();
  }
};

TEST_F(kill_ladder_test, begins_with_an_interrupt_and_ends_with_the_child) {
  run([this](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell("trap 'exit 9' INT; echo ready; while :; do read x; done"), error);
    co_await read_line(child.standard_output());
    const auto result = co_await child.stop(clock_);
    EXPECT_EQ(result, (end_of_stop{{}, {{9}, SIGINT}}));
  });
}

TEST_F(kill_ladder_test, goes_on_to_sigterm_and_sigkill_when_their_time_has_come_and_not_before) {
  run([this](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(
        executor, shell("trap 'echo int' INT; trap 'echo term' TERM; echo ready; while :; do read x < /dev/null; done"),
        error);
    co_await read_line(child.standard_output());
    const kill_ladder plan{10s, 20s};
    child.async_stop(clock_, plan, note());
    auto line = co_await read_line(child.standard_output());
    EXPECT_EQ(line, "int");
    clock_.advance(9s);
    EXPECT_EQ(clock_.armed(), 1U);
    clock_.advance(1s);
    line = co_await read_line(child.standard_output());
    EXPECT_EQ(line, "term");
    clock_.advance(19s);
    co_await settle();
    EXPECT_FALSE(result_);
    clock_.advance(1s);
    EXPECT_EQ(clock_.armed(), 0U);
    const auto status = co_await child.wait();
    EXPECT_EQ(status, (end_of_wait{{}, {-SIGKILL}}));
    co_await settle();
    EXPECT_EQ(result_, (end_of_stop{{}, {{-SIGKILL}, SIGKILL}}));
  });
}

TEST_F(kill_ladder_test, leaves_out_steps) {
  run([this](asio::any_io_executor executor) -> asio::awaitable<void> {
    for (const int last : {SIGTERM, SIGKILL}) {
      std::error_code error;
      auto child = process::start(executor, shell("trap 'exit 9' INT; echo ready; while :; do read x; done"), error);
      co_await read_line(child.standard_output());
      kill_ladder plan;
      plan.after_interrupt.reset();
      if (last == SIGKILL) plan.after_terminate.reset();
      const auto result = co_await child.stop(clock_, plan);
      EXPECT_EQ(result, (end_of_stop{{}, {{-last}, last}}));
    }
  });
}

TEST_F(kill_ladder_test, sends_nothing_to_a_child_that_has_ended) {
  run([this](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell("exit 5"), error);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT);
    const auto first = co_await child.stop(clock_);
    EXPECT_EQ(first, (end_of_stop{{}, {{5}, 0}}));
    const auto second = co_await child.stop(clock_);
    EXPECT_EQ(second, (end_of_stop{{}, {{5}, 0}}));
  });
}

TEST_F(kill_ladder_test, reaches_the_whole_group) {
  test::temporary_directory folder;
  const test::announcements announced(folder.path() / "pids");
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    const auto script = "trap 'exit 9' INT; (trap '' INT TERM; sh -c 'echo $$ > " + announced.path() +
                        "; read nothing < " + announced.path() + ".never') & wait";
    auto child = process::start(executor, shell(script), error);
    const test::process_handle member(announced.next());
    const auto result = co_await child.stop(clock_);
    EXPECT_EQ(result, (end_of_stop{{}, {{9}, SIGINT}}));
    EXPECT_TRUE(member.ends());
  });
}

std::string with_session_of_its_own(const test::announcements& announced, std::string_view traps) {
  return std::string(traps) + " setsid sh -c \"trap '' INT TERM; echo \\$\\$ > " + announced.path() +
         "; read nothing < " + announced.path() + ".never\" & while :; do wait; done";
}

TEST_F(kill_ladder_test, of_the_whole_tree_ends_what_has_left_the_group_and_survives_the_child) {
  test::temporary_directory folder;
  const test::announcements announced(folder.path() / "pids");
  for (const bool whole_tree : {true, false}) {
    run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
      std::error_code error;
      auto child = process::start(executor, shell(with_session_of_its_own(announced, "trap 'exit 9' INT;")), error);
      const test::process_handle outside(announced.next());
      const kill_ladder plan{1s, 1s, whole_tree};
      const auto result = co_await child.stop(clock_, plan);
      EXPECT_EQ(result, (end_of_stop{{}, {{9}, SIGINT}}));
      EXPECT_EQ(whole_tree && outside.ends(), whole_tree);
      EXPECT_EQ(!whole_tree && !outside.has_ended(), !whole_tree);
    });
  }
}

TEST_F(kill_ladder_test, of_the_whole_tree_kills_it_when_nobody_obeys) {
  test::temporary_directory folder;
  const test::announcements announced(folder.path() / "pids");
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell(with_session_of_its_own(announced, "trap '' INT TERM;")), error);
    const test::process_handle outside(announced.next());
    const kill_ladder plan{1s, 1s, true};
    child.async_stop(clock_, plan, note());
    clock_.advance(1s);
    EXPECT_FALSE(outside.has_ended());
    clock_.advance(1s);
    EXPECT_TRUE(outside.ends());
    const auto status = co_await child.wait();
    EXPECT_EQ(status, (end_of_wait{{}, {-SIGKILL}}));
    co_await settle();
    EXPECT_EQ(result_, (end_of_stop{{}, {{-SIGKILL}, SIGKILL}}));
  });
}

TEST_F(kill_ladder_test, of_the_whole_tree_signals_politely_what_has_left_the_group) {
  test::temporary_directory folder;
  const test::announcements announced(folder.path() / "pids");
  run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    const auto script = "trap '' INT; setsid sh -c \"trap 'echo got; exit' TERM; echo \\$\\$ > " + announced.path() +
                        "; while :; do read x < /dev/null; done\" & while :; do wait; done";
    auto child = process::start(executor, shell(script), error);
    const test::process_handle outside(announced.next());
    const kill_ladder plan{1s, 1s, true};
    child.async_stop(clock_, plan, note());
    clock_.advance(1s);  // SIGTERM ends the child, and asks the other one
    const auto status = co_await child.wait();
    EXPECT_EQ(status, (end_of_wait{{}, {-SIGTERM}}));
    EXPECT_TRUE(outside.ends());
    co_await settle();
    EXPECT_EQ(result_, (end_of_stop{{}, {{-SIGTERM}, SIGTERM}}));
  });
}

TEST_F(kill_ladder_test, a_stop_that_is_cancelled_at_any_step_kills_at_once_and_still_reaps) {
  constexpr int steps = 6;
  test::cancel_at_each_of(steps, [this](test::stepped_run& run) {
    std::error_code error;
    auto child =
        process::start(run.context().get_executor(), shell("trap '' INT TERM; echo ready; read x; wait"), error);
    std::array<char, 6> ready;
    child.standard_output().non_blocking(false);
    asio::read(child.standard_output(), asio::buffer(ready));
    run.meanwhile = [&](int done) {
      if (done == 2) clock_.advance(2s);  // on to SIGTERM
      if (done == 4) child.look_again();
      return false;
    };
    const auto result = run.run<end_of_stop>([&](auto token) { child.async_stop(clock_, {}, token); });
    EXPECT_EQ(result, (end_of_stop{{}, {{-SIGKILL}, SIGKILL}}));
    EXPECT_EQ(clock_.armed(), 0U);
  });
}

TEST_F(kill_ladder_test, a_coroutine_that_is_cancelled_in_a_stop_gets_the_end_as_a_value) {
  asio::io_context context;
  asio::cancellation_signal cancel;
  bool is_waiting = false;
  const auto stop = [&](asio::any_io_executor executor) -> asio::awaitable<void> {
    std::error_code error;
    auto child = process::start(executor, shell("trap '' INT TERM; echo ready; read x; wait"), error);
    co_await read_line(child.standard_output());
    is_waiting = true;
    result_ = co_await child.stop(clock_);
  };
  asio::co_spawn(context, stop(context.get_executor()), asio::bind_cancellation_slot(cancel.slot(), asio::detached));
  while (!is_waiting) context.run_one();
  cancel.emit(asio::cancellation_type::terminal);
  context.run();
  EXPECT_EQ(result_, (end_of_stop{{}, {{-SIGKILL}, SIGKILL}}));
}

}  // namespace
}  // namespace awm::coro
