#include "tools/accepted.hpp"

#include "text/json_text.hpp"
#include "tools/define.hpp"

namespace awm::tools {

using nlohmann::json;

mcp::tool_result accepted_result(const manager::answer<manager::accepted_turn>& accepted) {
  return result_of(accepted, [](const manager::accepted_turn& turn) {
    const auto* const state = !turn.error.empty() ? "failed" : turn.queued ? "queued" : "running";
    auto result = text::json_object("worker_id", turn.worker_id, "state", state, "conversation_history_file_path",
                                    turn.transcript_path);
    if (!turn.error.empty()) result["error_hint"] = turn.error;
    if (!turn.warnings.empty()) result["warnings"] = turn.warnings;
    return result;
  });
}

json accepted_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "worker_id": {"type": "string", "description": "UUID of the worker, for life."},
      "state": {"enum": ["running", "queued", "failed"], "description": "failed: one of the workers in after has failed; wait delivers it."},
      "error_hint": {"type": "string"},
      "conversation_history_file_path": {"type": "string", "description": "Absolute path of the transcript (JSON), readable at any time."},
      "warnings": {"type": "array", "items": {"type": "string"}, "description": "What was chosen or dropped, and why."}
    },
    "required": ["worker_id", "state", "conversation_history_file_path"]
  })");
}

}  // namespace awm::tools
