#include "tools/tools.hpp"

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Answers a permission request that `wait` listed in pending_permissions. The worker goes on at once; call `wait` again.

allow: true runs the tool, with `updated_input` in place of its input if given (a whole input object). allow: false refuses it; the worker's model reads `reason` and looks for another way.

Requests never expire and are never answered by default. Look at `input` before you allow; when in doubt ask the user.

AskUserQuestion arrives here too: allow with updated_input {"answers": {"<question text>": "<label, labels joined by ', ', or free text>"}}. ExitPlanMode: allow approves the plan, a denial's reason tells what to change.)text";

json input_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "request_id": {"type": "string", "minLength": 1, "description": "From pending_permissions."},
      "allow": {"type": "boolean"},
      "reason": {"type": "string", "description": "With allow: false, what the worker's model is told."},
      "updated_input": {"type": "object", "description": "With allow: true, the input that the tool runs with instead of the one asked for."}
    },
    "required": ["request_id", "allow"],
    "additionalProperties": false
  })");
}

json output_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "request_id": {"type": "string"},
      "worker_id": {"type": "string"},
      "tool": {"type": "string"},
      "decision": {"enum": ["allow", "deny"]}
    },
    "required": ["request_id", "worker_id", "tool", "decision"]
  })");
}

mcp::tool_result answer(manager::manager& manager, const json& arguments) {
  manager::permission_decision decision;
  decision.allow = arguments.at("allow").get<bool>();
  decision.reason = arguments.value("reason", "");
  decision.updated_input = arguments.value("updated_input", json(nullptr));
  const auto answered = manager.decide(arguments.at("request_id").get<std::string>(), decision);
  if (const auto* const refused = std::get_if<manager::refusal>(&answered))
    return mcp::tool_result::error(refused->reason);
  const auto& question = std::get<manager::pending_permission>(answered);
  return mcp::tool_result::json({{"request_id", question.request_id},
                                 {"worker_id", question.worker_id},
                                 {"tool", question.question.tool},
                                 {"decision", decision.allow ? "allow" : "deny"}});
}

asio::awaitable<mcp::tool_result> handle(manager::manager& manager, json arguments) {
  co_return answer(manager, arguments);
}

}  // namespace

mcp::tool approve_permission(manager::manager& manager) {
  mcp::tool tool;
  tool.name = "approve_permission";
  tool.title = "Answer a worker's permission request";
  tool.description = description;
  tool.input_schema = input_schema();
  tool.output_schema = output_schema();
  tool.annotations = {
      {"readOnlyHint", false}, {"destructiveHint", true}, {"idempotentHint", false}, {"openWorldHint", true}};
  tool.meta = {{"anthropic/alwaysLoad", true}};
  tool.handler = [&manager](json arguments, mcp::request_context&) { return handle(manager, std::move(arguments)); };
  return tool;
}

}  // namespace awm::tools
