#pragma once
// Workers as resources, for people who look (`@worker://…`) and for clients that follow them.

#include "manager/manager.hpp"
#include "mcp/server.hpp"

namespace awm::tools {

/// `worker://status`, `worker://{id}/result` and `worker://{id}/transcript`, of `manager`, which outlives them.
void add_resources(mcp::offering& offer, manager::manager& manager);

/// Tells the clients of `server` what changes from now on. It must be there for as long as something can change.
void tell_changes(manager::manager& manager, mcp::server& server);

}  // namespace awm::tools
