#include "mcp/server.hpp"

#include "mcp/jsonrpc.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace awm::mcp {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

// MCP 2025-11-25, server/tools, "Tool Names".
constexpr std::size_t max_name_length = 128;

// What changes is told to those who listen; who does not is to look again some day.
constexpr cache_hint lists_cache{5min, false};

constexpr auto server_info_key = "io.modelcontextprotocol/serverInfo";

bool is_tool_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name_length && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

[[noreturn]] void refuse(const char* kind, const std::string& name, const std::string& why) {
  throw std::invalid_argument(std::string(kind) + " \"" + name + "\": " + why);
}

void require_object_schema(const tool& which, const json& document, const char* what) {
  const bool is_object = document.is_object() && document.value("type", json()) == "object";
  if (!is_object) refuse("tool", which.name, std::string(what) + " must have \"type\": \"object\" at its root");
}

schema compile(const tool& which) {
  try {
    return schema(which.input_schema);
  } catch (const std::invalid_argument& error) {
    refuse("tool", which.name, error.what());
  }
}

void add_text(json& to, const char* key, const std::string& text) {
  if (!text.empty()) to[key] = text;
}

void add_icons(json& out, const json& icons, const dialect& to) {
  if (to.has_icons() && !icons.is_null()) out["icons"] = icons;
}

json describe_tool(const tool& which, const dialect& to) {
  json out = {{"name", which.name}, {"description", which.description}, {"inputSchema", which.input_schema}};
  if (to.has_titles()) add_text(out, "title", which.title);
  if (to.has_annotations() && !which.annotations.is_null()) out["annotations"] = which.annotations;
  if (to.has_structured_content() && !which.output_schema.is_null()) out["outputSchema"] = which.output_schema;
  if (to.has_meta() && !which.meta.is_null()) out["_meta"] = which.meta;
  add_icons(out, which.icons, to);
  return out;
}

json describe_prompt(const prompt& which, const dialect& to) {
  json out = {{"name", which.name}};
  add_text(out, "description", which.description);
  if (to.has_titles()) add_text(out, "title", which.title);
  for (const prompt_argument& each : which.arguments) {
    json argument = {{"name", each.name}, {"required", each.is_required}};
    add_text(argument, "description", each.description);
    out["arguments"].push_back(std::move(argument));
  }
  add_icons(out, which.icons, to);
  return out;
}

/// What a resource and a template of resources have alike.
template <class Described>
json describe_contents(const char* key, const std::string& uri, const Described& which, const dialect& to) {
  json out = {{key, uri}, {"name", which.name}};
  add_text(out, "description", which.description);
  add_text(out, "mimeType", which.mime_type);
  if (to.has_titles()) add_text(out, "title", which.title);
  if (!which.annotations.is_null()) out["annotations"] = which.annotations;
  add_icons(out, which.icons, to);
  return out;
}

json describe_resource(const resource_entry& which, const dialect& to) {
  json out = describe_contents("uri", which.uri, which, to);
  if (which.size) out["size"] = *which.size;
  return out;
}

json describe_template(const resource_template& which, const dialect& to) {
  return describe_contents("uriTemplate", which.uri_template, which, to);
}

bool has_completers(const prompt& which) {
  return std::ranges::any_of(which.arguments, [](const prompt_argument& each) { return each.complete != nullptr; });
}

/// The first of `all` that `is_it`, or null.
template <class T, class Predicate>
std::shared_ptr<const T> find_in(const std::vector<std::shared_ptr<const T>>& all, Predicate is_it) {
  const auto found = std::ranges::find_if(all, [&](const auto& each) { return is_it(*each); });
  return found == all.end() ? nullptr : *found;
}

}  // namespace

server::server(server_info info, offering what, std::size_t page_size)
    : info_(std::move(info)), identity_({{"name", info_.name}, {"version", info_.version}}), page_size_(page_size) {
  for (tool& each : what.tools) add(std::move(each));
  for (resource& each : what.resources) add(std::move(each));
  for (resource_template& each : what.templates) add(std::move(each));
  for (prompt& each : what.prompts) add(std::move(each));
}

void server::tell(const server_change& what) const {
  for (observer* const each : observers_) each->changed(what);
}

// ---- what is offered ----

void server::add(tool one) {
  if (!is_tool_name(one.name)) refuse("tool", one.name, "a name is 1 to 128 characters of [A-Za-z0-9_.-]");
  if (find_tool(one.name)) refuse("tool", one.name, "the name is taken");
  if (!one.handler) refuse("tool", one.name, "there is no handler");
  require_object_schema(one, one.input_schema, "input_schema");
  if (!one.output_schema.is_null()) require_object_schema(one, one.output_schema, "output_schema");
  schema input = compile(one);
  tools_.push_back(std::make_shared<offered_tool>(offered_tool{std::move(one), std::move(input)}));
  tell({server_change::kind::tools, {}});
}

void server::add(resource one) {
  if (one.entry.uri.empty() || one.entry.name.empty()) refuse("resource", one.entry.uri, "it needs a URI and a name");
  if (find_resource(one.entry.uri)) refuse("resource", one.entry.uri, "the URI is taken");
  if (!one.read) refuse("resource", one.entry.uri, "there is no reader");
  resources_.push_back(std::make_shared<resource>(std::move(one)));
  resources_changed();
}

void server::add(resource_template one) {
  if (one.name.empty()) refuse("resource template", one.uri_template, "it needs a name");
  if (find_template(one.uri_template)) refuse("resource template", one.uri_template, "it is there already");
  if (!one.read) refuse("resource template", one.uri_template, "there is no reader");
  uri_template form(one.uri_template);
  templates_.push_back(std::make_shared<offered_template>(offered_template{std::move(one), std::move(form)}));
  resources_changed();
}

void server::add(prompt one) {
  if (one.name.empty()) refuse("prompt", one.name, "it needs a name");
  if (find_prompt(one.name)) refuse("prompt", one.name, "the name is taken");
  if (!one.handler) refuse("prompt", one.name, "there is no handler");
  prompts_.push_back(std::make_shared<prompt>(std::move(one)));
  tell({server_change::kind::prompts, {}});
}

void server::remove_tool(std::string_view name) {
  const auto removed = std::erase_if(tools_, [&](const auto& each) { return each->declaration.name == name; });
  if (removed > 0) tell({server_change::kind::tools, {}});
}

void server::remove_prompt(std::string_view name) {
  const auto removed = std::erase_if(prompts_, [&](const auto& each) { return each->name == name; });
  if (removed > 0) tell({server_change::kind::prompts, {}});
}

bool server::has_tasks() const {
  return std::ranges::any_of(tools_, [](const auto& t) { return t->declaration.task != task_support::forbidden; });
}

std::shared_ptr<const server::offered_tool> server::find_tool(std::string_view name) const {
  return find_in(tools_, [&](const offered_tool& each) { return each.declaration.name == name; });
}

std::shared_ptr<const resource> server::find_resource(std::string_view uri) const {
  return find_in(resources_, [&](const resource& each) { return each.entry.uri == uri; });
}

std::shared_ptr<const prompt> server::find_prompt(std::string_view name) const {
  return find_in(prompts_, [&](const prompt& each) { return each.name == name; });
}

std::shared_ptr<const server::offered_template> server::find_template(std::string_view uri_template) const {
  return find_in(templates_, [&](const offered_template& each) { return each.form.text() == uri_template; });
}

std::shared_ptr<const server::offered_template> server::match_template(std::string_view uri,
                                                                       uri_variables& variables) const {
  for (const auto& each : templates_) {
    if (auto found = each->form.match(uri)) {
      variables = std::move(*found);
      return each;
    }
  }
  return nullptr;
}

bool server::knows(std::string_view uri) const {
  uri_variables ignored;
  return find_resource(uri) || match_template(uri, ignored);
}

std::vector<std::string> server::tool_names() const {
  std::vector<std::string> names;
  for (const auto& each : tools_) names.push_back(each->declaration.name);
  return names;
}

std::vector<std::string> server::prompt_names() const {
  std::vector<std::string> names;
  for (const auto& each : prompts_) names.push_back(each->name);
  return names;
}

// ---- what clients are told ----

json server::capabilities(const dialect& to) const {
  json out = {{"tools", {{"listChanged", true}}}, {"logging", json::object()}};
  if (has_resources()) out["resources"] = {{"subscribe", true}, {"listChanged", true}};
  if (has_prompts()) out["prompts"] = {{"listChanged", true}};
  const bool completes =
      std::ranges::any_of(prompts_, [](const auto& each) { return has_completers(*each); }) ||
      std::ranges::any_of(templates_, [](const auto& each) { return !each->declaration.complete.empty(); });
  if (completes && to.has_completions_capability()) out["completions"] = json::object();
  if (has_tasks() && to.is_stateless()) out["extensions"] = {{tasks_extension, json::object()}};
  return out;
}

json server::describe(const dialect& to) const {
  json self = identity_;
  if (to.has_titles()) add_text(self, "title", info_.title);
  if (to.has_icons()) {
    add_text(self, "description", info_.description);
    add_text(self, "websiteUrl", info_.website_url);
  }
  add_icons(self, info_.icons, to);
  json out = {{"capabilities", capabilities(to)}};
  add_text(out, "instructions", info_.instructions);
  if (to.is_stateless()) {
    out["supportedVersions"] = stateless_versions();
    out["_meta"] = {{server_info_key, std::move(self)}};
    add_cache_hint(out, lists_cache, to);
  } else {
    out["protocolVersion"] = to_string(to.version);
    out["serverInfo"] = std::move(self);
  }
  return out;
}

rpc_outcome server::list_tools(const std::string& cursor, const dialect& to) const {
  json items = json::array();
  for (const auto& each : tools_) items.push_back(describe_tool(each->declaration, to));
  return page("tools", std::move(items), "name", cursor, to);
}

rpc_outcome server::list_prompts(const std::string& cursor, const dialect& to) const {
  json items = json::array();
  for (const auto& each : prompts_) items.push_back(describe_prompt(*each, to));
  return page("prompts", std::move(items), "name", cursor, to);
}

rpc_outcome server::list_resources(const std::string& cursor, const dialect& to) const {
  json items = json::array();
  for (const auto& each : resources_) items.push_back(describe_resource(each->entry, to));
  for (const auto& each : templates_) {
    if (!each->declaration.list) continue;
    for (const resource_entry& entry : each->declaration.list()) items.push_back(describe_resource(entry, to));
  }
  return page("resources", std::move(items), "uri", cursor, to);
}

rpc_outcome server::list_templates(const std::string& cursor, const dialect& to) const {
  json items = json::array();
  for (const auto& each : templates_) items.push_back(describe_template(each->declaration, to));
  return page("resourceTemplates", std::move(items), "uriTemplate", cursor, to);
}

// A cursor is the key of the last item that the client has seen, so that a list that changes meanwhile neither repeats
// nor loses what stays in it.
rpc_outcome server::page(const char* name, json items, const char* key, const std::string& cursor,
                         const dialect& to) const {
  auto first = items.begin();
  if (!cursor.empty()) {
    first = std::find_if(items.begin(), items.end(), [&](const json& item) { return item.at(key) == cursor; });
    if (first == items.end()) {
      return rpc_error{rpc_code::invalid_params,
                       "Invalid params: the cursor is not known; ask for the list without one"};
    }
    ++first;
  }
  const auto left = static_cast<std::size_t>(std::distance(first, items.end()));
  const auto last = first + static_cast<std::ptrdiff_t>(std::min(left, page_size_));
  json out = {{name, json::array()}};
  std::move(first, last, std::back_inserter(out[name]));
  if (last != items.end()) out["nextCursor"] = out[name].back().at(key);
  add_cache_hint(out, lists_cache, to);
  return out;
}

json server::finish(json result, const dialect& to) const {
  if (!to.is_stateless()) return result;
  if (!result.contains("resultType")) result["resultType"] = "complete";
  json& self = result["_meta"][server_info_key];
  if (self.is_null()) self = identity_;
  return result;
}

void add_cache_hint(json& result, const cache_hint& hint, const dialect& to) {
  if (!to.is_stateless()) return;
  result["ttlMs"] = hint.ttl.count();
  result["cacheScope"] = hint.is_public ? "public" : "private";
}

json call_result(tool_result result, const dialect& to) {
  json content = json::array();
  if (!result.structured.is_null()) {
    content.push_back(text_block(to_text(result.structured)));
  }
  for (json& block : result.content) content.push_back(std::move(block));
  json out = json::object();
  out["content"] = std::move(content);
  if (result.is_error) out["isError"] = true;
  if (to.has_structured_content() && !result.structured.is_null()) {
    out["structuredContent"] = std::move(result.structured);
  }
  return out;
}

}  // namespace awm::mcp
