#include "manager/manager.hpp"

#include "text/json_text.hpp"
#include "text/timestamp.hpp"
#include "text/words.hpp"
#include "worker/uuid.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>
#include <utility>

namespace awm::manager {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

// Usually a few are enough. Claude Code kills 500 ms after its SIGINT, and the client and the children want some, too.
constexpr auto patience_with_files = 250ms;

// The time that workers have to come to an end when the fleet's money is spent.
constexpr auto time_to_wind_down = 60s;

// The longest limits that the API knows are those of a week.
constexpr auto longest_hold = 24h * 8;

// A refusal that does not say when it ends doubles the pause, up to a quarter of an hour.
constexpr int most_doublings = 4;
// Of a rate limit's end, added at random, so that not everything comes back at the same moment.
constexpr double jitter = 0.1;

// Between two tries to write what the disk did not take. A try that fails costs a system call a worker.
constexpr auto pause_between_tries = 1s;

constexpr auto continue_prompt =
    "Your last request was refused by the API because of a rate limit, which is over now. Continue where you stopped.";

/// A file of the log folder for the manager's own use.
fs::path own_file(const manager_config& config, const char* name) {
  return config.log_dir / name;
}

std::string dollars(double amount) {
  std::string text = std::to_string(amount);
  return "$" + text.substr(0, text.find('.') + 5);
}

}  // namespace

manager::manager(asio::any_io_executor executor, manager_config config, worker::launcher& launcher, coro::clock& clock,
                 worker::files& files)
    : executor_(executor),
      config_(std::move(config)),
      inherited_(worker::inherited_environment(config_.environment)),
      launcher_(launcher),
      clock_(clock),
      files_(files),
      probe_(executor, launcher, clock,
             {config_.claude.string(), {"--version"}, worker::to_assignments(inherited_), config_.cwd.string()}),
      permission_log_(files, config_.log_dir),
      broker_(executor, config_.rules, permission_log_, clock,
              {[this](const auto& question, const auto& answer) { answer_question(question, answer); },
               [this] { join_.changed(); }}),
      join_(executor, clock,
            {[this](const selection& which) { return outstanding(which); }, [this] { return must_interrupt(); },
             [this](const auto& turns, bool delivered) { note_delivered(turns, delivered); }}),
      queue_(clock, config_.max_workers, config_.max_starts),
      deliveries_(files, own_file(config_, ".delivered.ndjson")),
      status_(
          files, clock, own_file(config_, "current-session.json"), [this] { return status(); },
          [this] { tell_changes(); }),
      session_id_(worker::random_uuid()),
      news_(executor),
      recovered_(executor),
      catch_up_(clock),
      turns_(executor),
      spares_(
          config_.budget_usd ? 0 : config_.prewarm, [this] { return plan_spare(); }, [this] { status_.changed(); },
          turns_, launcher, clock, files, reading_, queue_) {
  deliveries_.load();
  queue_.tell([this] { spares_.review(); });
}

manager::~manager() = default;

void manager::begin() {
  turns_.spawn(recover());
  if (!config_.claude.empty()) turns_.spawn(prepare());
}

/// Asks the CLI for its version before somebody has to wait for it, and starts the first spares.
asio::awaitable<void> manager::prepare() {
  const auto found = co_await probe_.ask();
  if (found.failure || stopping_ || config_.prewarm == 0) co_return;
  cli_ = found;
  if (!prepare_log_dir()) spares_.review();  // whoever spawns a worker is told what is wrong with the folder
}

// ---- the way of a prompt ----

asio::awaitable<std::optional<refusal>> manager::cannot_start() {
  if (stopping_) co_return refusal{"The manager is shutting down; nothing new is started."};
  if (config_.claude.empty()) {
    co_return refusal{
        "The Claude Code CLI was not found: " + config_.claude_name +
        " is no program that can be run. Install it (npm install -g @anthropic-ai/claude-code), or start this "
        "server with --claude /absolute/path/to/claude."};
  }
  if (config_.budget_usd && spent_usd() >= *config_.budget_usd) {
    co_return refusal{"The budget of all workers is spent: " + dollars(spent_usd()) + " of budget_usd " +
                      dollars(*config_.budget_usd) +
                      ". Nothing new is started. Ask the user; a server with a larger --budget-usd can go on with the "
                      "same workers."};
  }
  const auto found = co_await probe_.ask();
  if (found.failure) co_return refusal{*found.failure + ". Start this server with --claude /absolute/path/to/claude."};
  if (stopping_) co_return refusal{"The manager is shutting down; nothing new is started."};
  cli_ = found;
  if (const auto error = prepare_log_dir()) {
    co_return refusal{"The log folder " + config_.log_dir.string() + " cannot be used: " + error.message() +
                      ". Start this server with a --log-dir that can be written."};
  }
  co_return std::nullopt;
}

/// Counts a call that is about to put a turn on its way, so that a `wait` sent right behind it waits for it.
class manager::announced_turn {
 public:
  explicit announced_turn(manager& owner) : owner_(owner) { ++owner_.announced_; }
  announced_turn(const announced_turn&) = delete;
  announced_turn& operator=(const announced_turn&) = delete;
  ~announced_turn() {
    --owner_.announced_;
    owner_.join_.changed();
  }

 private:
  manager& owner_;
};

std::unique_ptr<managed_worker> manager::make_worker(const std::string& worker_id, std::string description) {
  fleet& self = *this;
  auto worker = std::make_unique<managed_worker>(self, clock_, worker_id, std::move(description));
  worker->transcript_path = worker::transcript::path_in(config_.log_dir, worker_id).string();
  return worker;
}

asio::awaitable<answer<accepted_turn>> manager::spawn(spawn_request request) {
  const announced_turn announced(*this);
  const auto problem = co_await cannot_start();
  if (problem) co_return *problem;
  auto made = make_worker(worker::random_uuid(), request.description);
  auto& worker = *made;
  worker::transcript_record record;
  record.worker_id = worker.id;
  record.description = request.description;
  record.agent_type = request.agent_type;
  record.options = request.options.is_null() ? json::object() : request.options;
  worker.transcript = std::make_unique<worker::transcript>(files_, config_.log_dir, std::move(record));
  const auto no_predecessor = unknown_predecessor(request);
  if (no_predecessor) co_return *no_predecessor;
  const auto no_worktree = co_await isolate(worker);
  if (no_worktree) co_return *no_worktree;
  put_after(worker, request);
  own(worker);
  worker::launch_request launch;
  launch.session_id = worker::random_uuid();
  auto accepted = accept(worker, std::move(request.prompt), std::move(launch));
  if (std::holds_alternative<accepted_turn>(accepted)) {
    workers_.emplace(worker.id, std::move(made));
    enqueue(worker);
    std::get<accepted_turn>(accepted).queued = worker.next.has_value();
    std::get<accepted_turn>(accepted).error = worker.error;
  } else if (worker.worktree) {
    worker::git_program git{config_.git, config_.environment};
    co_await worker::settle_worktree(launcher_, clock_, files_, std::move(git), *worker.worktree);
  }
  co_return accepted;
}

/// Says so when one that the worker is to come after is not to be had.
std::optional<refusal> manager::unknown_predecessor(const spawn_request& request) {
  for (const auto& id : request.after) {
    if (const auto unknown = unknown_worker(id)) return refusal{"after: " + unknown->reason};
    if (const auto elsewhere = runs_elsewhere(*workers_.at(id))) return refusal{"after: " + elsewhere->reason};
  }
  return std::nullopt;
}

/// Notes whom the worker comes after. From here to its being on the list nothing may wait: a predecessor that ended in
/// between would not find it.
void manager::put_after(managed_worker& worker, const spawn_request& request) {
  worker.comes_after = request.after;
  worker.starts_in_any_case = request.after_in_any_case;
  for (const auto& id : request.after) {
    auto& predecessor = *workers_.at(id);
    if (!predecessor.is_outstanding()) continue;
    worker.waits_for.insert(id);
    predecessor.awaited_by.push_back(worker.id);
  }
}

/// Gives the worker its own worktree where its options ask for one.
asio::awaitable<std::optional<refusal>> manager::isolate(managed_worker& worker) {
  auto& record = worker.transcript->record();
  if (record.options.value("isolation", "none") != "worktree") co_return std::nullopt;
  auto known = worker::worktree_from_json(record.worktree);
  if (known && files_.is_directory(known->path)) {
    worker.worktree = std::move(known);
    co_return std::nullopt;
  }
  worker::worktree_request wanted;
  wanted.cwd = record.options.value("cwd", config_.cwd.string());
  wanted.log_dir = config_.log_dir;
  wanted.worker_id = worker.id;
  worker::git_program git{config_.git, config_.environment};
  auto made = co_await worker::add_worktree(launcher_, clock_, files_, std::move(git), std::move(wanted));
  if (const auto* const reason = std::get_if<std::string>(&made)) {
    co_return refusal{"isolation \"worktree\": " + *reason};
  }
  worker.worktree = std::move(std::get<worker::worktree>(made));
  record.worktree = worker::worktree_to_json(*worker.worktree);
  co_return std::nullopt;
}

asio::awaitable<answer<accepted_turn>> manager::resume(resume_request request) {
  const announced_turn announced(*this);
  const auto problem = co_await cannot_start();
  if (problem) co_return *problem;
  if (const auto unknown = unknown_worker(request.worker_id)) co_return *unknown;
  auto found = find_idle(request.worker_id);
  if (auto* const refused = std::get_if<refusal>(&found)) co_return *refused;
  auto& worker = *std::get<managed_worker*>(found);
  auto& record = worker.transcript->record();
  auto wanted = record.options;
  try {
    wanted = worker::options_to_json(worker::merge_options(worker::options_from_json(record.options), request.options));
  } catch (const json::exception& damaged) {
    co_return refusal{worker.transcript_path + ": the options in it are damaged: " + damaged.what()};
  }
  const auto before = std::exchange(record.options, std::move(wanted));
  worker.is_being_resumed = true;
  const auto no_worktree = co_await isolate(worker);
  worker.is_being_resumed = false;
  worker::launch_request launch;
  launch.session_id = record.session_id;
  launch.session_cwd = record.cwd;
  launch.resume = true;
  request.prompt.insert(0, unseen_prompts(record));
  if (record.session_id.empty()) {
    launch.session_id = worker::random_uuid();
    launch.resume = false;
  }
  answer<accepted_turn> accepted = no_worktree.value_or(refusal{});
  if (!no_worktree) accepted = accept(worker, std::move(request.prompt), std::move(launch));
  if (std::holds_alternative<accepted_turn>(accepted)) {
    enqueue(worker);
    std::get<accepted_turn>(accepted).queued = worker.next.has_value();
  } else {
    record.options = before;
    if (!worker.conversation && worker.is_on_disk) worker.transcript.reset();
    release_if_done(worker);
  }
  co_return accepted;
}

/// What the worker was to do in turns that never began, or before it had a session: it comes first.
std::string manager::unseen_prompts(const worker::transcript_record& record) {
  std::string prompts;
  for (auto turn = record.turns.rbegin(); turn != record.turns.rend(); ++turn) {
    if (!record.session_id.empty() && !turn->value("unstarted", false)) break;
    prompts.insert(0, turn->value("prompt", "") + "\n\n");
  }
  return prompts;
}

/// A worker that has nothing to do, owned and with its transcript in memory.
answer<managed_worker*> manager::find_idle(const std::string& worker_id) {
  auto& worker = *workers_.at(worker_id);
  if (const auto elsewhere = runs_elsewhere(worker)) return *elsewhere;
  if (worker.is_outstanding() || worker.is_being_resumed) {
    return refusal{"Worker " + worker_id + " (" + worker.description + ") is still working on its last prompt (" +
                   std::string(to_string(worker.state())) + "); wait for it first, or reach it now with send_message."};
  }
  if (!own(worker)) return belongs_elsewhere(worker);
  if (const auto problem = load(worker)) return *problem;
  return &worker;
}

std::optional<refusal> manager::load(managed_worker& worker) {
  if (worker.transcript) return std::nullopt;
  std::string error;
  worker.transcript = worker::transcript::load(files_, config_.log_dir, worker.id, error);
  if (worker.transcript) return std::nullopt;
  release_if_done(worker);
  return refusal{"Worker " + worker.id + " cannot be resumed: " + error + "."};
}

/// Plans the turn and puts it on record. What is refused leaves no trace.
answer<accepted_turn> manager::accept(managed_worker& worker, std::string prompt, worker::launch_request launch) {
  const auto unwritable = [&worker](std::error_code error) {
    const bool is_changed = error == std::errc::bad_message;
    return refusal{"The transcript " + worker.transcript_path + " cannot be written: " +
                   (is_changed ? "somebody changed or removed it" : error.message()) + ". Nothing was started."};
  };
  if (const auto error = worker.transcript->catch_up()) return unwritable(error);
  if (!worker.is_on_disk) now_on_disk(worker);
  auto& record = worker.transcript->record();
  std::vector<std::string> warnings;
  auto planned = plan(worker, prompt, launch, warnings);
  if (auto* const problem = std::get_if<refusal>(&planned)) return *problem;
  auto& next = std::get<planned_turn>(planned);
  // Not by a copy of the record: its turns may be many.
  const auto take_back = [&record, cwd = record.cwd, session_id = record.session_id, state = record.state,
                          error = record.error, known = record.warnings] {
    record.cwd = cwd;
    record.session_id = session_id;
    record.state = state;
    record.error = error;
    record.warnings = known;
    record.turns.erase(record.turns.size() - 1);
  };
  // Whoever starts something new has seen why the queue stood still, and wants it to be tried again.
  queue_.reopen();
  record.cwd = next.child.launch.working_directory;
  record.session_id = launch.session_id;
  record.state = queue_.has_free_slot() && !worker.conversation && worker.comes_after.empty() ? "running" : "queued";
  if (record.state == "running") {
    if (auto session = spares_.session_for(next.child); !session.empty()) record.session_id = std::move(session);
  }
  record.error.reset();
  record.turns.push_back(text::json_object("prompt", std::move(prompt), "state", record.state));
  if (worker.worktree) warnings.insert(warnings.end(), worker.worktree->notes.begin(), worker.worktree->notes.end());
  for (const auto& warning : warnings) {
    if (std::find(record.warnings.begin(), record.warnings.end(), warning) == record.warnings.end()) {
      record.warnings.push_back(warning);
    }
  }
  if (const auto error = worker.transcript->save()) {
    take_back();
    if (!worker.conversation) remove_mcp_config(worker);
    return unwritable(error);
  }
  worker.agent_type = record.agent_type.value_or("");
  worker.turns = record.turns.size();
  if (worker.written.files().empty()) worker.written = written_files(record.cwd);
  worker.next = std::move(next);
  return accepted_turn{worker.id, false, worker.transcript_path, std::move(warnings), {}};
}

answer<planned_turn> manager::plan(managed_worker& worker, std::string prompt, const worker::launch_request& launch,
                                   std::vector<std::string>& warnings) {
  const auto& record = worker.transcript->record();
  auto request = launch;
  request.wanted = worker::options_from_json(record.options);
  auto& wanted = request.wanted;
  if (worker.worktree) wanted.cwd = worker.worktree->cwd;
  if (config_.budget_usd) {
    const auto left = *config_.budget_usd - spent_usd();
    wanted.max_budget_usd = std::min(wanted.max_budget_usd.value_or(left), left);
  }
  request.agent_type = record.agent_type.value_or("");
  request.mcp_config_path = mcp_config_path(worker.id);
  auto plan = plan_launch(request);
  if (const auto bad_rule = set_policy(worker, wanted, plan.cwd)) plan.errors.push_back(*bad_rule);
  if (!plan.errors.empty()) {
    std::string reasons;
    for (const auto& error : plan.errors) reasons += (reasons.empty() ? "" : "\n") + worker::to_string(error);
    return refusal{reasons};
  }
  if (plan.mcp_config) {
    if (const auto error = write_private(request.mcp_config_path, *plan.mcp_config)) {
      return refusal{request.mcp_config_path.string() + " cannot be written: " + error.message()};
    }
  }
  worker.has_mcp_config = worker.has_mcp_config || plan.mcp_config.has_value();
  warnings = std::move(plan.warnings);
  planned_turn planned;
  planned.child = child_of(std::move(plan), worker.id);
  planned.request.prompt = std::move(prompt);
  planned.request.prompt_id = worker::random_uuid();
  if (launch.resume) planned.request.session_id = launch.session_id;
  if (wanted.timeout_s) {
    planned.request.timeout =
        std::chrono::duration_cast<coro::clock::duration>(std::chrono::duration<double>(*wanted.timeout_s));
  }
  planned.request.max_turns = wanted.max_turns;
  planned.request.max_budget_usd = wanted.max_budget_usd;
  planned.request.has_background = wanted.background.value_or(false);
  planned.request.is_structured = wanted.json_schema.has_value();
  planned.request.report_at_exit = worker.worktree.has_value();
  // The CLI counts a budget by process.
  planned.request.keep_warm = config_.max_warm > 0 && config_.keep_warm > coro::clock::duration::zero() &&
                              !wanted.max_budget_usd && !worker.worktree && !planned.request.has_background;
  planned.launch = launch;
  planned.retries_left = wanted.rate_limit_retries.value_or(config_.rate_limit_retries);
  return planned;
}

/// Adds to `request` what is the same for all workers.
worker::launch_plan manager::plan_launch(worker::launch_request& request) const {
  request.cli = cli_.version;
  request.cwd = config_.cwd.string();
  request.as_root = config_.as_root;
  return worker::plan_launch(request, config_.launch, inherited_, files_);
}

worker::child_plan manager::child_of(worker::launch_plan plan, std::string label) {
  const auto& features = worker::features_of(cli_.version);
  if (worker::assignments wanted(std::move(plan.environment)); !(wanted == last_environment_))
    last_environment_ = std::move(wanted);
  return {
      {config_.claude.string(), std::move(plan.arguments), last_environment_, std::move(plan.cwd), std::move(label)},
      std::move(plan.initialize),
      std::move(plan.expectations),
      features.client_composed,
      features.changes_model_silently};
}

/// A worker without options.
std::optional<worker::child_plan> manager::plan_spare() {
  if (cli_.version == worker::cli_version{}) return std::nullopt;
  worker::launch_request request;
  request.session_id = worker::random_uuid();
  auto plan = plan_launch(request);
  if (!plan.errors.empty()) return std::nullopt;
  return child_of(std::move(plan), {});
}

/// Who may answer the worker's questions; returns a rule that is none.
std::optional<worker::option_error> manager::set_policy(managed_worker& worker, const worker::options& wanted,
                                                        const std::string& cwd) {
  worker.policy.ask = respondent_of(wanted.ask.value_or("")).value_or(config_.ask);
  worker.policy.context = {cwd, std::string(worker::value_of(config_.environment, "HOME"))};
  if (!wanted.permissions || !wanted.permissions->is_object()) {
    worker.policy.rules = {};
    return std::nullopt;
  }
  const auto list = [&wanted](const char* name) { return wanted.permissions->value(name, std::vector<std::string>{}); };
  auto parsed = permission_rules::parse({list("allow"), list("deny"), list("ask")});
  if (const auto* const wrong = std::get_if<rule_error>(&parsed)) {
    return worker::option_error{"permissions", wrong->rule, wrong->message};
  }
  worker.policy.rules = std::move(std::get<permission_rules>(parsed));
  return std::nullopt;
}

void manager::enqueue(managed_worker& worker) {
  worker.enter(worker_state::queued);
  if (!worker.waits_for.empty()) {
    worker.held_by = "waits for the end of " + std::to_string(worker.waits_for.size()) + " worker(s)";
    return;
  }
  worker.held_by.clear();
  if (!worker.comes_after.empty() && !take_from_predecessors(worker)) return;
  queue_.push(worker.id, [this, &worker] { start(worker); });
}

/// All predecessors have ended: the prompt names what they left. Returns false when one that had to complete did not.
bool manager::take_from_predecessors(managed_worker& worker) {
  std::string block = "\n\nThis work builds on that of other workers, which have ended:\n";
  for (const auto& id : std::exchange(worker.comes_after, {})) {
    const auto& before = *workers_.at(id);
    if (before.state() != worker_state::completed && !worker.starts_in_any_case) {
      settle_unstarted(worker, worker_state::failed,
                       "It did not start: the worker it comes after, " + id + " (" + before.description + "), " +
                           std::string(to_string(before.state())) + (before.error.empty() ? "." : ": " + before.error));
      return false;
    }
    block += "- " + before.description + ": " + std::string(to_string(before.state())) + ", transcript " +
             before.transcript_path + "\n";
  }
  worker.next->request.prompt += block + "Read a result with: jq -r .result TRANSCRIPT\n";
  return true;
}

/// The turn has its slot.
void manager::start(managed_worker& worker) {
  ++worker.slots;
  const auto& child = worker.conversation;
  if (!child || child->can_take(worker.next->child)) return begin_turn(worker);
  // Two processes on one session would lose one's turn.
  worker.is_due = true;
  end_warmth(worker);
  child->let_go();
}

void manager::begin_turn(managed_worker& worker) {
  worker.is_due = false;
  worker.current = std::exchange(worker.next, std::nullopt);
  worker.cost_so_far_usd = 0;
  worker.background_tasks = 0;
  worker.questions = 0;
  worker.error.clear();
  worker.started_at = text::timestamp(clock_.utc_now());
  worker.ended_at.clear();
  worker.doing.reset(clock_.now());
  auto& turn = *worker.current;
  auto& child = worker.conversation;
  if (child) end_warmth(worker);
  if (!child) child = spares_.take(turn.child, [this, &worker] { child_gone(worker); });
  if (child) {
    const bool has_started = child->has_started();
    worker.enter(has_started ? worker_state::running : worker_state::starting);
    child->take(std::move(turn.child), turn.request, *worker.transcript, worker);
    if (has_started) queue_.started();
    return;
  }
  child = std::make_unique<worker::conversation>(std::move(turn.child), launcher_, clock_, reading_, worker);
  child->begin(turn.request, *worker.transcript);
  worker.enter(worker_state::starting);
  turns_.spawn(run_child(worker));
}

asio::awaitable<void> manager::run_child(managed_worker& worker) {
  co_await worker.conversation->run();
  child_gone(worker);
}

void manager::child_gone(managed_worker& worker) {
  end_warmth(worker);
  worker.conversation.reset();
  // Counted before: with the first one that is free its own next turn may begin, and takes a slot.
  const std::size_t kept = worker.is_due ? 1 : 0;
  for (auto left = worker.slots; left > kept; --left) free_slot(worker);
  if (worker.is_due && !stopping_) {
    begin_turn(worker);
  } else {
    if (stopping_ || !worker.is_outstanding()) remove_mcp_config(worker);
    if (!worker.is_outstanding()) {
      if (worker.is_on_disk) worker.transcript.reset();
      release_if_done(worker);
    }
  }
  news_.pulse();
}

void manager::free_slot(managed_worker& worker) {
  if (worker.slots == 0) return;
  --worker.slots;
  queue_.release();
}

void manager::keep_warm(managed_worker& worker) {
  free_slot(worker);
  warm_.push_front(&worker);
  worker.warmth.arm(clock_.now() + config_.keep_warm, [this, &worker] {
    end_warmth(worker);
    worker.conversation->let_go();
  });
  while (warm_.size() > config_.max_warm) {
    auto& oldest = *warm_.back();
    end_warmth(oldest);
    oldest.conversation->let_go();
  }
}

void manager::end_warmth(managed_worker& worker) {
  worker.warmth.disarm();
  warm_.remove(&worker);
}

bool manager::own(managed_worker& worker) {
  if (worker.ownership) return true;
  std::error_code error;
  const auto key = worker::lock_key(worker.id);
  worker.ownership = files_.try_lock(owners_file(key), key, error);
  // A file system without locks cannot tell; there, two servers in one folder are not told apart.
  return worker.ownership != nullptr || error;
}

void manager::release_if_done(managed_worker& worker) {
  // Whoever owns it next reads what it did, and what was told of it, from the disk.
  if (!worker.is_on_disk || deliveries_.is_behind()) return;
  if (!worker.is_outstanding() && !worker.conversation && !join_.holds(worker.id)) worker.ownership.reset();
}

// ---- the way of a result ----

void manager::child_started(managed_worker&) {
  queue_.started();
}

asio::awaitable<void> manager::before_report(managed_worker& worker) {
  if (!worker.worktree || stopping_) co_return;
  worker::git_program git{config_.git, config_.environment};
  const auto state = co_await worker::settle_worktree(launcher_, clock_, files_, std::move(git), *worker.worktree);
  const bool is_kept = state.what == worker::worktree_state::outcome::kept;
  worker.worktree_report = worker::worktree_to_json(*worker.worktree);
  worker.worktree_report.update({{"kept", is_kept},
                                 {"uncommitted_files", state.uncommitted_files},
                                 {"commits_ahead", state.commits_ahead},
                                 {"note", state.sentence}});
  worker.transcript->record().worktree = worker.worktree_report;
  if (!is_kept) worker.worktree.reset();
}

void manager::turn_ended(managed_worker& worker, const worker::turn_outcome& outcome) {
  worker.is_on_disk = outcome.is_on_disk;
  spent_usd_ += outcome.cost_usd;
  worker.cost_so_far_usd = 0;
  if (outcome.completed) refusals_in_a_row_ = 0;
  if (retries(worker, outcome)) return;
  if (outcome.failure == worker::failure_kind::authentication) {
    queue_.halt("The sign-in of worker " + worker.id + " (" + worker.description +
                ") was refused: " + outcome.error_hint);
  }
  settle(worker,
         outcome.completed   ? worker_state::completed
         : outcome.cancelled ? worker_state::cancelled
                             : worker_state::failed,
         outcome);
}

/// Many workers meet the same limit at the same time; that is one refusal.
void manager::pause_after_refusal() {
  if (clock_.now() >= pause_end_) ++refusals_in_a_row_;
  const auto pause = config_.rate_limit_pause * (1 << std::clamp(refusals_in_a_row_ - 1, 0, most_doublings));
  pause_end_ = clock_.now() + pause;
  rate_limited(pause, 0);
}

/// Takes a turn up again that failed because the API was busy; returns whether it does.
bool manager::retries(managed_worker& worker, const worker::turn_outcome& outcome) {
  const bool is_limit = outcome.failure == worker::failure_kind::rate_limit;
  if (!is_limit && outcome.failure != worker::failure_kind::overloaded) return false;
  pause_after_refusal();
  auto& turn = *worker.current;
  if (turn.retries_left <= 0 || stopping_ || !worker.is_on_disk) return false;
  auto& record = worker.transcript->record();
  auto launch = turn.launch;
  launch.resume = !record.session_id.empty();
  launch.session_id = launch.resume ? record.session_id : worker::random_uuid();
  std::vector<std::string> ignored;
  auto planned = plan(worker, outcome.worked ? continue_prompt : turn.request.prompt, launch, ignored);
  if (std::holds_alternative<refusal>(planned)) return false;
  worker.next = std::move(std::get<planned_turn>(planned));
  worker.next->retries_left = turn.retries_left - 1;
  record.session_id = launch.session_id;
  record.state = "queued";
  record.turns.back()["state"] = "queued";
  record.turns.back()["retries"] = record.turns.back().value("retries", 0) + 1;
  worker.transcript->save();
  enqueue(worker);
  return true;
}

/// The worker's turn is over, for whatever reason: it is put where a wait finds it, and the others are told.
void manager::settle(managed_worker& worker, worker_state state, worker::turn_outcome outcome) {
  const auto& record = worker.transcript->record();
  worker.ended_at = text::timestamp(clock_.utc_now());
  worker.error = outcome.error_hint;
  worker.doing.reset(clock_.now());
  worker.current.reset();
  note_cost(worker);
  auto finished = describe_turn(worker, record, record.turns.size() - 1);
  finished.state = state;
  finished.outcome.cap = outcome.cap;
  finished.outcome.error_hint = outcome.error_hint;
  finished.outcome.warnings = outcome.warnings;
  finished.outcome.denied_tools = outcome.denied_tools;
  finished.outcome.context_lost = outcome.context_lost;
  finished.outcome.is_on_disk = outcome.is_on_disk;
  finished.outcome.disk_error = outcome.disk_error;
  if (!outcome.is_on_disk) finished.outcome.result = outcome.result;
  finished.conflicts = conflicts_.conflicts_of(worker.id);
  worker.messages.insert(worker.messages.begin(), outcome.unread_messages.begin(), outcome.unread_messages.end());
  if (state != worker_state::completed) {
    for (const auto& message : std::exchange(worker.messages, {})) {
      finished.outcome.warnings.push_back("A message that was to begin the next turn was not sent: " + message);
    }
  }
  const bool goes_on = accept_messages(worker, finished);
  join_.add(std::move(finished));
  if (worker.conversation && worker.conversation->is_idle()) keep_warm(worker);
  worker.enter(state);
  // A wait does not see the gap between the two turns: it wakes when this is over.
  if (goes_on) enqueue(worker);
  if (!worker.is_outstanding()) tell_successors(worker);
}

/// A turn that never began.
void manager::settle_unstarted(managed_worker& worker, worker_state state, std::string reason) {
  queue_.remove(worker.id);
  worker.next.reset();
  if (std::exchange(worker.is_due, false)) {
    queue_.started();
    free_slot(worker);
  }
  worker.held_by.clear();
  auto& record = worker.transcript->record();
  record.state = to_string(state);
  record.error = reason;
  record.turns.back().update({{"state", record.state}, {"error", reason}});
  if (record.turns.size() == 1) record.session_id.clear();
  worker::turn_outcome outcome;
  outcome.cancelled = state == worker_state::cancelled;
  outcome.error_hint = std::move(reason);
  const auto error = worker.transcript->end_turn();
  outcome.is_on_disk = worker.is_on_disk = !error;
  if (error) {
    outcome.disk_error = error.message();
    transcript_behind();
  }
  settle(worker, state, std::move(outcome));
  if (!worker.conversation) remove_mcp_config(worker);
  if (!worker.conversation && worker.is_on_disk) worker.transcript.reset();
  news_.pulse();
}

/// What the finished turn number `index` looks like to a wait.
finished_turn manager::describe_turn(const managed_worker& worker, const worker::transcript_record& record,
                                     std::size_t index) const {
  // Enough for a preview, of which a thousand must not cost memory.
  constexpr std::size_t kept_of_a_result = 4096;
  const auto& entry = record.turns.at(index);
  finished_turn turn;
  turn.worker_id = worker.id;
  turn.description = worker.description;
  turn.turn = index + 1;
  turn.state = worker_state_of(entry.value("state", record.state));
  turn.session_id = record.session_id;
  turn.transcript_path = worker.transcript_path;
  turn.total_cost_usd = record.total_cost_usd;
  auto& outcome = turn.outcome;
  outcome.completed = turn.state == worker_state::completed;
  outcome.cancelled = turn.state == worker_state::cancelled;
  outcome.error_hint = entry.value("error", index + 1 == record.turns.size() ? record.error.value_or("") : "");
  const auto result = entry.value("result", "");
  turn.result_size = result.size();
  outcome.result = std::string(text::beginning(result, kept_of_a_result));
  if (entry.contains("structured_output")) outcome.structured_output = entry["structured_output"].dump();
  if (const auto code = entry.find("returncode"); code != entry.end() && code->is_number_integer()) {
    outcome.returncode = code->get<int>();
  }
  outcome.num_turns = entry.value("num_turns", std::int64_t{0});
  outcome.duration_ms = entry.value("duration_ms", std::int64_t{0});
  outcome.input_tokens = entry.value("input_tokens", std::int64_t{0});
  outcome.output_tokens = entry.value("output_tokens", std::int64_t{0});
  outcome.cost_usd = entry.value("cost_usd", 0.0);
  outcome.cap = entry.value("cap", "");
  turn.files_written = record.files_written;
  turn.worktree = record.worktree;
  return turn;
}

/// Takes the worker's account over from its transcript, and acts when the fleet's budget is spent.
void manager::note_cost(managed_worker& worker) {
  const auto& record = worker.transcript->record();
  worker.total_cost_usd = record.total_cost_usd;
  worker.model_calls = worker.input_tokens = worker.output_tokens = 0;
  for (const auto& turn : record.turns) {
    worker.model_calls += turn.value("num_turns", std::int64_t{0});
    worker.input_tokens += turn.value("input_tokens", std::int64_t{0});
    worker.output_tokens += turn.value("output_tokens", std::int64_t{0});
  }
  check_budget();
}

void manager::cost_changed(managed_worker& worker) {
  activity_changed(worker);
  check_budget();
}

void manager::check_budget() {
  if (!config_.budget_usd || spent_usd() < *config_.budget_usd || std::exchange(budget_is_spent_, true)) return;
  const auto reason = "The budget of all workers is spent (" + dollars(spent_usd()) + " of budget_usd " +
                      dollars(*config_.budget_usd) + ").";
  for (const auto& [id, worker] : workers_) {
    if (worker->next) {
      settle_unstarted(*worker, worker_state::failed, reason + " This turn did not begin.");
    } else if (worker->is_outstanding() && worker->conversation) {
      worker->conversation->wind_down("budget_usd", reason, time_to_wind_down);
    }
  }
}

double manager::spent_usd() const {
  double spent = spent_usd_;
  for (const auto& [id, worker] : workers_) spent += worker->cost_so_far_usd;
  return spent;
}

void manager::tell_successors(managed_worker& worker) {
  for (const auto& id : std::exchange(worker.awaited_by, {})) {
    const auto successor = workers_.find(id);
    if (successor != workers_.end()) predecessor_ended(*successor->second, worker);
  }
}

void manager::predecessor_ended(managed_worker& worker, managed_worker& predecessor) {
  if (worker.waits_for.erase(predecessor.id) == 0 || !worker.next) return;
  if (worker.waits_for.empty()) enqueue(worker);
}

/// Makes the messages that wait for it the worker's next turn; returns whether it has one now. When it cannot, the turn
/// that has just ended says so.
bool manager::accept_messages(managed_worker& worker, finished_turn& ended) {
  if (worker.messages.empty() || stopping_) return false;
  std::string prompt;
  for (const auto& message : std::exchange(worker.messages, {})) prompt += (prompt.empty() ? "" : "\n\n") + message;
  auto problem = load(worker);
  if (!problem) {
    const auto& record = worker.transcript->record();
    worker::launch_request launch;
    launch.session_id = record.session_id;
    launch.session_cwd = record.cwd;
    launch.resume = true;
    const auto accepted = accept(worker, prompt, std::move(launch));
    if (std::holds_alternative<accepted_turn>(accepted)) return true;
    problem = std::get<refusal>(accepted);
  }
  ended.outcome.warnings.push_back("The message that was to begin the next turn could not be run: " + problem->reason +
                                   " The message: " + prompt);
  return false;
}

// ---- what workers tell ----

void manager::state_changed(managed_worker& worker, worker_state before) {
  outstanding_.count(before, -1);
  outstanding_.count(worker.state(), 1);
  join_.changed();
  news_.pulse();
  touch(worker);
}

void manager::file_written(managed_worker& worker, const std::string& path) {
  auto& files = worker.transcript->record().files_written;
  if (std::find(files.begin(), files.end(), path) == files.end() && files.size() < written_files::most_files) {
    files.push_back(path);
  }
  conflicts_.describe(worker.id, worker.description);
  conflicts_.wrote(worker.id, path);
}

void manager::activity_changed(managed_worker& worker) {
  if (!worker.fates.empty()) news_.pulse();
  touch(worker);
}

void manager::question_asked(managed_worker& worker, const worker::permission_line& question) {
  broker_.ask({worker::random_uuid(), worker.id, worker.description, question}, worker.policy);
}

void manager::question_withdrawn(managed_worker& worker, const std::string& child_request_id) {
  broker_.withdraw(worker.id, child_request_id);
}

void manager::rate_limited(coro::clock::duration wait, std::int64_t until) {
  const auto now = clock_.utc_now();
  auto end = now + std::chrono::duration_cast<std::chrono::system_clock::duration>(wait);
  if (until > 0) end = std::max(end, std::chrono::system_clock::time_point(std::chrono::seconds(until)));
  end = std::min(end, now + longest_hold);  // a worker says it, which may say anything
  if (end <= now) return;
  // From where the ids come, so that a simulation has it as its seed wants it.
  const auto id = worker::random_uuid();
  std::seed_seq seed(id.begin(), id.end());
  std::minstd_rand random(seed);
  const auto more = (end - now) * std::uniform_real_distribution<>(0, jitter)(random);
  end += std::chrono::duration_cast<std::chrono::system_clock::duration>(more);
  if (end <= rate_limit_end_) return;
  rate_limit_end_ = end;
  queue_.hold_until(clock_.now() + (end - now));
  status_.changed();
}

// ---- questions and waits ----

bool manager::must_interrupt() const {
  // A queue that stands still would be waited for without end.
  const bool stands_still = !queue_.halted().empty() && queue_.waiting() > 0 && outstanding_.running == 0;
  return broker_.needs_model() || stands_still;
}

outstanding_turns manager::outstanding(const selection& which) const {
  if (which.is_everything()) {
    auto all = outstanding_;
    all.queued += announced_;
    return all;
  }
  outstanding_turns some;
  for (const auto& id : which.workers()) {
    const auto found = workers_.find(id);
    if (found != workers_.end() && !runs_elsewhere(*found->second)) some.count(found->second->state(), 1);
  }
  return some;
}

asio::awaitable<answer<join::loan>> manager::wait(wait_request request, join::progress report) {
  co_await recover();
  for (const auto& id : request.workers.workers()) {
    if (const auto unknown = unknown_worker(id)) co_return *unknown;
    if (const auto elsewhere = runs_elsewhere(*workers_.at(id))) co_return *elsewhere;
  }
  if (!join_.has_anything(request.workers)) {
    co_return refusal{
        request.workers.is_everything()
            ? "No active workers to wait for: nothing is running or queued, and every finished turn has been "
              "delivered. "
              "Start one with spawn_worker, or continue one with resume_worker, then wait. list_workers shows all."
            : "No active workers to wait for: all of these have ended, and their results were delivered before. Read "
              "them with worker_output."};
  }
  auto loan = co_await join_.wait(std::move(request), std::move(report));
  co_return loan;
}

void manager::note_delivered(const std::vector<finished_turn>& turns, bool delivered) {
  for (const auto& turn : turns) {
    if (const auto error = deliveries_.note(turn.worker_id, turn.turn, delivered)) {
      log_trouble_ = error;
      transcript_behind();
    }
    const auto found = workers_.find(turn.worker_id);
    if (delivered && found != workers_.end()) release_if_done(*found->second);
  }
}

std::string manager::queue_stopped() const {
  if (queue_.halted().empty() || queue_.waiting() == 0) return {};
  return queue_.halted() + " " + std::to_string(queue_.waiting()) +
         " queued worker(s) are held back. Ask the user to sign in again (claude auth login, or the API key); then any "
         "spawn_worker or resume_worker lets the queue go on. cancel_worker takes queued workers out.";
}

std::string manager::rate_limited_until() const {
  if (!queue_.held_until()) return {};
  return text::timestamp(rate_limit_end_);
}

// ---- what the disk does not take ----

void manager::transcript_behind() {
  if (stopping_ || std::exchange(is_behind_, true)) return;
  catch_up_.arm(clock_.now() + pause_between_tries, [this] { catch_up(); });
  if (warn_hook_) warn_hook_(log_folder_problem());
}

void manager::catch_up() {
  prepare_log_dir();  // somebody may have removed it
  log_trouble_ = deliveries_.catch_up();
  if (const auto error = permission_log_.catch_up()) log_trouble_ = error;
  bool is_done = !log_trouble_;
  for (const auto& [id, worker] : workers_) {
    if (!worker->transcript || !worker->transcript->is_behind()) continue;
    if (worker->transcript->catch_up()) {
      is_done = false;
    } else if (!worker->is_on_disk) {
      now_on_disk(*worker);
      if (!worker->conversation && !worker->next) worker->transcript.reset();
    }
  }
  if (!is_done) {
    catch_up_.arm(clock_.now() + pause_between_tries, [this] { catch_up(); });
    return;
  }
  is_behind_ = false;
  for (const auto& [id, worker] : workers_) release_if_done(*worker);
  status_.changed();
  if (warn_hook_) warn_hook_("The log folder can be written again, and everything is in it.");
}

/// The worker's last turn is in its transcript, later than it should be.
void manager::now_on_disk(managed_worker& worker) {
  worker.is_on_disk = true;
  join_.now_on_disk(worker.id);
}

std::string manager::log_folder_problem() const {
  if (!is_behind_) return {};
  auto why = log_trouble_;
  std::size_t count = 0;
  for (const auto& [id, worker] : workers_) {
    if (!worker->transcript || !worker->transcript->is_behind()) continue;
    why = worker->transcript->trouble();
    ++count;
  }
  return "The log folder " + config_.log_dir.string() + " cannot be written" +
         (why ? ": " + why.message() : std::string()) + ". Workers go on; what is missing there (of " +
         std::to_string(count) +
         " transcripts) is kept in memory and written as soon as that is possible. A server that ends before loses it: "
         "tell the user.";
}

// ---- the end ----

void manager::stop() {
  if (std::exchange(stopping_, true)) return;
  spares_.stop();
  queue_.clear();
  broker_.stop();
  signal_children(SIGINT);  // on which the CLI ends its own tools
  // Replacing a file costs milliseconds on a real disk. What is not put in order in time stays as a killed manager
  // would leave it: recovered by whoever loads it next.
  const auto deadline = clock_.now() + patience_with_files;
  if (outstanding_.total() > 0) status_.changed();
  catch_up_.disarm();
  deliveries_.catch_up();
  permission_log_.catch_up();
  for (const auto& [id, worker] : workers_) {
    end_warmth(*worker);
    if (clock_.now() < deadline) {
      close_books(*worker);
    } else if (worker->conversation) {
      worker->conversation->abandon();
    }
  }
  status_.close();
}

void manager::close_books(managed_worker& worker) {
  if (worker.conversation) worker.conversation->stop();
  if (worker.transcript && worker.transcript->is_behind()) worker.transcript->catch_up();
  if (!worker.next) return;
  auto& record = worker.transcript->record();
  record.state = "interrupted";
  record.error = "The manager was stopped before this turn began. resume_worker starts it.";
  record.turns.back().update({{"state", record.state}, {"unstarted", true}});
  if (record.turns.size() == 1) record.session_id.clear();
  worker.transcript->save();
  worker.next.reset();
  if (!worker.conversation) remove_mcp_config(worker);
}

void manager::signal_children(int number) {
  for (const auto& [id, worker] : workers_) {
    if (worker->conversation) worker->conversation->signal(number);
  }
  spares_.signal(number);
}

/// Made when it is first needed: a server that never starts a worker leaves nothing behind.
std::error_code manager::prepare_log_dir() {
  if (files_.is_directory(config_.log_dir)) return {};  // somebody else's folder keeps its own .gitignore, or none
  if (const auto error = files_.create_directory(config_.log_dir)) return error;
  return write_private(config_.log_dir / ".gitignore", "*\n");
}

/// Where the lock `key` lies. To take one the kernel walks through all that are taken of the same file, so thousands
/// are spread over sixteen.
fs::path manager::owners_file(std::uint64_t key) const {
  constexpr std::string_view digits = "0123456789abcdef";
  return config_.log_dir / (std::string(".owners-") + digits[key % digits.size()]);
}

fs::path manager::mcp_config_path(const std::string& worker_id) const {
  return config_.log_dir / ("worker-" + worker_id + ".mcp.json");
}

/// It may hold secrets, and is of no use once the child that reads it is gone.
void manager::remove_mcp_config(managed_worker& worker) {
  if (std::exchange(worker.has_mcp_config, false)) files_.remove(mcp_config_path(worker.id));
}

std::error_code manager::write_private(const fs::path& path, std::string_view content) {
  std::error_code error;
  const auto file = files_.create(path, error);
  if (file) error = file->append(content);
  if (file && error) files_.remove(path);
  return error;
}

}  // namespace awm::manager
