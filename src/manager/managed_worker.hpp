#pragma once
// A worker as the manager keeps it: in memory what a list needs, on disk the rest. What happens to it is told to the
// fleet, which decides what that means for the others.

#include "manager/activity.hpp"
#include "manager/broker.hpp"
#include "manager/worker_state.hpp"
#include "manager/written_files.hpp"
#include "worker/conversation.hpp"
#include "worker/files.hpp"
#include "worker/launch_plan.hpp"
#include "worker/transcript.hpp"
#include "worker/worktree.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace awm::manager {

class managed_worker;

/// What a worker tells those who run it.
class fleet {
 public:
  fleet() = default;
  fleet(const fleet&) = delete;
  fleet& operator=(const fleet&) = delete;
  virtual ~fleet() = default;

  virtual void state_changed(managed_worker& worker, worker_state before) = 0;
  /// What it does changed, and not its state.
  virtual void activity_changed(managed_worker& worker) = 0;
  virtual void child_started(managed_worker& worker) = 0;
  virtual void question_asked(managed_worker& worker, const worker::permission_line& question) = 0;
  virtual void question_withdrawn(managed_worker& worker, const std::string& child_request_id) = 0;
  virtual void rate_limited(coro::clock::duration wait, std::int64_t until) = 0;
  virtual void file_written(managed_worker& worker, const std::string& path) = 0;
  virtual void cost_changed(managed_worker& worker) = 0;
  virtual void transcript_behind() = 0;
  virtual asio::awaitable<void> before_report(managed_worker& worker) = 0;
  virtual void turn_ended(managed_worker& worker, const worker::turn_outcome& outcome) = 0;
};

/// A turn that was accepted and has not begun.
struct planned_turn {
  worker::child_plan child;
  worker::turn_request request;
  /// From which it can be planned again.
  worker::launch_request launch;
  /// How often it may be taken up again after a rate limit.
  std::int64_t retries_left = 0;
};

class managed_worker final : public worker::conversation_observer {
 public:
  managed_worker(fleet& owner, coro::clock& clock, std::string worker_id, std::string description);

  const std::string id;
  const std::string description;
  std::string agent_type;
  worker_policy policy;

  worker_state state() const { return state_; }
  bool is_outstanding() const { return manager::is_outstanding(state_); }
  void enter(worker_state state);
  /// The state in which an earlier manager left it: no news to anybody.
  void adopt_state(worker_state state);

  /// Loaded while a turn is accepted or runs.
  std::unique_ptr<worker::transcript> transcript;
  /// False while the last turn is not written: then the transcript in memory is all there is, and stays.
  bool is_on_disk = true;
  /// Held while this manager is the one to run, resume and deliver the worker.
  std::unique_ptr<worker::file_lock> ownership;
  /// The child, if there is one: at work, warm, or on its way out.
  std::unique_ptr<worker::conversation> conversation;
  /// The turn that waits for a slot, or for the child of the turn before to be gone.
  std::optional<planned_turn> next;
  /// Slots of the turn that runs, of one whose child is not gone yet, and of one that is due.
  std::size_t slots = 0;
  /// `next` has its slot, and waits for the child before it to be gone.
  bool is_due = false;
  /// A file with its MCP servers was written, for its child.
  bool has_mcp_config = false;
  /// A turn of it is being accepted.
  bool is_being_resumed = false;
  /// Until when the child stays; armed while it is warm.
  coro::timer warmth;

  /// What the running turn was planned from.
  std::optional<planned_turn> current;
  /// Prompts for later turns.
  std::vector<std::string> messages;
  /// Workers whose end this one waits for, and those that wait for it.
  std::set<std::string, std::less<>> waits_for;
  std::vector<std::string> awaited_by;
  std::vector<std::string> comes_after;
  bool starts_in_any_case = false;
  /// Why it is queued although there may be a slot; empty: it is just its turn that has not come.
  std::string held_by;

  /// @name What a list shows.
  /// @{
  std::string started_at;
  std::string ended_at;
  std::chrono::system_clock::time_point changed_at{};
  std::size_t turns = 0;
  std::int64_t model_calls = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  double total_cost_usd = 0;
  double cost_so_far_usd = 0;
  std::size_t background_tasks = 0;
  std::size_t questions = 0;
  std::string error;
  std::string transcript_path;
  activity doing;
  /// What the status file says of it, but for what changes without it; empty: that has to be said anew.
  std::string status_entry;
  /// @}

  written_files written{"/"};
  std::optional<worker::worktree> worktree;
  nlohmann::json worktree_report = nullptr;

  /// Fates of messages that were sent into the turn, until who sent them has asked.
  std::map<std::string, worker::message_fate, std::less<>> fates;

  void question_closed();

  void child_started() override;
  void message_seen(const worker::message_line& message) override;
  void permission_asked(const worker::permission_line& question) override;
  void permission_withdrawn(const std::string& request_id) override;
  void background_running(std::size_t tasks) override;
  void cost_so_far(double cost) override;
  void rate_limited(coro::clock::duration wait, std::int64_t until) override;
  void transcript_behind() override;
  void message_settled(const std::string& message_id, worker::message_fate fate) override;
  asio::awaitable<void> before_report() override;
  void turn_ended(const worker::turn_outcome& outcome) override;

 private:
  fleet& fleet_;
  coro::clock& clock_;
  worker_state state_ = worker_state::completed;
};

}  // namespace awm::manager
