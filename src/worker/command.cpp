#include "worker/command.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

namespace awm::worker {
namespace {

constexpr std::size_t buffer_size = 4096;

// Read in turns, so that a program that prints without end does not silence everything else.
constexpr int buffers_in_a_row = 16;

// What a pipe holds at most (1 MiB for a plain user, pipe(7)).
constexpr int buffers_after_exit = 256;

std::string seconds(std::chrono::steady_clock::duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

/// One run. Lives as long as the coroutine that drives it.
class running_command {
 public:
  running_command(std::unique_ptr<child> started, coro::clock& clock, std::string program, command_limits limits)
      : child_(std::move(started)), clock_(clock), program_(std::move(program)), limits_(limits), timer_(clock) {}

  asio::awaitable<command_result> finish() {
    child_->close_input();
    timer_.arm(clock_.now() + limits_.time,
               [this] { end(program_ + " did not answer within " + seconds(limits_.time) + " and was ended"); });
    while (!child_->exit()) {
      co_await something_new();
      const auto state = co_await asio::this_coro::cancellation_state;
      const bool is_over = !limits_.despite_cancellation && state.cancelled() != asio::cancellation_type::none;
      if (is_over && !child_->exit()) end(program_ + " was cancelled");
      if (is_over && limits_.grace == limits_.grace.zero()) co_return std::move(result_);
      collect(buffers_in_a_row);
    }
    timer_.disarm();
    collect(buffers_after_exit);
    result_.error_tail = child_->error_tail();
    result_.code = child_->exit()->code;
    co_return std::move(result_);
  }

 private:
  asio::awaitable<void> something_new() {
    // A closed pipe is always ready.
    if (is_closed_) {
      co_await child_->exited().async_wait(coro::as_value);
    } else {
      co_await child_->output_or_exit();
    }
  }

  void collect(int most) {
    std::array<char, buffer_size> buffer;
    for (int reads = 0; reads < most && !is_closed_; ++reads) {
      const auto got = child_->read_output(buffer);
      if (got.what == read_outcome::kind::end_of_stream) is_closed_ = true;
      if (got.what != read_outcome::kind::bytes) return;
      const auto kept = std::min(got.size, limits_.output - result_.output.size());
      result_.output.append(buffer.data(), kept);
      result_.output_cut = result_.output_cut || kept < got.size;
    }
  }

  void end(std::string why) {
    if (result_.failure) return;
    result_.failure = std::move(why);
    if (limits_.grace == limits_.grace.zero()) return child_->signal(SIGKILL);
    child_->signal(SIGTERM);
    timer_.arm(clock_.now() + limits_.grace, [this] { child_->signal(SIGKILL); });
  }

  std::unique_ptr<child> child_;
  coro::clock& clock_;
  std::string program_;
  command_limits limits_;
  coro::timer timer_;
  bool is_closed_ = false;
  command_result result_;
};

}  // namespace

asio::awaitable<command_result> run_command(launcher& launcher, coro::clock& clock, launch_spec spec,
                                            command_limits limits) {
  command_result result;
  const auto state = co_await asio::this_coro::cancellation_state;
  if (!limits.despite_cancellation && state.cancelled() != asio::cancellation_type::none) {
    result.failure = spec.program + " was cancelled";
    co_return result;
  }
  std::error_code error;
  auto child = launcher.start(spec, error);
  if (!child) {
    result.failure = spec.program + " could not be started: " + error.message();
    co_return result;
  }
  running_command command(std::move(child), clock, spec.program, limits);
  // Cancelled or not, the program is to be awaited: see `grace`.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  result = co_await command.finish();
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return result;
}

}  // namespace awm::worker
