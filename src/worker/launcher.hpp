#pragma once
// The first seam: how a child comes to be. A worker talks to a `child` and does not know whether that is a process of
// this machine, one behind a command prefix, or a simulation.

#include "coro/event.hpp"
#include "coro/process.hpp"
#include "worker/last_watch.hpp"

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace awm::worker {

struct launch_spec {
  /// Absolute path of the program.
  std::string program;
  /// Its arguments, without the program's name.
  std::vector<std::string> arguments;
  /// The whole environment, as `NAME=value`.
  std::vector<std::string> environment;
  std::string working_directory;
};

/// What one non-blocking read found.
struct read_outcome {
  enum class kind { bytes, nothing_yet, end_of_stream };
  kind what = kind::nothing_yet;
  std::size_t size = 0;
};

/// A running child. Destroying it ends what still runs, with SIGKILL.
class child {
 public:
  child() = default;
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  virtual ~child() = default;

  /// Completes when `read_output` may find something, or the child has ended. Cancellation: completes early.
  virtual asio::awaitable<void> output_or_exit() = 0;

  /// Takes what is there, without waiting.
  virtual read_outcome read_output(std::span<char> into) = 0;

  /// Writes `text` to the child's stdin behind what was sent before. Never waits; what the pipe does not take yet is
  /// kept. No effect after `close_input` or once the child stopped reading.
  virtual void send(std::string text) = 0;

  /// Closes the child's stdin once everything that was sent is written.
  virtual void close_input() = 0;

  /// The last bytes that the child wrote to stderr, at most 4 KiB.
  virtual std::string error_tail() const = 0;

  /// Sends a signal to the child and its process group.
  virtual void signal(int number) = 0;

  /// How the child ended; nothing while it runs.
  virtual std::optional<coro::exit_status> exit() const = 0;

  /// Set once the child has ended.
  virtual coro::event& exited() = 0;
};

class launcher {
 public:
  launcher() = default;
  launcher(const launcher&) = delete;
  launcher& operator=(const launcher&) = delete;
  virtual ~launcher() = default;

  /// Starts a child; nothing comes back when that fails, and `error` says why.
  virtual std::unique_ptr<child> start(const launch_spec& spec, std::error_code& error) = 0;
};

/// Starts children on this machine.
class local_launcher final : public launcher {
 public:
  explicit local_launcher(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  std::unique_ptr<child> start(const launch_spec& spec, std::error_code& error) override;

  /// The children that have not ended.
  std::vector<watched_child> running() const;

 private:
  asio::any_io_executor executor_;
  std::shared_ptr<std::map<pid_t, int>> running_ = std::make_shared<std::map<pid_t, int>>();  // pid and pidfd
};

}  // namespace awm::worker
