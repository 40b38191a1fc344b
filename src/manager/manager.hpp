#pragma once
// All workers of one log folder: started, queued, waited for, answered, steered, stopped, resumed. It knows nothing of
// MCP; a tool, a person's command and a simulation use it alike.

#include "coro/clock.hpp"
#include "coro/task_group.hpp"
#include "manager/broker.hpp"
#include "manager/cli_probe.hpp"
#include "manager/deliveries.hpp"
#include "manager/join.hpp"
#include "manager/managed_worker.hpp"
#include "manager/queue.hpp"
#include "manager/spares.hpp"
#include "manager/status_file.hpp"
#include "worker/environment.hpp"
#include "worker/files.hpp"
#include "worker/launch_plan.hpp"
#include "worker/launcher.hpp"
#include "worker/worktree.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
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
  /// Children that start at once; about the number of cores, as each start is a second of CPU.
  std::size_t max_starts = 1;
  /// Of all turns that this manager runs, in US dollars.
  std::optional<double> budget_usd;
  /// How long the child of a completed turn stays, and how many stay at most.
  std::chrono::seconds keep_warm{300};
  std::size_t max_warm = 4;
  /// How many children are kept started for workers to come. None with a `budget_usd`: the CLI counts a budget by
  /// process, from its start.
  std::size_t prewarm = 0;
  /// How often a turn is taken up again after a rate limit or an overload, where its options do not say.
  std::int64_t rate_limit_retries = 5;
  /// How long nothing starts after a refusal that does not say when it ends.
  std::chrono::seconds rate_limit_pause{60};
  permission_rules rules;
  respondent ask = respondent::automatic;
  worker::launch_defaults launch;
  /// This process's own environment and working directory.
  worker::environment environment;
  std::filesystem::path cwd;
  /// Absolute; empty: there is no git.
  std::string git;
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
  /// Workers whose end this one waits for; their results are named in its prompt.
  std::vector<std::string> after;
  /// Start also when one of them failed or was cancelled.
  bool after_in_any_case = false;
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
  /// Why it failed at once, as with a predecessor that has failed; empty: it did not.
  std::string error;
};

/// How a message reaches a running worker.
enum class message_mode {
  queue,      ///< as its next turn
  steer,      ///< in this turn, behind the next tool result; as the next turn when there is none
  interrupt,  ///< now: what it does is interrupted
};

/// What became of a message.
struct message_receipt {
  std::string worker_id;
  /// Nothing while it is not known yet.
  std::optional<worker::message_fate> fate;
  /// In words.
  std::string note;
};

/// A worker as a list shows it.
struct worker_summary {
  std::string worker_id;
  std::string description;
  std::string agent_type;
  worker_state state = worker_state::failed;
  std::string started_at;
  std::string ended_at;
  std::chrono::system_clock::time_point changed_at{};
  std::size_t turns = 0;
  std::int64_t model_calls = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  double total_cost_usd = 0;
  /// The tool that runs, and for how long; empty when none does.
  std::string activity;
  std::int64_t activity_seconds = 0;
  /// Since the worker last said anything; only while it is at work.
  std::optional<std::int64_t> idle_seconds;
  std::vector<std::string> recent;
  std::optional<std::size_t> queue_position;
  /// Why it is not its turn to start; empty: no slot is free.
  std::string held_by;
  std::size_t pending_requests = 0;
  std::size_t background_tasks = 0;
  /// Every turn that ended was delivered.
  bool is_delivered = true;
  bool is_warm = false;
  /// Another manager runs it.
  bool is_elsewhere = false;
  std::string error;
  std::string transcript_path;
};

struct cancelled_workers {
  std::vector<std::string> cancelled;
  /// Those that had ended already.
  std::vector<std::string> idle;
};

/// What a worker has to show: see `manager::output`.
struct worker_output {
  worker_summary summary;
  bool is_finished = false;
  /// The last result, when finished.
  std::string result;
  nlohmann::json structured_output = nullptr;
};

class manager final : private fleet {
 public:
  /// The seams outlive the manager.
  manager(asio::any_io_executor executor, manager_config config, worker::launcher& launcher, coro::clock& clock,
          worker::files& files);
  ~manager() override;

  /// Accepts a new worker's first turn, and starts it when it may. Asks the CLI for its version the first time.
  /// Refused: no CLI, options that cannot work, an unknown predecessor, a budget that is spent, a log folder that
  /// cannot be written.
  asio::awaitable<answer<accepted_turn>> spawn(spawn_request request);

  /// Accepts another turn of a worker whose last one ended, in this process or in one before.
  /// Refused: an unknown id, a worker that still works, one that another manager owns, and as for `spawn`.
  asio::awaitable<answer<accepted_turn>> resume(resume_request request);

  /// See `join::wait`. Refused at once when there is nothing to wait for and nothing to deliver, and for unknown ids.
  asio::awaitable<answer<join::loan>> wait(wait_request request, join::progress report);

  /// Answers pending questions; returns what was answered. Refused as a whole: an id that is not pending, an answer
  /// that a tool cannot take.
  answer<std::vector<pending_permission>> decide(const std::vector<std::string>& request_ids,
                                                 const permission_answer& answer);

  /// Ends what a worker does, or what all do (no id): its turn ends `cancelled`, it can be resumed. Returns when their
  /// processes are gone. Refused: an unknown id.
  asio::awaitable<answer<cancelled_workers>> cancel(std::optional<std::string> worker_id, std::string reason);

  /// Sends a message to a worker that is at work; returns when it is known what became of it, at most after some
  /// seconds. Refused: an unknown id, a worker that is not at work, a mode that cannot be now.
  asio::awaitable<answer<message_receipt>> send(std::string worker_id, std::string text, message_mode mode);

  /// A worker's state and result; waits until it has ended, at most for `patience`. Refused: an unknown id.
  asio::awaitable<answer<worker_output>> output(std::string worker_id, coro::clock::duration patience);

  /// All workers of the log folder, those of earlier managers included; the one that changed last comes first.
  asio::awaitable<std::vector<worker_summary>> list();

  /// The first `most` of the selected workers that are on their way.
  std::vector<worker_summary> at_work(const selection& which, std::size_t most) const;

  std::list<pending_permission> questions_for_model() const { return broker_.for_model(); }
  std::size_t questions_with_human() const { return broker_.with_human(); }
  outstanding_turns outstanding(const selection& which = {}) const;
  /// Why the queue stands still, with what to do; empty while it does not.
  std::string queue_stopped() const;
  /// Until when nothing starts because of a rate limit; empty: something may.
  std::string rate_limited_until() const;
  /// What keeps transcripts from being written, and what becomes of them; empty while nothing does.
  std::string log_folder_problem() const;
  /// What the turns of this manager have cost, those that run included.
  double spent_usd() const;
  const std::optional<double>& budget_usd() const { return config_.budget_usd; }

  /// Where a human can be asked; null: nowhere. It outlives its use, which ends with the next call.
  void use_human(human* human) { broker_.use_human(human); }

  /// All workers that are known so far, without a look at the log folder; those of `list` once it was called.
  std::vector<worker_summary> known() const;
  /// The ids of those, as far as they begin so.
  std::vector<std::string> known_ids(std::string_view beginning) const;
  std::size_t known_count() const { return workers_.size(); }

  /// The worker's transcript as it stands on disk, of at most `most` bytes. Refused: an unknown id, a longer one, and
  /// one that cannot be read.
  answer<std::string> transcript(const std::string& worker_id, std::size_t most) const;

  /// The content of the status file, a JSON text.
  std::string status() const;

  /// Told, together with the status file and no more often, which workers changed since the last time. Null: nobody is.
  using change_hook = std::function<void(const std::set<std::string>& workers)>;
  void tell_changes_to(change_hook hook) { change_hook_ = std::move(hook); }

  /// Told in words when the log folder can no longer be written, and when it can again. Null: nobody is.
  void warn_to(std::function<void(const std::string&)> hook) { warn_hook_ = std::move(hook); }

  /// Begins what a new manager has to do: asks the CLI for its version, and looks for what earlier managers left.
  void begin();

  /// Ends all turns because the program ends: nothing new starts, children get SIGINT, transcripts are put in order.
  /// Afterwards `children_gone()` is set as soon as the last child has ended.
  void stop();

  coro::event& children_gone() { return turns_.empty(); }

  /// Sends a signal to every child that still runs.
  void signal_children(int number);

 private:
  class announced_turn;
  using workers = std::map<std::string, std::unique_ptr<managed_worker>, std::less<>>;

  // The way of a prompt.
  asio::awaitable<void> prepare();
  asio::awaitable<std::optional<refusal>> cannot_start();
  std::unique_ptr<managed_worker> make_worker(const std::string& worker_id, std::string description);
  asio::awaitable<std::optional<refusal>> isolate(managed_worker& worker);
  std::optional<refusal> unknown_predecessor(const spawn_request& request);
  void put_after(managed_worker& worker, const spawn_request& request);
  static std::string unseen_prompts(const worker::transcript_record& record);
  answer<managed_worker*> find_idle(const std::string& worker_id);
  std::optional<refusal> load(managed_worker& worker);
  answer<accepted_turn> accept(managed_worker& worker, std::string prompt, worker::launch_request launch);
  answer<planned_turn> plan(managed_worker& worker, std::string prompt, const worker::launch_request& launch,
                            std::vector<std::string>& warnings);
  worker::launch_plan plan_launch(worker::launch_request& request) const;
  worker::child_plan child_of(worker::launch_plan plan, std::string label);
  std::optional<worker::child_plan> plan_spare();
  std::optional<worker::option_error> set_policy(managed_worker& worker, const worker::options& wanted,
                                                 const std::string& cwd);
  void enqueue(managed_worker& worker);
  bool take_from_predecessors(managed_worker& worker);
  void start(managed_worker& worker);
  void begin_turn(managed_worker& worker);
  asio::awaitable<void> run_child(managed_worker& worker);
  void child_gone(managed_worker& worker);
  void free_slot(managed_worker& worker);
  void keep_warm(managed_worker& worker);
  void end_warmth(managed_worker& worker);
  void release_if_done(managed_worker& worker);

  // The way of a result.
  void pause_after_refusal();
  bool retries(managed_worker& worker, const worker::turn_outcome& outcome);
  void settle(managed_worker& worker, worker_state state, worker::turn_outcome outcome);
  void settle_unstarted(managed_worker& worker, worker_state state, std::string reason);
  void note_cost(managed_worker& worker);
  void check_budget();
  void tell_successors(managed_worker& worker);
  void predecessor_ended(managed_worker& worker, managed_worker& predecessor);
  bool accept_messages(managed_worker& worker, finished_turn& ended);
  finished_turn describe_turn(const managed_worker& worker, const worker::transcript_record& record,
                              std::size_t index) const;

  // What workers tell: see `fleet`.
  void state_changed(managed_worker& worker, worker_state before) override;
  void activity_changed(managed_worker& worker) override;
  void child_started(managed_worker& worker) override;
  void question_asked(managed_worker& worker, const worker::permission_line& question) override;
  void question_withdrawn(managed_worker& worker, const std::string& child_request_id) override;
  void rate_limited(coro::clock::duration wait, std::int64_t until) override;
  void file_written(managed_worker& worker, const std::string& path) override;
  void cost_changed(managed_worker& worker) override;
  void transcript_behind() override;
  asio::awaitable<void> before_report(managed_worker& worker) override;
  void turn_ended(managed_worker& worker, const worker::turn_outcome& outcome) override;

  // What the disk does not take.
  void catch_up();
  void now_on_disk(managed_worker& worker);

  void answer_question(const pending_permission& question, const permission_answer& answer);
  bool must_interrupt() const;
  void note_delivered(const std::vector<finished_turn>& turns, bool delivered);
  std::optional<refusal> unknown_worker(const std::string& worker_id);
  std::optional<refusal> runs_elsewhere(const managed_worker& worker) const;
  refusal belongs_elsewhere(const managed_worker& worker) const;
  worker_summary summarize(const managed_worker& worker) const;
  void touch(managed_worker& worker);
  void tell_changes();
  std::string status_entry(const managed_worker& worker) const;

  // What earlier managers left.
  asio::awaitable<void> recover();
  void adopt(const std::string& worker_id);
  void take_in(managed_worker& worker, worker::transcript_record record);
  void remove_abandoned_mcp_configs();
  void refresh(managed_worker& worker);
  bool is_elsewhere(const managed_worker& worker) const;

  bool own(managed_worker& worker);
  void close_books(managed_worker& worker);
  std::error_code prepare_log_dir();
  std::filesystem::path owners_file(std::uint64_t key) const;
  std::filesystem::path mcp_config_path(const std::string& worker_id) const;
  void remove_mcp_config(managed_worker& worker);
  std::error_code write_private(const std::filesystem::path& path, std::string_view content);

  asio::any_io_executor executor_;
  manager_config config_;
  worker::environment inherited_;         // by every worker
  worker::assignments last_environment_;  // of a child, for those that have the same
  worker::launcher& launcher_;
  coro::clock& clock_;
  worker::files& files_;
  worker::reading reading_;
  cli_probe probe_;
  cli_probe::finding cli_;
  outstanding_turns outstanding_;
  std::size_t announced_ = 0;
  permission_log permission_log_;
  broker broker_;
  join join_;
  queue queue_;
  deliveries deliveries_;
  status_file status_;
  write_conflicts conflicts_;
  std::list<managed_worker*> warm_;  // the one that was used last comes first
  double spent_usd_ = 0;
  bool budget_is_spent_ = false;
  std::chrono::system_clock::time_point rate_limit_end_{};
  int refusals_in_a_row_ = 0;
  coro::clock::time_point pause_end_{};  // of the last refusal that did not say when it ends
  std::string session_id_;
  workers workers_;
  change_hook change_hook_;
  std::function<void(const std::string&)> warn_hook_;
  std::set<std::string> changed_;
  coro::event news_;  // pulsed when a worker's state, or the fate of a message, changed
  coro::event recovered_;
  bool recovering_ = false;
  bool stopping_ = false;
  bool is_behind_ = false;       // something waits for `catch_up_`
  std::error_code log_trouble_;  // of what is no transcript
  coro::timer catch_up_;
  coro::task_group turns_;
  spares spares_;
};

}  // namespace awm::manager
