#include "manager/cli_probe.hpp"

#include <array>
#include <csignal>
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
  while (!found_ && asking_) co_await answered_.async_wait(coro::as_value);
  if (found_) co_return *found_;
  asking_ = true;
  answered_.reset();
  // Also when whoever asks is cancelled: then the next one asks anew.
  const auto end_asking = [](cli_probe* probe) {
    probe->asking_ = false;
    probe->answered_.set();
  };
  const std::unique_ptr<cli_probe, decltype(end_asking)> end_at_return(this, end_asking);
  auto result = co_await run();
  if (!result.failure) found_ = result;
  co_return result;
}

asio::awaitable<cli_probe::finding> cli_probe::run() {
  finding result;
  std::error_code error;
  const auto child = launcher_.start(spec_, error);
  if (!child) {
    result.failure = spec_.program + " could not be started: " + error.message();
    co_return result;
  }
  child->close_input();
  const auto limit = clock_.make_timer();
  limit->arm(clock_.now() + longest_answer_time, [&child] { child->signal(SIGKILL); });
  std::string text;
  for (bool open = true; open;) {
    co_await child->output_or_exit();
    const bool has_ended = child->exit().has_value();
    std::array<char, 256> buffer{};
    const auto got = child->read_output(buffer);
    if (got.what == worker::read_outcome::kind::bytes && text.size() < longest_answer) {
      text.append(buffer.data(), got.size);
    } else if (got.what == worker::read_outcome::kind::end_of_stream || has_ended) {
      open = false;
    }
  }
  co_await child->exited().async_wait(coro::as_value);
  if (const auto version = worker::parse_cli_version(text)) {
    result.version = *version;
  } else if (const auto line = text.substr(0, text.find('\n')); child->exit()->code != 0) {
    result.failure = spec_.program + " --version exited with " + std::to_string(child->exit()->code) + ": " +
                     child->error_tail() + line;
  } else {
    result.failure = spec_.program + " is not the Claude Code CLI: --version answered \"" + line + "\"";
  }
  co_return result;
}

}  // namespace awm::manager
