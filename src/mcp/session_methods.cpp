#include "mcp/session_impl.hpp"
#include "text/words.hpp"

#include <algorithm>
#include <utility>

namespace awm::mcp {
namespace {

// MCP, completion/complete: "at most 100 items".
constexpr std::size_t most_completions = 100;

bool is_true(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::set<std::string> strings_of(const json& object, const char* key) {
  std::set<std::string> out;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return out;
  for (const json& each : *found) {
    if (each.is_string()) out.insert(each.get<std::string>());
  }
  return out;
}

std::map<std::string, std::string> texts_of(const json& object) {
  std::map<std::string, std::string> out;
  if (!object.is_object()) return out;
  for (const auto& [key, value] : object.items()) {
    if (value.is_string()) out.emplace(key, value.get<std::string>());
  }
  return out;
}

}  // namespace

const std::map<std::string_view, session::impl::method>& session::impl::methods() {
  using when = method::when;
  static const std::map<std::string_view, method> table{
      {"initialize", {&impl::initialize, when::any_time}},
      {"ping", {&impl::ping, when::any_time}},
      {"logging/setLevel", {&impl::set_level, when::legacy}},
      {"resources/subscribe", {&impl::subscribe, when::legacy}},
      {"resources/unsubscribe", {&impl::unsubscribe, when::legacy}},
      {"tools/list", {&impl::list<&server::list_tools>, when::in_both_eras}},
      {"tools/call", {&impl::call_tool, when::in_both_eras}},
      {"resources/list", {&impl::list<&server::list_resources>, when::in_both_eras}},
      {"resources/templates/list", {&impl::list<&server::list_templates>, when::in_both_eras}},
      {"resources/read", {&impl::read_resource, when::in_both_eras}},
      {"prompts/list", {&impl::list<&server::list_prompts>, when::in_both_eras}},
      {"prompts/get", {&impl::get_prompt, when::in_both_eras}},
      {"completion/complete", {&impl::complete, when::in_both_eras}},
      {"server/discover", {&impl::discover, when::stateless}},
      {"subscriptions/listen", {&impl::listen, when::stateless}},
      {"tasks/get", {&impl::get_task, when::stateless}},
      {"tasks/update", {&impl::update_task, when::stateless}},
      {"tasks/cancel", {&impl::cancel_task, when::stateless}},
  };
  return table;
}

// ---- who is who ----

session::impl::verdict session::impl::initialize(incoming& asked) {
  const json& params = asked.what.params;
  const std::string* const requested = string_member(params, "protocolVersion");
  if (requested == nullptr) return invalid_params("protocolVersion must be a string");
  negotiated_ = negotiate(*requested);
  is_initialized_ = false;
  client_ = std::make_shared<client_info>(
      client_info{params.value("clientInfo", json::object()), params.value("capabilities", json::object())});
  return server_.describe({era::legacy, *negotiated_});
}

session::impl::verdict session::impl::discover(incoming& asked) {
  return server_.describe(asked.meta.how);
}

session::impl::verdict session::impl::ping(incoming&) {
  return json::object();
}

session::impl::verdict session::impl::set_level(incoming& asked) {
  const std::string* const name = string_member(asked.what.params, "level");
  const auto level = name == nullptr ? std::nullopt : parse_log_level(*name);
  if (!level) {
    return invalid_params("level must be one of debug, info, notice, warning, error, critical, alert, emergency");
  }
  level_ = *level;
  return json::object();
}

// ---- lists ----

template <rpc_outcome (server::*List)(const std::string&, const dialect&) const>
session::impl::verdict session::impl::list(incoming& asked) {
  const json& params = asked.what.params;
  const std::string* const cursor = string_member(params, "cursor");
  if (params.contains("cursor") && cursor == nullptr) return invalid_params("cursor must be a string");
  if (cursor != nullptr && cursor->empty()) return invalid_params("cursor must not be empty; leave it out");
  return (server_.*List)(cursor == nullptr ? std::string() : *cursor, asked.meta.how);
}

session::impl::verdict session::impl::complete(incoming& asked) {
  const json& params = asked.what.params;
  const json ref = params.value("ref", json());
  const json argument = params.value("argument", json());
  const std::string* const kind = ref.is_object() ? string_member(ref, "type") : nullptr;
  if (kind == nullptr) return invalid_params("ref.type must be ref/prompt or ref/resource");
  const std::string* const name = argument.is_object() ? string_member(argument, "name") : nullptr;
  const std::string* const typed = argument.is_object() ? string_member(argument, "value") : nullptr;
  if (name == nullptr || typed == nullptr) return invalid_params("argument.name and argument.value must be strings");

  completer complete;
  if (*kind == "ref/prompt") {
    const std::string* const which = string_member(ref, "name");
    const auto found = which == nullptr ? nullptr : server_.find_prompt(*which);
    if (!found) return invalid_params("ref.name is no prompt; prompts/list names them");
    for (const prompt_argument& each : found->arguments) {
      if (each.name == *name) complete = each.complete;
    }
  } else if (*kind == "ref/resource") {
    const std::string* const which = string_member(ref, "uri");
    const auto found = which == nullptr ? nullptr : server_.find_template(*which);
    if (!found && (which == nullptr || !server_.find_resource(*which))) {
      return invalid_params("ref.uri is no resource template; resources/templates/list names them");
    }
    if (found && found->declaration.complete.contains(*name)) complete = found->declaration.complete.at(*name);
  } else {
    return invalid_params("ref.type must be ref/prompt or ref/resource");
  }

  std::vector<std::string> values;
  const json others = params.value("context", json::object());
  if (complete) values = complete(*typed, texts_of(others.is_object() ? others.value("arguments", json()) : json()));
  json completion = {{"total", values.size()}, {"hasMore", values.size() > most_completions}};
  values.resize(std::min(values.size(), most_completions));
  completion["values"] = std::move(values);
  return json{{"completion", std::move(completion)}};
}

// ---- subscriptions ----

session::impl::verdict session::impl::subscribe(incoming& asked) {
  const std::string* const uri = string_member(asked.what.params, "uri");
  if (uri == nullptr) return invalid_params("uri must be a string");
  if (!server_.knows(*uri)) return no_such_resource(*uri, asked.meta.how);
  subscribed_.insert(*uri);
  return json::object();
}

session::impl::verdict session::impl::unsubscribe(incoming& asked) {
  const std::string* const uri = string_member(asked.what.params, "uri");
  if (uri == nullptr) return invalid_params("uri must be a string");
  subscribed_.erase(*uri);
  return json::object();
}

session::impl::verdict session::impl::listen(incoming& asked) {
  const json wanted = asked.what.params.value("notifications", json());
  if (!wanted.is_object()) return invalid_params("notifications must be an object");
  listener next;
  next.how = asked.meta.how;
  next.tools = is_true(wanted, "toolsListChanged");
  next.prompts = is_true(wanted, "promptsListChanged") && server_.has_prompts();
  next.resources = is_true(wanted, "resourcesListChanged") && server_.has_resources();
  for (const std::string& uri : strings_of(wanted, "resourceSubscriptions")) {
    if (server_.knows(uri)) next.uris.insert(uri);
  }
  for (const std::string& id : strings_of(wanted, "taskIds")) {
    if (asked.meta.takes_tasks() && task_calls_.contains(id)) next.tasks.insert(id);
  }
  json honoured = json::object();
  if (next.tools) honoured["toolsListChanged"] = true;
  if (next.prompts) honoured["promptsListChanged"] = true;
  if (next.resources) honoured["resourcesListChanged"] = true;
  if (!next.uris.empty()) honoured["resourceSubscriptions"] = next.uris;
  if (!next.tasks.empty()) honoured["taskIds"] = next.tasks;
  json params = {{"_meta", {{subscription_id_key, asked.what.id}}}, {"notifications", std::move(honoured)}};
  constexpr auto words = "notifications/subscriptions/acknowledged";
  listeners_.emplace(asked.what.id, std::move(next));
  outbox_.report(json::array({words, asked.what.id}), notification_text(words, params));
  wake_writer();
  return std::nullopt;  // answered when it ends
}

void session::impl::tell_listeners(const char* words, const json& params, const json& about,
                                   const std::function<bool(const listener&)>& wants) {
  for (const auto& [id, open] : listeners_) {
    if (!wants(open)) continue;
    json tagged = params;
    tagged["_meta"][subscription_id_key] = id;
    outbox_.report(json::array({about, id}), notification_text(words, std::move(tagged)));
  }
  wake_writer();
}

void session::impl::changed(const server_change& what) {
  if (outcome_) return;
  using kind = server_change::kind;
  const auto list_changed = [&](const char* words, bool listener::*wanted) {
    tell_listeners(words, json::object(), words, [wanted](const listener& open) { return open.*wanted; });
    if (is_legacy_client()) outbox_.report(json::array({words}), notification_text(words, json::object()));
  };
  switch (what.what) {
    case kind::tools:
      list_changed("notifications/tools/list_changed", &listener::tools);
      break;
    case kind::prompts:
      list_changed("notifications/prompts/list_changed", &listener::prompts);
      break;
    case kind::resources:
      list_changed("notifications/resources/list_changed", &listener::resources);
      break;
    case kind::contents: {
      constexpr auto words = "notifications/resources/updated";
      const json params = {{"uri", what.uri}};
      tell_listeners(words, params, what.uri, [&](const listener& open) { return open.uris.contains(what.uri); });
      if (subscribed_.contains(what.uri)) {
        outbox_.report(json::array({what.uri}), notification_text(words, params));
      }
      break;
    }
  }
  wake_writer();
}

// ---- tasks ----

std::variant<std::shared_ptr<session::impl::call>, rpc_error> session::impl::find_task(const incoming& asked) {
  if (!asked.meta.takes_tasks()) return missing_tasks_extension();
  const std::string* const id = string_member(asked.what.params, "taskId");
  if (id == nullptr) return invalid_params("taskId must be a string");
  const auto found = task_calls_.find(*id);
  if (found == task_calls_.end()) {
    return invalid_params("there is no task " + text::shortened(*id, 80) +
                          "; it was dropped, or belongs to an earlier process of this server. Call the tool again");
  }
  return found->second;
}

session::impl::verdict session::impl::get_task(incoming& asked) {
  auto found = find_task(asked);
  if (auto* const error = std::get_if<rpc_error>(&found)) {
    // A client that polls a task of a process that is gone would go on for ever with an error (Claude Code 2.1.329).
    const std::string* const id = string_member(asked.what.params, "taskId");
    if (asked.meta.takes_tasks() && id != nullptr && is_task_name(*id)) return describe_lost_task(*id);
    return std::move(*error);
  }
  const auto task = std::get<std::shared_ptr<call>>(std::move(found));
  json state = describe_task(*task);
  // Whoever reads the outcome has it; when this answer is lost, the next one delivers it.
  delivery_receipt receipt;
  if (task->outcome && task->receipt) {
    receipt = [task](delivery what) {
      if (what == delivery::written) task->receipt.write();
    };
  }
  answer(asked.what.id, std::move(state), asked.meta.how, asked.in, std::move(receipt));
  return std::nullopt;
}

session::impl::verdict session::impl::update_task(incoming& asked) {
  auto found = find_task(asked);
  if (auto* const error = std::get_if<rpc_error>(&found)) return std::move(*error);
  if (auto wrong = check_responses(asked.what.params)) return std::move(*wrong);
  const auto& task = *std::get<std::shared_ptr<call>>(found);
  for (const auto& [key, result] : asked.what.params.at("inputResponses").items()) board_.answer(&task, key, result);
  return json::object();
}

session::impl::verdict session::impl::cancel_task(incoming& asked) {
  auto found = find_task(asked);
  if (auto* const error = std::get_if<rpc_error>(&found)) return std::move(*error);
  const auto task = std::get<std::shared_ptr<call>>(found);
  task->receipt.drop();  // the client wants no outcome, also one that is there
  cancel_task(*task);
  return json::object();
}

void session::impl::cancel_task(call& which) {
  if (which.over) return;
  stop(which);
  keep_finished(which.task_id);
  task_changed(which);
}

}  // namespace awm::mcp
