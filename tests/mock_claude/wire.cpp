#include "wire.hpp"

#include "json.hpp"

#include <dirent.h>
#include <sys/random.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

namespace mock::wire {
namespace {

using json::quote;

std::string cat(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (std::string_view const part : parts) out += part;
  return out;
}

std::uint64_t random_bits() {
  // One system call a process; the rest is xorshift64, good enough for ids that must only differ.
  static std::uint64_t state = [] {
    std::uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = static_cast<std::uint64_t>(getpid());
    return seed | 1;
  }();
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

std::string hex(std::size_t digits) {
  std::string out;
  while (out.size() < digits) {
    char buffer[17];
    std::snprintf(buffer, sizeof buffer, "%016llx", static_cast<unsigned long long>(random_bits()));
    out += buffer;
  }
  out.resize(digits);
  return out;
}

long long wall_ms() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/// gmtime would read the time zone file at every start; this does not.
std::string timestamp() {
  using namespace std::chrono;
  sys_time<milliseconds> const now{milliseconds(wall_ms())};
  auto const day = floor<days>(now);
  year_month_day const date(day);
  hh_mm_ss const time(now - day);
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return buffer;
}

std::string array(const std::vector<std::string>& raw) {
  std::string out = "[";
  for (const std::string& one : raw) out += (out.size() > 1 ? "," : "") + one;
  return out + "]";
}

std::string strings(const std::vector<std::string>& texts) {
  std::vector<std::string> quoted;
  for (const std::string& one : texts) quoted.push_back(quote(one));
  return array(quoted);
}

/// `,"session_id":…,"uuid":…` and, for 2.1.329 where it has one, the time.
std::string stamp(const identity& who, bool always_time = false) {
  std::string out = cat({",\"session_id\":", quote(who.session_id), ",\"uuid\":\"", uuid(), "\""});
  if (who.newer || always_time) out += cat({",\"timestamp\":\"", timestamp(), "\""});
  return out;
}

std::string answers_to(const std::vector<std::string>& uuids) {
  if (uuids.empty()) return {};
  return cat({",\"user_message_uuid\":", quote(uuids.back()), ",\"user_message_uuids\":", strings(uuids)});
}

constexpr std::string_view reply_usage =
    R"({"input_tokens":100,"output_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":0})";

std::string usage(const identity& who, const spend& of) {
  return cat({"{\"input_tokens\":", std::to_string(of.input),
              ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":",
              std::to_string(of.output), who.newer ? ",\"output_tokens_details\":{\"thinking_tokens\":0}" : "",
              R"(,"server_tool_use":{"web_search_requests":0,"web_fetch_requests":0},"service_tier":"standard",)"
              R"("cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"inference_geo":"",)"
              R"("iterations":[],"speed":"standard")",
              who.newer ? ",\"fallback_credit\":null}" : "}"});
}

std::string model_usage(const identity& who, const spend& of) {
  if (of.calls == 0 && of.input == 0 && of.usd <= 0) return "{}";
  std::string out =
      cat({"{", quote(who.model), ":{\"inputTokens\":", std::to_string(of.input),
           ",\"outputTokens\":", std::to_string(of.output),
           ",\"cacheReadInputTokens\":0,\"cacheCreationInputTokens\":0,\"webSearchRequests\":0,"
           "\"costUSD\":",
           number(of.usd), ",\"contextWindow\":1000000,\"maxOutputTokens\":", who.newer ? "128000" : "64000"});
  if (who.newer)
    out += cat({R"(,"thinkingTokens":0,"cacheCreationEphemeral5mInputTokens":0,)"
                R"("cacheCreationEphemeral1hInputTokens":0,"canonicalModel":)",
                quote(who.model), R"(,"provider":"firstParty","costBasis":"list")"});
  return out + "}}";
}

/// The end of a line that carries no time.
std::string event_tail(const identity& who) {
  return cat({",\"uuid\":\"", uuid(), "\",\"session_id\":", quote(who.session_id), "}"});
}

std::string task_head(const identity& who, const background_task& one, std::string_view subtype) {
  return cat({R"({"type":"system","subtype":")", subtype, "\",\"task_id\":", quote(one.id),
              who.newer ? cat({",\"run_id\":", quote(one.run_id)}) : std::string()});
}

std::string of_agent(const identity& who, const background_task& one) {
  return cat({who.newer ? cat({",\"agent_id\":", quote(one.id)}) : std::string(),
              R"(,"subagent_type":"general-purpose","task_description":)", quote(one.id)});
}

/// Where the real CLI writes what the task prints; a mock task prints nothing, and there is no such file.
std::string output_file(const identity& who, const background_task& one) {
  const char* const temporary = std::getenv("CLAUDE_CODE_TMPDIR");
  return cat({temporary != nullptr ? temporary : "/tmp", "/claude/", who.session_id, "/tasks/", one.id, ".output"});
}

std::string subagent_stats(const agent_counts& of) {
  std::string const spawned = std::to_string(of.spawned);
  return cat({"{\"spawned\":", spawned, ",\"requested\":{\"background\":", spawned,
              ",\"foreground\":0,\"unset\":0},\"started_in_background\":", spawned, ",\"max_depth\":",
              of.spawned > 0 ? "1" : "0", ",\"spawned_by_subagents\":0,\"completed\":", std::to_string(of.completed),
              ",\"failed\":", std::to_string(of.failed),
              ",\"killed\":{\"parent\":0,\"user\":0,\"system\":", std::to_string(of.killed),
              R"(},"refused":{"depth_limit":0,"concurrency_limit":0,"budget":0},"by_type":{)",
              of.spawned > 0 ? "\"general-purpose\":" + spawned : std::string(), "}}"});
}

std::string api_model(const identity& who) {
  std::size_t const variant = who.model.find('[');  // the API is not told about the window size
  return who.model.substr(0, variant);
}

std::vector<std::string> tool_names(const identity& who, const options& given) {
  std::vector<std::string> all = {"Task", "AskUserQuestion", "Bash",          "CronCreate",   "CronDelete",  "CronList",
                                  "Edit", "EnterPlanMode",   "EnterWorktree", "ExitPlanMode", "ExitWorktree"};
  auto const add = [&](std::initializer_list<const char*> names) { all.insert(all.end(), names.begin(), names.end()); };
  if (who.newer)
    add({"ListAgents", "Monitor", "NotebookEdit", "Read", "ReportFindings", "ScheduleWakeup", "SendMessage", "Skill",
         "TaskStop", "ToolSearch", "WebFetch", "WebSearch", "Workflow", "Write"});
  else
    add({"NotebookEdit", "Read", "ReportFindings", "ScheduleWakeup", "SendMessage", "Skill", "TaskCreate", "TaskGet",
         "TaskList", "TaskOutput", "TaskStop", "TaskUpdate", "WebFetch", "WebSearch", "Workflow", "Write"});
  std::vector<std::string> const only = given.words("--tools"), without = given.words("--disallowedTools");
  auto const listed = [](const std::vector<std::string>& in, const std::string& name) {
    for (const std::string& one : in)
      if (one == name || one == "default") return true;
    return false;
  };
  std::vector<std::string> out;
  for (const std::string& name : all)
    if ((!given.has("--tools") || listed(only, name)) && !listed(without, name)) out.push_back(name);
  return out;
}

std::string read_file(const std::string& path) {
  std::string all;
  if (FILE* const file = std::fopen(path.c_str(), "re")) {
    char buffer[4096];
    for (std::size_t n = 1; n > 0;) all.append(buffer, n = std::fread(buffer, 1, sizeof buffer, file));
    std::fclose(file);
  }
  return all;
}

/// `name:` of the front matter of every agent file in a folder.
void add_agent_files(const std::string& folder, std::vector<std::string>& out) {
  DIR* const files = opendir(folder.c_str());
  while (files != nullptr) {
    const dirent* const entry = readdir(files);
    if (entry == nullptr) break;
    std::string const text = read_file(folder + "/" + entry->d_name);
    std::size_t const at = text.find("\nname:");
    if (text.rfind("---", 0) != 0 || at == std::string::npos) continue;
    std::size_t const from = text.find_first_not_of(" \"", at + 6);
    out.push_back(text.substr(from, text.find_first_of("\"\r\n", from) - from));
  }
  if (files != nullptr) closedir(files);
}

std::vector<std::string> agent_names(const options& given, std::string_view initialize_request) {
  std::vector<std::string> out = {"claude", "Explore", "general-purpose", "Plan", "statusline-setup"};
  if (given.value("--setting-sources").empty() && !given.has("--setting-sources")) {
    add_agent_files(".claude/agents", out);
    if (const char* home = std::getenv("HOME")) add_agent_files(std::string(home) + "/.claude/agents", out);
  }
  auto const add = [&](std::string_view name, std::string_view) { out.emplace_back(name); };
  json::each_member(given.value("--agents"), add);
  json::each_member(json::member(initialize_request, "agents"), add);
  return out;
}

std::string mcp_servers(const options& given, std::string_view initialize_request, bool newer) {
  std::vector<std::string> out;
  auto const add = [&](std::string_view name, std::string_view) {
    out.push_back(
        cat({"{\"name\":", quote(name), ",\"status\":\"connected\"", newer ? ",\"source\":\"dynamic\"}" : "}"}));
  };
  auto const it = given.given.find("--mcp-config");
  if (it != given.given.end())
    for (const std::string& config : it->second)
      json::each_member(json::member(config[0] == '{' ? config : read_file(config), "mcpServers"), add);
  json::each_member(json::member(initialize_request, "mcpServers"), add);
  return array(out);
}

std::string current_folder() {
  char buffer[4096];
  return getcwd(buffer, sizeof buffer) != nullptr ? buffer : "/";
}

std::string home_folder() {
  const char* const home = std::getenv("HOME");
  return home != nullptr ? home : "/root";
}

/// What a shell rule suggests for a command; `touch PATH` is the one that names a blocked path.
std::string bash_suggestions(std::string_view input) {
  std::string const command = json::text_of(input, "command");
  std::string const rule = cat({R"({"type":"addRules","rules":[{"toolName":"Bash","ruleContent":)", quote(command),
                                R"(}],"behavior":"allow","destination":"localSettings"})"});
  std::size_t const path_from = command.find('/');
  if (command.rfind("touch /", 0) != 0)
    return cat({",\"permission_suggestions\":[", rule,
                R"(],"decision_reason":"This command requires approval","decision_reason_type":"other")"});
  std::string const path = command.substr(path_from, command.find_first_of("; ", path_from) - path_from);
  return cat({",\"permission_suggestions\":[", rule, R"(,{"type":"addDirectories","directories":[)",
              quote(path.substr(0, path.rfind('/'))),
              R"(],"destination":"session"},{"type":"setMode","mode":"acceptEdits","destination":"session"}],)"
              R"("blocked_path":)",
              quote(path)});
}

std::string host_of(const std::string& url) {
  std::size_t const from = url.find("//") == std::string::npos ? 0 : url.find("//") + 2;
  return url.substr(from, url.find_first_of(":/", from) - from);
}

std::string suggestions(std::string_view tool, std::string_view input) {
  if (tool == "AskUserQuestion" || tool == "ExitPlanMode") return {};
  if (tool == "Bash") return bash_suggestions(input);
  std::string const path = json::text_of(input, "file_path");
  if (tool == "Read")
    return cat({R"(,"permission_suggestions":[{"type":"addRules","rules":[{"toolName":"Read","ruleContent":)",
                quote("/" + path.substr(0, path.rfind('/')) + "/**"),
                R"(}],"behavior":"allow","destination":"session"}],"decision_reason":)"
                R"("Path is outside allowed working directories","decision_reason_type":"workingDir")"});
  if ((tool == "Write" || tool == "Edit") && !path.empty())
    return R"(,"permission_suggestions":[{"type":"setMode","mode":"acceptEdits","destination":"session"}])";
  std::string const url = json::text_of(input, "url");
  std::string const rule = url.empty() ? std::string() : ",\"ruleContent\":" + quote("domain:" + host_of(url));
  return cat({R"(,"permission_suggestions":[{"type":"addRules","rules":[{"toolName":)", quote(tool), rule,
              R"(}],"behavior":"allow","destination":"localSettings"}])"});
}

std::string description_of(std::string_view input) {
  for (const char* const key : {"description", "file_path", "url"}) {
    std::string const value = json::text_of(input, key);
    if (!value.empty()) return ",\"description\":" + quote(value);
  }
  return {};
}

std::string times_to_first(const identity& who, const outcome& how) {
  if (!how.answered) return {};
  return who.newer ? R"(,"ttft_ms":1,"ttft_stream_ms":1,"time_to_request_ms":0,"first_content_frame_ms":1)"
                   : R"(,"ttft_ms":1,"ttft_stream_ms":1,"time_to_request_ms":0)";
}

}  // namespace

std::string uuid() {
  std::string id = hex(32);
  id[12] = '4';
  id[16] = "89ab"[random_bits() & 3];
  return id.substr(0, 8) + "-" + id.substr(8, 4) + "-" + id.substr(12, 4) + "-" + id.substr(16, 4) + "-" +
         id.substr(20);
}

std::string tool_use_id() {
  return "toolu_" + hex(20);
}
std::string message_id() {
  return "msg_" + hex(20);
}

std::string number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.10g", value);
  return buffer;
}

std::string resolve_model(const std::string& name, bool newer) {
  if (name.empty() || name == "default" || name == "opus") return newer ? "claude-opus-5-5" : "claude-opus-4-8[1m]";
  if (name == "sonnet") return newer ? "claude-sonnet-5-5" : "claude-sonnet-5";
  if (name == "haiku") return newer ? "claude-haiku-5-5" : "claude-haiku-4-5-20251001";
  return name;
}

spend price_of_calls(long calls, bool newer) {
  return {calls, 100 * calls, 20 * calls, (newer ? 0.0008 : 0.001) * static_cast<double>(calls)};
}

spend price_of_an_aborted_call(bool newer) {
  return newer ? spend{0, 100, 3, 0.00046} : spend{};
}

std::string initialize_reply(const identity& who, std::string_view request_id) {
  std::string out =
      cat({R"({"type":"control_response","response":{"subtype":"success","request_id":)", quote(request_id),
           R"(,"response":{"commands":[{"name":"clear","description":"Start anew","argumentHint":"")",
           who.newer ? R"(,"builtin":true}],)" : "}],",
           R"("agents":[{"name":"claude","description":"Catch-all"},{"name":"Explore","description":"Search","model":)",
           who.newer ? "\"inherit\"" : "\"haiku\"",
           R"(},{"name":"general-purpose","description":"Research"},{"name":"Plan","description":"Plans"},)"
           R"({"name":"statusline-setup","description":"Status line","model":"sonnet"}],"output_style":"default",)"
           R"("available_output_styles":["default","Proactive","Explanatory","Learning"],)",
           who.newer ? cat({R"("user_output_styles_dir":)", quote(home_folder() + "/.claude/output-styles"), ","}) : "",
           R"("models":[{"value":"default","resolvedModel":)", quote(resolve_model("", who.newer)),
           R"(,"displayName":"Default","description":"The mock's model","supportsEffort":true,)"
           R"("supportedEffortLevels":["low","medium","high","xhigh","max"],"supportsAdaptiveThinking":true,)"
           R"("supportsFastMode":true,"supportsAutoMode":true)",
           who.newer ? R"(,"supportsThinkingOff":false}],)" : "}],",
           R"("account":{"tokenSource":"none","apiKeySource":"ANTHROPIC_API_KEY","apiProvider":"firstParty"},"pid":)",
           std::to_string(getpid())});
  if (!who.newer) return out + "}}}";
  out += cat({R"(,"claude_code_version":)", quote(who.version), R"(,"current_permission_mode":)",
              quote(who.permission_mode),
              R"(,"hook_on_failure_supported":true,"hooks_when_unanswered_kept":0,"other_hook_ask_outranks_host":true,)"
              R"("feedback_mode":{"kind":"disabled"},"analytics_disabled":true,"remote_control_auto_enable":false,)"
              R"("remote_control_auto_connect_default":false,"remote_control_available":false,)"
              R"("remote_control_auto_on_by_default":false,"ide_rc_auto_enable_gate":false,"fast_mode_state":"off",)"
              R"("fast_mode_disabled_reason":"sdk_opt_in_required","session_state":"idle",)"
              R"("capabilities":["ui_surface_v1","reload_plugins_refuse_if_busy_v1","get_usage_detached_v1"]},)"
              R"("pending_permission_requests":[],"pending_user_dialog_requests":[]}})"});
  return out;
}

std::string control_success(std::string_view request_id, std::string_view response) {
  return cat({R"({"type":"control_response","response":{"subtype":"success","request_id":)", quote(request_id),
              response.empty() ? "" : ",\"response\":", response, "}}"});
}

std::string control_error(const identity& who, std::string_view request_id, std::string_view error,
                          std::string_view code) {
  return cat({R"({"type":"control_response","response":{"subtype":"error","request_id":)", quote(request_id),
              ",\"error\":", quote(error), who.newer ? cat({",\"error_code\":", quote(code)}) : "", "}}"});
}

std::string control_cancel(std::string_view request_id) {
  return cat({R"({"type":"control_cancel_request","request_id":)", quote(request_id), "}"});
}

std::string init(const identity& who, const options& given, std::string_view initialize_request,
                 const std::vector<std::string>& uuids) {
  std::string const cwd = current_folder();
  std::string out =
      cat({R"({"type":"system","subtype":"init","cwd":)",
           quote(cwd),
           ",\"session_id\":",
           quote(who.session_id),
           ",\"tools\":",
           strings(tool_names(who, given)),
           ",\"mcp_servers\":",
           mcp_servers(given, initialize_request, who.newer),
           ",\"model\":",
           quote(who.model),
           ",\"permissionMode\":",
           quote(who.permission_mode),
           R"(,"slash_commands":["clear","compact","context"])",
           who.newer ? R"(,"terminal_slash_commands":["doctor"])" : "",
           R"(,"apiKeySource":"ANTHROPIC_API_KEY","claude_code_version":)",
           quote(who.version),
           R"(,"output_style":"default","agents":)",
           strings(agent_names(given, initialize_request)),
           R"(,"skills":["deep-research"],"plugins":[])",
           who.newer ? R"(,"capabilities":["interrupt_receipt_v1","interrupt_cancel_queued_v1","msg_lifecycle_v1",)"
                       R"("request_marker_lists_v1","ask_user_question_unanswered_v1"])"
                     : "",
           R"(,"analytics_disabled":true,"product_feedback_disabled":true)",
           who.newer ? ",\"served_by_anthropic\":false" : "",
           ",\"uuid\":\"",
           uuid(),
           R"(","memory_paths":{"auto":)",
           quote(home_folder() + "/.claude/projects/memory/"),
           "}"});
  if (who.newer)
    out += cat({R"(,"original_cwd":)", quote(cwd), R"(,"additional_directories":)", strings(given.words("--add-dir")),
                R"(,"messaging_socket_path":)", quote("/tmp/cc-socks/" + std::to_string(getpid()) + ".sock"),
                R"(,"fast_mode_state":"off","fast_mode_disabled_reason":"sdk_opt_in_required",)"
                R"("per_turn_effort_active":true,"ultrathink_available":false,"ultrathink_typed_raises":false,)"
                R"("view_mode":"default")",
                uuids.empty() ? std::string() : ",\"user_message_uuids\":" + strings(uuids), "}"});
  else
    out += R"(,"fast_mode_state":"off"})";
  return out;
}

std::string lifecycle(const identity& who, std::string_view command_uuid, std::string_view state) {
  return cat({R"({"type":"command_lifecycle","command_uuid":)", quote(command_uuid), ",\"state\":", quote(state),
              ",\"uuid\":\"", uuid(), "\",\"session_id\":", quote(who.session_id), "}"});
}

std::string status(const identity& who) {
  return cat({R"({"type":"system","subtype":"status","status":null,"permissionMode":)", quote(who.permission_mode),
              ",\"uuid\":\"", uuid(), "\",\"session_id\":", quote(who.session_id), "}"});
}

std::string permission_denied(const identity& who, std::string_view tool, std::string_view tool_use) {
  return cat({R"({"type":"system","subtype":"permission_denied","tool_name":)", quote(tool),
              ",\"tool_use_id\":", quote(tool_use), R"(,"decision_reason_type":"mode","message":"Permission to use )",
              tool, R"( has been denied because Claude Code is running in don't ask mode.","uuid":")", uuid(),
              "\",\"session_id\":", quote(who.session_id), "}"});
}

std::string thinking_tokens(const identity& who, long total, const std::vector<std::string>& uuids) {
  return cat({R"({"type":"system","subtype":"thinking_tokens","estimated_tokens":)", std::to_string(total),
              ",\"estimated_tokens_delta\":", std::to_string(total), ",\"session_id\":", quote(who.session_id),
              ",\"uuid\":\"", uuid(), "\"",
              uuids.empty() ? std::string() : cat({",\"user_message_uuid\":", quote(uuids.back())}), "}"});
}

std::string api_retry(const identity& who, long attempt, long of, long delay_ms, const api_failure& why) {
  bool const retried_as_overload = why.type == "overloaded_error";
  bool const unreachable = !why.connection.empty();
  return cat({R"({"type":"system","subtype":"api_retry","attempt":)", std::to_string(attempt),
              ",\"max_retries\":", std::to_string(of), ",\"retry_delay_ms\":", std::to_string(delay_ms),
              ",\"error_status\":", retried_as_overload ? "529" : std::string_view(why.status), ",\"error\":",
              quote(retried_as_overload ? "overloaded"
                    : unreachable       ? "unknown"
                                        : why.kind),
              ",\"session_id\":", quote(who.session_id), ",\"uuid\":\"", uuid(), "\"}"});
}

std::string assistant_head(const identity& who, std::string_view message) {
  return cat({R"({"type":"assistant","message":{"id":)", quote(message),
              R"(,"type":"message","role":"assistant","model":)", quote(api_model(who)), ",\"content\":["});
}

std::string assistant_tail(const identity& who) {
  return cat({R"(],"stop_reason":null,"stop_sequence":null,"usage":)", reply_usage,
              R"(,"context_management":null},"parent_tool_use_id":null)", stamp(who), R"(,"request_id":"req_mock)",
              hex(12), "\""});
}

std::string assistant(const identity& who, std::string_view message, std::string_view block, std::string_view extra,
                      const std::vector<std::string>& uuids) {
  return cat({assistant_head(who, message), block, assistant_tail(who), extra, answers_to(uuids), "}"});
}

std::string assistant_failure(const identity& who, const api_failure& why, const std::vector<std::string>& uuids) {
  std::string out =
      cat({R"({"type":"assistant","message":{)", who.newer ? R"("diagnostics":null,)" : "", R"("id":")", uuid(),
           R"(","container":null,"model":"<synthetic>","role":"assistant","stop_details":null,)"
           R"("stop_reason":"stop_sequence","stop_sequence":"","type":"message","usage":{)",
           who.newer ? R"("output_tokens_details":null,)" : "",
           R"("input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,)"
           R"("server_tool_use":{"web_search_requests":0,"web_fetch_requests":0},"service_tier":null,)"
           R"("cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"inference_geo":null,)"
           R"("iterations":null,"speed":null)",
           who.newer ? R"(,"fallback_credit":null)" : "", R"(},"content":[{"type":"text","text":)", quote(why.text),
           R"(}],"context_management":null},"parent_tool_use_id":null)", stamp(who), ",\"error\":", quote(why.kind)});
  if (why.has_request_id || (who.newer && why.connection.empty()))
    out += cat({R"(,"request_id":"req_mock)", hex(12), "\""});
  if (who.newer) {
    out += ",\"is_api_error_message\":true";
    if (why.connection.empty())
      out += cat({",\"api_error_status\":", why.status, ",\"api_error_type\":", quote(why.type)});
    else
      out += cat({",\"api_error\":", quote(why.connection)});
  }
  return out + answers_to(who.newer ? uuids : std::vector<std::string>()) + "}";
}

std::string can_use_tool(const identity& who, std::string_view request_id, std::string_view tool,
                         std::string_view input, std::string_view tool_use, std::string_view extra) {
  bool const for_a_human = tool == "AskUserQuestion" || tool == "ExitPlanMode";
  return cat({R"({"type":"control_request","request_id":)", quote(request_id),
              R"(,"request":{"subtype":"can_use_tool","tool_name":)", quote(tool), ",\"display_name\":", quote(tool),
              ",\"input\":", input, description_of(input), suggestions(tool, input), ",\"tool_use_id\":",
              quote(tool_use), who.newer && for_a_human ? ",\"requires_user_interaction\":true" : "", extra, "}}"});
}

std::string tool_result(const identity& who, std::string_view tool_use, std::string_view content,
                        std::string_view structured, verdict how, bool is_error_shown) {
  bool const failed = how != verdict::ran && how != verdict::ran_free && how != verdict::accepted;
  std::string out =
      cat({R"({"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":)", content,
           failed           ? ",\"is_error\":true"
           : is_error_shown ? ",\"is_error\":false"
                            : "",
           ",\"tool_use_id\":", quote(tool_use), R"(}]},"parent_tool_use_id":null)", stamp(who, true),
           ",\"tool_use_result\":", structured});
  if (!who.newer) return out + "}";
  out += cat({R"(,"tool_result_meta":[{"id":)", quote(tool_use)});
  switch (how) {
    case verdict::ran:
      out += R"(,"permission_decision":{"decision":"accept","source":"config","reason_type":"rule"})";
      break;
    case verdict::ran_free:
    case verdict::broke:
      out += R"(,"permission_decision":{"decision":"accept","source":"config"})";
      break;
    case verdict::accepted:
      out += R"(,"permission_decision":{"decision":"accept","source":"user_temporary"})";
      break;
    case verdict::denied:
      out +=
          R"(,"non_execution_kind":"permission-rule","permission_decision":{"decision":"reject","source":"user_reject"})";
      break;
    case verdict::rejected_by_user:
      out += R"(,"non_execution_kind":"user-rejected")";
      break;
    case verdict::failed:
      out += R"(,"non_execution_kind":"permission-rule",)"
             R"("permission_decision":{"decision":"reject","source":"config","reason_type":"other"})";
      break;
  }
  return out + "}]}";
}

std::string shell_result(std::string_view printed) {
  return cat({"{\"stdout\":", quote(printed), R"(,"stderr":"","interrupted":false,"isImage":false,"noOutputExpected":)",
              printed.empty() ? "true}" : "false}"});
}

std::string interrupted(const identity& who, bool in_tool) {
  return cat(
      {R"({"type":"user","message":{"role":"user","content":[{"type":"text","text":"[Request interrupted by user)",
       in_tool ? " for tool use]" : "]", R"("}]},"parent_tool_use_id":null)", stamp(who, true), "}"});
}

std::string interrupted_agent(const identity& who, const background_task& one) {
  return cat(
      {R"({"type":"user","message":{"role":"user","content":[{"type":"text","text":"[Request interrupted by user]"}]},)"
       R"("parent_tool_use_id":)",
       quote(one.tool_use), stamp(who, true), of_agent(who, one), "}"});
}

std::string structured_output_nudge(const identity& who) {
  return cat(
      {R"({"type":"user","message":{"role":"user","content":[{"type":"text","text":"[structured-output-enforce] )"
       R"(You MUST call the StructuredOutput tool to complete this request. Call this tool now."}]},)"
       R"("parent_tool_use_id":null)",
       stamp(who, true), ",\"isSynthetic\":true}"});
}

std::string background_tasks_changed(const identity& who, const std::vector<const background_task*>& live) {
  std::vector<std::string> tasks;
  for (const background_task* const one : live)
    tasks.push_back(cat({"{\"task_id\":", quote(one->id), ",\"run_id\":", quote(one->run_id), ",\"task_type\":\"",
                         one->type(), "\"", one->agent ? R"(,"subagent_type":"general-purpose")" : "",
                         ",\"description\":", quote(one->id), "}"}));
  return cat({R"({"type":"system","subtype":"background_tasks_changed","tasks":)", array(tasks), event_tail(who)});
}

std::string task_started(const identity& who, const background_task& one) {
  return cat({task_head(who, one, "task_started"), ",\"tool_use_id\":", quote(one.tool_use),
              ",\"description\":", quote(one.id), one.agent ? R"(,"subagent_type":"general-purpose")" : "",
              who.newer ? ",\"is_backgrounded\":true" : "", who.newer && one.agent ? ",\"spawn_depth\":1" : "",
              ",\"task_type\":\"", one.type(), "\"", one.agent ? cat({",\"prompt\":", quote(one.id)}) : std::string(),
              event_tail(who)});
}

std::string task_updated(const identity& who, const background_task& one, std::string_view status) {
  return cat({task_head(who, one, "task_updated"), ",\"patch\":{\"status\":", quote(status),
              ",\"end_time\":", std::to_string(wall_ms()), "}", event_tail(who)});
}

std::string task_notification(const identity& who, const background_task& one, std::string_view status,
                              bool names_output) {
  bool const killed = status == "killed", failed = status == "failed";
  std::string summary = one.id;
  if (!killed && one.agent)
    summary = who.newer ? one.id + " finished" : "Agent \"" + one.id + "\" " + (failed ? "failed" : "finished");
  else if (!killed)
    summary =
        "Background command \"" + one.id + "\" " + (failed ? "failed with exit code 1" : "completed (exit code 0)");
  return cat({task_head(who, one, "task_notification"), ",\"tool_use_id\":", quote(one.tool_use), ",\"status\":",
              quote(killed ? "stopped" : status), ",\"output_file\":", quote(names_output ? output_file(who, one) : ""),
              ",\"summary\":", quote(summary), one.agent && !killed && who.newer ? ",\"summary_is_report\":true" : "",
              one.agent && !killed ? R"(,"usage":{"total_tokens":120,"tool_uses":0,"duration_ms":1})" : "",
              event_tail(who)});
}

std::string agent_report(const identity& who, const background_task& one, std::string_view text) {
  std::string const block = cat({"{\"type\":\"text\",\"text\":", quote(text), "}"});
  std::string out = cat({assistant_head(who, message_id()), block, assistant_tail(who)});
  std::string const main_thread = "\"parent_tool_use_id\":null";
  out.replace(out.rfind(main_thread), main_thread.size(), "\"parent_tool_use_id\":" + quote(one.tool_use));
  return out + of_agent(who, one) + "}";
}

std::string background_tool_result(const identity& who, const background_task& one) {
  std::string const file = output_file(who, one);
  if (!one.agent) {
    std::string const said = "Command running in background with ID: " + one.id +
                             ". Output is being written to: " + file +
                             ". You will be notified when it completes. To check interim output, use Read on that "
                             "file path.";
    return tool_result(who, one.tool_use, quote(said),
                       R"({"stdout":"","stderr":"","interrupted":false,"isImage":false,"noOutputExpected":false,)"
                       R"("backgroundTaskId":)" +
                           quote(one.id) + "}",
                       verdict::ran, true);
  }
  std::string const said = "Async agent launched successfully.\nagentId: " + one.id +
                           "\nThe agent is working in the background. You will be notified automatically when it "
                           "completes.\noutput_file: " +
                           file;
  return tool_result(
      who, one.tool_use, "[{\"type\":\"text\",\"text\":" + quote(said) + "}]",
      cat({R"({"isAsync":true,"status":"async_launched","agentId":)", quote(one.id), ",\"description\":", quote(one.id),
           ",\"resolvedModel\":", quote(who.model), ",\"prompt\":", quote(one.id), ",\"outputFile\":", quote(file),
           ",\"canReadOutputFile\":true", who.newer ? ",\"canContinueAgent\":true}" : "}"}),
      verdict::ran_free, false);
}

std::string origin_of(const identity& who, const background_task& one) {
  return cat({R"({"kind":"task-notification")",
              who.newer ? cat({R"(,"producer":"session-task","runId":)", quote(one.run_id)}) : std::string(), "}"});
}

std::string rate_limit_event(const identity& who, std::string_view status, std::string_view resets_at,
                             std::string_view type, std::string_view utilization) {
  return cat({R"({"type":"rate_limit_event","rate_limit_info":{"status":)", quote(status), ",\"resetsAt\":", resets_at,
              ",\"rateLimitType\":", quote(type), ",\"utilization\":", utilization, "}", event_tail(who)});
}

std::string result(const identity& who, const outcome& how) {
  bool const success = how.subtype == "success";
  std::string out =
      cat({R"({"type":"result","subtype":)",
           quote(how.subtype),
           ",\"is_error\":",
           how.is_error ? "true" : "false",
           success ? cat({",\"api_error_status\":", how.api_error_status}) : std::string(),
           ",\"duration_ms\":",
           std::to_string(how.duration_ms),
           ",\"duration_api_ms\":",
           std::to_string(how.total.calls),
           times_to_first(who, how),
           ",\"num_turns\":",
           std::to_string(how.num_turns),
           success ? cat({",\"result\":", quote(how.result)}) : cat({",\"errors\":", how.errors}),
           ",\"stop_reason\":",
           how.stop_reason,
           ",\"session_id\":",
           quote(who.session_id),
           ",\"total_cost_usd\":",
           number(how.total.usd),
           ",\"usage\":",
           usage(who, how.turn),
           ",\"modelUsage\":",
           model_usage(who, how.total),
           ",\"permission_denials\":",
           array(how.denials),
           how.structured.empty() ? std::string() : cat({",\"structured_output\":", how.structured}),
           how.origin.empty() ? std::string() : cat({",\"origin\":", how.origin}),
           how.terminal_reason.empty() ? std::string() : cat({",\"terminal_reason\":", quote(how.terminal_reason)}),
           ",\"fast_mode_state\":\"off\",\"uuid\":\"",
           uuid(),
           "\""});
  if (!who.newer) return out + "}";
  out += cat({R"(,"fast_mode_disabled_reason":"sdk_opt_in_required","subagent_stats":)", subagent_stats(how.agents),
              ",\"safety_stops\":0,\"queued_turn_count\":0,\"result_index\":", std::to_string(how.result_index),
              ",\"model_usage_since_last_result\":", model_usage(who, how.since_last)});
  if (!how.api_error_type.empty()) out += ",\"api_error_type\":" + quote(how.api_error_type);
  if (!how.api_error.empty()) out += ",\"api_error\":" + quote(how.api_error);
  std::vector<std::string> all = how.uuids;
  all.insert(all.end(), how.folded.begin(), how.folded.end());
  if (!all.empty())
    out += cat({",\"user_message_uuid\":", quote(how.uuids.empty() ? all.back() : how.uuids.back()),
                ",\"user_message_uuids\":", strings(all)});
  if (!all.empty() && how.answered)
    out += cat({",\"request_sent_wall_ms\":", std::to_string(wall_ms()),
                ",\"first_request_input_tokens\":100,\"first_request_cache_read_input_tokens\":0"});
  return out + "}";
}

std::string start_failure(const identity& who, std::string_view error) {
  return cat({R"({"type":"result","subtype":"error_during_execution","duration_ms":0,"duration_api_ms":0,)"
              R"("is_error":true,"num_turns":0,"stop_reason":null,"session_id":)",
              quote(who.session_id), ",\"total_cost_usd\":0,\"usage\":", usage(who, {}),
              R"(,"modelUsage":{},"permission_denials":[],"uuid":")", uuid(), "\",\"errors\":[", quote(error), "]",
              who.newer ? ",\"result_index\":0}" : "}"});
}

api_failure failure(const identity& who, std::string_view code, std::string_view message, std::string_view model) {
  std::string const said = message.empty() ? "mock says " + std::string(code) : std::string(message);
  std::string const gateway = " If it persists, check your inference gateway (127.0.0.1:1).";
  std::string const ended = who.newer ? "api_error" : "completed";
  if (code == "401")
    return {"Failed to authenticate. API Error: 401 " + said,
            "authentication_failed",
            "authentication_error",
            "401",
            ended,
            {}};
  if (code == "403")
    return {"Failed to authenticate. API Error: 403 " + said,
            "authentication_failed",
            "permission_error",
            "403",
            ended,
            {}};
  if (code == "404")
    return {"There's an issue with the selected model (" + std::string(model) +
                "). It may not exist or you may not have access to it. Run --model to pick a different model.",
            "model_not_found",
            "not_found_error",
            "404",
            ended,
            {}};
  if (code == "413")
    return {
        std::string("Request too large (max 32MB). ") +
            (who.newer ? "Accumulated images and attachments in the conversation pushed the request over the limit. "
                         "Remove older images or compact the conversation."
                       : "Try with a smaller file."),
        "invalid_request",
        "request_too_large",
        "413",
        "image_error",
        {}};
  if (code == "429")
    return {"API Error: Request rejected (429) · " + said, "rate_limit", "rate_limit_error", "429", ended, {}};
  if (code == "500")
    return {"API Error: 500 " + said + ". This is a server-side issue, usually temporary — try again in a moment." +
                gateway,
            "server_error",
            "api_error",
            "500",
            ended,
            {}};
  if (code == "529")
    return {
        "API Error: Repeated 529 Overloaded errors. The API is at capacity — this is usually temporary. "
        "Try again in a moment." +
            gateway,
        "server_error",
        "overloaded_error",
        who.newer ? "529" : "null",
        ended,
        {},
        who.newer};
  if (code == "toolong")
    return {
        "Prompt is too long · the request is ~210000 tokens (limit 200000) but this conversation is only ~1500 "
        "tokens — the rest is system prompt, tool definitions, and attachment content. A single-exchange "
        "conversation cannot be compacted; reduce attached files/tools or start with less context.",
        "invalid_request",
        "invalid_request_error",
        "400",
        "prompt_too_long",
        {}};
  if (code == "network")
    return {who.newer ? "API Error: Connection refused — a firewall or proxy may be blocking it (ECONNREFUSED)"
                      : "API Error: Unable to connect to API (ConnectionRefused)",
            "server_error",
            {},
            "null",
            ended,
            "connection_failed",
            false};
  return {
      "API Error: " + std::string(code) + " " + said, "unknown", "invalid_request_error", std::string(code), ended, {}};
}

}  // namespace mock::wire
