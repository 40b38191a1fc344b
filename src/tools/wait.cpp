#include "text/words.hpp"
#include "tools/tools.hpp"

#include <algorithm>

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Blocks until every worker that is running or queued has finished, and returns what has finished since the last wait. Returns at once when a worker needs a permission: answer it with `approve_permission`, then wait again. Waiting costs no tokens; never poll transcripts instead.

completed: turns that ended well, with a preview of the result; the whole of it is in the transcript (conversation_history_file_path): `jq -r .result FILE`. failed: turns that did not, with error_hint saying why and what helps; one failed worker never hides the others. pending_permissions: questions of workers that are blocked on them.

Each finished turn is delivered once, also when it finished before this call. A wait that is cancelled loses nothing: the next one delivers.)text";

// Enough to see what a worker found; a hundred of these stay below what a client shows inline.
constexpr std::size_t preview_size = 200;

// What a person reads before allowing a command or an edit; the whole input stands in the transcript.
constexpr std::size_t longest_input_text = 4000;

// Of a result that is nowhere else, since its transcript could not be written.
constexpr std::size_t longest_result = 40'000;

std::string preview(const std::string& result) {
  if (result.size() <= preview_size) return result;
  return std::string(text::beginning(result, preview_size)) + " … [cut: " + std::to_string(result.size()) +
         " bytes in the transcript]";
}

json output_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "completed": {"type": "array", "items": {"type": "object", "properties": {
        "worker_id": {"type": "string"}, "description": {"type": "string"}, "turn": {"type": "integer", "minimum": 1},
        "claude_session_id": {"type": "string"}, "conversation_history_file_path": {"type": "string"},
        "result_preview": {"type": "string"}, "result": {"type": "string", "description": "Only when the transcript could not be written."}, "num_turns": {"type": "integer"}, "duration_ms": {"type": "integer"},
        "cost_usd": {"type": "number", "description": "Of this turn, an estimate."},
        "total_cost_usd": {"type": "number", "description": "Of the worker, over all its turns."},
        "warnings": {"type": "array", "items": {"type": "string"}}},
        "required": ["worker_id", "claude_session_id", "conversation_history_file_path"]}},
      "failed": {"type": "array", "items": {"type": "object", "properties": {
        "worker_id": {"type": "string"}, "description": {"type": "string"}, "turn": {"type": "integer", "minimum": 1},
        "claude_session_id": {"type": ["string", "null"]}, "conversation_history_file_path": {"type": "string"},
        "returncode": {"type": ["integer", "null"], "description": "Exit status; -N: killed by signal N; null: it never started."},
        "error_hint": {"type": "string"},
        "warnings": {"type": "array", "items": {"type": "string"}}},
        "required": ["worker_id", "returncode", "conversation_history_file_path", "error_hint"]}},
      "pending_permissions": {"type": "array", "items": {"type": "object", "properties": {
        "request_id": {"type": "string"}, "worker_id": {"type": "string"}, "description": {"type": "string"},
        "tool": {"type": "string"}, "input": {"type": "object"}, "reason": {"type": "string"},
        "blocked_path": {"type": "string"}, "agent_id": {"type": "string"}},
        "required": ["request_id", "worker_id", "tool", "input"]}},
      "outstanding": {"type": "object", "properties": {
        "queued": {"type": "integer"}, "running": {"type": "integer"}, "awaiting_permission": {"type": "integer"}}},
      "delivered_elsewhere": {"type": "array", "items": {"type": "string"},
        "description": "Workers whose results another wait, in flight at the same time, delivered."}
    },
    "required": ["completed", "failed", "pending_permissions"]
  })");
}

json to_json(const manager::outstanding_turns& turns) {
  return {{"queued", turns.queued}, {"running", turns.running}, {"awaiting_permission", turns.awaiting_permission}};
}

json describe(const manager::finished_turn& turn) {
  json entry = {{"worker_id", turn.worker_id},
                {"description", turn.description},
                {"turn", turn.turn},
                {"claude_session_id", turn.session_id.empty() ? json(nullptr) : json(turn.session_id)},
                {"conversation_history_file_path", turn.transcript_path}};
  if (!turn.outcome.warnings.empty()) entry["warnings"] = turn.outcome.warnings;
  if (turn.outcome.completed) {
    entry.update({{"result_preview", preview(turn.outcome.result)},
                  {"num_turns", turn.outcome.num_turns},
                  {"duration_ms", turn.outcome.duration_ms},
                  {"cost_usd", turn.outcome.cost_usd},
                  {"total_cost_usd", turn.total_cost_usd}});
    if (!turn.outcome.is_on_disk) entry["result"] = text::shortened(turn.outcome.result, longest_result);
  } else {
    const auto& code = turn.outcome.returncode;
    entry.update({{"returncode", code ? json(*code) : json(nullptr)}, {"error_hint", turn.outcome.error_hint}});
  }
  return entry;
}

/// Strings of an input may be whole files; the reader is a model.
json for_reading(json value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > longest_input_text) {
      value = std::string(text::beginning(text, longest_input_text)) + " … [cut: " + std::to_string(text.size()) +
              " bytes]";
    }
  } else if (value.is_structured()) {
    for (auto& member : value) member = for_reading(std::move(member));
  }
  return value;
}

json describe(const manager::pending_permission& pending) {
  json entry = {{"request_id", pending.request_id},
                {"worker_id", pending.worker_id},
                {"description", pending.description},
                {"tool", pending.question.tool},
                {"input", for_reading(json::parse(pending.question.input))}};
  if (!pending.question.reason.empty()) entry["reason"] = pending.question.reason;
  if (!pending.question.blocked_path.empty()) entry["blocked_path"] = pending.question.blocked_path;
  if (!pending.question.agent_id.empty()) entry["agent_id"] = pending.question.agent_id;
  return entry;
}

json describe(const manager::manager& manager, const manager::join_result& found) {
  json result = {{"completed", json::array()},
                 {"failed", json::array()},
                 {"pending_permissions", json::array()},
                 {"outstanding", to_json(manager.outstanding())}};
  for (const auto& turn : found.finished)
    result[turn.outcome.completed ? "completed" : "failed"].push_back(describe(turn));
  for (const auto& pending : manager.pending_permissions()) result["pending_permissions"].push_back(describe(pending));
  if (!found.delivered_elsewhere.empty()) result["delivered_elsewhere"] = found.delivered_elsewhere;
  return result;
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
    context_.progress(last_, static_cast<double>(total),
                      std::to_string(finished) + " of " + std::to_string(total) + " finished; " +
                          std::to_string(turns.running) + " running, " + std::to_string(turns.queued) + " queued, " +
                          std::to_string(turns.awaiting_permission) + " awaiting permission");
  }

 private:
  mcp::request_context& context_;
  double last_ = 0;
};

asio::awaitable<mcp::tool_result> handle(manager::manager& manager, mcp::request_context& context) {
  manager::join::progress report = progress_report(context);
  auto waited = co_await manager.wait(std::move(report));
  if (const auto* const refused = std::get_if<manager::refusal>(&waited))
    co_return mcp::tool_result::error(refused->reason);
  auto& loan = std::get<manager::join::loan>(waited);
  auto result = mcp::tool_result::json(describe(manager, loan.result));
  result.settled = [settle = std::move(loan.settle)](mcp::delivery what) { settle(what == mcp::delivery::written); };
  co_return result;
}

}  // namespace

mcp::tool wait(manager::manager& manager) {
  mcp::tool tool;
  tool.name = "wait";
  tool.title = "Wait for workers";
  tool.description = description;
  tool.input_schema = {{"type", "object"}, {"properties", json::object()}, {"additionalProperties", false}};
  tool.output_schema = output_schema();
  // Several may run in parallel, and with calls of other tools that change nothing.
  tool.annotations = {{"readOnlyHint", true}, {"openWorldHint", false}};
  // Hundreds of results at once are longer than what Claude Code shows inline otherwise.
  tool.meta = {{"anthropic/alwaysLoad", true}, {"anthropic/maxResultSizeChars", 400'000}};
  tool.handler = [&manager](json, mcp::request_context& context) { return handle(manager, context); };
  return tool;
}

}  // namespace awm::tools
