#include "session.hpp"

#include "json.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace mock {
namespace {

using json::quote;
using wire::verdict;

constexpr std::string_view user_rejection =
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, the "
    "new_string was NOT written to the file). STOP what you are doing and wait for the user to tell you how to "
    "proceed.";

bool is_uuid(std::string_view id) {
  if (id.size() != 36) return false;
  for (std::size_t i = 0; i < id.size(); ++i) {
    bool const dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? id[i] != '-' : std::string_view("0123456789abcdefABCDEF").find(id[i]) == std::string_view::npos)
      return false;
  }
  return true;
}

/// The text of a user message: a string, or the text blocks of an array.
std::string text_of_content(std::string_view content) {
  if (!content.empty() && content[0] == '"') return json::text(content);
  std::string out;
  json::each_element(content, [&](std::string_view one) {
    if (json::text_of(one, "type") == "text") out += (out.empty() ? "" : "\n") + json::text_of(one, "text");
  });
  return out;
}

}  // namespace

session::session(options given, channel& io)
    : given_(std::move(given)),
      io_(io),
      who_{given_.newer, given_.version, given_.value("--session-id"),
           wire::resolve_model(given_.value("--model"), given_.newer),
           given_.has("--permission-mode") ? given_.value("--permission-mode") : "default"},
      history_(given_, given_.has("--resume") ? given_.value("--resume") : given_.value("--session-id")) {
  if (given_.has("--resume")) who_.session_id = given_.value("--resume");
  if (who_.session_id.empty()) {
    who_.session_id = wire::uuid();
    history_ = history(given_, who_.session_id);
  }
  if (who_.permission_mode == "manual") who_.permission_mode = "default";
  if (given_.newer && given_.has("--resume")) total_ = history_.saved_cost();
}

bool session::start_refused() {
  std::string error;
  bool on_stdout = false;
  if (given_.has("--resume") && given_.has("--session-id") && !given_.has("--fork-session")) {
    error = given_.newer ? "Error: --session-id with --continue or --resume also needs --fork-session."
                         : "Error: --session-id can only be used with --continue or --resume if --fork-session is also "
                           "specified.";
  } else if (given_.has("--resume") && !is_uuid(who_.session_id)) {
    error =
        "Error: --resume requires a valid session ID or session title when used with --print. Usage: claude -p "
        "--resume <session-id|title>. Provided value \"" +
        who_.session_id + "\" is not a UUID and does not match any session title.";
    who_.session_id = wire::uuid();
    on_stdout = true;
  } else if (given_.has("--resume") && !history_.exists()) {
    error = "No conversation found with session ID: " + who_.session_id;
    on_stdout = true;
  } else if (given_.has("--session-id") && !is_uuid(who_.session_id)) {
    error = "Error: Invalid session ID. Must be a valid UUID.";
  } else if (given_.has("--session-id") && history_.exists()) {
    error = "Error: Session ID " + who_.session_id + " is already in use.";
  } else if ((given_.has("--dangerously-skip-permissions") || who_.permission_mode == "bypassPermissions") &&
             geteuid() == 0 && std::getenv("IS_SANDBOX") == nullptr) {
    error = "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons";
  }
  if (error.empty()) return false;
  if (on_stdout) io_.print(wire::start_failure(who_, error));
  io_.flush();
  complain(error);
  return true;
}

int session::run() {
  if (start_refused()) return 1;
  while (stop_ == stop::none && !fatal_input_) {
    take_input();
    if (stop_ != stop::none || fatal_input_) break;
    if (!queue_.empty())
      run_turn();
    else if (!follow_up_.empty())
      run_follow_up();
    else if (io_.at_eof() && !awaits_tasks())
      break;
    else
      io_.wait();
  }
  release_held_result();
  kill_tasks(false, stop_ == stop::end_session);
  io_.flush();
  if (given_.newer) history_.save_cost(total_);
  if (fatal_input_) return 1;
  if (stop_ == stop::sigint) return 0;
  return last_is_error_ ? 1 : 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// What stdin says.

void session::take_input() {
  std::string line;
  while (!fatal_input_ && io_.take(line)) take_line(line);
  if (io_.interrupted()) stop_ = stop::sigint;
  end_finished_tasks();
}

void session::take_line(std::string_view line) {
  if (line.empty()) return;
  if (!json::valid(line)) {
    complain(given_.newer
                 ? "Error parsing streaming input line (type=unknown, " + std::to_string(line.size()) +
                       " chars): SyntaxError"
                 : "Error parsing streaming input line: " + std::string(line) + ": SyntaxError: JSON Parse error");
    fatal_input_ = true;
    return;
  }
  std::string const type = json::text_of(line, "type");
  std::string_view const request = json::member(line, "request");
  bool const is_initialize = type == "control_request" && json::text_of(request, "subtype") == "initialize";
  if (given_.has("--await-initialize") && initialize_request_.empty() && !is_initialize) {
    complain("Error: --await-initialize requires the initialize control request as the first stdin line");
    fatal_input_ = true;
  } else if (type == "control_request") {
    take_control(json::text_of(line, "request_id"), request);
  } else if (type == "control_response") {
    take_answer(json::member(line, "response"));
  } else if (type == "user") {
    take_prompt(line);
  }
}

void session::take_prompt(std::string_view line) {
  std::string_view const message = json::member(line, "message");
  std::string const role = json::text_of(message, "role");
  if (role != "user") {
    complain("Error: Expected message role 'user', got '" + (role.empty() ? "undefined" : role) + "'");
    fatal_input_ = true;
    return;
  }
  prompt said{text_of_content(json::member(message, "content")), json::text_of(line, "uuid"),
              given_.newer && json::member(line, "client_composed") == "true",
              json::text_of(line, "priority") == "now"};
  if (!said.uuid.empty()) {
    if (std::find(seen_uuids_.begin(), seen_uuids_.end(), said.uuid) != seen_uuids_.end()) return;
    seen_uuids_.push_back(said.uuid);
    if (given_.newer) io_.print(wire::lifecycle(who_, said.uuid, "queued"));
  }
  prompt_line_ = std::string(line);
  if (!said.urgent) {
    queue_.push_back(std::move(said));
    return;
  }
  if (in_turn_ && in_tool_)
    urgent_after_tool_ = true;
  else if (in_turn_ && !result_printed_ && stop_ == stop::none)
    stop_ = stop::urgent;
  queue_.insert(std::find_if(queue_.begin(), queue_.end(), [](const prompt& one) { return !one.urgent; }),
                std::move(said));
}

void session::take_control(std::string_view request_id, std::string_view request) {
  std::string const subtype = json::text_of(request, "subtype");
  if (subtype == "initialize") {
    initialize_request_ = std::string(request);
    io_.print(wire::initialize_reply(who_, request_id));
  } else if (subtype == "interrupt") {
    answer_interrupt(request_id, request);
  } else if (subtype == "end_session") {
    io_.print(wire::control_success(request_id, {}));
    stop_ = stop::end_session;
  } else if (subtype == "set_model") {
    who_.model = wire::resolve_model(json::text_of(request, "model"), given_.newer);
    io_.print(wire::control_success(request_id, given_.newer ? "{\"model\":" + quote(who_.model) + "}" : ""));
  } else if (subtype == "apply_flag_settings") {
    std::string const model = json::text_of(json::member(request, "settings"), "model");
    if (!model.empty()) who_.model = wire::resolve_model(model, given_.newer);
    io_.print(wire::control_success(request_id, {}));
  } else if (subtype == "set_permission_mode") {
    who_.permission_mode = json::text_of(request, "mode");
    io_.print(wire::control_success(request_id, "{\"mode\":" + quote(who_.permission_mode) + "}"));
    io_.print(wire::status(who_));
  } else if (subtype == "cancel_async_message") {
    answer_cancel(request_id, request);
  } else if (subtype == "stop_task") {
    stop_task(json::text_of(request, "task_id"));
    io_.print(wire::control_success(request_id, "{}"));
  } else if (subtype == "set_max_thinking_tokens" || subtype == "background_tasks") {
    io_.print(wire::control_success(request_id, {}));
  } else {
    io_.print(wire::control_error(who_, request_id, "Unsupported control request subtype: " + subtype,
                                  "unsupported_request"));
  }
}

void session::answer_interrupt(std::string_view request_id, std::string_view request) {
  for (const question& asked : open_)
    if (asked.answer.empty()) io_.print(wire::control_cancel(asked.request_id));
  if (in_turn_ && json::member(initialize_request_, "perTaskStopAffordance") != "true") kill_tasks(true, given_.newer);
  std::string waiting;
  for (const prompt& said : queue_)
    if (!said.uuid.empty()) waiting += (waiting.empty() ? "" : ",") + quote(said.uuid);
  bool const cancel = given_.newer && json::member(request, "cancel_queued") == "true";
  if (cancel) {
    for (const prompt& said : queue_)
      if (!said.uuid.empty()) io_.print(wire::lifecycle(who_, said.uuid, "cancelled"));
    queue_.clear();
  }
  std::string const reply =
      cancel ? "{\"still_queued\":[],\"cancelled\":[" + waiting + "]}" : "{\"still_queued\":[" + waiting + "]}";
  io_.print(wire::control_success(request_id, given_.newer ? reply : ""));
  if (in_turn_ && stop_ == stop::none && !urgent_after_tool_) stop_ = stop::interrupt;
}

void session::answer_cancel(std::string_view request_id, std::string_view request) {
  std::string const id = json::text_of(request, "message_uuid");
  auto const it = std::find_if(queue_.begin(), queue_.end(), [&](const prompt& said) { return said.uuid == id; });
  bool const found = it != queue_.end();
  if (found) {
    queue_.erase(it);
    if (given_.newer) io_.print(wire::lifecycle(who_, id, "cancelled"));
  }
  io_.print(wire::control_success(request_id, std::string("{\"cancelled\":") + (found ? "true" : "false") +
                                                  (given_.newer ? ",\"message_uuid\":" + quote(id) : "") + "}"));
}

void session::take_answer(std::string_view response) {
  std::string const id = json::text_of(response, "request_id");
  for (question& asked : open_)
    if (asked.request_id == id && asked.answer.empty()) asked.answer = std::string(response);
  // Answered ones stand first, in the order in which the answers came, also when several came in one read.
  std::stable_partition(open_.begin(), open_.end(), [](const question& asked) { return !asked.answer.empty(); });
}

void session::serve_lines_without_waiting() {
  wait_until([] { return false; }, -1, 0);
}

// ---------------------------------------------------------------------------------------------------------------------
// A turn.

void session::begin_turn() {
  uuids_.clear();
  open_.clear();
  denials_.clear();
  tool_outputs_.clear();
  folded_.clear();
  folded_uuids_.clear();
  folded_said_ = 0;
  message_id_.clear();
  last_text_.clear();
  structured_.clear();
  origin_.clear();
  first_block_ = true;
  result_printed_ = aborted_stream_ = in_tool_ = urgent_after_tool_ = false;
  cost_ = -1;
  input_tokens_ = output_tokens_ = -1;
  calls_turn_ = user_lines_ = rate_ = 0;
  started_ms_ = now_ms();
  in_turn_ = true;
}

void session::end_of_turn() {
  in_turn_ = false;
  if (stop_ == stop::interrupt || stop_ == stop::urgent) stop_ = stop::none;
}

void session::run_turn() {
  begin_turn();
  std::string text;
  bool literal = true;
  prompt whole = queue_.front();
  while (!queue_.empty() && queue_.front().urgent == whole.urgent) {
    const prompt& said = queue_.front();
    text += (uuids_.empty() && text.empty() ? "" : "\n") + said.text;
    literal = literal && said.literal;
    if (!said.uuid.empty()) uuids_.push_back(said.uuid);
    queue_.pop_front();
  }
  whole.text = text;
  whole.literal = literal;

  std::vector<directive> script = parse_directives(text);
  const char* const otherwise = std::getenv("MOCK_CLAUDE_SCRIPT");
  if (script.empty() && otherwise != nullptr) script = parse_directives(otherwise);
  rename_session(script);
  if (given_.newer)
    for (const std::string& id : uuids_) io_.print(wire::lifecycle(who_, id, "started"));
  if (!local_command(whole)) {
    io_.print(wire::init(who_, given_, initialize_request_, uuids_));
    if (given_.newer) history_.add("user", text);
    if (script.empty()) say(text);
    run_script(script);
    if (!given_.newer) history_.add("user", text);
    history_.add("assistant", last_text_);
  }
  end_of_turn();
}

void session::run_script(std::vector<directive>& script) {
  for (std::size_t i = 0; i < script.size() && step(script[i]); ++i) {
    serve_lines_without_waiting();
    // Whoever interrupts what hangs cannot see whether it hangs already, and shall find the same either way.
    bool const hangs_next = i + 1 < script.size() && script[i + 1].verb == "hang";
    if (fatal_input_ || (stop_ != stop::none && !hangs_next)) break;
  }
  if (result_printed_) return;
  if (stop_ == stop::none && !fatal_input_ && await_answers())
    end_turn();
  else if (stop_ != stop::none && !result_printed_)
    end_stopped_turn();
}

bool session::local_command(const prompt& said) {
  if (said.text.size() < 2 || said.text[0] != '/' || said.literal) return false;
  std::string const word = said.text.substr(1, said.text.find_first_of(" \n") - 1);
  if (word.find('/') != std::string::npos) return false;  // a path, not a command
  static constexpr std::string_view known[] = {"clear",  "compact", "context", "cost",
                                               "effort", "init",    "model",   "review"};
  bool const is_known = std::find(std::begin(known), std::end(known), word) != std::end(known);
  if (given_.newer && !is_known) return false;
  io_.print(wire::init(who_, given_, initialize_request_, uuids_));
  outcome how;
  how.result = is_known ? "" : "Unknown command: /" + word;
  how.answered = false;
  how.terminal_reason.clear();
  how.num_turns = 0;
  print_result(std::move(how));
  return true;
}

bool session::wants_structured_output() const {
  return given_.has("--json-schema") || !json::member(initialize_request_, "jsonSchema").empty();
}

void session::end_turn() {
  if (!tool_outputs_.empty()) {
    std::string all;
    for (const std::string& output : tool_outputs_) all += (all.empty() ? "" : " | ") + output;
    say("tool said: " + all);
  }
  say_what_was_folded();
  if (last_text_.empty()) say("done");
  if (wants_structured_output()) {
    // The model is reminded once, and its turn is a success also when it does not care.
    io_.print(wire::structured_output_nudge(who_));
    ++user_lines_;
    message_id_.clear();
    say(last_text_);
  }
  outcome how;
  how.result = last_text_;
  how.num_turns = 1 + user_lines_;
  print_result(std::move(how));
}

void session::end_stopped_turn() {
  bool const in_tool = !open_.empty();
  bool const urgent = stop_ == stop::urgent;
  bool const silent = calls_turn_ == 0 && user_lines_ == 0 && !aborted_stream_;
  for (const question& asked : open_) {
    io_.print(wire::tool_result(who_, asked.tool_use, quote(user_rejection), quote("User rejected tool use"),
                                verdict::rejected_by_user, false));
    if (!asked.request_id.empty()) deny(asked);
    ++user_lines_;
  }
  open_.clear();
  outcome how;
  how.answered = false;
  how.terminal_reason = in_tool || urgent_after_tool_ ? "aborted_tools" : "aborted_streaming";
  how.stop_reason = user_lines_ > 0 ? "\"tool_use\"" : "null";
  if (urgent && !silent) {
    how.result = urgent_after_tool_ ? "" : last_text_;
    how.num_turns = 1 + user_lines_;
    how.answered = urgent_after_tool_ || aborted_stream_;
  } else {
    if (!urgent) io_.print(wire::interrupted(who_, in_tool));
    how.subtype = "error_during_execution";
    how.is_error = true;
    how.num_turns = (urgent ? 1 : 2) + user_lines_;
    how.errors = "[\"[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=" +
                 std::string(user_lines_ > 0 ? "tool_use" : "null") + "\"]";
  }
  print_result(std::move(how));
}

void session::print_result(outcome how) {
  how.turn = wire::price_of_calls(calls_turn_, given_.newer);
  if (input_tokens_ >= 0) how.turn.input = input_tokens_;
  if (output_tokens_ >= 0) how.turn.output = output_tokens_;
  if (cost_ >= 0) how.turn.usd = cost_;
  spend taken = how.turn;
  if (aborted_stream_) taken.add(wire::price_of_an_aborted_call(given_.newer));
  total_.add(taken);
  taken.add(since_last_);
  since_last_ = {};
  how.since_last = taken;
  how.total = total_;
  how.structured = structured_;
  how.origin = origin_;
  how.folded = folded_uuids_;
  how.agents = agents_;
  how.duration_ms = static_cast<long>(now_ms() - started_ms_) + 1;
  how.result_index = results_++;
  how.denials = denials_;
  how.uuids = uuids_;
  last_is_error_ = how.is_error;
  result_printed_ = true;
  bool const cancelled = how.subtype == "error_during_execution" || stop_ == stop::urgent;
  std::string lines;
  auto const lifecycle = [&](const std::vector<std::string>& ids) {
    for (const std::string& id : ids)
      if (given_.newer) lines += wire::lifecycle(who_, id, cancelled ? "cancelled" : "completed") + "\n";
  };
  if (!cancelled) lifecycle(folded_uuids_);
  lines += wire::result(who_, how) + "\n";
  if (cancelled) lifecycle(folded_uuids_);
  lifecycle(uuids_);
  for (const background_task& one : interrupted_agents_) lines += wire::interrupted_agent(who_, one) + "\n";
  interrupted_agents_.clear();
  held_ += lines;
  // After the end of stdin a result waits for the agents that its turn left behind.
  if (!io_.at_eof() || !owes_agents()) release_held_result();
}

bool session::step(directive& one) {
  struct verb {
    std::string_view name;
    bool (session::*run)(directive&);
  };
  static constexpr verb verbs[] = {
      {"say", &session::do_say},
      {"think", &session::do_think},
      {"lines", &session::do_lines},
      {"rate", &session::do_rate},
      {"pause", &session::do_pause},
      {"permission", &session::do_permission},
      {"request", &session::do_request},
      {"answers", &session::do_answers},
      {"with", &session::do_with},
      {"withdraw", &session::do_withdraw},
      {"ask", &session::do_ask},
      {"plan", &session::do_plan},
      {"tool", &session::do_tool},
      {"error", &session::do_error},
      {"retry", &session::do_retry},
      {"max-turns", &session::do_max_turns},
      {"max-budget", &session::do_max_budget},
      {"crash", &session::do_crash},
      {"kill", &session::do_kill},
      {"exit", &session::do_exit},
      {"hang", &session::do_hang},
      {"hang-tool", &session::do_hang_tool},
      {"garbage", &session::do_garbage},
      {"half-line", &session::do_half_line},
      {"giant", &session::do_giant},
      {"allocate", &session::do_allocate},
      {"raw", &session::do_raw},
      {"result", &session::do_result},
      {"eof", &session::do_eof},
      {"slow-exit", &session::do_slow_exit},
      {"ignore-signals", &session::do_ignore_signals},
      {"deaf", &session::do_deaf},
      {"grandchild", &session::do_grandchild},
      {"stderr", &session::do_stderr},
      {"stderr-lines", &session::do_stderr_lines},
      {"echo-options", &session::do_echo_options},
      {"history", &session::do_history},
      {"wait-file", &session::do_wait_file},
      {"touch", &session::do_touch},
      {"tool-until", &session::do_tool_until},
      {"received", &session::do_received},
      {"cost", &session::do_cost},
      {"usage", &session::do_usage},
      {"background", &session::do_background},
      {"on-done", &session::do_on_done},
      {"fail-first", &session::do_fail_first},
      {"rate-limit-until", &session::do_rate_limit_until},
      {"rate-limit-event", &session::do_rate_limit_event},
      {"structured", &session::do_structured},
      {"write", &session::do_write},
      {"write-fails", &session::do_write_fails},
      {"resume-as", &session::do_resume_as},
  };
  for (const verb& known : verbs)
    if (known.name == one.verb) return (this->*known.run)(one);
  // A misspelt directive must fail its test, not pass for an idle turn.
  complain("mock-claude: unknown directive '" + one.verb + "'");
  io_.flush();
  _exit(2);
}

}  // namespace mock
