#pragma once
// Some questions are answered by a short program: `claude --version`, `git status`. Running one means the same each
// time: collect what it prints without letting it print for ever, end it when it takes too long, and leave nothing
// behind when whoever asked has gone.

#include "coro/clock.hpp"
#include "worker/launcher.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace awm::worker {

struct command_limits {
  /// How long the program may run.
  std::chrono::steady_clock::duration time;
  /// How long it may tidy up after SIGTERM before it gets SIGKILL. Zero: SIGKILL at once.
  std::chrono::steady_clock::duration grace{};
  /// Bytes of stdout that are kept; the rest is read and dropped.
  std::size_t output = std::size_t{64} * 1024;
  /// Runs to its end, or to the end of its time, whatever the coroutine is told: to tidy up. For a coroutine that has
  /// switched off `throw_if_cancelled`, as the others do not come this far.
  bool despite_cancellation = false;
};

struct command_result {
  std::string output;
  /// There was more output than was kept.
  bool output_cut = false;
  /// The last 4 KiB of stderr.
  std::string error_tail;
  /// The exit code, or the negated number of the signal that ended it; nothing when it was not awaited.
  std::optional<int> code;
  /// Why the exit code means nothing: not started, out of time, cancelled. A sentence without its full stop.
  std::optional<std::string> failure;

  bool succeeded() const { return !failure && code == 0; }
};

/// Runs a program with an empty stdin to its end. Never throws on a failure of the program.
///
/// Cancellation ends the program and is a `failure`. With a `grace` the program is awaited first. A coroutine that was
/// cancelled before starts nothing.
asio::awaitable<command_result> run_command(launcher& launcher, coro::clock& clock, launch_spec spec,
                                            command_limits limits);

}  // namespace awm::worker
