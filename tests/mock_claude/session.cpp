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
  if (given_.newer && given_.has("--resume"))
    calls_total_ = static_cast<long>(history_.saved_cost() / wire::price_of_a_call(true) + 0.5);
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
    if (!queue_.empty())
      run_turn();
    else if (io_.at_eof() || stop_ != stop::none || fatal_input_)
      break;
    else
      io_.wait();
  }
  io_.flush();
  if (given_.newer) history_.save_cost(wire::price_of_a_call(true) * static_cast<double>(calls_total_));
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
              given_.newer && json::member(line, "client_composed") == "true"};
  if (!said.uuid.empty()) {
    if (std::find(seen_uuids_.begin(), seen_uuids_.end(), said.uuid) != seen_uuids_.end()) return;
    seen_uuids_.push_back(said.uuid);
    if (given_.newer) io_.print(wire::lifecycle(who_, said.uuid, "queued"));
  }
  prompt_line_ = std::string(line);
  queue_.push_back(std::move(said));
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
  } else if (subtype == "set_permission_mode") {
    who_.permission_mode = json::text_of(request, "mode");
    io_.print(wire::control_success(request_id, "{\"mode\":" + quote(who_.permission_mode) + "}"));
    io_.print(wire::status(who_));
  } else if (subtype == "set_max_thinking_tokens" || subtype == "stop_task" || subtype == "background_tasks") {
    io_.print(wire::control_success(request_id, {}));
  } else {
    io_.print(wire::control_error(who_, request_id, "Unsupported control request subtype: " + subtype,
                                  "unsupported_request"));
  }
}

void session::answer_interrupt(std::string_view request_id, std::string_view request) {
  for (const question& asked : open_)
    if (asked.answer.empty()) io_.print(wire::control_cancel(asked.request_id));
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
  if (in_turn_ && stop_ == stop::none) stop_ = stop::interrupt;
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

void session::run_turn() {
  std::string text;
  bool literal = true;
  prompt whole = queue_.front();
  uuids_.clear();
  for (const prompt& said : queue_) {
    text += (&said == &queue_.front() ? "" : "\n") + said.text;
    literal = literal && said.literal;
    if (!said.uuid.empty()) uuids_.push_back(said.uuid);
  }
  queue_.clear();
  whole.text = text;
  whole.literal = literal;
  open_.clear();
  denials_.clear();
  tool_outputs_.clear();
  message_id_.clear();
  last_text_.clear();
  first_block_ = true;
  result_printed_ = false;
  calls_turn_ = user_lines_ = rate_ = 0;
  started_ms_ = now_ms();
  in_turn_ = true;

  if (given_.newer)
    for (const std::string& id : uuids_) io_.print(wire::lifecycle(who_, id, "started"));
  if (!local_command(whole)) {
    io_.print(wire::init(who_, given_, initialize_request_, uuids_));
    if (given_.newer) history_.add("user", text);
    std::vector<directive> script = parse_directives(text);
    const char* const otherwise = std::getenv("MOCK_CLAUDE_SCRIPT");
    if (script.empty() && otherwise != nullptr) script = parse_directives(otherwise);
    if (script.empty()) say(text);
    run_script(script);
    if (!given_.newer) history_.add("user", text);
    history_.add("assistant", last_text_);
  }
  in_turn_ = false;
  if (stop_ == stop::interrupt) stop_ = stop::none;
}

void session::run_script(std::vector<directive>& script) {
  for (directive& one : script) {
    if (!step(one)) break;
    serve_lines_without_waiting();
    if (stop_ != stop::none || fatal_input_) break;
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

void session::end_turn() {
  if (!tool_outputs_.empty()) {
    std::string all;
    for (const std::string& output : tool_outputs_) all += (all.empty() ? "" : " | ") + output;
    say("tool said: " + all);
  }
  if (last_text_.empty()) say("done");
  outcome how;
  how.result = last_text_;
  how.num_turns = 1 + user_lines_;
  print_result(std::move(how));
}

void session::end_stopped_turn() {
  bool const in_tool = !open_.empty();
  for (const question& asked : open_) {
    io_.print(wire::tool_result(who_, asked.tool_use, quote(user_rejection), quote("User rejected tool use"),
                                verdict::rejected_by_user, false));
    if (!asked.request_id.empty()) deny(asked);
    ++user_lines_;
  }
  open_.clear();
  io_.print(wire::interrupted(who_, in_tool));
  outcome how;
  how.subtype = "error_during_execution";
  how.is_error = true;
  how.answered = false;
  how.num_turns = 2 + user_lines_;
  how.terminal_reason = in_tool ? "aborted_tools" : "aborted_streaming";
  how.stop_reason = in_tool ? "\"tool_use\"" : "null";
  how.errors = std::string("[\"[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=") +
               (in_tool ? "tool_use\"]" : "null\"]");
  print_result(std::move(how));
}

void session::print_result(outcome how) {
  calls_total_ += calls_turn_;
  how.calls_turn = calls_turn_;
  how.calls_total = calls_total_;
  how.duration_ms = static_cast<long>(now_ms() - started_ms_) + 1;
  how.result_index = results_++;
  how.denials = denials_;
  how.uuids = uuids_;
  last_is_error_ = how.is_error;
  result_printed_ = true;
  bool const cancelled = how.subtype == "error_during_execution";
  io_.print(wire::result(who_, how));
  finish_lifecycle(cancelled ? "cancelled" : "completed");
}

void session::finish_lifecycle(std::string_view state) {
  if (given_.newer)
    for (const std::string& id : uuids_) io_.print(wire::lifecycle(who_, id, state));
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
  };
  for (const verb& known : verbs)
    if (known.name == one.verb) return (this->*known.run)(one);
  // A misspelt directive must fail its test, not pass for an idle turn.
  complain("mock-claude: unknown directive '" + one.verb + "'");
  io_.flush();
  _exit(2);
}

}  // namespace mock
