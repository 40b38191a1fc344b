// The ends that a turn and a process can take, good and bad.

#include "json.hpp"
#include "session.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace mock {
namespace {

using json::quote;

}  // namespace

bool session::do_error(directive& d) {
  std::string const code = d.take_word();
  api_failure const why = wire::failure(who_, code, d.text(), who_.model);
  io_.print(wire::assistant_failure(who_, why, uuids_));
  last_text_ = why.text;
  outcome how;
  how.is_error = true;
  how.answered = false;
  how.result = why.text;
  how.stop_reason = "\"stop_sequence\"";
  how.terminal_reason = why.terminal_reason;
  how.api_error_status = why.status;
  how.api_error_type = why.type;
  how.api_error = why.connection;
  how.num_turns = 1 + user_lines_;
  print_result(std::move(how));
  return false;
}

bool session::do_retry(directive& d) {
  long const count = d.number(1);
  std::string const code = d.take_word();
  api_failure const why = wire::failure(who_, code.empty() ? "529" : code, {}, who_.model);
  long const delay_ms = d.number(-1);
  for (long i = 1; i <= count; ++i)
    io_.print(wire::api_retry(who_, i, 10, delay_ms >= 0 ? delay_ms : 500L << std::min(i - 1, 6L), why));
  return true;
}

/// Each execution appends one byte, and the place behind its byte says how many there were: also across processes.
bool session::do_fail_first(directive& d) {
  long const count = d.number(1);
  directive failure;
  failure.rest = d.take_word();
  int const fd = open(d.rest.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, ".", 1) != 1) complain("mock-claude: cannot write " + d.rest);
  long const executions = fd < 0 ? 0 : static_cast<long>(lseek(fd, 0, SEEK_CUR));
  if (fd >= 0) close(fd);
  return executions > count || do_error(failure);
}

bool session::do_rate_limit_until(directive& d) {
  struct stat info {};
  if (stat(d.rest.c_str(), &info) == 0) return true;
  directive failure;
  failure.rest = "429";
  return do_error(failure);
}

bool session::do_rate_limit_event(directive& d) {
  std::string const status = d.take_word(), resets_at = d.take_word();
  std::string const type = d.take_word(), utilization = d.take_word();
  io_.print(wire::rate_limit_event(who_, status, resets_at.empty() ? "0" : resets_at, type.empty() ? "five_hour" : type,
                                   utilization.empty() ? "1" : utilization));
  return true;
}

bool session::do_cost(directive& d) {
  cost_ = std::atof(d.take_word().c_str());
  return true;
}

bool session::do_usage(directive& d) {
  input_tokens_ = d.number(0);
  output_tokens_ = d.number(0);
  return true;
}

bool session::do_structured(directive& d) {
  question const used = use_tool("StructuredOutput", d.rest);
  if (!wants_structured_output()) {
    std::string const said = "<tool_use_error>Error: No such tool available: StructuredOutput</tool_use_error>";
    tool_done(wire::tool_result(who_, used.tool_use, quote(said), quote("Error: No such tool available"),
                                wire::verdict::broke, false),
              said);
    return stop_ == stop::none;
  }
  std::string const said = "Structured output provided successfully";
  tool_done(wire::tool_result(who_, used.tool_use, quote(said), quote(said), wire::verdict::ran_free, false), said);
  if (stop_ != stop::none) return false;
  structured_ = json::compact(used.input);
  outcome how;
  how.result = structured_;
  how.stop_reason = "\"tool_use\"";
  how.num_turns = 1 + user_lines_;
  print_result(std::move(how));
  return false;
}

bool session::do_resume_as(directive&) {
  return true;  // done before the turn began
}

/// A --resume that goes on under another id has lost what was said before.
void session::rename_session(const std::vector<directive>& script) {
  for (const directive& one : script) {
    if (one.verb != "resume-as" || !given_.has("--resume") || results_ > 0 || one.rest == who_.session_id) continue;
    who_.session_id = one.rest;
    history_ = history(given_, who_.session_id);
    total_ = {};
  }
}

bool session::do_max_turns(directive& d) {
  long const limit = d.number(1);
  outcome how;
  how.subtype = "error_max_turns";
  how.is_error = true;
  how.answered = false;
  how.stop_reason = "\"tool_use\"";
  how.terminal_reason = "max_turns";
  how.errors = "[\"Reached maximum number of turns (" + std::to_string(limit) + ")\"]";
  how.num_turns = limit + 1;
  print_result(std::move(how));
  return false;
}

bool session::do_max_budget(directive& d) {
  outcome how;
  how.subtype = "error_max_budget_usd";
  how.is_error = true;
  how.answered = false;
  how.stop_reason = "\"tool_use\"";
  how.terminal_reason = given_.newer ? "budget_exhausted" : "";
  how.errors = "[\"Reached maximum budget ($" + d.take_word() + ")\"]";
  how.num_turns = 1 + user_lines_;
  print_result(std::move(how));
  return false;
}

bool session::do_crash(directive&) {
  io_.flush();
  prctl(PR_SET_DUMPABLE, 0);  // a test's crash leaves no core file
  std::abort();
}

bool session::do_allocate(directive& d) {
  auto const size = static_cast<std::size_t>(d.number(1 << 20));
  void* const memory = std::malloc(size);
  if (memory == nullptr) {
    io_.flush();
    std::fputs("Out of memory\n", stderr);
    prctl(PR_SET_DUMPABLE, 0);
    std::abort();
  }
  constexpr std::size_t page = 4096;
  for (std::size_t at = 0; at < size; at += page) static_cast<volatile char*>(memory)[at] = 'm';
  return true;
}

bool session::do_kill(directive& d) {
  io_.flush();
  int const number = static_cast<int>(d.number(SIGKILL));
  prctl(PR_SET_DUMPABLE, 0);
  signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  kill(getpid(), number);
  return true;  // a signal that only stops or does nothing
}

bool session::do_exit(directive& d) {
  io_.flush();
  _exit(static_cast<int>(d.number(0)));
}

bool session::do_hang(directive& d) {
  std::string const partial = d.rest.empty() ? "hanging" : d.text();
  if (wait_until([] { return false; })) return true;
  last_text_ = partial;
  block("{\"type\":\"text\",\"text\":" + quote(partial) + "}", given_.newer ? ",\"aborted\":true" : "");
  --calls_turn_;
  aborted_stream_ = true;
  return false;
}

bool session::do_hang_tool(directive& d) {
  std::string const tool = d.take_word();
  open_.push_back(use_tool(tool, d.rest));  // rejected with the questions when the turn is stopped
  in_tool_ = true;
  return wait_until([] { return false; });
}

bool session::do_result(directive&) {
  if (!await_answers()) return false;
  end_turn();
  return true;
}

bool session::do_eof(directive&) {
  return wait_until([&] { return io_.at_eof(); });
}

bool session::do_slow_exit(directive& d) {
  if (!result_printed_ && !do_result(d)) return false;
  if (!do_eof(d)) return false;
  bool const is_time = !d.rest.empty() && d.rest.find_first_not_of("0123456789") == std::string::npos;
  return is_time ? do_pause(d) : wait_for_file(d.rest);
}

bool session::do_pause(directive& d) {
  int const ms = static_cast<int>(d.number(0));
  long long const due = now_ms() + ms;
  return wait_until([&] { return now_ms() >= due; }, -1, ms);
}

bool session::do_ignore_signals(directive&) {
  io_.ignore_signals();
  return true;
}

bool session::do_deaf(directive&) {
  io_.stop_reading();
  return true;
}

bool session::do_grandchild(directive& d) {
  io_.flush();
  pid_t const child = fork();
  if (child != 0) return true;
  if (d.take_word() == "setsid") setsid();
  close(STDIN_FILENO);
  for (int const number : {SIGINT, SIGTERM}) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  while (true) pause();
}

}  // namespace mock
