// The ends that a turn and a process can take, good and bad.

#include "json.hpp"
#include "session.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
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
  for (long i = 1; i <= count; ++i) io_.print(wire::api_retry(who_, i, 10, 500L << std::min(i - 1, 6L), why));
  return true;
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
  block("{\"type\":\"text\",\"text\":" + quote(partial) + "}", given_.newer ? ",\"aborted\":true" : "");
  if (!given_.newer) calls_turn_ = 0;  // 2.1.197 does not charge an aborted stream
  return false;
}

bool session::do_hang_tool(directive& d) {
  std::string const tool = d.take_word();
  question const running{{}, wire::tool_use_id(), tool, json::valid(d.rest) ? d.rest : "{}", "none is awaited"};
  block("{\"type\":\"tool_use\",\"id\":" + quote(running.tool_use) + ",\"name\":" + quote(tool) +
        ",\"input\":" + running.input + "}");
  open_.push_back(running);  // rejected with the questions when the turn is stopped
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
