#include "worker/protocol.hpp"

#include "coro/line_buffer.hpp"
#include "text/json_text.hpp"
#include "text/words.hpp"
#include "worker/json_repair.hpp"

#include <nlohmann/json.hpp>
#include <simdjson.h>

#include <algorithm>
#include <charconv>

namespace awm::worker {
namespace {

namespace dom = simdjson::dom;
using nlohmann::json;

static_assert(coro::line_buffer::padding >= simdjson::SIMDJSON_PADDING);

/// The parsers keep buffers as large as the largest line they saw; after one beyond this they start anew.
constexpr std::size_t large_line = 1024 * 1024;

std::string_view text_of(const dom::object& object, std::string_view key) {
  std::string_view value;
  return object[key].get(value) == simdjson::SUCCESS ? value : std::string_view{};
}

// So much of anything is in no turn, and millions of it fit 64 bits.
constexpr double largest_count = 1e12;
// The year 2100, in seconds.
constexpr double latest_time = 4'102'444'800;

/// A count or a time, from 0 to `most`.
std::int64_t integer_of(const dom::object& object, std::string_view key, double most = largest_count) {
  // They are integers, but 2.1.197 prints some milliseconds with a fraction.
  double value = 0;
  return object[key].get(value) == simdjson::SUCCESS ? static_cast<std::int64_t>(std::clamp(value, 0.0, most)) : 0;
}

std::optional<std::int64_t> optional_integer_of(const dom::object& object, std::string_view key) {
  std::int64_t value = 0;
  if (object[key].get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

/// The array's strings, or, where its elements are objects, their `name`s.
std::vector<std::string> names_of(const dom::object& object, std::string_view key) {
  std::vector<std::string> names;
  dom::array array;
  if (object[key].get(array) != simdjson::SUCCESS) return names;
  for (const auto element : array) {
    std::string_view name;
    dom::object named;
    if (element.get(name) == simdjson::SUCCESS) {
      names.emplace_back(name);
    } else if (element.get(named) == simdjson::SUCCESS) {
      names.emplace_back(text_of(named, "name"));
    }
  }
  return names;
}

/// The member as JSON text if it has the wanted type, else `otherwise`.
template <class Wanted>
std::string minified(const dom::object& object, std::string_view key, std::string_view otherwise) {
  Wanted value;
  return object[key].get(value) == simdjson::SUCCESS ? simdjson::minify(value) : std::string(otherwise);
}

/// In a line that cannot be read: whether it was to be one that somebody waits for.
bool looks_awaited(std::string_view text) {
  return text.find(R"("type":"result")") != std::string_view::npos ||
         text.find(R"("type":"control_request")") != std::string_view::npos;
}

child_line read_init(const dom::object& object) {
  init_line init{std::string(text_of(object, "session_id")),
                 std::string(text_of(object, "model")),
                 std::string(text_of(object, "permissionMode")),
                 std::string(text_of(object, "claude_code_version")),
                 names_of(object, "tools"),
                 names_of(object, "agents"),
                 {}};
  dom::array servers;
  if (object["mcp_servers"].get(servers) == simdjson::SUCCESS) {
    for (const auto element : servers) {
      dom::object server;
      if (element.get(server) != simdjson::SUCCESS || text_of(server, "status") != "failed") continue;
      init.failed_mcp_servers.emplace_back(text_of(server, "name"));
    }
  }
  return init;
}

child_line read_retry(const dom::object& object) {
  return retry_line{integer_of(object, "attempt"), optional_integer_of(object, "error_status"),
                    std::string(text_of(object, "error")), integer_of(object, "retry_delay_ms")};
}

child_line read_rate_limit(const dom::object& object) {
  dom::object info;
  if (object["rate_limit_info"].get(info) != simdjson::SUCCESS) return other_line{};
  return rate_limit_line{std::string(text_of(info, "status")), integer_of(info, "resetsAt", latest_time)};
}

child_line read_background_tasks(const dom::object& object) {
  background_line changed;
  changed.running.emplace();
  dom::array tasks;
  if (object["tasks"].get(tasks) != simdjson::SUCCESS) return other_line{};
  for (const auto element : tasks) {
    dom::object task;
    if (element.get(task) == simdjson::SUCCESS) changed.running->emplace_back(text_of(task, "task_id"));
  }
  return changed;
}

/// Calls `visit(block, type)` for each block of a message's content.
template <class Visit>
void each_block(const dom::object& message, Visit&& visit) {
  dom::array content;
  if (message["content"].get(content) != simdjson::SUCCESS) return;
  for (const auto element : content) {
    dom::object block;
    if (element.get(block) == simdjson::SUCCESS) visit(block, text_of(block, "type"));
  }
}

// As much of a command or path as fits a line of a list.
constexpr std::size_t summary_size = 120;

tool_use read_tool_use(const dom::object& block) {
  tool_use use{std::string(text_of(block, "id")), std::string(text_of(block, "name")), {}, {}};
  dom::object input;
  if (block["input"].get(input) != simdjson::SUCCESS) return use;
  for (const auto* const key : {"file_path", "notebook_path"}) {
    if (use.file_path.empty()) use.file_path = text_of(input, key);
  }
  for (const auto* const key :
       {"command", "file_path", "notebook_path", "path", "pattern", "url", "query", "description", "prompt"}) {
    const auto value = text_of(input, key);
    if (value.empty()) continue;
    use.summary = text::beginning(value, summary_size);
    break;
  }
  return use;
}

/// A tool that was left running in the background says so in its structured result (2.1.197).
std::string_view background_task_of(const dom::object& object) {
  dom::object result;
  if (object["tool_use_result"].get(result) != simdjson::SUCCESS) return {};
  bool is_async = false;
  if (result["isAsync"].get(is_async) == simdjson::SUCCESS && is_async) return text_of(result, "agentId");
  return text_of(result, "backgroundTaskId");
}

void read_content(const dom::object& message, message_line& line) {
  each_block(message, [&line](const dom::object& block, std::string_view type) {
    if (type == "text") line.text = text_of(block, "text");
    if (type == "tool_use") line.tool_uses.push_back(read_tool_use(block));
    if (type == "tool_result") {
      bool is_error = false;
      if (block["is_error"].get(is_error)) is_error = false;
      line.tool_ends.push_back({std::string(text_of(block, "tool_use_id")), is_error});
    }
  });
}

/// The dollars in `Total cost:            $0.0010` or `Estimated cost: …`, the first of the text.
std::optional<double> cost_in(std::string_view text) {
  const auto dollar = text.find('$');
  if (dollar == std::string_view::npos) return std::nullopt;
  double cost = 0;
  const auto [end, error] = std::from_chars(text.data() + dollar + 1, text.data() + text.size(), cost);
  if (error != std::errc{}) return std::nullopt;
  return cost;
}

child_line read_result(const dom::object& object) {
  result_line result;
  result.subtype = text_of(object, "subtype");
  bool is_error = true;  // also where it does not say
  if (object["is_error"].get(is_error)) is_error = true;
  result.is_error = is_error;
  result.text = text_of(object, "result");
  result.session_id = text_of(object, "session_id");
  result.num_turns = integer_of(object, "num_turns");
  result.duration_ms = integer_of(object, "duration_ms");
  double cost = 0;
  if (object["total_cost_usd"].get(cost) == simdjson::SUCCESS) result.total_cost_usd = cost;
  dom::object usage;
  if (object["usage"].get(usage) == simdjson::SUCCESS) {
    result.input_tokens = integer_of(usage, "input_tokens") + integer_of(usage, "cache_creation_input_tokens") +
                          integer_of(usage, "cache_read_input_tokens");
    result.output_tokens = integer_of(usage, "output_tokens");
  }
  dom::object models;
  if (object["model_usage_since_last_result"].get(models) == simdjson::SUCCESS) {
    double sum = 0;
    for (const auto field : models) {
      if (field.value["costUSD"].get(cost) == simdjson::SUCCESS) sum += cost;
    }
    result.cost_since_last_result_usd = sum;
  }
  result.api_error_status = optional_integer_of(object, "api_error_status");
  result.terminal_reason = text_of(object, "terminal_reason");
  result.errors = names_of(object, "errors");
  result.permission_denials = minified<dom::array>(object, "permission_denials", "[]");
  dom::element structured;
  if (object["structured_output"].get(structured) == simdjson::SUCCESS && !structured.is_null()) {
    result.structured_output = simdjson::minify(structured);
  }
  dom::object origin;
  if (object["origin"].get(origin) == simdjson::SUCCESS) result.origin = text_of(origin, "kind");
  return result;
}

child_line read_control_request(const dom::object& object) {
  dom::object request;
  const std::string request_id(text_of(object, "request_id"));
  if (request_id.empty()) return broken_line{"a control_request without request_id"};
  if (object["request"].get(request) != simdjson::SUCCESS) return other_request_line{request_id, "(none)"};
  const auto subtype = text_of(request, "subtype");
  if (subtype != "can_use_tool") return other_request_line{request_id, std::string(subtype)};
  return permission_line{request_id,
                         std::string(text_of(request, "tool_name")),
                         minified<dom::object>(request, "input", "{}"),
                         std::string(text_of(request, "decision_reason")),
                         std::string(text_of(request, "blocked_path")),
                         std::string(text_of(request, "agent_id")),
                         std::string(text_of(request, "tool_use_id")),
                         minified<dom::array>(request, "permission_suggestions", "[]")};
}

child_line read_control_response(const dom::object& object) {
  dom::object response;
  if (object["response"].get(response) != simdjson::SUCCESS) return broken_line{"a control_response without response"};
  response_line answer{std::string(text_of(response, "request_id")),
                       text_of(response, "subtype") == "success",
                       std::string(text_of(response, "error")),
                       {}};
  dom::object payload;
  if (response["response"].get(payload) == simdjson::SUCCESS) {
    answer.agents = names_of(payload, "agents");
    answer.cost_usd = cost_in(text_of(payload, "text"));
  }
  return answer;
}

/// The message is passed on as it was received: the DOM keeps no positions, so it is looked for once more.
child_line read_message(std::string_view text, const dom::object& object, std::string_view role) {
  dom::object message;
  if (object["message"].get(message)) return broken_line{"a message without a message object"};
  const auto raw = text::member_text(text, "message");
  if (!raw.starts_with('{')) return broken_line{"a message whose name is written with escapes"};
  message_line line{role, raw, text_of(message, "id"), text_of(object, "parent_tool_use_id")};
  read_content(message, line);
  line.background_task = background_task_of(object);
  return line;
}

/// A task that ends while its turn still works is told by its update alone (2.1.197).
bool is_final(const dom::object& task_update) {
  dom::object patch;
  if (task_update["patch"].get(patch) != simdjson::SUCCESS) return false;
  const auto status = text_of(patch, "status");
  return status == "completed" || status == "failed" || status == "killed" || status == "stopped";
}

child_line read_system(const dom::object& object) {
  const auto subtype = text_of(object, "subtype");
  if (subtype == "init") return read_init(object);
  if (subtype == "api_retry") return read_retry(object);
  if (subtype == "background_tasks_changed") return read_background_tasks(object);
  const bool has_ended = subtype == "task_notification" || (subtype == "task_updated" && is_final(object));
  if (has_ended) return background_line{std::nullopt, std::string(text_of(object, "task_id"))};
  return other_line{};
}

std::string as_line(const json& message) {
  // A prompt may hold bytes that are not UTF-8; JSON may not.
  auto text = text::json_text(message);
  text += '\n';
  return text;
}

json control_response(std::string_view subtype, std::string_view request_id) {
  return text::json_object("type", "control_response", "response",
                           text::json_object("subtype", subtype, "request_id", request_id));
}

json control_request(std::string_view request_id, json request) {
  return text::json_object("type", "control_request", "request_id", request_id, "request", std::move(request));
}

}  // namespace

struct line_parser::parsers {
  dom::parser checking;
  std::string repaired;
};

line_parser::line_parser() : parsers_(std::make_unique<parsers>()) {}
line_parser::~line_parser() = default;

child_line line_parser::parse(std::string_view text) {
  if (text.find_first_not_of(" \t") == std::string_view::npos) return other_line{};
  if (parsers_->checking.capacity() > large_line) parsers_ = std::make_unique<parsers>();
  dom::element element;
  dom::object object;
  auto error = parsers_->checking.parse(text.data(), text.size(), false).get(element);
  if (error) {
    parsers_->repaired = repaired_json(text);
    parsers_->repaired.reserve(parsers_->repaired.size() + coro::line_buffer::padding);
    text = parsers_->repaired;
    error = parsers_->checking.parse(text.data(), text.size(), false).get(element);
  }
  if (error) return broken_line{simdjson::error_message(error), looks_awaited(text)};
  if (element.get(object) != simdjson::SUCCESS) return broken_line{"not a JSON object"};
  const auto type = text_of(object, "type");
  bool is_replay = false;
  if (object["isReplay"].get(is_replay) == simdjson::SUCCESS && is_replay) return other_line{};  // an echo of ours
  if (type == "assistant" || type == "user") return read_message(text, object, type);
  if (type == "system") return read_system(object);
  if (type == "result") return read_result(object);
  if (type == "control_request") return read_control_request(object);
  if (type == "control_response") return read_control_response(object);
  if (type == "control_cancel_request") return withdrawal_line{std::string(text_of(object, "request_id"))};
  if (type == "rate_limit_event") return read_rate_limit(object);
  if (type == "command_lifecycle") {
    return lifecycle_line{std::string(text_of(object, "command_uuid")), std::string(text_of(object, "state"))};
  }
  return other_line{};
}

std::string initialize_request(std::string_view request_id, const json& request) {
  json complete = request;
  complete["subtype"] = "initialize";
  complete.emplace("hooks", nullptr);
  return as_line(control_request(request_id, std::move(complete)));
}

std::string user_message(std::string_view prompt, std::string_view uuid, bool literal) {
  std::string content(prompt);
  if (!literal && content.starts_with('/')) content.insert(0, " ");
  auto message =
      text::json_object("type", "user", "message", text::json_object("role", "user", "content", std::move(content)),
                        "parent_tool_use_id", nullptr, "session_id", "", "uuid", uuid);
  if (literal) message["client_composed"] = true;
  return as_line(message);
}

std::string allow_response(std::string_view request_id, std::string_view input, std::string_view updates) {
  auto response = control_response("success", request_id);
  auto& answer = response["response"]["response"];
  // 2.1.197 fails a tool that is allowed without an input.
  answer = text::json_object("behavior", "allow", "updatedInput", json::parse(input));
  if (!updates.empty()) answer["updatedPermissions"] = json::parse(updates);
  return as_line(response);
}

std::string deny_response(std::string_view request_id, std::string_view message) {
  auto response = control_response("success", request_id);
  response["response"]["response"] = {{"behavior", "deny"}, {"message", message}};
  return as_line(response);
}

std::string error_response(std::string_view request_id, std::string_view error) {
  auto response = control_response("error", request_id);
  response["response"]["error"] = error;
  return as_line(response);
}

std::string interrupt_request(std::string_view request_id) {
  return as_line(control_request(request_id, {{"subtype", "interrupt"}, {"cancel_queued", true}}));
}

std::string cost_request(std::string_view request_id) {
  return as_line(control_request(request_id, {{"subtype", "get_session_cost"}}));
}

std::string other_request(std::string_view request_id, const json& request) {
  return as_line(control_request(request_id, request));
}

}  // namespace awm::worker
