#pragma once

#include "manager/manager.hpp"
#include "mcp/server.hpp"

#include <string>

namespace awm::tools {

/// The MCP server of this program, on top of `manager`, which outlives it.
mcp::server make_server(manager::manager& manager, std::string version);

/// The server that a worker meets when the caller's MCP servers are passed on to it: it offers nothing, so that workers
/// do not start workers without end.
mcp::server make_empty_server(std::string version);

}  // namespace awm::tools
