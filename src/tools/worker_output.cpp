#include "text/words.hpp"
#include "tools/define.hpp"
#include "tools/summary.hpp"
#include "tools/tools.hpp"

#include <chrono>

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Shows one worker: its state, and when it has ended the text of its last result (cut when very long; the path of the transcript is beside it). While it works: the last lines of what it did and said.

block (default true): waits until the worker has ended, at most `timeout` milliseconds (default 30000, at most 600000). It does not collect the result: wait still delivers it. For many workers use wait.)text";

// Below what Claude Code shows inline (50,000 characters).
constexpr std::size_t longest_result = 30'000;

json input_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "worker_id": {"type": "string", "minLength": 1, "description": "The UUID that spawn_worker returned."},
      "block": {"type": "boolean", "description": "Wait until the worker has ended. Default: true."},
      "timeout": {"type": "integer", "minimum": 0, "maximum": 600000, "description": "With block, the longest wait in milliseconds. Default: 30000."}
    },
    "required": ["worker_id"],
    "additionalProperties": false
  })");
}

json output_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "worker_id": {"type": "string"}, "state": {"type": "string"},
      "finished": {"type": "boolean"},
      "result": {"type": "string"},
      "result_bytes": {"type": "integer", "description": "Of the whole result, when it was cut."},
      "structured_output": {},
      "recent": {"type": "array", "items": {"type": "string"}, "description": "While it works: the last lines, oldest first."},
      "conversation_history_file_path": {"type": "string"}
    },
    "required": ["worker_id", "state", "finished", "conversation_history_file_path"]
  })");
}

json describe(const manager::worker_output& output) {
  auto shown = to_json(output.summary);
  shown["finished"] = output.is_finished;
  if (output.is_finished) {
    shown["result"] = text::shortened(output.result, longest_result);
    if (output.result.size() > longest_result) shown["result_bytes"] = output.result.size();
    if (!output.structured_output.is_null()) shown["structured_output"] = output.structured_output;
  } else {
    shown["recent"] = output.summary.recent;
  }
  return shown;
}

asio::awaitable<mcp::tool_result> handle(manager::manager& manager, json arguments) {
  constexpr int default_timeout = 30'000;
  auto id = arguments.at("worker_id").get<std::string>();
  const std::chrono::milliseconds patience(arguments.value("block", true) ? arguments.value("timeout", default_timeout)
                                                                          : 0);
  const auto found = co_await manager.output(std::move(id), patience);
  co_return result_of(found, describe);
}

}  // namespace

mcp::tool worker_output(manager::manager& manager) {
  auto handler = [&manager](json arguments, mcp::request_context&) { return handle(manager, std::move(arguments)); };
  return define({"worker_output", "Show a worker's output", description, input_schema(), output_schema(), effect::none},
                std::move(handler));
}

}  // namespace awm::tools
