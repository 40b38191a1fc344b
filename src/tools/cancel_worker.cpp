#include "tools/define.hpp"
#include "tools/tools.hpp"

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Ends what a worker is doing, or what all are (worker_id "all"): it is interrupted, and its processes and those of its tools are ended. Returns when they are gone. A queued worker is just taken out of the queue.

The turn ends in the state "cancelled" (wait lists it under cancelled); what it had done is in its transcript, and resume_worker continues it. Use it for workers whose result is no longer wanted, such as the losers of a race. To change what a worker does, use send_message.)text";

json input_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "worker_id": {"type": "string", "minLength": 1, "description": "The UUID that spawn_worker returned, or \"all\"."},
      "reason": {"type": "string", "description": "Stands in the transcript and in the answer of wait."}
    },
    "required": ["worker_id"],
    "additionalProperties": false
  })");
}

json output_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "cancelled": {"type": "array", "items": {"type": "string"}},
      "not_at_work": {"type": "array", "items": {"type": "string"}, "description": "Ended before; nothing was done to them."}
    },
    "required": ["cancelled"]
  })");
}

struct arguments {
  std::optional<std::string> worker_id;  // nothing: all
  std::string reason;
};

void from_json(const json& from, arguments& into) {
  read(from, "worker_id", into.worker_id);
  if (into.worker_id == "all") into.worker_id.reset();
  read(from, "reason", into.reason);
}

asio::awaitable<mcp::tool_result> serve(manager::manager& manager, arguments given, mcp::request_context&) {
  const auto done = co_await manager.cancel(std::move(given.worker_id), std::move(given.reason));
  co_return result_of(done, [](const manager::cancelled_workers& workers) {
    json answer = {{"cancelled", workers.cancelled}};
    if (!workers.idle.empty()) answer["not_at_work"] = workers.idle;
    return answer;
  });
}

}  // namespace

mcp::tool cancel_worker(manager::manager& manager) {
  return define(
      {"cancel_worker", "Cancel workers", description, input_schema(), output_schema(), effect::destructive, true},
      manager, serve);
}

}  // namespace awm::tools
