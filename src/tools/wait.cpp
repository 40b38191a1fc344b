#include "text/json_text.hpp"
#include "text/words.hpp"
#include "tools/define.hpp"
#include "tools/tools.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <list>
#include <map>

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Blocks until workers have finished, and returns what has finished since the last wait. Waiting costs no tokens; never poll transcripts instead.

No arguments: waits for every worker that is running or queued. worker_ids: for these only. mode "any": returns with the first that finishes (and whatever else is there by then). timeout_s: returns after so long with "timed_out": true, what has finished and the state of the rest; workers are not touched.

Returns at once when a worker needs a permission: answer it with approve_permission, then wait again.

completed: turns that ended well, with a preview of the result; the whole of it: worker_output, or `jq -r .result FILE` on conversation_history_file_path. failed: turns that did not, with error_hint saying why and what helps; one failed worker never hides the others. cancelled: turns that cancel_worker ended. pending_permissions: questions of workers that are blocked on them. conflicts: files that several workers wrote. queue_stopped, rate_limited_until: why nothing starts. log_folder_problem: transcripts wait for room on the disk.

Each finished turn is delivered once, also when it finished before this call or under an earlier server process. What does not fit into one answer stays for the next wait ("more"). A wait that is cancelled loses nothing.)text";

// Enough to see what a worker found.
constexpr std::size_t preview_size = 200;

// The longest answer, in bytes of JSON: below what Claude Code shows inline (50,000 characters).
constexpr std::size_t longest_answer = 39'000;
// More turns than fit into it: the shortest takes over 200 bytes.
constexpr std::size_t most_turns = 200;
// Of it, for the questions.
constexpr std::size_t longest_questions = 16'000;
// More of them than fit.
constexpr std::size_t most_questions = 200;

// Of a result that is nowhere else, since its transcript could not be written.
constexpr std::size_t longest_result = 20'000;

// Of a list that stands whole in the transcript.
constexpr std::size_t most_listed = 10;
constexpr std::size_t most_at_work = 20;
constexpr std::size_t longest_structured = 2'000;
constexpr std::size_t longest_hint = 1'000;

std::string preview(const manager::finished_turn& turn) {
  const auto& result = turn.outcome.result;
  if (turn.result_size <= preview_size) return result;
  return std::string(text::beginning(result, preview_size)) + " … [cut: " + std::to_string(turn.result_size) +
         " bytes in the transcript]";
}

json output_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "completed": {"type": "array", "items": {"type": "object", "properties": {
        "worker_id": {"type": "string"}, "description": {"type": "string"}, "turn": {"type": "integer", "minimum": 1},
        "claude_session_id": {"type": ["string", "null"]}, "conversation_history_file_path": {"type": "string"},
        "result_preview": {"type": "string"}, "result": {"type": "string", "description": "Only while the transcript is not complete on disk."},
        "transcript_incomplete": {"type": "string", "description": "Why the transcript on disk lacks some of this turn. It is written as soon as that is possible."},
        "structured_output": {"description": "What json_schema asked for; a long one stands in the transcript."},
        "num_turns": {"type": "integer"}, "duration_ms": {"type": "integer"},
        "cost_usd": {"type": "number", "description": "Of this turn, an estimate."},
        "total_cost_usd": {"type": "number", "description": "Of the worker, over all its turns."},
        "files_written": {"type": "array", "items": {"type": "string"}}, "files_written_count": {"type": "integer"},
        "denied_tools": {"type": "array", "items": {"type": "string"}},
        "worktree": {"type": "object"}, "context_lost": {"type": "boolean"},
        "warnings": {"type": "array", "items": {"type": "string"}}},
        "required": ["worker_id", "claude_session_id", "conversation_history_file_path"]}},
      "failed": {"type": "array", "items": {"type": "object", "properties": {
        "worker_id": {"type": "string"}, "description": {"type": "string"}, "turn": {"type": "integer", "minimum": 1},
        "state": {"enum": ["failed", "interrupted"]},
        "claude_session_id": {"type": ["string", "null"]}, "conversation_history_file_path": {"type": "string"},
        "returncode": {"type": ["integer", "null"], "description": "Exit status; -N: killed by signal N; null: it never started."},
        "error_hint": {"type": "string"}, "cap": {"type": "string", "description": "The cap that was reached."},
        "warnings": {"type": "array", "items": {"type": "string"}}},
        "required": ["worker_id", "returncode", "conversation_history_file_path", "error_hint"]}},
      "cancelled": {"type": "array", "items": {"type": "object"}},
      "pending_permissions": {"type": "array", "items": {"type": "object", "properties": {
        "request_id": {"type": "string"}, "worker_id": {"type": "string"}, "description": {"type": "string"},
        "tool": {"type": "string"}, "input": {"type": "object"}, "reason": {"type": "string"},
        "same_as": {"type": "string", "description": "The request_id of an earlier one with the same tool and input; its input is not repeated."},
        "blocked_path": {"type": "string"}, "agent_id": {"type": "string"}},
        "required": ["request_id", "worker_id", "tool", "input"]}},
      "pending_not_shown": {"type": "integer"},
      "awaiting_user": {"type": "integer", "description": "Questions that the user is being asked; nothing to do."},
      "outstanding": {"type": "object", "properties": {
        "queued": {"type": "integer"}, "running": {"type": "integer"}, "awaiting_permission": {"type": "integer"},
        "background": {"type": "integer", "description": "Turns that are finished but for tasks in the background."}}},
      "timed_out": {"type": "boolean"},
      "still_at_work": {"type": "array", "items": {"type": "object"}, "description": "What the others do, the first of them; all: list_workers."},
      "more": {"type": "object", "description": "Finished turns that did not fit; the next wait delivers them."},
      "conflicts": {"type": "array", "items": {"type": "object"}},
      "queue_stopped": {"type": "string"}, "rate_limited_until": {"type": "string"}, "log_folder_problem": {"type": "string"},
      "delivered_elsewhere": {"type": "array", "items": {"type": "string"},
        "description": "Workers whose results another wait, in flight at the same time, delivered."}
    },
    "required": ["completed", "failed", "pending_permissions"]
  })");
}

json input_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "worker_ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Wait for these workers only. Default: for all."},
      "mode": {"enum": ["all", "any"], "description": "all (default): until all have finished. any: until the first has."},
      "timeout_s": {"type": "number", "minimum": 0, "maximum": 86400, "description": "Return after so many seconds at most. 0: return what is there. Default: wait as long as it takes."}
    },
    "additionalProperties": false
  })");
}

json to_json(const manager::outstanding_turns& turns) {
  auto counts = text::json_object("queued", turns.queued, "running", turns.running, "awaiting_permission",
                                  turns.awaiting_permission);
  if (turns.background > 0) counts["background"] = turns.background;
  return counts;
}

/// The first few of a list, with a word on how many there are.
json first_of(const std::vector<std::string>& list) {
  json some = json::array();
  for (const auto& each : list) {
    if (some.size() == most_listed) break;
    some.push_back(text::shortened(each, longest_hint));
  }
  return some;
}

const char* list_for(manager::worker_state state) {
  if (state == manager::worker_state::completed) return "completed";
  return state == manager::worker_state::cancelled ? "cancelled" : "failed";
}

/// What has to be said of a turn in any case.
json brief(const manager::finished_turn& turn) {
  auto entry = text::json_object("worker_id", turn.worker_id, "description",
                                 text::shortened(turn.description, preview_size), "turn", turn.turn,
                                 "claude_session_id", turn.session_id.empty() ? json(nullptr) : json(turn.session_id),
                                 "conversation_history_file_path", turn.transcript_path);
  if (!turn.outcome.is_on_disk) {
    entry["transcript_incomplete"] =
        "not all of it is on disk yet: " + text::shortened(turn.outcome.disk_error, preview_size);
  }
  if (turn.outcome.completed) return entry;
  const auto& code = turn.outcome.returncode;
  entry.update({{"returncode", code ? json(*code) : json(nullptr)},
                {"error_hint", text::shortened(turn.outcome.error_hint, preview_size)}});
  if (turn.state == manager::worker_state::interrupted) entry["state"] = "interrupted";
  return entry;
}

json describe(const manager::finished_turn& turn) {
  const auto& outcome = turn.outcome;
  auto entry = brief(turn);
  text::add_members(entry, "num_turns", outcome.num_turns, "duration_ms", outcome.duration_ms, "cost_usd",
                    outcome.cost_usd, "total_cost_usd", turn.total_cost_usd);
  if (!outcome.completed) entry["error_hint"] = text::shortened(outcome.error_hint, longest_hint);
  if (outcome.completed || !outcome.result.empty()) entry["result_preview"] = preview(turn);
  if (!outcome.is_on_disk) entry["result"] = text::shortened(outcome.result, longest_result);
  if (!outcome.structured_output.empty() && outcome.structured_output.size() <= longest_structured) {
    entry["structured_output"] = json::parse(outcome.structured_output);
  }
  if (!outcome.cap.empty()) entry["cap"] = outcome.cap;
  if (outcome.context_lost) entry["context_lost"] = true;
  if (!outcome.warnings.empty()) entry["warnings"] = first_of(outcome.warnings);
  if (!outcome.denied_tools.empty()) entry["denied_tools"] = first_of(outcome.denied_tools);
  if (!turn.files_written.empty()) {
    entry["files_written"] = first_of(turn.files_written);
    entry["files_written_count"] = turn.files_written.size();
  }
  if (!turn.worktree.is_null()) entry["worktree"] = turn.worktree;
  return entry;
}

json describe_conflicts(const std::vector<manager::finished_turn>& turns) {
  auto conflicts = json::array();
  for (const auto& turn : turns) {
    for (const auto& conflict : turn.conflicts) {
      if (conflicts.size() == most_listed) return conflicts;
      conflicts.push_back({{"path", conflict.path},
                           {"worker_ids", {turn.worker_id, conflict.other_worker_id}},
                           {"warning", "\"" + turn.description + "\" and \"" + conflict.other_description +
                                           "\" both wrote this file: check that neither undid the other's work."}});
    }
  }
  return conflicts;
}

/// Strings of an input may be whole files; the reader is a model.
json for_reading(json value, std::size_t longest) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > longest) {
      value = std::string(text::beginning(text, longest)) + " … [cut: " + std::to_string(text.size()) + " bytes]";
    }
  } else if (value.is_structured()) {
    for (auto& member : value) member = for_reading(std::move(member), longest);
  }
  return value;
}

json describe(const manager::pending_permission& pending, std::size_t longest_text) {
  auto entry = text::json_object("request_id", pending.request_id, "worker_id", pending.worker_id, "description",
                                 text::shortened(pending.description, preview_size), "tool", pending.question.tool,
                                 "input", for_reading(json::parse(pending.question.input), longest_text));
  const auto add = [&entry](const char* key, const std::string& value) {
    if (!value.empty()) entry[key] = text::shortened(value, preview_size);
  };
  add("reason", pending.question.reason);
  add("blocked_path", pending.question.blocked_path);
  add("agent_id", pending.question.agent_id);
  return entry;
}

/// Puts the questions into `answer`: whole where there are few, else with their long texts cut, and the last ones
/// counted.
void add_questions(json& answer, const std::list<manager::pending_permission>& pending) {
  constexpr std::array<std::size_t, 3> lengths{4000, 500, 100};
  json shown;
  for (const auto longest_text : lengths) {
    shown = json::array();
    std::map<std::string, std::string> first_with;  // by key, its request_id
    for (const auto& one : pending) {
      if (shown.size() == most_questions) break;
      auto entry = describe(one, longest_text);
      const auto [first, is_new] = first_with.emplace(manager::request_key(one.question), one.request_id);
      if (!is_new) {
        entry["same_as"] = first->second;
        entry["input"] = json::object();
      }
      shown.push_back(std::move(entry));
    }
    if (text::json_text(shown).size() <= longest_questions) break;
  }
  while (shown.size() > 1 && text::json_text(shown).size() > longest_questions) {
    shown.erase(shown.begin() + static_cast<std::ptrdiff_t>(shown.size() / 2), shown.end());
  }
  if (shown.size() < pending.size()) answer["pending_not_shown"] = pending.size() - shown.size();
  answer["pending_permissions"] = std::move(shown);
}

/// The state of those that go on.
json describe_rest(const std::vector<manager::worker_summary>& workers) {
  auto rest = json::array();
  for (const auto& worker : workers) {
    auto entry =
        text::json_object("worker_id", worker.worker_id, "description",
                          text::shortened(worker.description, preview_size), "state", manager::to_string(worker.state));
    if (!worker.activity.empty()) entry["activity"] = worker.activity;
    if (!worker.held_by.empty()) entry["held_by"] = worker.held_by;
    if (worker.queue_position) entry["queue_position"] = *worker.queue_position;
    rest.push_back(std::move(entry));
  }
  return rest;
}

/// How many of the entries have room, from the first on.
std::size_t how_many_fit(const std::vector<json>& entries, std::size_t room) {
  std::size_t size = 0;
  const auto first_without = std::find_if(entries.begin(), entries.end(), [&](const json& entry) {
    size += text::json_text(entry).size() + 1;
    return size > room;
  });
  return static_cast<std::size_t>(first_without - entries.begin());
}

/// The turns as they are told: all of them with everything, or what has to be said of as many as fit, but of one at
/// least.
std::vector<json> tell(const std::vector<manager::finished_turn>& turns, std::size_t room) {
  std::vector<json> entries;
  for (const auto& turn : turns) entries.push_back(describe(turn));
  if (how_many_fit(entries, room) == turns.size()) return entries;
  std::transform(turns.begin(), turns.end(), entries.begin(), brief);
  entries.resize(std::max<std::size_t>(how_many_fit(entries, room), 1));
  return entries;
}

/// The answer in the making: what everybody needs to know first, then as much of the finished turns as fits.
json describe(const manager::manager& manager, manager::join::loan& loan, const manager::selection& workers) {
  auto& found = loan.result;
  auto answer = text::json_object("completed", json::array(), "failed", json::array(), "outstanding",
                                  to_json(manager.outstanding(workers)));
  add_questions(answer, manager.questions_for_model());
  if (const auto asked = manager.questions_with_human(); asked > 0) answer["awaiting_user"] = asked;
  if (found.timed_out) answer["timed_out"] = true;
  if (auto rest = describe_rest(manager.at_work(workers, most_at_work)); !rest.empty())
    answer["still_at_work"] = std::move(rest);
  if (const auto why = manager.queue_stopped(); !why.empty()) answer["queue_stopped"] = why;
  if (const auto until = manager.rate_limited_until(); !until.empty()) answer["rate_limited_until"] = until;
  if (const auto why = manager.log_folder_problem(); !why.empty()) answer["log_folder_problem"] = why;
  if (!found.delivered_elsewhere.empty()) answer["delivered_elsewhere"] = found.delivered_elsewhere;
  if (auto conflicts = describe_conflicts(found.finished); !conflicts.empty())
    answer["conflicts"] = std::move(conflicts);
  const auto room = longest_answer - std::min(longest_answer, text::json_text(answer).size());
  auto shown = tell(found.finished, room);
  for (std::size_t index = shown.size(); index < found.finished.size(); ++index) {
    ++found.left[found.finished[index].state];
  }
  if (!found.left.empty()) {
    json more = {{"note", "Finished too, and not shown: call wait again for them; list_workers shows all."}};
    for (const auto& [state, count] : found.left) {
      auto& total = more[list_for(state)];
      total = total.is_null() ? count : total.get<std::size_t>() + count;
    }
    answer["more"] = std::move(more);
    loan.keep(shown.size());
  }
  for (std::size_t index = 0; index < shown.size(); ++index) {
    answer[list_for(found.finished[index].state)].push_back(std::move(shown[index]));
  }
  return answer;
}

/// "2 of 5 finished; 2 running, 1 queued, 0 awaiting permission", with a number that grows as the protocol demands,
/// also when nothing but time has passed.
class progress_report {
 public:
  explicit progress_report(mcp::request_context& context) : context_(context) {}

  void operator()(std::size_t finished, const manager::outstanding_turns& turns) {
    constexpr double least_step = 0.001;
    const auto total = finished + turns.total();
    last_ = std::max(static_cast<double>(finished), last_ + least_step);
    const auto words = std::to_string(finished) + " of " + std::to_string(total) + " finished; " +
                       std::to_string(turns.running) + " running, " + std::to_string(turns.queued) + " queued, " +
                       std::to_string(turns.awaiting_permission) + " awaiting permission";
    context_.begin_task(words);  // there is something to wait for
    context_.progress(last_, static_cast<double>(total), words);
  }

 private:
  mcp::request_context& context_;
  double last_ = 0;
};

struct arguments {
  manager::wait_request request;
};

void from_json(const json& from, arguments& into) {
  auto& request = into.request;
  if (const auto ids = from.find("worker_ids"); ids != from.end()) {
    request.workers = manager::selection(ids->get<std::vector<std::string>>());
  }
  request.any = from.value("mode", "all") == "any";
  if (const auto timeout = from.find("timeout_s"); timeout != from.end()) {
    request.timeout =
        std::chrono::duration_cast<coro::clock::duration>(std::chrono::duration<double>(timeout->get<double>()));
  }
}

asio::awaitable<mcp::tool_result> serve(manager::manager& manager, arguments given, mcp::request_context& context) {
  manager::join::progress report = progress_report(context);
  auto& request = given.request;
  request.most = most_turns;
  auto waited = co_await manager.wait(request, std::move(report));
  if (const auto* const refused = std::get_if<manager::refusal>(&waited))
    co_return mcp::tool_result::error(refused->reason);
  auto& loan = std::get<manager::join::loan>(waited);
  auto result = mcp::tool_result::json(describe(manager, loan, request.workers));
  result.settled = [settle = std::move(loan.settle)](mcp::delivery what) { settle(what == mcp::delivery::written); };
  co_return result;
}

}  // namespace

mcp::tool wait(manager::manager& manager) {
  definition words{"wait", "Wait for workers", description, input_schema(), output_schema(), effect::none};
  words.is_core = true;
  words.waits = true;
  return define(std::move(words), manager, serve);
}

}  // namespace awm::tools
