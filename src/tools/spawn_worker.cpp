#include "tools/accepted.hpp"
#include "tools/define.hpp"
#include "tools/tools.hpp"
#include "worker/options.hpp"

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Starts a worker: another Claude Code agent in a process of its own, which works on `prompt` while you go on. Returns at once with a worker_id; call `wait` to collect the results. Start as many as the work divides into, several calls in one reply: they run side by side, and those beyond the server's limit are queued.

The worker sees nothing of this conversation: put everything it needs into `prompt` (paths, constraints, what to report). Its final message is its result.

agent_type (optional): a built-in ("general-purpose", "Explore" read-only search, "Plan" read-only planning), the name of an agent file of the project or user, "plugin:agent", the path of an agent .md file, or any text: a role, added to the system prompt.

after (optional): worker ids; it starts when those have completed, and its prompt names their transcripts. So chains and fan-ins run without you. One that fails fails it too, unless after_policy is "always".

options (optional): model, system, temperature, top_p, top_k, max_tokens, thinking, effort, cwd, add_dirs, allowed_tools, disallowed_tools, permission_mode, permissions, ask, caps (timeout_s, max_turns, max_budget_usd), json_schema (structured result), isolation "worktree", background, fallback_model, rate_limit_retries, mcp, env. `warnings` in the answer say what was chosen or dropped.

A worker that needs a permission asks through `wait`; answer with `approve_permission`. options.allowed_tools such as ["Bash(git *)", "Edit"] avoid the question.)text";

json input_schema() {
  json schema = json::parse(R"({
    "type": "object",
    "properties": {
      "description": {"type": "string", "minLength": 1, "description": "What the worker does, in 3 to 5 words. Shown wherever the worker is listed."},
      "prompt": {"type": "string", "minLength": 1, "description": "The whole task. The worker knows nothing else of this conversation."},
      "agent_type": {"type": "string", "minLength": 1, "description": "A built-in agent, an agent file's name, plugin:agent, the path of an agent .md file, or a role in free text. Default: a general-purpose agent."},
      "after": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Worker ids that must have completed before this one starts."},
      "after_policy": {"enum": ["completed", "always"], "description": "always: start also when one of them failed or was cancelled. Default: completed."}
    },
    "required": ["description", "prompt"],
    "additionalProperties": false
  })");
  schema["properties"]["options"] = worker::options_schema();
  return schema;
}

struct arguments {
  manager::spawn_request request;
};

void from_json(const json& from, arguments& into) {
  auto& request = into.request;
  read(from, "description", request.description);
  read(from, "prompt", request.prompt);
  read(from, "agent_type", request.agent_type);
  read(from, "options", request.options);
  read(from, "after", request.after);
  request.after_in_any_case = from.value("after_policy", "completed") == "always";
}

asio::awaitable<mcp::tool_result> serve(manager::manager& manager, arguments given, mcp::request_context&) {
  const auto accepted = co_await manager.spawn(std::move(given.request));
  co_return accepted_result(accepted);
}

}  // namespace

mcp::tool spawn_worker(manager::manager& manager) {
  definition words{"spawn_worker", "Start a worker", description, input_schema(), accepted_schema()};
  words.is_core = true;
  return define(std::move(words), manager, serve);
}

}  // namespace awm::tools
