#include "tools/accepted.hpp"
#include "tools/define.hpp"
#include "tools/tools.hpp"
#include "worker/options.hpp"

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Gives a finished worker another prompt. It remembers its whole conversation: use it to ask back, to correct, or to go on after a failure (rate limit, max_turns, a crash). Returns at once; call `wait` to collect the result. Same worker_id, same transcript, with all earlier turns kept.

Works for workers that completed, failed, were cancelled or interrupted, also for those of an earlier server process with the same log folder (list_workers shows them). One that still works is refused: wait for it, or use send_message.

options (optional): as in spawn_worker; those not given stay as in the last turn, null takes one back to its default.)text";

json input_schema() {
  json schema = json::parse(R"({
    "type": "object",
    "properties": {
      "worker_id": {"type": "string", "minLength": 1, "description": "The UUID that spawn_worker returned."},
      "prompt": {"type": "string", "minLength": 1, "description": "What to do next."}
    },
    "required": ["worker_id", "prompt"],
    "additionalProperties": false
  })");
  schema["properties"]["options"] = worker::resume_options_schema();
  return schema;
}

struct arguments {
  manager::resume_request request;
};

void from_json(const json& from, arguments& into) {
  read(from, "worker_id", into.request.worker_id);
  read(from, "prompt", into.request.prompt);
  read(from, "options", into.request.options);
}

asio::awaitable<mcp::tool_result> serve(manager::manager& manager, arguments given, mcp::request_context&) {
  const auto accepted = co_await manager.resume(std::move(given.request));
  co_return accepted_result(accepted);
}

}  // namespace

mcp::tool resume_worker(manager::manager& manager) {
  definition words{"resume_worker", "Continue a worker", description, input_schema(), accepted_schema()};
  words.is_core = true;
  return define(std::move(words), manager, serve);
}

}  // namespace awm::tools
