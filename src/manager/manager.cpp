#include "manager/manager.hpp"

#include "worker/uuid.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

namespace awm::manager {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Of the 90 ms that the program takes to end; the rest is the client's and the children's.
constexpr std::chrono::milliseconds patience_with_files{40};

worker::launch_spec version_question(const manager_config& config) {
  return {config.claude.string(),
          {"--version"},
          worker::to_assignments(worker::inherited_environment(config.environment)),
          config.cwd.string()};
}

/// The `answers` of an AskUserQuestion go beside the questions; callers may give them alone.
json completed_input(const pending_permission& pending, const json& updated_input) {
  auto input = json::parse(pending.question.input);
  if (pending.question.tool != "AskUserQuestion") return updated_input;
  input.update(updated_input);
  return input;
}

}  // namespace

/// A worker as the manager keeps it: in memory what a list needs, on disk the rest.
class manager::managed_worker final : public worker::turn_observer {
 public:
  enum class state { ended, queued, running, awaiting_permission };

  managed_worker(manager& owner, std::string worker_id, std::string text)
      : owner_(owner), id(std::move(worker_id)), description(std::move(text)) {}

  bool is_outstanding() const { return state_ != state::ended; }

  void enter(state entered_state) {
    if (auto* const left = counter(state_)) --*left;
    state_ = entered_state;
    if (auto* const entered = counter(state_)) ++*entered;
    owner_.join_.changed();
  }

  void permission_asked(const worker::permission_line& question) override {
    owner_.broker_.add({worker::random_uuid(), id, description, question});
    ++questions_;
    enter(state::awaiting_permission);
  }

  void permission_withdrawn(const std::string& request_id) override {
    owner_.broker_.withdraw(id, request_id);
    question_closed();
  }

  void question_closed() {
    --questions_;
    enter(questions_ == 0 ? state::running : state::awaiting_permission);
  }

  void turn_ended(const worker::turn_outcome& outcome) override {
    const auto& record = transcript->record();
    is_on_disk = outcome.is_on_disk;
    owner_.join_.add({id, description, record.turns.size(), record.session_id, transcript->path().string(),
                      record.total_cost_usd, outcome});
    enter(state::ended);
  }

 private:
  std::size_t* counter(state which) {
    switch (which) {
      case state::queued:
        return &owner_.outstanding_.queued;
      case state::running:
        return &owner_.outstanding_.running;
      case state::awaiting_permission:
        return &owner_.outstanding_.awaiting_permission;
      case state::ended:
        break;
    }
    return nullptr;
  }

  manager& owner_;
  state state_ = state::ended;
  std::size_t questions_ = 0;

 public:
  const std::string id;
  const std::string description;
  /// Loaded while a turn is accepted or runs.
  std::unique_ptr<worker::transcript> transcript;
  /// False when the last turn could not be written: then the transcript in memory is all there is, and stays.
  bool is_on_disk = true;
  /// The turn whose child lives, and the one that waits for it to be gone or for a slot.
  std::unique_ptr<worker::turn> running;
  std::optional<worker::turn_request> next;
};

manager::manager(asio::any_io_executor executor, manager_config config, worker::launcher& launcher, coro::clock& clock,
                 worker::files& files)
    : executor_(executor),
      config_(std::move(config)),
      launcher_(launcher),
      clock_(clock),
      files_(files),
      probe_(executor, launcher, clock, version_question(config_)),
      join_(
          executor, clock, [this] { return outstanding_; }, [this] { return !broker_.empty(); }),
      queue_(config_.max_workers),
      turns_(executor) {}

manager::~manager() = default;

void manager::probe_cli() {
  if (config_.claude.empty()) return;
  const auto ask = [](cli_probe& probe) -> asio::awaitable<void> { co_await probe.ask(); };
  turns_.spawn(ask(probe_));
}

asio::awaitable<std::optional<refusal>> manager::cannot_start() {
  if (stopping_) co_return refusal{"The manager is shutting down; nothing new is started."};
  if (config_.claude.empty()) {
    co_return refusal{
        "The Claude Code CLI was not found: " + config_.claude_name +
        " is no program that can be run. Install it (npm install -g @anthropic-ai/claude-code), or start this "
        "server with --claude /absolute/path/to/claude."};
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
  explicit announced_turn(manager& owner) : owner_(owner) { ++owner_.outstanding_.queued; }
  announced_turn(const announced_turn&) = delete;
  announced_turn& operator=(const announced_turn&) = delete;
  ~announced_turn() {
    --owner_.outstanding_.queued;
    owner_.join_.changed();
  }

 private:
  manager& owner_;
};

asio::awaitable<answer<accepted_turn>> manager::spawn(spawn_request request) {
  const announced_turn announced(*this);
  const auto problem = co_await cannot_start();
  if (problem) co_return *problem;
  auto worker = std::make_unique<managed_worker>(*this, worker::random_uuid(), request.description);
  worker::transcript_record record;
  record.worker_id = worker->id;
  record.description = request.description;
  record.agent_type = request.agent_type;
  record.options = request.options.is_null() ? json::object() : request.options;
  worker->transcript = std::make_unique<worker::transcript>(files_, config_.log_dir, std::move(record));
  worker::launch_request launch;
  launch.session_id = worker::random_uuid();
  auto accepted = accept(*worker, std::move(request.prompt), std::move(launch));
  if (std::holds_alternative<accepted_turn>(accepted)) {
    auto& kept = *workers_.emplace(worker->id, std::move(worker)).first->second;
    enqueue(kept);
    std::get<accepted_turn>(accepted).queued = kept.next.has_value();
  }
  co_return accepted;
}

asio::awaitable<answer<accepted_turn>> manager::resume(resume_request request) {
  const announced_turn announced(*this);
  const auto problem = co_await cannot_start();
  if (problem) co_return *problem;
  auto found = find_or_load(request.worker_id);
  if (auto* const unknown = std::get_if<refusal>(&found)) co_return *unknown;
  auto& worker = *std::get<managed_worker*>(found);
  auto& record = worker.transcript->record();
  auto wanted = record.options;
  worker::launch_request launch;
  try {
    wanted = worker::options_to_json(worker::merge_options(worker::options_from_json(record.options), request.options));
  } catch (const json::exception& damaged) {
    co_return refusal{worker.transcript->path().string() + ": the options in it are damaged: " + damaged.what()};
  }
  launch.session_id = record.session_id;
  launch.session_cwd = record.cwd;
  launch.resume = true;
  const auto before = std::exchange(record.options, std::move(wanted));
  auto accepted = accept(worker, std::move(request.prompt), std::move(launch));
  if (std::holds_alternative<accepted_turn>(accepted)) {
    enqueue(worker);
    std::get<accepted_turn>(accepted).queued = worker.next.has_value();
  } else {
    record.options = before;
    if (!worker.running) worker.transcript.reset();
  }
  co_return accepted;
}

/// A worker whose last turn ended, with its transcript in memory.
answer<manager::managed_worker*> manager::find_or_load(const std::string& worker_id) {
  if (!worker::is_uuid(worker_id)) {
    return refusal{"worker_id \"" + worker_id + "\" is not a worker id: give the UUID that spawn_worker returned."};
  }
  auto known = workers_.find(worker_id);
  if (known != workers_.end() && known->second->is_outstanding()) {
    return refusal{"Worker " + worker_id + " (" + known->second->description +
                   ") is still working on its last prompt; wait for it first."};
  }
  if (known == workers_.end() || !known->second->transcript) {
    std::string error;
    auto transcript = worker::transcript::load(files_, config_.log_dir, worker_id, error);
    if (!transcript) return refusal{"Worker " + worker_id + " cannot be resumed: " + error + "."};
    if (known == workers_.end()) {
      auto worker = std::make_unique<managed_worker>(*this, worker_id, transcript->record().description);
      known = workers_.emplace(worker_id, std::move(worker)).first;
    }
    known->second->transcript = std::move(transcript);
  }
  if (known->second->transcript->record().session_id.empty()) {
    const auto error = known->second->transcript->record().error.value_or("it never began to work");
    return refusal{"Worker " + worker_id + " has no session to continue: " + error +
                   " Start a new one with spawn_worker."};
  }
  return known->second.get();
}

/// Plans the turn and puts it on record. What is refused leaves no trace.
answer<accepted_turn> manager::accept(managed_worker& worker, std::string prompt, worker::launch_request launch) {
  auto& record = worker.transcript->record();
  std::vector<std::string> warnings;
  auto planned = plan(worker, prompt, launch, warnings);
  if (auto* const problem = std::get_if<refusal>(&planned)) return *problem;
  auto& next = std::get<worker::turn_request>(planned);
  record.cwd = next.launch.working_directory;
  record.session_id = launch.session_id;
  record.state = queue_.has_free_slot() && !worker.running ? "running" : "queued";
  record.error.reset();
  record.turns.push_back({{"prompt", std::move(prompt)}, {"state", record.state}});
  for (const auto& warning : warnings) {
    if (std::find(record.warnings.begin(), record.warnings.end(), warning) == record.warnings.end()) {
      record.warnings.push_back(warning);
    }
  }
  if (const auto error = worker.transcript->save()) {
    record.turns.erase(record.turns.size() - 1);
    return refusal{"The transcript " + worker.transcript->path().string() + " cannot be written: " + error.message() +
                   ". Nothing was started."};
  }
  worker.next = std::move(next);
  return accepted_turn{worker.id, false, worker.transcript->path().string(), std::move(warnings)};
}

answer<worker::turn_request> manager::plan(managed_worker& worker, std::string prompt,
                                           const worker::launch_request& launch, std::vector<std::string>& warnings) {
  const auto& record = worker.transcript->record();
  auto request = launch;
  request.wanted = worker::options_from_json(record.options);
  request.agent_type = record.agent_type.value_or("");
  request.cli = cli_.version;
  request.cwd = config_.cwd.string();
  request.as_root = config_.as_root;
  request.mcp_config_path = mcp_config_path(worker.id);
  auto plan = worker::plan_launch(request, config_.launch, config_.environment, files_);
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
  warnings = std::move(plan.warnings);
  return worker::turn_request{
      {config_.claude.string(), std::move(plan.arguments), std::move(plan.environment), std::move(plan.cwd)},
      std::move(plan.initialize),
      std::move(prompt),
      worker::random_uuid(),
      worker::features_of(cli_.version).client_composed,
      std::move(plan.expectations)};
}

void manager::enqueue(managed_worker& worker) {
  worker.enter(managed_worker::state::queued);
  // The child of the turn before may still be on its way out; two processes on one session would lose one's turn.
  if (worker.running) return;
  queue_.push([this, &worker] {
    worker.running = std::make_unique<worker::turn>(std::move(*worker.next), launcher_, clock_, reading_,
                                                    *worker.transcript, worker);
    worker.next.reset();
    worker.enter(managed_worker::state::running);
    turns_.spawn(run_turn(worker));
  });
}

asio::awaitable<void> manager::run_turn(managed_worker& worker) {
  co_await worker.running->run();
  worker.running.reset();
  files_.remove(mcp_config_path(worker.id));
  if (worker.next) {
    enqueue(worker);
  } else if (worker.is_on_disk) {
    worker.transcript.reset();
  }
  queue_.release();
}

asio::awaitable<answer<join::loan>> manager::wait(join::progress report) {
  if (!join_.has_anything()) {
    co_return refusal{
        "No active workers to wait for: nothing is running or queued, and every finished turn has been delivered. "
        "Start one "
        "with spawn_worker, or continue one with resume_worker, then wait."};
  }
  auto loan = co_await join_.wait(std::move(report));
  co_return loan;
}

answer<pending_permission> manager::decide(const std::string& request_id, const permission_decision& decision) {
  const auto* const found = broker_.find(request_id);
  if (found == nullptr) {
    std::string pending;
    for (const auto& other : broker_.pending()) {
      pending += (pending.empty() ? "" : ", ") + other.request_id + " (" + other.question.tool + ", " +
                 other.description + ")";
    }
    return refusal{"request_id \"" + request_id +
                   "\" is not pending: it was answered already, withdrawn by the worker, or never "
                   "existed. " +
                   (pending.empty() ? "Nothing is pending." : "Pending now: " + pending + ".")};
  }
  const auto answered = *found;
  const auto& question = answered.question;
  auto& worker = *workers_.at(answered.worker_id);
  if (decision.allow && question.tool == "AskUserQuestion" && !decision.updated_input.contains("answers")) {
    return refusal{
        "AskUserQuestion needs the answers: give updated_input {\"answers\": {\"<question text>\": \"<label or free "
        "text>\"}} with one entry for each question, or allow: false with a reason."};
  }
  // 2.1.197 tells the model that a plan was edited when it comes back, even unchanged; an empty input means unchanged.
  auto input = question.tool == "ExitPlanMode" ? "{}" : question.input;
  if (!decision.updated_input.is_null()) input = completed_input(answered, decision.updated_input).dump();
  broker_.remove(request_id);
  if (decision.allow) {
    worker.running->allow(question.request_id, input);
  } else {
    worker.running->deny(question.request_id, decision.reason.empty() ? "The user denied this." : decision.reason);
  }
  worker.question_closed();
  return answered;
}

void manager::stop() {
  if (std::exchange(stopping_, true)) return;
  queue_.clear();
  signal_children(SIGINT);  // on which the CLI ends its own tools
  // Replacing a file costs milliseconds on a real disk. What is not put in order in time stays as a killed manager
  // would leave it: recovered by whoever loads it next.
  const auto deadline = clock_.now() + patience_with_files;
  for (const auto& [id, worker] : workers_) {
    if (clock_.now() < deadline) {
      close_books(*worker);
    } else if (worker->running) {
      worker->running->abandon();
    }
  }
}

void manager::close_books(managed_worker& worker) {
  if (worker.running) worker.running->stop();
  if (!worker.next) return;
  auto& record = worker.transcript->record();
  record.state = "interrupted";
  record.error = "The manager was stopped before this turn began.";
  record.turns.back()["state"] = record.state;
  worker.transcript->save();
  worker.next.reset();
}

void manager::signal_children(int number) {
  for (const auto& [id, worker] : workers_) {
    if (worker->running) worker->running->signal(number);
  }
}

/// Made when it is first needed: a server that never starts a worker leaves nothing behind.
std::error_code manager::prepare_log_dir() {
  if (files_.is_directory(config_.log_dir)) return {};  // somebody else's folder keeps its own .gitignore, or none
  if (const auto error = files_.create_directory(config_.log_dir)) return error;
  return write_private(config_.log_dir / ".gitignore", "*\n");
}

fs::path manager::mcp_config_path(const std::string& worker_id) const {
  return config_.log_dir / ("worker-" + worker_id + ".mcp.json");
}

std::error_code manager::write_private(const fs::path& path, std::string_view content) {
  std::error_code error;
  const auto file = files_.create(path, error);
  return file ? file->append(content) : error;
}

}  // namespace awm::manager
