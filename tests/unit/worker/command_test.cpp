#include "worker/command.hpp"

#include "support/fake_launcher.hpp"
#include "support/manual_clock.hpp"
#include "support/run.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <gtest/gtest.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

namespace awm::worker {
namespace {

using namespace std::chrono_literals;
using test::settle;

/// A command on fake children, which runs beside the test.
struct stage {
  explicit stage(asio::any_io_executor on) : executor(on), launcher(on) {}

  void start() {
    launch_spec spec;
    spec.program = "/bin/program";
    spec.arguments = {"question"};
    asio::co_spawn(executor, run_command(launcher, clock, spec, limits),
                   asio::bind_cancellation_slot(cancel.slot(), [this](std::exception_ptr, command_result finished) {
                     result = std::move(finished);
                   }));
  }
  test::fake_child& child() { return *launcher.children.at(0); }

  asio::any_io_executor executor;
  test::fake_launcher launcher;
  test::manual_clock clock;
  asio::cancellation_signal cancel;
  command_limits limits{.time = 10s, .grace = 2s, .output = 10, .despite_cancellation = false};
  std::optional<command_result> result;
};

template <class Body>
void run(Body body) {
  test::run([&body](asio::any_io_executor executor) -> asio::awaitable<void> {
    stage stage(executor);
    co_await body(stage);
  });
}

TEST(command, tells_output_stderr_and_exit_code) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.start();
    co_await settle();
    EXPECT_TRUE(stage.child().input_closed);
    stage.child().print_raw("answer");
    co_await settle();
    stage.child().stderr_text = "a warning";
    stage.child().exit_with(3);
    co_await settle();
    EXPECT_TRUE(stage.result.has_value());
    EXPECT_EQ(stage.result->output, "answer");
    EXPECT_EQ(stage.result->error_tail, "a warning");
    EXPECT_EQ(stage.result->code, 3);
    EXPECT_FALSE(stage.result->failure);
    EXPECT_FALSE(stage.result->succeeded());
    EXPECT_EQ(stage.clock.armed(), 0U);
  });
}

TEST(command, keeps_the_beginning_of_too_much_output) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.start();
    co_await settle();
    stage.child().print_raw("0123456789");
    stage.child().print_raw(std::string(100'000, 'x'));
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_TRUE(stage.result->succeeded());
    EXPECT_EQ(stage.result->output, "0123456789");
    EXPECT_TRUE(stage.result->output_cut);
  });
}

TEST(command, ends_with_the_program_even_when_something_else_holds_its_output_open) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.start();
    co_await settle();
    stage.child().print_raw("last");
    stage.child().exit_with(0, true);
    co_await settle();
    EXPECT_TRUE(stage.result.has_value());
    EXPECT_EQ(stage.result->output, "last");
  });
}

TEST(command, awaits_the_exit_of_a_program_that_closed_its_output) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.start();
    co_await settle();
    stage.child().close_output();
    co_await settle();
    EXPECT_FALSE(stage.result.has_value());
    stage.child().exit_with(1);
    co_await settle();
    EXPECT_EQ(stage.result->code, 1);
  });
}

TEST(command, a_program_that_cannot_be_started_is_a_failure) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.launcher.failure = std::make_error_code(std::errc::no_such_file_or_directory);
    stage.start();
    co_await settle();
    EXPECT_EQ(stage.result->failure, "/bin/program could not be started: No such file or directory");
  });
}

TEST(command, out_of_time_it_may_tidy_up_before_it_is_killed) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.start();
    co_await settle();
    stage.clock.advance(10s);
    EXPECT_EQ(stage.child().signals, std::vector<int>{SIGTERM});
    stage.clock.advance(2s);
    EXPECT_EQ(stage.child().signals, (std::vector<int>{SIGTERM, SIGKILL}));
    stage.child().exit_with(-SIGKILL);
    co_await settle();
    EXPECT_EQ(stage.result->failure, "/bin/program did not answer within 10 s and was ended");
  });
}

TEST(command, without_grace_it_is_killed_at_once) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.limits.grace = 0s;
    stage.start();
    co_await settle();
    stage.clock.advance(10s);
    EXPECT_EQ(stage.child().signals, std::vector<int>{SIGKILL});
    stage.child().exit_with(-SIGKILL);
    co_await settle();
    EXPECT_FALSE(stage.result->succeeded());
  });
}

TEST(command, cancelling_ends_the_program_and_awaits_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.start();
    co_await settle();
    stage.cancel.emit(asio::cancellation_type::terminal);
    co_await settle();
    EXPECT_EQ(stage.child().signals, std::vector<int>{SIGTERM});
    EXPECT_FALSE(stage.result.has_value());
    stage.child().exit_with(-SIGTERM);
    co_await settle();
    EXPECT_EQ(stage.result->failure, "/bin/program was cancelled");
  });
}

TEST(command, cancelling_without_grace_awaits_nothing) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.limits.grace = 0s;
    stage.start();
    co_await settle();
    stage.cancel.emit(asio::cancellation_type::terminal);
    co_await settle();
    EXPECT_EQ(stage.child().signals, std::vector<int>{SIGKILL});
    EXPECT_EQ(stage.result->failure, "/bin/program was cancelled");
  });
}

TEST(command, runs_to_its_end_despite_cancellation_where_that_is_wanted) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.limits.despite_cancellation = true;
    stage.start();
    co_await settle();
    stage.cancel.emit(asio::cancellation_type::terminal);
    co_await settle();
    EXPECT_TRUE(stage.child().signals.empty());
    stage.child().exit_with(0);
    co_await settle();
    EXPECT_TRUE(stage.result->succeeded());
  });
}

}  // namespace
}  // namespace awm::worker
