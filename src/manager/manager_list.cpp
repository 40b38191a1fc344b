// What a manager knows of its workers, and of those that an earlier one left.

#include "coro/join_until.hpp"
#include "manager/manager.hpp"
#include "text/json_text.hpp"
#include "text/timestamp.hpp"
#include "text/words.hpp"
#include "worker/uuid.hpp"

#include <asio/post.hpp>

#include <algorithm>
#include <utility>

namespace awm::manager {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view transcript_prefix = "worker-";
constexpr std::string_view transcript_suffix = ".json";
constexpr std::string_view mcp_config_suffix = ".mcp.json";

// Transcripts read in one go; the rest of the program goes on in between.
constexpr std::size_t transcripts_in_a_row = 16;

/// The id in the name of a worker's file, a transcript unless `suffix` says another; empty for another file.
std::string worker_id_of(const fs::path& path, std::string_view suffix = transcript_suffix) {
  const auto name = path.filename().string();
  if (!name.starts_with(transcript_prefix) || !name.ends_with(suffix)) return {};
  if (name.size() < transcript_prefix.size() + suffix.size()) return {};
  auto id = name.substr(transcript_prefix.size(), name.size() - transcript_prefix.size() - suffix.size());
  return worker::is_uuid(id) ? id : std::string();
}

std::int64_t seconds_between(coro::clock::time_point from, coro::clock::time_point to) {
  return std::chrono::duration_cast<std::chrono::seconds>(to - from).count();
}

}  // namespace

/// Looks once for the workers of earlier managers; later calls wait until that is done.
asio::awaitable<void> manager::recover() {
  if (recovered_.is_set()) co_return;
  if (std::exchange(recovering_, true)) {
    co_await recovered_.async_wait(asio::use_awaitable);
    co_return;
  }
  std::size_t read = 0;
  for (const auto& path : files_.list(config_.log_dir, transcript_suffix)) {
    const auto id = worker_id_of(path);
    if (id.empty() || workers_.contains(id)) continue;
    adopt(id);
    if (++read % transcripts_in_a_row == 0) co_await asio::post(executor_, asio::use_awaitable);
    if (stopping_) break;
  }
  remove_abandoned_mcp_configs();
  recovered_.set();
  join_.changed();
}

/// Takes a worker in that an earlier manager, or one that runs beside this one, left a transcript of.
void manager::adopt(const std::string& worker_id) {
  auto record = worker::transcript::peek(files_, config_.log_dir, worker_id);
  if (!record) return;
  auto adopted = make_worker(worker_id, record->description);
  auto& worker = *adopted;
  workers_.emplace(worker_id, std::move(adopted));
  if (!recovered_.is_set()) return take_in(worker, std::move(*record));
  // A manager beside this one made it since.
  worker.adopt_state(worker_state::running);
  refresh(worker);
}

/// What another manager ran when it was last looked at may have ended since, or be left behind.
void manager::refresh(managed_worker& worker) {
  if (!is_elsewhere(worker)) return;
  // In this order: whoever gives a worker up has noted its deliveries and written its transcript before.
  own(worker);
  deliveries_.load();
  auto record = worker::transcript::peek(files_, config_.log_dir, worker.id);
  if (record) take_in(worker, std::move(*record));
  release_if_done(worker);
}

bool manager::is_elsewhere(const managed_worker& worker) const {
  return worker.is_outstanding() && !worker.ownership && !worker.conversation && !worker.next;
}

void manager::take_in(managed_worker& worker, worker::transcript_record record) {
  auto state = worker_state_of(record.state);
  const auto is_delivered = [&](std::size_t index) { return deliveries_.contains(worker.id, index + 1); };
  bool has_news = is_outstanding(state);
  for (std::size_t index = 0; index < record.turns.size(); ++index) has_news = has_news || !is_delivered(index);
  if (has_news && own(worker) && is_outstanding(state)) {
    // Its manager died: what it had printed is put in order.
    if (!load(worker)) {
      record = worker.transcript->record();
      worker.transcript.reset();
      state = worker_state_of(record.state);
    } else {
      worker.ownership.reset();  // the disk does not let us: whoever asks for the worker tries again
    }
  }
  worker.agent_type = record.agent_type.value_or("");
  worker.turns = record.turns.size();
  worker.total_cost_usd = record.total_cost_usd;
  worker.error = record.error.value_or("");
  worker.model_calls = worker.input_tokens = worker.output_tokens = 0;
  for (const auto& turn : record.turns) {
    worker.model_calls += turn.value("num_turns", std::int64_t{0});
    worker.input_tokens += turn.value("input_tokens", std::int64_t{0});
    worker.output_tokens += turn.value("output_tokens", std::int64_t{0});
    worker.started_at = turn.value("started_at", "");
    worker.ended_at = turn.value("ended_at", "");
  }
  worker.changed_at = text::time_of(worker.ended_at.empty() ? worker.started_at : worker.ended_at);
  worker.adopt_state(state);
  worker.status_entry.clear();
  for (const auto& path : record.files_written) {
    conflicts_.describe(worker.id, worker.description);
    conflicts_.wrote(worker.id, path);
  }
  if (!worker.ownership) return;
  for (std::size_t index = 0; index < record.turns.size(); ++index) {
    if (!is_delivered(index)) join_.add(describe_turn(worker, record, index));
  }
  release_if_done(worker);  // also when all was delivered, and only the disk had not heard of the end
}

/// A manager that was killed leaves the MCP servers of its workers behind, with what signs in to them. Whoever gets the
/// lock knows that the worker has no child.
void manager::remove_abandoned_mcp_configs() {
  for (const auto& path : files_.list(config_.log_dir, mcp_config_suffix)) {
    const auto id = worker_id_of(path, mcp_config_suffix);
    if (id.empty()) continue;
    const auto known = workers_.find(id);
    if (known != workers_.end() && known->second->has_mcp_config) continue;
    std::error_code error;
    const auto key = worker::lock_key(id);
    const bool is_ours = known != workers_.end() && known->second->ownership;
    const auto lock = is_ours ? nullptr : files_.try_lock(owners_file(key), key, error);
    if (is_ours || lock) files_.remove(path);
  }
}

/// Says so when there is no such worker; takes it in from its transcript when there is one.
std::optional<refusal> manager::unknown_worker(const std::string& worker_id) {
  if (!worker::is_uuid(worker_id)) {
    return refusal{"worker_id \"" + worker_id +
                   "\" is not a worker id: give the UUID that spawn_worker returned; list_workers shows all."};
  }
  if (!workers_.contains(worker_id)) adopt(worker_id);
  if (const auto found = workers_.find(worker_id); found != workers_.end()) {
    refresh(*found->second);
    return std::nullopt;
  }
  const auto path = worker::transcript::path_in(config_.log_dir, worker_id);
  return refusal{"There is no worker " + worker_id + ": " +
                 (files_.is_regular_file(path) ? path.string() + " is not a transcript of this program"
                                               : "there is no " + path.string()) +
                 ". list_workers shows all."};
}

/// Says so when another manager runs the worker.
std::optional<refusal> manager::runs_elsewhere(const managed_worker& worker) const {
  if (!is_elsewhere(worker)) return std::nullopt;
  return belongs_elsewhere(worker);
}

refusal manager::belongs_elsewhere(const managed_worker& worker) const {
  return {"Worker " + worker.id + " (" + worker.description +
          ") belongs to another server process that uses the same log folder " + config_.log_dir.string() +
          ": it runs there, or its result has not been collected there."};
}

asio::awaitable<std::vector<worker_summary>> manager::list() {
  co_await recover();
  for (const auto& path : files_.list(config_.log_dir, transcript_suffix)) {
    const auto id = worker_id_of(path);
    if (!id.empty() && !workers_.contains(id)) adopt(id);
  }
  std::vector<worker_summary> all;
  all.reserve(workers_.size());
  for (const auto& [id, worker] : workers_) {
    refresh(*worker);
    all.push_back(summarize(*worker));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& one, const auto& other) { return one.changed_at > other.changed_at; });
  co_return all;
}

std::vector<worker_summary> manager::at_work(const selection& which, std::size_t most) const {
  std::vector<worker_summary> found;
  const auto wanted = std::min(most, outstanding(which).total());
  for (const auto& [id, worker] : workers_) {
    if (found.size() == wanted) break;  // most of the time before the first: a wait that is over has nobody at work
    if (worker->is_outstanding() && which.contains(id)) found.push_back(summarize(*worker));
  }
  return found;
}

worker_summary manager::summarize(const managed_worker& worker) const {
  worker_summary shown;
  shown.worker_id = worker.id;
  shown.description = worker.description;
  shown.agent_type = worker.agent_type;
  shown.state = worker.state();
  shown.started_at = worker.started_at;
  shown.ended_at = worker.ended_at;
  shown.changed_at = worker.changed_at;
  shown.turns = worker.turns;
  shown.model_calls = worker.model_calls;
  shown.input_tokens = worker.input_tokens;
  shown.output_tokens = worker.output_tokens;
  shown.total_cost_usd = worker.total_cost_usd + worker.cost_so_far_usd;
  shown.background_tasks = worker.state() == worker_state::background ? worker.background_tasks : 0;
  shown.pending_requests = worker.questions;
  shown.is_delivered = !worker.is_outstanding() && !join_.holds(worker.id);
  shown.is_warm = worker.conversation && worker.conversation->is_idle();
  shown.is_elsewhere = is_elsewhere(worker);
  shown.error = worker.error;
  shown.transcript_path = worker.transcript_path;
  shown.recent = worker.doing.lines();
  if (worker.state() == worker_state::queued) shown.queue_position = queue_.position(worker.id);
  shown.held_by = worker.held_by;
  if (shown.queue_position && queue_.held_until())
    shown.held_by = "waiting for rate limit until " + rate_limited_until();
  if (worker.conversation && worker.conversation->serves_turn()) {
    shown.activity = worker.doing.current();
    shown.activity_seconds = seconds_between(worker.doing.since(), clock_.now());
    shown.idle_seconds = seconds_between(worker.doing.last(), clock_.now());
  }
  return shown;
}

asio::awaitable<answer<worker_output>> manager::output(std::string worker_id, coro::clock::duration patience) {
  if (const auto unknown = unknown_worker(worker_id)) co_return *unknown;
  auto& worker = *workers_.at(worker_id);
  const auto deadline = clock_.now() + patience;
  while (worker.is_outstanding() && !runs_elsewhere(worker) && clock_.now() < deadline) {
    co_await coro::join_until(news_, clock_, deadline);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) break;
  }
  worker_output shown;
  shown.summary = summarize(worker);
  shown.is_finished = !worker.is_outstanding();
  if (!shown.is_finished) co_return shown;
  const auto on_disk = worker::transcript::peek(files_, config_.log_dir, worker_id);
  if (worker.transcript || on_disk) {
    const auto& record = worker.transcript ? worker.transcript->record() : *on_disk;
    shown.result = record.result;
    shown.structured_output = record.structured_output;
  }
  co_return shown;
}

std::vector<worker_summary> manager::known() const {
  std::vector<worker_summary> all;
  all.reserve(workers_.size());
  for (const auto& [id, worker] : workers_) all.push_back(summarize(*worker));
  return all;
}

answer<std::string> manager::transcript(const std::string& worker_id, std::size_t most) const {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return refusal{"There is no worker " + text::shortened(worker_id, 80) + "."};
  const auto& path = found->second->transcript_path;
  const auto file = files_.view_own(path);
  if (!file) return refusal{"The transcript " + path + " cannot be read."};
  if (file->bytes().size() > most) {
    return refusal{"The transcript has " + std::to_string(file->bytes().size()) + " bytes; read it from the file " +
                   path + "."};
  }
  return std::string(file->bytes());
}

std::vector<std::string> manager::known_ids(std::string_view beginning) const {
  std::vector<std::string> ids;
  for (auto one = workers_.lower_bound(beginning); one != workers_.end() && one->first.starts_with(beginning); ++one) {
    ids.push_back(one->first);
  }
  return ids;
}

void manager::touch(managed_worker& worker) {
  worker.status_entry.clear();
  changed_.insert(worker.id);
  status_.changed();
}

void manager::tell_changes() {
  const auto changed = std::exchange(changed_, {});
  if (change_hook_) change_hook_(changed);
}

/// What a worker's entry in the status file says, without the brace at its end.
std::string manager::status_entry(const managed_worker& worker) const {
  const auto cost = worker.total_cost_usd + worker.cost_so_far_usd;
  const bool is_interrupted = stopping_ && worker.is_outstanding() && !is_elsewhere(worker);
  const bool works = worker.conversation && worker.conversation->serves_turn();
  const auto activity = works ? worker.doing.current() : std::string();
  const auto entry = text::json_object(
      "id", worker.id, "type", worker.agent_type.empty() ? "general-purpose" : worker.agent_type, "description",
      worker.description, "status", to_string(is_interrupted ? worker_state::interrupted : worker.state()), "started",
      worker.started_at, "ended", worker.ended_at.empty() ? json(nullptr) : json(worker.ended_at), "cost_usd", cost,
      "turns", worker.turns, "activity", activity.empty() ? json(nullptr) : json(activity), "transcript",
      worker.transcript_path);
  auto text = text::json_text(entry);
  text.pop_back();
  return text;
}

/// Most of the workers, which may be thousands, have not changed since the last time.
std::string manager::status() const {
  std::string text = "{\"session_id\": " + text::json_text(session_id_) +
                     ",\n \"updated\": " + text::json_text(text::timestamp(clock_.utc_now())) +
                     ",\n \"cost_usd\": " + text::json_text(spent_usd());
  if (config_.budget_usd) text += ",\n \"budget_usd\": " + text::json_text(*config_.budget_usd);
  const auto limit = rate_limited_until();
  if (!limit.empty()) text += ",\n \"rate_limited_until\": " + text::json_text(limit);
  if (config_.prewarm > 0) {
    text += ",\n \"spares\": " + text::json_text(json{{"ready", spares_.ready()}, {"starting", spares_.starting()}});
  }
  text += ",\n \"agents\": [";
  const auto positions = queue_.positions();
  bool first = true;
  for (const auto& [id, worker] : workers_) {
    if (worker->status_entry.empty() || stopping_) worker->status_entry = status_entry(*worker);
    text += std::exchange(first, false) ? "\n  " : ",\n  ";
    text += worker->status_entry;
    text += ",\"pending_requests\":" + std::to_string(worker->questions);
    const auto position = positions.find(id);
    if (position != positions.end()) text += ",\"queue_position\":" + std::to_string(position->second);
    const auto held_by =
        position != positions.end() && queue_.held_until() ? "waiting for rate limit until " + limit : worker->held_by;
    if (!held_by.empty()) text += ",\"held_by\":" + text::json_text(held_by);
    text += '}';
  }
  text += "]}\n";
  return text;
}

}  // namespace awm::manager
