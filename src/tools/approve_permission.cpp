#include "tools/define.hpp"
#include "tools/tools.hpp"

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Answers permission requests that `wait` listed in pending_permissions: one request_id, or a list of them. The workers go on at once; call `wait` again.

allow: true runs the tool, with `updated_input` in place of its input if given (a whole input object). allow: false refuses it; the worker's model reads `reason` and looks for another way.

scope: "once" (default); "worker": the same request of this worker is answered so from now on; "all": that of every worker, and those that are pending with the same tool and input are answered with it.

Requests never expire and are never answered by default. Look at `input` before you allow; when in doubt ask the user.

AskUserQuestion arrives here too: allow with updated_input {"answers": {"<question text>": "<label, labels joined by ', ', or free text>"}}. ExitPlanMode: allow approves the plan, a denial's reason tells what to change.)text";

json input_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "request_id": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}], "description": "From pending_permissions; a list answers all of them alike."},
      "allow": {"type": "boolean"},
      "scope": {"enum": ["once", "worker", "all"], "description": "How far the answer reaches. Default: once."},
      "reason": {"type": "string", "description": "With allow: false, what the worker's model is told."},
      "updated_input": {"type": "object", "description": "With allow: true, the input that the tool runs with instead of the one asked for. Only with one request_id and scope once."}
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
      "decision": {"enum": ["allow", "deny"]},
      "answered": {"type": "array", "items": {"type": "object"}, "description": "With a list of request ids: each one that was answered."}
    },
    "required": ["decision"]
  })");
}

manager::answer_scope scope_of(const std::string& name) {
  if (name == "all") return manager::answer_scope::all;
  return name == "worker" ? manager::answer_scope::worker : manager::answer_scope::once;
}

json describe(const manager::pending_permission& question) {
  return {{"request_id", question.request_id}, {"worker_id", question.worker_id}, {"tool", question.question.tool}};
}

struct arguments {
  std::vector<std::string> request_ids;
  bool is_list = false;
  manager::permission_answer answer;
};

void from_json(const json& from, arguments& into) {
  const auto& id = from.at("request_id");
  into.is_list = id.is_array();
  into.request_ids = into.is_list ? id.get<std::vector<std::string>>() : std::vector{id.get<std::string>()};
  read(from, "allow", into.answer.allow);
  read(from, "reason", into.answer.reason);
  read(from, "updated_input", into.answer.updated_input);
  into.answer.scope = scope_of(from.value("scope", "once"));
}

mcp::tool_result answer(manager::manager& manager, const arguments& given) {
  if (given.request_ids.size() > 1 && !given.answer.updated_input.is_null()) {
    return mcp::tool_result::error(
        "updated_input is the input of one request: give one request_id with it. Nothing was answered.");
  }
  if (given.answer.scope != manager::answer_scope::once && !given.answer.updated_input.is_null()) {
    return mcp::tool_result::error(
        "updated_input is for this one request, and an answer with a wider scope would allow the same request with the "
        "input that was asked for. Leave out scope, or updated_input. Nothing was answered.");
  }
  const auto answered = manager.decide(given.request_ids, given.answer);
  return result_of(answered, [&](const std::vector<manager::pending_permission>& questions) {
    auto result = given.is_list ? json::object() : describe(questions.front());
    result["decision"] = given.answer.allow ? "allow" : "deny";
    if (given.is_list) {
      for (const auto& question : questions) result["answered"].push_back(describe(question));
    }
    return result;
  });
}

asio::awaitable<mcp::tool_result> serve(manager::manager& manager, arguments given, mcp::request_context&) {
  co_return answer(manager, given);
}

}  // namespace

mcp::tool approve_permission(manager::manager& manager) {
  definition words{"approve_permission", "Answer a worker's permission request",
                   description,          input_schema(),
                   output_schema(),      effect::destructive};
  words.is_core = true;
  return define(std::move(words), manager, serve);
}

}  // namespace awm::tools
