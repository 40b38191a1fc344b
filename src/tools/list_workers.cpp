#include "text/json_text.hpp"
#include "text/timestamp.hpp"
#include "text/words.hpp"
#include "tools/define.hpp"
#include "tools/summary.hpp"
#include "tools/tools.hpp"

#include <algorithm>

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Lists the workers of the log folder, the one that changed last first: state, what each is doing and since when, turns, tokens, cost, place in the queue, pending requests, whether its result was delivered. Read this when you no longer know your worker ids (after a compaction, or in a new session): results that nobody collected are still there for wait, and every ended worker can be resumed.

state: only workers in these states. since: only what changed since then (RFC 3339, such as 2026-11-21T12:00:00Z).

States: queued, starting, running, awaiting_permission, background (the turn is finished but for background tasks), completed, failed, cancelled, interrupted (the server ended in the middle).)text";

// The longest answer, in bytes of JSON: below what Claude Code shows inline (50,000 characters).
constexpr std::size_t longest_answer = 39'000;

json input_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "state": {"anyOf": [
        {"enum": ["queued", "starting", "running", "awaiting_permission", "background", "completed", "failed", "cancelled", "interrupted"]},
        {"type": "array", "items": {"enum": ["queued", "starting", "running", "awaiting_permission", "background", "completed", "failed", "cancelled", "interrupted"]}}],
        "description": "A state, or several. Default: all."},
      "since": {"type": "string", "minLength": 10, "description": "Only workers that changed since then: RFC 3339, UTC."}
    },
    "additionalProperties": false
  })");
}

json output_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "workers": {"type": "array", "items": {"type": "object"}},
      "counts": {"type": "object", "description": "Of all workers that match, by state."},
      "not_shown": {"type": "integer", "description": "Workers that did not fit; use state or since."},
      "spent_usd": {"type": "number"}, "budget_usd": {"type": "number"},
      "queue_stopped": {"type": "string"}, "rate_limited_until": {"type": "string"},
      "log_folder_problem": {"type": "string"}
    },
    "required": ["workers", "counts"]
  })");
}

struct filter {
  std::vector<std::string> states;
  std::string since_text;
  std::chrono::system_clock::time_point since{};

  bool takes(const manager::worker_summary& worker) const {
    const auto state = manager::to_string(worker.state);
    const bool right_state = states.empty() || std::find(states.begin(), states.end(), state) != states.end();
    return right_state && worker.changed_at >= since;
  }
};

void from_json(const json& from, filter& into) {
  if (const auto state = from.find("state"); state != from.end()) {
    into.states = state->is_string() ? std::vector{state->get<std::string>()} : state->get<std::vector<std::string>>();
  }
  read(from, "since", into.since_text);
  into.since = text::time_of(into.since_text);
}

asio::awaitable<mcp::tool_result> serve(manager::manager& manager, filter wanted, mcp::request_context&) {
  if (!wanted.since_text.empty() && wanted.since == std::chrono::system_clock::time_point{}) {
    co_return mcp::tool_result::error("since \"" + wanted.since_text +
                                      "\": give a moment in RFC 3339, such as 2026-11-21T12:00:00Z.");
  }
  const auto all = co_await manager.list();
  json answer = {{"workers", json::array()}, {"counts", json::object()}, {"spent_usd", manager.spent_usd()}};
  if (manager.budget_usd()) answer["budget_usd"] = *manager.budget_usd();
  if (const auto why = manager.queue_stopped(); !why.empty()) answer["queue_stopped"] = why;
  if (const auto until = manager.rate_limited_until(); !until.empty()) answer["rate_limited_until"] = until;
  if (const auto why = manager.log_folder_problem(); !why.empty()) answer["log_folder_problem"] = why;
  std::size_t size = text::json_text(answer).size();
  std::size_t not_shown = 0;
  for (const auto& worker : all) {
    if (!wanted.takes(worker)) continue;
    auto& count = answer["counts"][std::string(manager::to_string(worker.state))];
    count = count.is_null() ? 1 : count.get<int>() + 1;
    auto entry = to_json(worker);
    size += text::json_text(entry).size() + 1;
    if (size <= longest_answer) {
      answer["workers"].push_back(std::move(entry));
    } else {
      ++not_shown;
    }
  }
  if (not_shown > 0) answer["not_shown"] = not_shown;
  co_return mcp::tool_result::json(std::move(answer));
}

}  // namespace

mcp::tool list_workers(manager::manager& manager) {
  return define({"list_workers", "List workers", description, input_schema(), output_schema(), effect::none}, manager,
                serve);
}

}  // namespace awm::tools
