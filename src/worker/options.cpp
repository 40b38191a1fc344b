#include "worker/options.hpp"

#include "text/json_text.hpp"

#include <type_traits>

namespace awm::worker {
namespace {

using nlohmann::json;

/// Calls `visit(name, member)` for every option, in the order in which the schema lists them.
template <class Options, class Visit>
void for_each_option(Options& wanted, Visit visit) {
  visit("model", wanted.model);
  visit("system", wanted.system);
  visit("temperature", wanted.temperature);
  visit("top_p", wanted.top_p);
  visit("top_k", wanted.top_k);
  visit("max_tokens", wanted.max_tokens);
  visit("thinking", wanted.thinking);
  visit("cwd", wanted.cwd);
  visit("add_dirs", wanted.add_dirs);
  visit("allowed_tools", wanted.allowed_tools);
  visit("disallowed_tools", wanted.disallowed_tools);
  visit("permission_mode", wanted.permission_mode);
  visit("max_turns", wanted.max_turns);
  visit("max_budget_usd", wanted.max_budget_usd);
  visit("timeout_s", wanted.timeout_s);
  visit("effort", wanted.effort);
  visit("fallback_model", wanted.fallback_model);
  visit("mcp", wanted.mcp);
  visit("env", wanted.env);
  visit("json_schema", wanted.json_schema);
  visit("isolation", wanted.isolation);
  visit("background", wanted.background);
  visit("ask", wanted.ask);
  visit("permissions", wanted.permissions);
  visit("rate_limit_retries", wanted.rate_limit_retries);
}

template <class Value>
Value value_from(const json& value) {
  if constexpr (std::is_same_v<Value, thinking_option>) {
    if (value.is_boolean()) return value.get<bool>();
    return value.get<std::int64_t>();
  } else {
    return value.get<Value>();
  }
}

json value_to(const thinking_option& value) {
  return std::visit([](auto held) { return json(held); }, value);
}

template <class Value>
json value_to(const Value& value) {
  return value;
}

/// Puts the members of `from` into `into`; a `null` takes the member's value away.
void assign(options& into, const json& from) {
  for_each_option(into, [&from](const char* name, auto& member) {
    const auto found = from.find(name);
    if (found == from.end()) return;
    if (found->is_null()) {
      member.reset();
    } else {
      member = value_from<typename std::remove_reference_t<decltype(member)>::value_type>(*found);
    }
  });
}

json text(const char* description) {
  return {{"type", "string"}, {"minLength", 1}, {"description", description}};
}

json texts(const char* description) {
  return {{"type", "array"}, {"items", {{"type", "string"}, {"minLength", 1}}}, {"description", description}};
}

json one_of(const std::vector<std::string>& names, const char* description) {
  return {{"type", "string"}, {"enum", names}, {"description", description}};
}

json number(const char* type, json limits, const char* description) {
  limits["type"] = type;
  limits["description"] = description;
  return limits;
}

json flag(const char* description) {
  return {{"type", "boolean"}, {"description", description}};
}

json make_properties() {
  return {
      {"model", text("Model of the worker: an alias (sonnet, opus, haiku, fable) or a full name such as "
                     "claude-sonnet-4-5. Default: the server's default model.")},
      {"system", text("System prompt that replaces Claude Code's own. To add a role and keep Claude Code's prompt, put "
                      "the role into agent_type instead.")},
      {"temperature", number("number", {{"minimum", 0}, {"maximum", 1}},
                             "Sampling temperature, 0 to 1. Newer models take none: without a model named, one that "
                             "takes it is chosen and thinking is switched off; the answer's warnings say so.")},
      {"top_p", number("number", {{"minimum", 0}, {"maximum", 1}},
                       "Nucleus sampling, 0 to 1. Many models take temperature or top_p but not both; then temperature "
                       "is kept.")},
      {"top_k", number("integer", {{"minimum", 1}}, "Sample from the k likeliest tokens only, 1 or more.")},
      {"max_tokens", number("integer", {{"minimum", 1}, {"maximum", 128000}},
                            "Largest length of one model reply in tokens, 1 to 128000.")},
      {"thinking",
       {{"anyOf", {{{"type", "boolean"}}, {{"type", "integer"}, {"minimum", 1024}}}},
        {"description",
         "Extended thinking: true, false, or a budget in tokens (1024 or more). Default: as "
         "Claude Code does for the model."}}},
      {"cwd", text("Absolute path of the existing directory that the worker works in. Default: the server's own.")},
      {"add_dirs", texts("Absolute paths of further existing directories that the worker may work in.")},
      {"allowed_tools", texts("Tools that the worker may use without asking, such as \"Read\", \"Edit\", "
                              "\"Bash(git *)\" or \"mcp__server__tool\".")},
      {"disallowed_tools", texts("Tools that the worker must not use, written as in allowed_tools.")},
      {"permission_mode",
       one_of(permission_modes(),
              "What the worker asks permission for: default (asks before changes), acceptEdits (file "
              "edits are not asked), plan (plans, changes nothing), dontAsk (denies what would be "
              "asked), bypassPermissions (asks nothing), auto (a classifier decides).")},
      {"max_turns", number("integer", {{"minimum", 1}},
                           "The worker's turn fails after this many model calls, 1 or more. Default: no limit.")},
      {"max_budget_usd", number("number", {{"exclusiveMinimum", 0}},
                                "The worker's turn fails when it has cost this many US dollars. Default: no limit.")},
      {"timeout_s", number("number", {{"exclusiveMinimum", 0}, {"maximum", longest_timeout_s}},
                           "Seconds that the turn may take from its start. Shortly before, the worker is told to wrap "
                           "up; then it is interrupted. Default: no limit.")},
      {"effort", one_of(effort_levels(), "How much work the model puts into an answer. Default: the model's own.")},
      {"fallback_model", text("Model that takes over while the main one is overloaded.")},
      {"mcp",
       {{"anyOf",
         {{{"type", "string"}, {"enum", {"none", "inherit"}}},
          {{"type", "object"}, {"additionalProperties", {{"type", "object"}}}}}},
        {"description",
         "MCP servers of the worker: \"none\" (default), \"inherit\" (those configured for Claude "
         "Code here), or an object from server name to its entry as in .mcp.json, for example "
         "{\"db\":{\"command\":\"db-server\",\"args\":[]}}."}}},
      {"env",
       {{"type", "object"},
        {"additionalProperties", {{"type", "string"}}},
        {"description", "Environment variables of the worker, beside those of the server."}}},
      {"json_schema",
       {{"type", "object"},
        {"description",
         "JSON Schema of a structured result, with type object at its root. The result then stands as "
         "structured_output in wait and in the transcript; a worker that gives none has failed."}}},
      {"isolation",
       one_of({"none", "worktree"},
              "worktree: the worker works in a git worktree of its own, on a branch of its own, which its "
              "result names. It is removed only when it holds nothing that is not merged. Default: none.")},
      {"background", flag("true: the worker may leave shells and agents running in the background; its turn then ends "
                          "when they have ended. Default: false, everything runs in the foreground.")},
      {"ask", one_of({"auto", "human", "model"},
                     "Who answers permission questions that no rule decides: human (asked through your client), model "
                     "(you, through wait), auto (the human where the client can ask one). Default: the server's.")},
      {"permissions",
       {{"type", "object"},
        {"additionalProperties", false},
        {"properties",
         {{"allow", texts("Rules whose tools run without a question, such as \"Bash(git *)\".")},
          {"deny", texts("Rules whose tools are denied.")},
          {"ask", texts("Rules whose tools are always asked about.")}}},
        {"description",
         "Permission rules in Claude Code's syntax, Tool or Tool(pattern), that decide the worker's questions before "
         "anybody is asked; beside those of the server's config."}}},
      {"rate_limit_retries", number("integer", {{"minimum", 0}},
                                    "How often a turn that failed because of the API's rate limit or overload is taken "
                                    "up again on its session, after the limit's end. Default: the server's, 5.")},
  };
}

json make_schema(json properties, const char* description) {
  return {{"type", "object"},
          {"description", description},
          {"additionalProperties", false},
          {"properties", std::move(properties)}};
}

json make_nullable(json properties) {
  for (json& property : properties) {
    if (property.contains("anyOf")) {
      property["anyOf"].push_back({{"type", "null"}});
      continue;
    }
    property["type"] = json::array({property["type"], "null"});
    if (property.contains("enum")) property["enum"].push_back(nullptr);
  }
  return properties;
}

}  // namespace

std::string to_string(const option_error& error) {
  // What a caller sent may hold broken UTF-8, which must not throw on the way into an error text.
  const auto value = text::json_text(error.value);
  return error.field + " " + value + ": " + error.fix;
}

const std::vector<std::string>& permission_modes() {
  static const std::vector<std::string> modes{"default", "acceptEdits", "plan", "dontAsk", "bypassPermissions", "auto"};
  return modes;
}

const std::vector<std::string>& effort_levels() {
  static const std::vector<std::string> levels{"low", "medium", "high", "xhigh", "max"};
  return levels;
}

const json& options_schema() {
  static const json schema = make_schema(make_properties(), "How the worker runs. Every field may be left out.");
  return schema;
}

const json& resume_options_schema() {
  static const json schema =
      make_schema(make_nullable(make_properties()),
                  "What this turn does otherwise. A field that is left out stays as in the worker's last turn; null "
                  "puts it back to its default.");
  return schema;
}

options options_from_json(const json& json) {
  options wanted;
  assign(wanted, json);
  return wanted;
}

json options_to_json(const options& wanted) {
  json result = json::object();
  for_each_option(wanted, [&result](const char* name, const auto& member) {
    if (member) result[name] = value_to(*member);
  });
  return result;
}

options merge_options(const options& last, const json& given) {
  options merged = last;
  if (given.is_object()) assign(merged, given);
  return merged;
}

}  // namespace awm::worker
