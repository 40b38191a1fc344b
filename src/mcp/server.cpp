#include "mcp/server.hpp"

#include "mcp/jsonrpc.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace awm::mcp {
namespace {

using nlohmann::json;

// MCP 2025-11-25, server/tools, "Tool Names".
constexpr std::size_t max_name_length = 128;

bool is_tool_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name_length && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

[[noreturn]] void refuse(const tool& which, const std::string& why) {
  throw std::invalid_argument("tool \"" + which.name + "\": " + why);
}

void require_object_schema(const tool& which, const json& document, const char* what) {
  const bool is_object = document.is_object() && document.value("type", json()) == "object";
  if (!is_object) refuse(which, std::string(what) + " must have \"type\": \"object\" at its root");
}

schema compile(const tool& which) {
  try {
    return schema(which.input_schema);
  } catch (const std::invalid_argument& error) {
    refuse(which, error.what());
  }
}

json describe_tool(const tool& which, const dialect& to) {
  json out = {{"name", which.name}, {"description", which.description}, {"inputSchema", which.input_schema}};
  if (to.has_titles() && !which.title.empty()) out["title"] = which.title;
  if (to.has_annotations() && !which.annotations.is_null()) out["annotations"] = which.annotations;
  if (to.has_structured_content() && !which.output_schema.is_null()) out["outputSchema"] = which.output_schema;
  if (to.has_tool_meta() && !which.meta.is_null()) out["_meta"] = which.meta;
  return out;
}

}  // namespace

server::server(server_info info, std::vector<tool> tools) : info_(std::move(info)) {
  for (tool& next : tools) {
    if (!is_tool_name(next.name)) refuse(next, "a name is 1 to 128 characters of [A-Za-z0-9_.-]");
    if (find(next.name) != nullptr) refuse(next, "the name is taken");
    if (!next.handler) refuse(next, "there is no handler");
    require_object_schema(next, next.input_schema, "input_schema");
    if (!next.output_schema.is_null()) require_object_schema(next, next.output_schema, "output_schema");
    schema input = compile(next);
    tools_.push_back({std::move(next), std::move(input)});
  }
}

const server::offered_tool* server::find(std::string_view name) const {
  const auto found =
      std::find_if(tools_.begin(), tools_.end(), [&](const offered_tool& t) { return t.declaration.name == name; });
  return found == tools_.end() ? nullptr : &*found;
}

std::vector<std::string> server::tool_names() const {
  std::vector<std::string> names;
  for (const offered_tool& t : tools_) names.push_back(t.declaration.name);
  return names;
}

json server::describe(const dialect& to) const {
  json self = {{"name", info_.name}, {"version", info_.version}};
  if (to.has_titles() && !info_.title.empty()) self["title"] = info_.title;
  json out = {{"protocolVersion", to_string(to.version)},
              {"capabilities", {{"tools", json::object()}, {"logging", json::object()}}},
              {"serverInfo", std::move(self)}};
  if (!info_.instructions.empty()) out["instructions"] = info_.instructions;
  return out;
}

json server::list_tools(const dialect& to) const {
  json list = json::array();
  for (const offered_tool& t : tools_) list.push_back(describe_tool(t.declaration, to));
  return {{"tools", std::move(list)}};
}

json call_result(tool_result result, const dialect& to) {
  json content = json::array();
  if (!result.structured.is_null()) {
    content.push_back({{"type", "text"}, {"text", to_text(result.structured)}});
  }
  for (json& block : result.content) content.push_back(std::move(block));
  json out = {{"content", std::move(content)}};
  if (result.is_error) out["isError"] = true;
  if (to.has_structured_content() && !result.structured.is_null()) {
    out["structuredContent"] = std::move(result.structured);
  }
  return out;
}

}  // namespace awm::mcp
