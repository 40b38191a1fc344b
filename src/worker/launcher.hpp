#pragma once
// The first seam: how a child comes to be. A worker talks to a `child` and does not know whether that is a process of
// this machine, one behind a command prefix, or a simulation.

#include "coro/event.hpp"
#include "coro/process.hpp"
#include "worker/last_watch.hpp"
#include "worker/memory_limit.hpp"

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace awm::worker {

/// A whole environment, as `NAME=value`. Copies share one list, which nobody changes: hundreds of workers have the
/// same.
class assignments {
 public:
  assignments() : assignments(std::vector<std::string>()) {}
  assignments(std::vector<std::string> list)
      : list_(std::make_shared<const std::vector<std::string>>(std::move(list))) {}
  assignments(std::initializer_list<std::string> list) : assignments(std::vector<std::string>(list)) {}

  const std::vector<std::string>& list() const { return *list_; }
  operator std::span<const std::string>() const { return *list_; }
  bool operator==(const assignments& other) const { return list_ == other.list_ || *list_ == *other.list_; }

 private:
  std::shared_ptr<const std::vector<std::string>> list_;
};

struct launch_spec {
  /// Absolute path of the program.
  std::string program;
  /// Its arguments, without the program's name.
  std::vector<std::string> arguments;
  assignments environment;
  std::string working_directory;
  /// Whom the child serves, for the ledger: a worker's id, or empty.
  std::string label = {};
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

  /// Sends a signal to the child and its process group; SIGKILL to all its descendants, whatever their group or
  /// session.
  virtual void signal(int number) = 0;

  /// How the child ended; nothing while it runs.
  virtual std::optional<coro::exit_status> exit() const = 0;

  /// What to add to a failure of which the child's memory limit is the reason, or may be; empty: it is not.
  virtual std::string memory_hint() const { return {}; }

  /// Set once the child has ended, and with it everything that it left behind.
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

class ledger;
class offspring;

/// Starts children on this machine. A child ends with everything that it started.
///
/// Constructing it makes this process a child subreaper (see `offspring`); one launcher in a process at a time. It
/// throws `std::system_error` when it gets no descriptor.
class local_launcher final : public launcher {
 public:
  /// `ledger`: where children are noted. Nullptr: nowhere.
  explicit local_launcher(asio::any_io_executor executor, ledger* ledger = nullptr);
  ~local_launcher() override;

  /// From now on a child, with what it starts, may use so much and no more.
  void limit_memory(memory_limit limit) { memory_limit_ = std::move(limit); }

  /// The child gets one environment variable more, its mark (see `child_variable`).
  std::unique_ptr<child> start(const launch_spec& spec, std::error_code& error) override;

  /// The children that have not ended.
  std::vector<watched_child> running() const;

 private:
  asio::any_io_executor executor_;
  ledger* ledger_;
  std::shared_ptr<offspring> offspring_;
  std::optional<memory_limit> memory_limit_;
};

}  // namespace awm::worker
