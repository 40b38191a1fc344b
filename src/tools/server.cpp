#include "tools/server.hpp"

#include "tools/prompts.hpp"
#include "tools/resources.hpp"
#include "tools/tools.hpp"

namespace awm::tools {
namespace {

constexpr auto instructions = R"text(Workers are Claude Code agents that run side by side in processes of their own.

Batch: call spawn_worker once for each independent part of the work (all calls in one reply), then wait once; it returns when all have finished. Answers hold previews; a full result: worker_output, or `jq -r .result` on conversation_history_file_path. In between you may go on working: results wait for you.
Race: wait with mode "any", then cancel_worker the others. Pipeline: spawn_worker with after: [worker_ids] starts when those have completed and tells the worker where their results are.
Permissions: when wait returns pending_permissions, answer with approve_permission (ask the user when in doubt; scope "all" answers the same request of every worker), then wait again.
Follow up: resume_worker continues an ended worker with its memory. While it works: send_message steers it, cancel_worker ends it.
Lost the ids (compaction, new session)? list_workers. Nothing is lost: wait delivers what nobody collected.
Temperature sweep: the same prompt with options.temperature 0.2, 0.6, 1.0; a model that takes sampling is chosen for you.)text";

mcp::server_info describe(std::string version, const char* text) {
  mcp::server_info info;
  info.name = "async-worker-manager";
  info.version = std::move(version);
  info.title = "Async worker manager";
  info.instructions = text;
  return info;
}

}  // namespace

mcp::server make_server(manager::manager& manager, std::string version) {
  mcp::offering offer;
  auto& tools = offer.tools;
  tools.push_back(spawn_worker(manager));
  tools.push_back(wait(manager));
  tools.push_back(resume_worker(manager));
  tools.push_back(approve_permission(manager));
  tools.push_back(list_workers(manager));
  tools.push_back(worker_output(manager));
  tools.push_back(send_message(manager));
  tools.push_back(cancel_worker(manager));
  add_resources(offer, manager);
  offer.prompts = make_prompts();
  return mcp::server(describe(std::move(version), instructions), std::move(offer));
}

mcp::server make_empty_server(std::string version) {
  return mcp::server(describe(
      std::move(version), "This process is a worker itself, and workers start no workers: there are no tools here."));
}

}  // namespace awm::tools
