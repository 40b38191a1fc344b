#pragma once

#include "coro/clock.hpp"
#include "coro/event.hpp"
#include "worker/cli_version.hpp"
#include "worker/launcher.hpp"

#include <optional>
#include <string>

namespace awm::manager {

/// Asks the CLI for its version, once for however many want to know.
class cli_probe {
 public:
  cli_probe(asio::any_io_executor executor, worker::launcher& launcher, coro::clock& clock, worker::launch_spec spec);

  struct finding {
    worker::cli_version version;
    /// Why the program cannot be started at all; nothing when it can.
    std::optional<std::string> failure;
  };

  /// Runs `claude --version`, at most for 20 s, the first time; later calls return what it found. A program that cannot
  /// be started is asked again the next time; who comes while it is being asked gets that answer.
  asio::awaitable<finding> ask();

 private:
  asio::awaitable<finding> run();

  asio::any_io_executor executor_;
  worker::launcher& launcher_;
  coro::clock& clock_;
  worker::launch_spec spec_;
  std::optional<finding> found_;
  std::optional<finding> refused_;  // the last answer, when it was no version
  bool asking_ = false;
  coro::event answered_;
};

}  // namespace awm::manager
