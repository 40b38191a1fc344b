#pragma once
// What a model can do with the manager: each tool's words, schemas and handler stand in a file of its own.

#include "manager/manager.hpp"
#include "mcp/tool.hpp"

#include <string>
#include <vector>

namespace awm::tools {

/// @name The tools. Each works on `manager`, which outlives it.
/// @{
mcp::tool spawn_worker(manager::manager& manager);
mcp::tool wait(manager::manager& manager);
mcp::tool resume_worker(manager::manager& manager);
mcp::tool approve_permission(manager::manager& manager);
mcp::tool list_workers(manager::manager& manager);
mcp::tool worker_output(manager::manager& manager);
mcp::tool send_message(manager::manager& manager);
mcp::tool cancel_worker(manager::manager& manager);
/// @}

}  // namespace awm::tools
