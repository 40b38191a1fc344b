#pragma once
// What the official conformance suite asks for by name. It is also a tour of what can be declared on src/mcp: each part
// is one file, and each thing in it is declared in one place.

#include "mcp/server.hpp"

namespace awm::conformance {

/// Tools that just answer, resources and prompts.
void add_content(mcp::server& server);

/// Tools, and a prompt, that ask the client something: in the legacy era by a request, in the stateless one by an
/// answer (`input_required`). The handlers do not know which.
void add_questions(mcp::server& server);

/// Tools whose calls may become tasks, for clients that take tasks.
void add_tasks(mcp::server& server);

/// Tools that change what the server offers. `server` must outlive its sessions.
void add_changes(mcp::server& server);

// ---- what the parts share ----

/// {"type": type}
nlohmann::json of_type(const char* type);

/// A tool with no arguments, or with those of `input_schema`.
mcp::tool tool_named(std::string name, std::string description, mcp::tool_handler handler,
                     nlohmann::json input_schema = of_type("object"));

/// A schema of an object with these members, all required.
nlohmann::json object_schema(nlohmann::json properties);

}  // namespace awm::conformance
