#include "tools/define.hpp"
#include "tools/tools.hpp"

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto description =
    R"text(Sends a message to a worker that is at work. For one that has ended use resume_worker.

mode "steer" (default): its model reads it in the running turn, behind the next tool call; when the turn ends first, it begins the next one. "queue": it begins the worker's next turn as soon as this one has completed. "interrupt": what the worker does is interrupted now, and it goes on with your message in the same turn.

outcome says what became of it: delivered, next_turn, after_interrupt, dropped (the turn was cancelled or failed first), or pending (not read yet; see note).)text";

json input_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "worker_id": {"type": "string", "minLength": 1, "description": "The UUID that spawn_worker returned."},
      "text": {"type": "string", "minLength": 1, "description": "The message."},
      "mode": {"enum": ["queue", "steer", "interrupt"], "description": "Default: steer."}
    },
    "required": ["worker_id", "text"],
    "additionalProperties": false
  })");
}

json output_schema() {
  return json::parse(R"({
    "type": "object",
    "properties": {
      "worker_id": {"type": "string"},
      "outcome": {"enum": ["delivered", "next_turn", "after_interrupt", "dropped", "pending"]},
      "note": {"type": "string"}
    },
    "required": ["worker_id", "outcome"]
  })");
}

manager::message_mode mode_of(const std::string& name) {
  if (name == "queue") return manager::message_mode::queue;
  return name == "interrupt" ? manager::message_mode::interrupt : manager::message_mode::steer;
}

const char* to_string(std::optional<worker::message_fate> fate) {
  if (!fate) return "pending";
  switch (*fate) {
    case worker::message_fate::delivered:
      return "delivered";
    case worker::message_fate::next_turn:
      return "next_turn";
    case worker::message_fate::after_interrupt:
      return "after_interrupt";
    case worker::message_fate::dropped:
      break;
  }
  return "dropped";
}

struct arguments {
  std::string worker_id;
  std::string text;
  manager::message_mode mode;
};

void from_json(const json& from, arguments& into) {
  read(from, "worker_id", into.worker_id);
  read(from, "text", into.text);
  into.mode = mode_of(from.value("mode", "steer"));
}

asio::awaitable<mcp::tool_result> serve(manager::manager& manager, arguments given, mcp::request_context&) {
  const auto sent = co_await manager.send(std::move(given.worker_id), std::move(given.text), given.mode);
  co_return result_of(sent, [](const manager::message_receipt& receipt) {
    json answer = {{"worker_id", receipt.worker_id}, {"outcome", to_string(receipt.fate)}};
    if (!receipt.note.empty()) answer["note"] = receipt.note;
    return answer;
  });
}

}  // namespace

mcp::tool send_message(manager::manager& manager) {
  return define({"send_message", "Send a message to a worker", description, input_schema(), output_schema()}, manager,
                serve);
}

}  // namespace awm::tools
