#include "checks.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace awm::simulation {

using nlohmann::json;

namespace {

constexpr std::string_view end_of_messages = "],\n\"worker_id\":";

bool is_final(const std::string& state) {
  return state == "completed" || state == "failed" || state == "cancelled" || state == "interrupted";
}

std::string id_of(const std::filesystem::path& path) {
  return path.stem().string().substr(std::string_view("worker-").size());
}

std::size_t count_of(std::string_view part, std::string_view text) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

}  // namespace

void checks::fail(std::string what) {
  if (failure_) return;
  shared_.events.note("FAILED", what);
  failure_ = std::move(what);
}

// ---- transcripts ----

void checks::transcript_replaced(const std::filesystem::path& path, const std::string& bytes) {
  const auto id = id_of(path);
  const auto whole = json::parse(bytes, nullptr, false);
  const auto end = bytes.rfind(end_of_messages);
  if (whole.is_discarded() || end == std::string::npos) return fail("the transcript of " + id + " is no JSON");
  if (whole["worker_id"] != id) return fail("the transcript of " + id + " belongs to another worker");
  auto& known = transcripts_[id];
  // A message is never lost again, and none changes.
  std::string_view before = known.messages;
  while (before.ends_with('\n')) before.remove_suffix(1);
  auto messages = bytes.substr(0, end);
  if (!messages.starts_with(before)) return fail("the transcript of " + id + " lost messages that it had");
  const auto& turns = whole["turns"];
  if (turns.size() < known.turns.size()) return fail("the transcript of " + id + " lost a turn");
  for (std::size_t index = 0; index < known.turns.size(); ++index) {
    const auto& old = known.turns[index];
    const auto& now = turns[index];
    if (old["prompt"] != now["prompt"]) return fail("a prompt changed in the transcript of " + id);
    const auto retries = [](const json& turn) { return turn.value("retries", 0); };
    const bool goes_back = is_final(old["state"]) && old["state"] != now["state"] && retries(now) == retries(old);
    if (goes_back) return fail("a turn of " + id + " that was " + old["state"].dump() + " is " + now["state"].dump());
  }
  for (const auto& turn : turns) {
    for (const auto& tag : tags_in(turn["prompt"].get<std::string>())) {
      const auto [owner, is_new] = owners_.emplace(tag, id);
      if (owner->second != id) return fail("the prompt " + tag + " of " + owner->second + " is in " + id);
    }
  }
  known.messages = std::move(messages);
  known.timeout_s.reset();
  if (whole["options"].contains("timeout_s")) known.timeout_s = whole["options"]["timeout_s"].get<double>();
  known.turns.assign(turns.begin(), turns.end());
}

void checks::disk_refused(const std::string& worker_id) {
  refused_.insert(worker_id);
}

void checks::message_read(const std::string& tag, std::string id) {
  if (!is_stopping_) being_read_.emplace_back(tag, std::move(id));
}

std::optional<duration> checks::time_limit(const std::string& tag) const {
  const auto found = transcripts_.find(owner_of(tag));
  if (found == transcripts_.end() || !found->second.timeout_s) return std::nullopt;
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>(*found->second.timeout_s));
}

void checks::step_is_over(bool is_alive) {
  if (being_read_.empty()) return;
  if (is_alive) read_.insert(read_.end(), being_read_.begin(), being_read_.end());
  being_read_.clear();
}

std::string checks::owner_of(const std::string& tag) const {
  const auto found = owners_.find(tag);
  return found == owners_.end() ? std::string() : found->second;
}

// ---- deliveries ----

void checks::response_written(std::uint64_t request, const json& answer) {
  for (const auto* const list : {"completed", "failed", "cancelled"}) {
    for (const auto& entry : answer.value(list, json::array())) turn_written(request, entry);
  }
}

void checks::turn_written(std::uint64_t request, const json& entry) {
  const turn_key key{entry["worker_id"].get<std::string>(), entry["turn"].get<std::size_t>()};
  const auto name = key.worker_id + " turn " + std::to_string(key.turn);
  ++shared_.counts.delivered;
  for (const auto& tag : tags_in(entry.value("result_preview", ""))) {
    const auto owner = owner_of(tag);
    if (owner != key.worker_id)
      return fail("the result of " + name + " speaks of " + tag + ", which is " + owner + "'s");
  }
  const auto thrown_away = given_up_.contains(request);
  const auto known = deliveries_.find(key);
  if (known != deliveries_.end() && known->second.what == fate::written) {
    if (known->second.server == server_) return fail(name + " was delivered twice by one server");
    if (journal_.contains(key)) return fail(name + " was delivered again though the journal had it");
  }
  auto& now = deliveries_[key];
  now = {thrown_away ? fate::owed : fate::written, request, server_};
}

void checks::request_cancelled(std::uint64_t request, std::uint64_t position) {
  given_up_[request] = {position};
  for (auto& [key, one] : deliveries_) {
    if (one.request == request && one.what == fate::written) one.what = fate::owed;
  }
}

void checks::server_began() {
  ++server_;
  processed_ = 0;
  is_stopping_ = false;
  journal_is_complete_ = true;
}

void checks::journal_written(std::string_view lines) {
  for (auto end = lines.find('\n'); end != std::string_view::npos; end = lines.find('\n')) {
    const auto line = json::parse(lines.substr(0, end), nullptr, false);
    lines.remove_prefix(end + 1);
    if (!line.is_object()) continue;
    const turn_key key{line["worker_id"], line["turn"]};
    if (line.contains("taken_back")) {
      journal_.erase(key);
    } else {
      journal_.insert(key);
    }
  }
}

void checks::server_gone(bool at_rest) {
  // Whether the server had heard of it before it went cannot be told from here.
  for (auto& [key, one] : deliveries_) {
    if (one.what != fate::owed || one.server != server_) continue;
    const auto cancelled = given_up_.find(one.request);
    const bool was_heard = at_rest && cancelled != given_up_.end() && cancelled->second.position <= processed_;
    if (!was_heard || !journal_is_complete_) one.what = fate::uncertain;
  }
  given_up_.clear();
}

// ---- permissions ----

void checks::question_asked(const std::string& tag, bool by_rule, bool allow_by_rule) {
  ++shared_.counts.questions;
  questions_[tag] = {by_rule, allow_by_rule, std::nullopt, false};
}

void checks::decided(const std::string& tag, bool allow) {
  const auto found = questions_.find(tag);
  if (found != questions_.end()) found->second.decision = allow;
}

void checks::decided_for_all(const std::string& command, bool allow) {
  decisions_for_all_[command].insert(allow);
}

void checks::answered(const std::string& tag, const std::string& command, bool allow) {
  const auto found = questions_.find(tag);
  if (found == questions_.end()) return fail("an answer to " + tag + ", which nobody asked");
  auto& asked = found->second;
  if (std::exchange(asked.is_answered, true)) return fail("the question " + tag + " was answered twice");
  const auto for_all = decisions_for_all_.find(command);
  const bool is_remembered = for_all != decisions_for_all_.end() && for_all->second.contains(allow);
  if (is_remembered) return;
  if (asked.by_rule) {
    if (asked.allow_by_rule != allow) fail("the question " + tag + " was answered against its rule");
    return;
  }
  if (!asked.decision) return fail("the question " + tag + " was answered by nobody");
  if (*asked.decision != allow) return fail("the question " + tag + " was answered otherwise than decided");
}

// ---- the end ----

void checks::at_the_end(const std::map<std::filesystem::path, std::string>& files) {
  for (const auto& [id, known] : transcripts_) {
    for (std::size_t index = 0; index < known.turns.size(); ++index) {
      const std::string state = known.turns[index]["state"];
      const auto name = id + " turn " + std::to_string(index + 1);
      if (!is_final(state)) return fail(name + " is " + state + " at the end");
      const auto delivered = deliveries_.find({id, index + 1});
      if (delivered == deliveries_.end()) return fail(name + " (" + state + ") was never delivered");
      if (delivered->second.what == fate::owed) return fail(name + " was not delivered after a cancelled wait");
    }
  }
  for (const auto& [tag, message] : read_) {
    const auto owner = owner_of(tag);
    if (owner.empty()) return fail("the prompt " + tag + " is in no transcript");
    const auto count = count_of(message, transcripts_[owner].messages);
    if (count > 1) return fail("the message " + message + " stands " + std::to_string(count) + " times in " + owner);
    if (count == 0 && !refused_.contains(owner))
      return fail("the message " + message + " of " + tag + " is not in " + owner);
  }
  for (const auto& [path, bytes] : files) {
    if (path.native().ends_with(".mcp.json")) return fail(path.string() + " was left behind");
  }
}

}  // namespace awm::simulation
