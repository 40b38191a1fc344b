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

// Claude Code shows 50,000 characters inline, and more where a tool says so. A thorough report has a few pages.
constexpr std::size_t longest_result = 60'000;
constexpr std::size_t longest_answer = 100'000;

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

struct arguments {
  std::string worker_id;
  std::chrono::milliseconds patience;
};

void from_json(const json& from, arguments& into) {
  constexpr int default_timeout = 30'000;
  read(from, "worker_id", into.worker_id);
  into.patience = std::chrono::milliseconds(from.value("block", true) ? from.value("timeout", default_timeout) : 0);
}

asio::awaitable<mcp::tool_result> serve(manager::manager& manager, arguments given, mcp::request_context& context) {
  const auto must_wait = [](const manager::answer<manager::worker_output>& found) {
    const auto* const output = std::get_if<manager::worker_output>(&found);
    return output != nullptr && !output->is_finished;
  };
  auto found = co_await manager.output(given.worker_id, {});
  if (must_wait(found) && given.patience > std::chrono::milliseconds::zero()) {
    context.begin_task("waiting for worker " + given.worker_id);
    found = co_await manager.output(given.worker_id, given.patience);
  }
  co_return result_of(found, describe);
}

}  // namespace

mcp::tool worker_output(manager::manager& manager) {
  definition words{"worker_output", "Show a worker's output", description,
                   input_schema(),  output_schema(),          effect::none};
  words.waits = true;
  words.longest_answer = longest_answer;
  return define(std::move(words), manager, serve);
}

}  // namespace awm::tools
