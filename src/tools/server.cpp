#include "tools/server.hpp"

#include "tools/tools.hpp"

namespace awm::tools {
namespace {

constexpr auto instructions = R"text(Workers are Claude Code agents that run side by side in processes of their own.

Batch: call spawn_worker once for each independent part of the work (all calls in one reply), then wait once; it returns when all have finished. Read a worker's full result from conversation_history_file_path with `jq -r .result`; the answers here hold previews only.
In between you may go on working: results wait for you.
Permissions: when wait returns pending_permissions, answer each with approve_permission (ask the user when in doubt), then wait again.
Follow up: resume_worker continues a finished or failed worker with its memory; then wait.
Temperature sweep: spawn the same prompt with options.temperature 0.2, 0.6, 1.0; a model that takes sampling is chosen for you.)text";

mcp::server_info describe(std::string version, const char* text) {
  return {"async-worker-manager", std::move(version), "Async worker manager", text};
}

}  // namespace

mcp::server make_server(manager::manager& manager, std::string version) {
  std::vector<mcp::tool> tools;
  tools.push_back(spawn_worker(manager));
  tools.push_back(wait(manager));
  tools.push_back(resume_worker(manager));
  tools.push_back(approve_permission(manager));
  return {describe(std::move(version), instructions), std::move(tools)};
}

mcp::server make_empty_server(std::string version) {
  return {describe(std::move(version),
                   "This process is a worker itself, and workers start no workers: there are no tools here."),
          {}};
}

}  // namespace awm::tools
