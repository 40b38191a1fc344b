#include "tools/accepted.hpp"

namespace awm::tools {

using nlohmann::json;

mcp::tool_result accepted_result(const manager::answer<manager::accepted_turn>& accepted) {
  if (const auto* const refused = std::get_if<manager::refusal>(&accepted))
    return mcp::tool_result::error(refused->reason);
  const auto& turn = std::get<manager::accepted_turn>(accepted);
  json result = {{"worker_id", turn.worker_id},
                 {"state", turn.queued ? "queued" : "running"},
                 {"conversation_history_file_path", turn.transcript_path}};
  if (!turn.warnings.empty()) result["warnings"] = turn.warnings;
  return mcp::tool_result::json(std::move(result));
}

json accepted_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "worker_id": {"type": "string", "description": "UUID of the worker, for life."},
      "state": {"enum": ["running", "queued"]},
      "conversation_history_file_path": {"type": "string", "description": "Absolute path of the transcript (JSON), readable at any time."},
      "warnings": {"type": "array", "items": {"type": "string"}, "description": "What was chosen or dropped, and why."}
    },
    "required": ["worker_id", "state", "conversation_history_file_path"]
  })");
}

}  // namespace awm::tools
