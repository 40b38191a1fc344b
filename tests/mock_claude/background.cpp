// Work behind the turns: shells and subagents that outlive the turn that started them, and the turn that the CLI begins
// by itself when they end.

#include "json.hpp"
#include "session.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace mock {
namespace {

using json::quote;

bool is_number(const std::string& word) {
  return !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

void session::watch_tasks() {
  std::vector<int> fds;
  long long due = -1;
  for (const task& one : tasks_) {
    if (one.until && one.until->fd() >= 0) fds.push_back(one.until->fd());
    if (one.due_ms >= 0) due = due < 0 ? one.due_ms : std::min(due, one.due_ms);
  }
  io_.also_wake_for(std::move(fds), due);
}

void session::print_live_tasks() {
  if (!given_.newer) return;
  std::vector<const background_task*> live;
  for (const task& one : tasks_) live.push_back(&one);
  io_.print(wire::background_tasks_changed(who_, live));
}

void session::end_finished_tasks() {
  auto const finished = [](task& one) {
    return (one.until && one.until->open()) || (one.due_ms >= 0 && now_ms() >= one.due_ms);
  };
  for (auto it = tasks_.begin(); it != tasks_.end(); it = std::find_if(tasks_.begin(), tasks_.end(), finished)) {
    if (!finished(*it)) continue;
    if (it->agent) {
      io_.print(wire::agent_report(who_, *it, it->id + " finished"));
      spend const taken = wire::price_of_calls(1, given_.newer);
      since_last_.add(taken);
      total_.add(taken);
    }
    end_task(it, it->fails ? "failed" : "completed", true);
  }
}

/// 2.1.197 says that a task is over when it tells the model so: at the next turn, or not at all when the note is folded
/// into a running one. 2.1.329 says so at once.
void session::end_task(std::list<task>::iterator one, std::string_view status, bool names_output) {
  task ended = std::move(*one);
  tasks_.erase(one);
  watch_tasks();
  bool const killed = status == "killed";
  if (ended.agent) ++(killed ? agents_.killed : ended.fails ? agents_.failed : agents_.completed);
  io_.print(wire::task_updated(who_, ended, status));
  if (given_.newer || killed || ended.quiet) io_.print(wire::task_notification(who_, ended, status, names_output));
  print_live_tasks();
  if (!ended.quiet && !killed) follow_up_.push_back(std::move(ended));
}

void session::kill_tasks(bool agents_only, bool names_output) {
  auto const dies = [&](const task& one) { return one.agent || !agents_only; };
  for (auto it = tasks_.begin(); (it = std::find_if(tasks_.begin(), tasks_.end(), dies)) != tasks_.end();
       it = tasks_.begin()) {
    if (agents_only) interrupted_agents_.push_back(*it);
    end_task(it, "killed", names_output);
  }
}

/// A stopped agent is reported in a turn of its own, a stopped shell is not.
void session::stop_task(std::string_view id) {
  auto const it = std::find_if(tasks_.begin(), tasks_.end(), [&](const task& one) { return one.id == id; });
  if (it == tasks_.end()) return;
  std::optional<task> reported;
  if (it->agent && !it->quiet) {
    reported.emplace();
    static_cast<background_task&>(*reported) = *it;
  }
  end_task(it, "killed", given_.newer);
  if (reported) follow_up_.push_back(std::move(*reported));
}

/// What is waited for after the end of stdin: agents, and in 2.1.329 shells as well; 2.1.197 kills these (after 5 s,
/// which a mock does not take).
bool session::awaits_tasks() {
  if (!given_.newer) {
    auto const is_shell = [](const task& one) { return !one.agent; };
    for (auto it = tasks_.begin(); (it = std::find_if(tasks_.begin(), tasks_.end(), is_shell)) != tasks_.end();)
      end_task(it, "killed", false);
  }
  return !tasks_.empty();
}

bool session::owes_agents() const {
  auto const is_agent = [](const task& one) { return one.agent; };
  return std::any_of(tasks_.begin(), tasks_.end(), is_agent) ||
         std::any_of(follow_up_.begin(), follow_up_.end(), is_agent);
}

void session::release_held_result() {
  if (!held_.empty()) io_.put(held_);
  held_.clear();
}

void session::run_follow_up() {
  task const ended = std::move(follow_up_.front());
  follow_up_.pop_front();
  begin_turn();
  origin_ = wire::origin_of(who_, ended);
  if (!given_.newer) io_.print(wire::task_notification(who_, ended, ended.fails ? "failed" : "completed", true));
  io_.print(wire::init(who_, given_, initialize_request_, {}));
  std::vector<directive> script = ended.then;
  if (script.empty()) say("background " + ended.id + " done");
  run_script(script);
  history_.add("assistant", last_text_);
  end_of_turn();
}

bool session::run_in_foreground(const std::string& id, directive& d) {
  question const used = use_tool("Bash", "{\"command\":" + quote("run " + id) + ",\"description\":" + quote(id) + "}");
  std::string const when = d.take_word();
  open_.push_back(used);
  in_tool_ = true;
  long long const due = is_number(when) ? now_ms() + std::atol(when.c_str()) : -1;
  bool const ran =
      due < 0 ? wait_for_file(when) : wait_until([&] { return now_ms() >= due; }, -1, std::atoi(when.c_str()));
  in_tool_ = false;
  if (!ran) return false;
  open_.pop_back();
  std::string const output = "background " + id + " done";
  tool_done(wire::tool_result(who_, used.tool_use, quote(output), wire::shell_result(output), wire::verdict::ran, true),
            output);
  return stop_ == stop::none;
}

bool session::start_task(directive& d) {
  task started;
  started.id = d.take_word();
  const char* const disabled = std::getenv("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS");
  if (disabled != nullptr && std::string_view(disabled) == "1") return run_in_foreground(started.id, d);
  std::string const when = d.take_word();
  if (is_number(when))
    started.due_ms = now_ms() + std::atol(when.c_str());
  else
    started.until.emplace(when);
  for (std::string word = d.take_word(); !word.empty(); word = d.take_word()) {
    started.agent |= word == "agent";
    started.quiet |= word == "quiet";
    started.fails |= word == "fails";
  }
  started.run_id = "run-" + started.id;
  started.tool_use =
      use_tool(started.agent ? "Task" : "Bash",
               started.agent ? "{\"description\":" + quote(started.id) + ",\"prompt\":" + quote(started.id) +
                                   R"(,"subagent_type":"general-purpose","run_in_background":true})"
                             : "{\"command\":" + quote("run " + started.id) + ",\"description\":" + quote(started.id) +
                                   ",\"run_in_background\":true}")
          .tool_use;
  tasks_.push_back(std::move(started));
  const task& live = tasks_.back();
  agents_.spawned += live.agent ? 1 : 0;
  print_live_tasks();
  io_.print(wire::task_started(who_, live));
  tool_done(wire::background_tool_result(who_, live), "");
  tool_outputs_.pop_back();  // nothing that the model would repeat
  watch_tasks();
  return stop_ == stop::none;
}

bool session::do_background(directive& d) {
  return start_task(d);
}

bool session::do_on_done(directive& d) {
  std::string const id = d.take_word();
  directive then;
  then.verb = d.take_word();
  then.rest = d.rest;
  for (task& one : tasks_)
    if (one.id == id) one.then.push_back(then);
  for (task& one : follow_up_)
    if (one.id == id) one.then.push_back(then);
  return true;
}

}  // namespace mock
