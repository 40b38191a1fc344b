#pragma once

#include "manager/manager.hpp"
#include "mcp/tool.hpp"

namespace awm::tools {

/// The answer of spawn_worker and resume_worker, and its schema.
mcp::tool_result accepted_result(const manager::answer<manager::accepted_turn>& accepted);
nlohmann::json accepted_schema();

}  // namespace awm::tools
