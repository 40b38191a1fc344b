// One process of the mock: reads the protocol, runs the turns that prompts ask for, and says what the real CLI says.
#pragma once

#include "channel.hpp"
#include "directives.hpp"
#include "gate.hpp"
#include "history.hpp"
#include "options.hpp"
#include "wire.hpp"

#include <deque>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mock {

class session {
 public:
  session(options given, channel& io);

  /// Serves until stdin ends or something ends the process first. Returns the exit code.
  int run();

 private:
  enum class stop { none, interrupt, urgent, sigint, end_session };

  struct prompt {
    std::string text;
    std::string uuid;
    bool literal = false;  // client_composed
    bool urgent = false;   // priority "now"
  };

  /// A tool use that waits for its permission.
  struct question {
    std::string request_id, tool_use, tool, input;
    std::string answer;  // raw `response` of the control_response, empty while open
  };

  /// Work behind the turns. It ends when its gate opens or its time is over.
  struct task : background_task {
    std::optional<gate> until;
    long long due_ms = -1;
    bool quiet = false;  // no turn follows
    bool fails = false;
    std::vector<directive> then;  // the script of the turn that follows
  };

  // What stdin says.
  bool start_refused();
  void take_input();
  void take_line(std::string_view line);
  void take_prompt(std::string_view line);
  void take_control(std::string_view request_id, std::string_view request);
  void take_answer(std::string_view response);
  void answer_interrupt(std::string_view request_id, std::string_view request);
  void answer_cancel(std::string_view request_id, std::string_view request);
  /// Waits for `fd`, for a time, or until `done` holds. False when the turn has to stop.
  template <class Condition>
  bool wait_until(Condition done, int fd = -1, int timeout_ms = -1);
  void serve_lines_without_waiting();

  // Background work.
  void watch_tasks();
  void end_finished_tasks();
  void end_task(std::list<task>::iterator one, std::string_view status, bool names_output);
  void kill_tasks(bool agents_only, bool names_output);
  void stop_task(std::string_view id);
  void print_live_tasks();
  bool awaits_tasks();
  bool owes_agents() const;
  void release_held_result();
  bool start_task(directive& d);
  bool run_in_foreground(const std::string& id, directive& d);

  // A turn.
  void begin_turn();
  void end_of_turn();
  void run_turn();
  void run_follow_up();
  void fold_what_came();
  void say_what_was_folded();
  bool wants_structured_output() const;
  void run_script(std::vector<directive>& script);
  bool local_command(const prompt& said);
  bool step(directive& one);
  void end_turn();
  void end_stopped_turn();
  void print_result(outcome how);

  // What a script can do. Each returns false when the turn is over.
  bool do_say(directive& d);
  bool do_think(directive& d);
  bool do_lines(directive& d);
  bool do_rate(directive& d);
  bool do_pause(directive& d);
  bool do_permission(directive& d);
  bool do_request(directive& d);
  bool do_answers(directive& d);
  bool do_with(directive& d);
  bool do_withdraw(directive& d);
  bool do_ask(directive& d);
  bool do_plan(directive& d);
  bool do_tool(directive& d);
  bool do_error(directive& d);
  bool do_retry(directive& d);
  bool do_max_turns(directive& d);
  bool do_max_budget(directive& d);
  bool do_crash(directive& d);
  bool do_kill(directive& d);
  bool do_exit(directive& d);
  bool do_hang(directive& d);
  bool do_hang_tool(directive& d);
  bool do_garbage(directive& d);
  bool do_half_line(directive& d);
  bool do_giant(directive& d);
  bool do_allocate(directive& d);
  bool do_raw(directive& d);
  bool do_result(directive& d);
  bool do_eof(directive& d);
  bool do_slow_exit(directive& d);
  bool do_ignore_signals(directive& d);
  bool do_deaf(directive& d);
  bool do_grandchild(directive& d);
  bool do_stderr(directive& d);
  bool do_stderr_lines(directive& d);
  bool do_echo_options(directive& d);
  bool do_history(directive& d);
  bool do_wait_file(directive& d);
  bool do_touch(directive& d);
  bool do_tool_until(directive& d);
  bool do_received(directive& d);
  bool do_cost(directive& d);
  bool do_usage(directive& d);
  bool do_background(directive& d);
  bool do_on_done(directive& d);
  bool do_fail_first(directive& d);
  bool do_rate_limit_until(directive& d);
  bool do_rate_limit_event(directive& d);
  bool do_structured(directive& d);
  bool do_write(directive& d);
  bool do_write_fails(directive& d);
  bool do_resume_as(directive& d);

  void block(std::string_view raw, std::string_view extra = {});
  void say(std::string_view text);
  void ask(const std::string& tool, const std::string& input);
  bool await_answers();
  bool wait_for_file(const std::string& path);
  question use_tool(const std::string& tool, const std::string& input);
  bool run_file_tool(const question& asked, std::string_view input, wire::verdict how);
  void rename_session(const std::vector<directive>& script);
  void settle(const question& asked);
  void allow(const question& asked, std::string_view updated_input);
  void grant(std::string_view permission);
  void run_tool(const question& asked, std::string_view input, wire::verdict how);
  void deny(const question& asked);
  void refuse(const question& asked, std::string_view text, wire::verdict how);
  void tool_done(const std::string& line, std::string_view output);

  options given_;
  channel& io_;
  identity who_;
  history history_;
  std::string initialize_request_;  // raw
  std::string prompt_line_;         // raw, of the prompt being answered
  std::deque<prompt> queue_;
  std::vector<std::string> seen_uuids_;
  stop stop_ = stop::none;
  bool in_turn_ = false;
  bool fatal_input_ = false;
  bool last_is_error_ = false;
  spend total_;
  agent_counts agents_;
  spend since_last_;  // what background agents took since the last result
  long results_ = 0;
  std::vector<std::string> granted_;                 // rules that answers added
  std::vector<background_task> interrupted_agents_;  // not yet spoken of
  std::string held_;                                 // the result that waits for agents, lines and all
  std::list<task> tasks_;                            // live
  std::list<task> follow_up_;                        // ended, their turns not begun

  // The turn at hand.
  std::vector<std::string> uuids_;
  std::vector<question> open_;
  std::vector<std::string> denials_;
  std::vector<std::string> tool_outputs_;  // not yet spoken about
  std::string message_id_;                 // of the reply under way; empty between replies
  std::string last_text_;
  std::string extra_request_members_;  // of `with`
  bool first_block_ = true;
  bool result_printed_ = false;
  bool aborted_stream_ = false;
  bool in_tool_ = false;             // a tool runs: an urgent message cannot stop it
  bool urgent_after_tool_ = false;   // one waits for the tool, and no interrupt is heard any more
  std::string structured_;           // raw
  std::string origin_;               // raw
  std::vector<std::string> folded_;  // texts that came while the turn ran
  std::vector<std::string> folded_uuids_;
  std::size_t folded_said_ = 0;                  // how many of them the model has spoken about
  double cost_ = -1;                             // of `cost`
  long input_tokens_ = -1, output_tokens_ = -1;  // of `usage`
  long calls_turn_ = 0;
  long user_lines_ = 0;
  long rate_ = 0;
  long long started_ms_ = 0;
};

template <class Condition>
bool session::wait_until(Condition done, int fd, int timeout_ms) {
  while (true) {
    take_input();
    if (stop_ != stop::none || fatal_input_) return false;
    if (done()) return true;
    channel::woken const why = io_.wait(fd, timeout_ms);
    if (why.ready || why.timeout) {
      take_input();
      return stop_ == stop::none && !fatal_input_;
    }
  }
}

/// What this process was started with and what it was told, as JSON: `MOCK echo-options`.
std::string describe(const options& given, const channel& io, const identity& who, std::string_view initialize_request,
                     std::string_view prompt_line);

}  // namespace mock
