#pragma once
// All workers of one log folder: started, queued, waited for, answered, resumed. It knows nothing of MCP; a tool, a
// person's command and a simulation use it alike.

#include "coro/clock.hpp"
#include "coro/task_group.hpp"
#include "manager/broker.hpp"
#include "manager/cli_probe.hpp"
#include "manager/join.hpp"
#include "manager/queue.hpp"
#include "worker/environment.hpp"
#include "worker/files.hpp"
#include "worker/launch_plan.hpp"
#include "worker/launcher.hpp"
#include "worker/turn.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace awm::manager {

struct manager_config {
  /// The Claude Code CLI, an absolute path; empty when none was found.
  std::filesystem::path claude;
  /// What was looked for: the name or path as it was given.
  std::string claude_name = "claude";
  /// Where transcripts go; absolute.
  std::filesystem::path log_dir;
  std::size_t max_workers = 1;
  worker::launch_defaults launch;
  /// This process's own environment and working directory.
  worker::environment environment;
  std::filesystem::path cwd;
  bool as_root = false;
};

/// What cannot be done, and what to do instead, in words for whoever asked.
struct refusal {
  std::string reason;
};

template <class T>
using answer = std::variant<T, refusal>;

struct spawn_request {
  std::string description;
  std::string prompt;
  std::optional<std::string> agent_type;
  /// Valid by `worker::options_schema()`; null for none.
  nlohmann::json options;
};

struct resume_request {
  std::string worker_id;
  std::string prompt;
  /// Valid by `worker::resume_options_schema()`; null for none.
  nlohmann::json options;
};

/// A turn that was accepted.
struct accepted_turn {
  std::string worker_id;
  bool queued = false;
  std::string transcript_path;
  std::vector<std::string> warnings;
};

/// The answer to a worker's question.
struct permission_decision {
  bool allow = false;
  /// Reaches the worker's model when the tool is denied.
  std::string reason;
  /// Replaces the tool's input when it is allowed; null leaves it as it is.
  nlohmann::json updated_input;
};

class manager {
 public:
  /// The seams outlive the manager.
  manager(asio::any_io_executor executor, manager_config config, worker::launcher& launcher, coro::clock& clock,
          worker::files& files);
  ~manager();

  /// Accepts a new worker's first turn, and starts it when a slot is free. Asks the CLI for its version the first time.
  /// Refused: no CLI, options that cannot work, a log folder that cannot be written.
  asio::awaitable<answer<accepted_turn>> spawn(spawn_request request);

  /// Accepts another turn of a worker whose last one ended, in this process or in one before.
  /// Refused: an unknown id, a worker that still works, one without a session, and as for `spawn`.
  asio::awaitable<answer<accepted_turn>> resume(resume_request request);

  /// See `join::wait`. Refused at once when there is nothing to wait for and nothing to deliver.
  asio::awaitable<answer<join::loan>> wait(join::progress report);

  /// Answers a pending question; returns what was answered. Refused: an id that is not pending, an answer that the tool
  /// cannot take.
  answer<pending_permission> decide(const std::string& request_id, const permission_decision& decision);

  const std::list<pending_permission>& pending_permissions() const { return broker_.pending(); }
  const outstanding_turns& outstanding() const { return outstanding_; }

  /// Starts asking the CLI for its version, so that the first `spawn` need not wait for it.
  void probe_cli();

  /// Ends all turns because the program ends: nothing new starts, children get SIGINT, transcripts are put in order.
  /// Afterwards `children_gone()` is set as soon as the last child has ended.
  void stop();

  coro::event& children_gone() { return turns_.empty(); }

  /// Sends a signal to every child that still runs.
  void signal_children(int number);

 private:
  class managed_worker;
  class announced_turn;
  using workers = std::map<std::string, std::unique_ptr<managed_worker>, std::less<>>;

  asio::awaitable<std::optional<refusal>> cannot_start();
  answer<managed_worker*> find_or_load(const std::string& worker_id);
  answer<accepted_turn> accept(managed_worker& worker, std::string prompt, worker::launch_request launch);
  answer<worker::turn_request> plan(managed_worker& worker, std::string prompt, const worker::launch_request& launch,
                                    std::vector<std::string>& warnings);
  void enqueue(managed_worker& worker);
  void close_books(managed_worker& worker);
  asio::awaitable<void> run_turn(managed_worker& worker);
  std::error_code prepare_log_dir();
  std::filesystem::path mcp_config_path(const std::string& worker_id) const;
  std::error_code write_private(const std::filesystem::path& path, std::string_view content);

  asio::any_io_executor executor_;
  manager_config config_;
  worker::launcher& launcher_;
  coro::clock& clock_;
  worker::files& files_;
  worker::reading reading_;
  cli_probe probe_;
  cli_probe::finding cli_;
  outstanding_turns outstanding_;
  broker broker_;
  join join_;
  queue queue_;
  workers workers_;
  bool stopping_ = false;
  coro::task_group turns_;
};

}  // namespace awm::manager
