#include "mcp/jsonrpc.hpp"

#include "text/json_text.hpp"
#include "text/words.hpp"

#include <utility>

namespace awm::mcp {
namespace {

using nlohmann::json;

// A parser's message quotes the token it stumbled on, which may be as long as the line.
constexpr std::size_t max_problem_bytes = 200;

bool nests_too_deeply(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_nesting) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

json take(json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? json() : std::move(*found);
}

malformed invalid_request(json id, std::string why) {
  return {std::move(id), {rpc_code::invalid_request, "Invalid Request: " + std::move(why)}};
}

rpc_error invalid_response(std::string why) {
  return {rpc_code::invalid_request, "the response is invalid: " + std::move(why)};
}

rpc_outcome read_outcome(json value) {
  if (take(value, "jsonrpc") != "2.0") return invalid_response("jsonrpc must be \"2.0\"");
  if (!value.contains("error")) return take(value, "result");
  if (value.contains("result")) return invalid_response("it has both a result and an error");
  json error = take(value, "error");
  if (!error.is_object()) return invalid_response("error must be an object");
  const json code = take(error, "code");
  const json message = take(error, "message");
  if (!code.is_number_integer()) return invalid_response("error.code must be an integer");
  if (!message.is_string()) return invalid_response("error.message must be a string");
  return rpc_error{code.get<int>(), message.get<std::string>(), take(error, "data")};
}

// Messages are put together as text: as JSON, each would be copied into an envelope and printed from there.
std::string begin_message(const json& id) {
  return R"({"jsonrpc":"2.0","id":)" + to_text(id);
}

}  // namespace

std::variant<json, rpc_error> parse_line(std::string_view line) {
  // Looked at before the parser allocates: 64 MiB of brackets would become gigabytes of arrays.
  if (nests_too_deeply(line)) {
    return rpc_error{rpc_code::invalid_request,
                     "Invalid Request: nested deeper than " + std::to_string(max_nesting) + " levels"};
  }
  try {
    return json::parse(line);
  } catch (const json::exception& error) {  // also out_of_range, for a number like 1e999
    return rpc_error{rpc_code::parse_error, "Parse error: " + text::shortened(error.what(), max_problem_bytes)};
  }
}

bool is_valid_id(const json& id) {
  return id.is_string() || id.is_number();
}

message read_message(json value) {
  if (!value.is_object()) return invalid_request(nullptr, "a message is a JSON object");

  const bool has_id = value.contains("id");
  json id = take(value, "id");
  const bool is_response = !value.contains("method") && (value.contains("result") || value.contains("error"));
  // An error of id null is answered by nothing: two that cannot read each other would go on for ever.
  const bool is_complaint = is_response && value.contains("error") && id.is_null();
  if (is_complaint || (is_response && is_valid_id(id))) return response{std::move(id), read_outcome(std::move(value))};
  if (has_id && !is_valid_id(id)) return invalid_request(nullptr, "id must be a string or a number");
  if (take(value, "jsonrpc") != "2.0") return invalid_request(std::move(id), "jsonrpc must be \"2.0\"");

  if (!value.contains("method")) return invalid_request(std::move(id), "method is missing");
  json method = take(value, "method");
  if (!method.is_string()) return invalid_request(std::move(id), "method must be a string");

  json params = json::object();
  if (value.contains("params")) params = take(value, "params");
  if (!params.is_object()) {
    rpc_error error{rpc_code::invalid_params, "Invalid params: params must be an object"};
    return malformed{std::move(id), std::move(error), !has_id};
  }
  if (!has_id) return notification{method.get<std::string>(), std::move(params)};
  return request{std::move(id), method.get<std::string>(), std::move(params)};
}

std::string to_text(const json& value) {
  return text::json_text(value);
}

std::string result_text(const json& id, const json& result) {
  return begin_message(id) + R"(,"result":)" + to_text(result) + '}';
}

std::string error_text(const json& id, const rpc_error& error) {
  json body = {{"code", error.code}, {"message", error.message}};
  if (!error.data.is_null()) body["data"] = error.data;
  return begin_message(id) + R"(,"error":)" + to_text(body) + '}';
}

std::string request_text(const json& id, std::string_view method, const json& params) {
  return begin_message(id) + R"(,"method":)" + to_text(method) + R"(,"params":)" + to_text(params) + '}';
}

std::string notification_text(std::string_view method, const json& params) {
  return R"({"jsonrpc":"2.0","method":)" + to_text(method) + R"(,"params":)" + to_text(params) + '}';
}

}  // namespace awm::mcp
