#include "manager/cli_probe.hpp"

#include "worker/command.hpp"

#include <utility>

namespace awm::manager {
namespace {

constexpr std::chrono::seconds longest_answer_time{20};
constexpr std::size_t longest_answer = 1024;

}  // namespace

cli_probe::cli_probe(asio::any_io_executor executor, worker::launcher& launcher, coro::clock& clock,
                     worker::launch_spec spec)
    : executor_(executor), launcher_(launcher), clock_(clock), spec_(std::move(spec)), answered_(std::move(executor)) {}

asio::awaitable<cli_probe::finding> cli_probe::ask() {
  while (!found_ && asking_) {
    co_await answered_.async_wait(coro::as_value);
    if (refused_) co_return *refused_;  // it was asked while this one waited
  }
  if (found_) co_return *found_;
  asking_ = true;
  refused_.reset();
  answered_.reset();
  // Also when whoever asks is cancelled: then the next one asks anew.
  const auto end_asking = [](cli_probe* probe) {
    probe->asking_ = false;
    probe->answered_.set();
  };
  const std::unique_ptr<cli_probe, decltype(end_asking)> end_at_return(this, end_asking);
  auto result = co_await run();
  (result.failure ? refused_ : found_) = result;
  co_return result;
}

asio::awaitable<cli_probe::finding> cli_probe::run() {
  finding result;
  const worker::command_limits limits{.time = longest_answer_time, .grace = {}, .output = longest_answer};
  const auto answer = co_await worker::run_command(launcher_, clock_, spec_, limits);
  const auto line = answer.output.substr(0, answer.output.find('\n'));
  if (answer.failure) {
    result.failure = answer.failure;
  } else if (const auto version = worker::parse_cli_version(answer.output)) {
    result.version = *version;
  } else if (answer.code != 0) {
    result.failure =
        spec_.program + " --version exited with " + std::to_string(*answer.code) + ": " + answer.error_tail + line;
  } else {
    result.failure = spec_.program + " is not the Claude Code CLI: --version answered \"" + line + "\"";
  }
  co_return result;
}

}  // namespace awm::manager
