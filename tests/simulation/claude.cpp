#include "claude.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

namespace awm::simulation {

using nlohmann::json;

namespace {

constexpr double cost_of_a_reply = 0.01;

/// The parent's end of a child.
class child_handle final : public worker::child, private child_listener {
 public:
  child_handle(const asio::any_io_executor& executor, std::shared_ptr<claude> process)
      : wake_(executor), exited_(executor), process_(std::move(process)) {
    process_->listen(this);
  }
  ~child_handle() override {
    process_->listen(nullptr);
    process_->signal(SIGKILL);
  }

  asio::awaitable<void> output_or_exit() override {
    while (!process_->has_output() && !process_->exit()) {
      wake_.reset();
      const auto [cancelled] = co_await wake_.async_wait(coro::as_value);
      if (cancelled) co_return;
    }
  }
  worker::read_outcome read_output(std::span<char> into) override {
    using kind = worker::read_outcome::kind;
    if (!process_->has_output()) return {process_->exit() ? kind::end_of_stream : kind::nothing_yet, 0};
    return {kind::bytes, process_->read(into)};
  }
  void send(std::string text) override { process_->send(text); }
  void close_input() override { process_->close_input(); }
  std::string error_tail() const override { return process_->error_tail(); }
  void signal(int number) override { process_->signal(number); }
  std::optional<coro::exit_status> exit() const override { return process_->exit(); }
  coro::event& exited() override { return exited_; }

 private:
  void output_came() override { wake_.set(); }
  void ended() override {
    exited_.set();
    wake_.set();
  }

  coro::event wake_;
  coro::event exited_;
  std::shared_ptr<claude> process_;
};

}  // namespace

class simulated_launcher final : public worker::launcher {
 public:
  simulated_launcher(children& all, asio::any_io_executor executor, std::shared_ptr<process> whose)
      : all_(all), executor_(std::move(executor)), whose_(std::move(whose)) {}

  std::unique_ptr<worker::child> start(const worker::launch_spec& spec, std::error_code& error) override {
    if (!whose_->is_alive) {
      error = std::make_error_code(std::errc::no_such_process);
      return nullptr;
    }
    constexpr std::size_t one_in = 100;
    if (all_.shared_.sky.children_misbehave && all_.shared_.random.one_in(one_in)) {
      error = std::make_error_code(std::errc::resource_unavailable_try_again);
      all_.shared_.events.note("launcher", "cannot start a child");
      ++all_.shared_.counts.faults;
      return nullptr;
    }
    auto started = std::make_shared<claude>(all_.shared_, all_.checks_, all_, spec);
    std::erase_if(all_.all_, [](const auto& one) { return one.expired(); });
    all_.all_.push_back(started);
    if (!started->is_probe()) ++all_.shared_.counts.children;
    auto handle = std::make_unique<child_handle>(executor_, started);
    started->begin();
    return handle;
  }

 private:
  children& all_;
  asio::any_io_executor executor_;
  std::shared_ptr<process> whose_;
};

std::unique_ptr<worker::launcher> children::launcher(asio::any_io_executor executor, std::shared_ptr<process> whose) {
  return std::make_unique<simulated_launcher>(*this, std::move(executor), std::move(whose));
}

std::size_t children::alive() const {
  return static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [](const auto& one) {
    const auto process = one.lock();
    return process && !process->exit();
  }));
}

std::size_t children::at_work() const {
  return static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [](const auto& one) {
    const auto process = one.lock();
    return process && process->is_at_work();
  }));
}

// ---- a process ----

claude::claude(setting& shared, checks& told, children& all, worker::launch_spec spec)
    : shared_(shared), checks_(told), all_(all), spec_(std::move(spec)) {
  is_probe_ = spec_.arguments == std::vector<std::string>{"--version"};
  name_ = (is_probe_ ? "probe " : "claude ") + std::to_string(++all_.names_);
}

std::string claude::argument(std::string_view flag) const {
  const auto found = std::find(spec_.arguments.begin(), spec_.arguments.end(), flag);
  return found == spec_.arguments.end() || found + 1 == spec_.arguments.end() ? std::string() : *(found + 1);
}

std::string claude::variable(std::string_view name) const {
  for (const auto& each : spec_.environment.list()) {
    if (each.starts_with(name) && each.size() > name.size() && each[name.size()] == '=') {
      return each.substr(name.size() + 1);
    }
  }
  return {};
}

void claude::later(duration delay, void (claude::*what)()) {
  shared_.time.after(delay, [self = weak_from_this(), what] {
    const auto alive = self.lock();
    if (alive && !alive->has_died_) (*alive.*what)();
  });
}

void claude::begin() {
  if (is_probe_) {
    shared_.time.after(shared_.random.about(10ms, 1s), [self = weak_from_this()] {
      const auto alive = self.lock();
      if (!alive || alive->has_died_) return;
      alive->print_line(alive->all_.version + " (Claude Code)", {});
      alive->exit_soon(0, 1ms);
    });
    return;
  }
  shared_.events.note(name_, "starts for " + spec_.label);
  ignores_interrupts_ = by_chance(8);
  ignores_signals_ = by_chance(15);
  if (by_chance(60)) {
    shared_.events.note(name_, "never gets ready");
    return;
  }
  if (by_chance(60)) {
    error_text_ = "Error: something is wrong with this machine";
    return exit_soon(1, shared_.random.about(10ms, 2s));
  }
  later(shared_.random.about(200ms, 3s), &claude::start_session);
}

void claude::start_session() {
  const auto resumed = argument("--resume");
  session_ = resumed.empty() ? argument("--session-id") : resumed;
  const bool is_known = all_.sessions.contains(session_);
  if (resumed.empty() == is_known) {
    error_text_ = is_known ? "Error: Session ID " + session_ + " is already in use."
                           : "No conversation found with session ID: " + session_;
    shared_.events.note(name_, error_text_);
    return exit_soon(1, 20ms);
  }
  if (is_known) {
    auto& memory = all_.sessions[session_];
    if (memory.owner != nullptr) {
      checks_.fail("two children serve the session " + session_ + ": " + memory.owner->name_ + " and " + name_);
    }
    memory.owner = this;
  }
  is_ready_ = true;
  while (!inbox_.empty() && !has_died_) {
    const auto line = std::move(inbox_.front());
    inbox_.pop_front();
    handle(line);
  }
  if (input_closed_ && !is_in_turn_) exit_soon(0, shared_.random.about(30ms, 200ms));
}

// ---- what it is told ----

void claude::send(const std::string& text) {
  if (input_closed_ || has_died_) return;
  input_ += text;
  for (auto end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
    auto line = json::parse(input_.substr(0, end), nullptr, false);
    input_.erase(0, end + 1);
    if (line.is_discarded()) {
      checks_.fail(name_ + " was sent a line that is no JSON");
      return;
    }
    // Read soon, and never inside the call.
    inbox_.push_back(std::move(line));
  }
  if (is_ready_) {
    shared_.time.after(shared_.random.about(1ms, 20ms), [self = weak_from_this()] {
      const auto alive = self.lock();
      while (alive && !alive->has_died_ && !alive->inbox_.empty()) {
        const auto line = std::move(alive->inbox_.front());
        alive->inbox_.pop_front();
        alive->handle(line);
      }
    });
  }
}

void claude::handle(const json& line) {
  const auto type = line.value("type", "");
  if (type == "control_request") return handle_request(line);
  if (type == "control_response") return handle_answer(line["response"]);
  if (type != "user") return;
  take_prompt({line["message"]["content"].get<std::string>(), line.value("uuid", "")});
}

void claude::handle_request(const json& line) {
  const auto subtype = line["request"].value("subtype", "");
  json response = json::object();
  if (subtype == "initialize") response = {{"agents", json::array()}, {"commands", json::array()}};
  if (subtype == "get_session_cost") {
    auto dollars = std::to_string(cost_);
    response = {{"text", "Total cost:            $" + dollars}};
  }
  const json answer = {
      {"type", "control_response"},
      {"response", {{"subtype", "success"}, {"request_id", line["request_id"]}, {"response", std::move(response)}}}};
  if (subtype == "interrupt") {
    if (ignores_interrupts_ && shared_.sky.children_misbehave) return;
    if (line["request"].value("cancel_queued", false)) {
      for (const auto& queued : std::exchange(queue_, {})) {
        tell({{"type", "command_lifecycle"}, {"command_uuid", queued.uuid}, {"state", "cancelled"}});
      }
    }
    for (const auto& [id, question] : questions_) print({{"type", "control_cancel_request"}, {"request_id", id}});
    questions_.clear();
    print(answer);
    if (is_in_turn_) interrupt();
    return;
  }
  print(answer);
}

void claude::handle_answer(const json& response) {
  const auto found = questions_.find(response["request_id"].get<std::string>());
  if (found == questions_.end()) return;  // ignored, as by the real one
  const auto question = found->second;
  const bool is_allowed = response.contains("response") && response["response"].value("behavior", "") == "allow";
  shared_.events.note(name_, "question " + question.tag + (is_allowed ? " allowed" : " denied"));
  if (is_allowed) {
    const auto input = response["response"].value("updatedInput", json::object());
    if (input.value("command", "") != question.command) {
      checks_.fail("the question " + question.tag + " of " + name_ + " was answered with another one's input");
    }
  }
  checks_.answered(question.tag, question.command, is_allowed);
  questions_.erase(found);
  if (questions_.empty() && !is_waiting_) {
    is_waiting_ = true;
    later(shared_.random.about(5ms, 5s), &claude::end_tool);
  }
}

void claude::take_prompt(queued_prompt prompt) {
  tell({{"type", "command_lifecycle"}, {"command_uuid", prompt.uuid}, {"state", "queued"}});
  queue_.push_back(std::move(prompt));
  if (!is_in_turn_) {
    auto all = std::exchange(queue_, {});
    begin_turn({all.begin(), all.end()}, nullptr);
  }
}

void claude::close_input() {
  if (std::exchange(input_closed_, true) || has_died_) return;
  shared_.time.after(shared_.random.about(1ms, 20ms), [self = weak_from_this()] {
    const auto alive = self.lock();
    if (!alive || alive->has_died_ || !alive->is_ready_) return;
    // Whoever waits for an answer goes on without one.
    if (!alive->questions_.empty() && !alive->is_waiting_) {
      alive->questions_.clear();
      alive->is_waiting_ = true;
      alive->later(10ms, &claude::end_tool);
    }
    if (!alive->is_in_turn_) alive->end_of_turn();
  });
}

void claude::signal(int number) {
  if (exit_ || (is_exiting_ && number != SIGKILL)) return;
  if (number == SIGKILL) {
    has_died_ = true;
    pending_.clear();
    return become(-SIGKILL);
  }
  shared_.events.note(name_, "gets signal " + std::to_string(number));
  if (ignores_signals_ && shared_.sky.children_misbehave) return;
  if (number == SIGTERM) {
    has_died_ = true;
    return exit_soon(143, shared_.random.about(30ms, 1s));
  }
  if (is_in_turn_) {
    background_.clear();
    input_closed_ = true;
    return interrupt();
  }
  exit_soon(0, shared_.random.about(20ms, 2s));
}

// ---- a turn ----

void claude::begin_turn(std::vector<queued_prompt> prompts, const char* origin) {
  auto& memory = all_.sessions[session_];
  if (memory.owner != nullptr && memory.owner != this) checks_.fail("two children serve the session " + session_);
  memory.owner = this;
  is_in_turn_ = had_turn_ = true;
  ++turn_number_;
  replies_ = tools_ = 0;
  steered_.clear();
  for (const auto& prompt : prompts) {
    tell({{"type", "command_lifecycle"}, {"command_uuid", prompt.uuid}, {"state", "started"}});
    for (const auto& tag : tags_in(prompt.text)) memory.tags.push_back(tag);
  }
  // The manager's own word that a turn should come to its end may miss that turn; what it begins then is nobody's.
  const auto is_advice = [](const auto& prompt) { return prompt.text.find("Start nothing new") != std::string::npos; };
  is_wanted_ = prompts.empty() || !std::all_of(prompts.begin(), prompts.end(), is_advice);
  turn_prompts_ = std::move(prompts);
  if (origin == nullptr) ++shared_.counts.turns;
  tag_ = memory.tags.empty() ? "" : memory.tags.back();
  shared_.events.note(name_, "begins a turn about " + tag_);
  // A reply of each of the others may be on its way to the manager.
  const auto slack = cost_of_a_reply * static_cast<double>(2 * all_.at_work());
  if (all_.budget_usd && origin == nullptr && all_.spent_usd_ > *all_.budget_usd + slack) {
    checks_.fail(name_ + " got a prompt when the budget was spent");
  }
  watch_the_time();
  print({{"type", "system"},
         {"subtype", "init"},
         {"session_id", session_},
         {"model", argument("--model")},
         {"claude_code_version", all_.version},
         {"permissionMode", "default"},
         {"tools", {"Bash", "Read"}}});
  plan_turn();
  is_waiting_ = true;
  later(shared_.random.about(10ms, 20s), &claude::next);
}

/// A turn that has a time ends within it, and what it takes to end a child that does not want to: 2 s from the
/// interrupt to the end of its input, 5 s to SIGINT, 3 s to SIGKILL.
void claude::watch_the_time() {
  const auto limit = checks_.time_limit(tag_);
  if (!limit) return;
  constexpr auto slack = 12s;
  shared_.time.after(*limit + slack, [self = weak_from_this(), number = turn_number_] {
    const auto alive = self.lock();
    if (!alive || alive->exit_ || !alive->is_in_turn_ || alive->turn_number_ != number) return;
    alive->checks_.fail(alive->name_ + " is at work on " + alive->tag_ + " after its time is over");
  });
}

void claude::plan_turn() {
  script_.clear();
  const auto count = shared_.random.below(5);
  for (std::size_t index = 0; index < count; ++index) {
    switch (shared_.random.below(8)) {
      case 0:
      case 1:
        script_.push_back(act::reply);
        break;
      case 2:
        script_.push_back(act::noise);
        break;
      case 3:
        script_.push_back(shared_.sky.children_misbehave && shared_.random.one_in(3) ? act::retry : act::tool);
        break;
      case 4:
        script_.push_back(variable("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS").empty() ? act::background : act::tool);
        break;
      default:
        script_.push_back(act::tool);
    }
  }
  script_.push_back(act::reply);
  script_.push_back(act::end);
  ending_ = ending::success;
  if (by_chance(4)) {
    constexpr std::size_t kinds = 10;
    ending_ = static_cast<ending>(shared_.random.below(kinds));
  }
}

void claude::next() {
  is_waiting_ = false;
  if (!is_in_turn_ || script_.empty()) return;
  const auto what = script_.front();
  script_.pop_front();
  const auto budget = argument("--max-budget-usd");
  if (!budget.empty() && cost_ > std::stod(budget)) {
    return print_result({{"subtype", "error_max_budget_usd"}, {"is_error", true}});
  }
  play(what);
  const bool goes_on = is_in_turn_ && !is_waiting_ && questions_.empty() && !script_.empty() && what != act::end;
  if (!goes_on) return;
  is_waiting_ = true;
  later(shared_.random.about(1ms, 2min), &claude::next);
}

void claude::play(act what) {
  switch (what) {
    case act::reply:
      return say_reply(false);
    case act::tool:
      say_reply(true);
      if (shared_.random.one_in(3)) return ask(1);
      is_waiting_ = true;
      return later(shared_.random.about(5ms, 10min), &claude::end_tool);
    case act::noise:
      return make_noise();
    case act::retry:
      return print({{"type", "system"},
                    {"subtype", "api_retry"},
                    {"attempt", 1},
                    {"max_retries", 10},
                    {"retry_delay_ms", 1000 * shared_.random.between(1, 59)},
                    {"error_status", shared_.random.one_in(2) ? 429 : 529},
                    {"error", "rate_limit"}});
    case act::background:
      return start_background();
    case act::end:
      return finish(ending_);
  }
}

void claude::say_reply(bool with_tool) {
  ++replies_;
  cost_ += cost_of_a_reply;
  all_.spent_usd_ += cost_of_a_reply;
  const auto id = "msg_" + std::to_string(shared_.random.next());
  const auto lines = shared_.random.between(1, 3);
  for (std::size_t index = 0; index < lines; ++index) {
    json block = {{"type", "text"}, {"text", "I think about @" + tag_ + "@"}};
    if (with_tool && index + 1 == lines) {
      open_tool_ = "toolu_" + std::to_string(shared_.random.next());
      block = {{"type", "tool_use"}, {"id", open_tool_}, {"name", "Bash"}, {"input", {{"command", "make"}}}};
    }
    print_message("assistant", {{"id", id}, {"role", "assistant"}, {"content", json::array({std::move(block)})}});
  }
}

void claude::ask(std::size_t count) {
  for (std::size_t index = 0; index < count; ++index) {
    const auto number = std::to_string(shared_.random.next() % 1'000'000'000);
    open_question question;
    question.tag = "q" + number;
    const auto kind = shared_.random.below(8);
    question.command = kind == 0   ? "allowed-by-rule " + number
                       : kind == 1 ? "denied-by-rule " + number
                       : kind == 2 ? "shared " + std::to_string(shared_.random.below(3))
                                   : "run " + number;
    checks_.question_asked(question.tag, kind < 2, kind == 0);
    shared_.events.note(name_, "asks @" + question.tag + "@ for " + question.command);
    const auto request = "r" + std::to_string(shared_.random.next());
    print({{"type", "control_request"},
           {"request_id", request},
           {"request",
            {{"subtype", "can_use_tool"},
             {"tool_name", "Bash"},
             {"input", {{"command", question.command}}},
             {"decision_reason", "@" + question.tag + "@"},
             {"tool_use_id", open_tool_}}}});
    questions_.emplace(request, std::move(question));
  }
  if (by_chance(12)) {
    // It thinks better of it.
    const auto id = questions_.begin()->first;
    questions_.erase(questions_.begin());
    print({{"type", "control_cancel_request"}, {"request_id", id}});
    if (questions_.empty()) {
      is_waiting_ = true;
      later(1s, &claude::end_tool);
    }
  }
}

void claude::end_tool() {
  is_waiting_ = false;
  if (!is_in_turn_) return;
  ++tools_;
  const json block = {{"type", "tool_result"}, {"tool_use_id", std::exchange(open_tool_, "")}, {"content", "ok"}};
  print_message("user", {{"role", "user"}, {"content", json::array({block})}});
  fold_prompts();
  is_waiting_ = true;
  later(shared_.random.about(1ms, 30s), &claude::next);
}

/// Messages are taken in behind a tool's result.
void claude::fold_prompts() {
  for (auto& queued : std::exchange(queue_, {})) {
    tell({{"type", "command_lifecycle"}, {"command_uuid", queued.uuid}, {"state", "started"}});
    tell({{"type", "command_lifecycle"}, {"command_uuid", queued.uuid}, {"state", "completed"}});
    for (const auto& tag : tags_in(queued.text)) steered_.push_back(tag);
  }
}

void claude::make_noise() {
  static const std::vector<std::string> lines{
      "",
      "   ",
      "not JSON at all",
      "{\"type\":\"system\",\"subtype\":\"status\",\"status\":\"requesting\"}",
      "{\"type\":\"something_new\",\"field\":{\"deep\":[1,2,{}]}}",
      "[1,2,3]",
      "{\"type\":\"assistant\"",
      "{\"type\":\"stream_event\",\"event\":{\"type\":\"ping\"}}",
      "{\"type\":\"control_request\",\"request_id\":\"x1\",\"request\":{\"subtype\":\"hook_callback\"}}",
      "{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":\"nobody\"}}",
      "{\"type\":\"control_cancel_request\",\"request_id\":\"never asked\"}",
      "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"allowed_warning\",\"resetsAt\":1}}",
      "{\"type\":\"user\",\"isReplay\":true,\"message\":{\"role\":\"user\",\"content\":\"x\"}}",
      std::string(5000, 'x')};
  const auto count = shared_.random.between(1, 10);
  for (std::size_t index = 0; index < count; ++index) print_line(shared_.random.pick(lines), {});
}

void claude::start_background() {
  say_reply(true);
  const auto task = "bg" + std::to_string(shared_.random.next());
  background_.insert(task);
  shared_.events.note(name_, "starts the background task " + task);
  if (speaks_new()) {
    print({{"type", "system"}, {"subtype", "background_tasks_changed"}, {"tasks", json::array({{{"task_id", task}}})}});
  }
  const json block = {{"type", "tool_result"}, {"tool_use_id", std::exchange(open_tool_, "")}, {"content", "started"}};
  print_message("user", {{"role", "user"}, {"content", json::array({block})}},
                {{"tool_use_result", {{"backgroundTaskId", task}}}});
  if (!by_chance(5)) later(shared_.random.about(1s, 30min), &claude::end_background);
}

void claude::end_background() {
  if (background_.empty()) return;
  const auto task = *background_.begin();
  background_.erase(background_.begin());
  if (speaks_new()) {
    auto tasks = json::array();
    for (const auto& left : background_) tasks.push_back({{"task_id", left}});
    print({{"type", "system"}, {"subtype", "background_tasks_changed"}, {"tasks", std::move(tasks)}});
  }
  print({{"type", "system"}, {"subtype", "task_notification"}, {"task_id", task}, {"status", "completed"}});
  if (is_in_turn_) return;
  begin_turn({}, "task-notification");
  script_ = {act::reply, act::end};
  ending_ = ending::success;
}

void claude::finish(ending how) {
  if (how != ending::success) {
    ++shared_.counts.faults;
    shared_.events.note(name_, "ends badly, kind " + std::to_string(static_cast<int>(how)));
  }
  switch (how) {
    case ending::success:
      return print_result({{"is_error", false}, {"terminal_reason", "completed"}});
    case ending::failure:
      return print_result({{"is_error", true}, {"api_error_status", 400}, {"result", "API Error: 400"}});
    case ending::rate_limit:
      if (shared_.random.one_in(2)) {
        const auto utc =
            std::int64_t{1'795'000'000} +
            std::chrono::duration_cast<std::chrono::seconds>(shared_.time.now().time_since_epoch()).count();
        print({{"type", "rate_limit_event"},
               {"rate_limit_info", {{"status", "rejected"}, {"resetsAt", utc + shared_.random.between(1, 3600)}}}});
      }
      return print_result({{"is_error", true}, {"api_error_status", 429}, {"result", "API Error: 429"}});
    case ending::overloaded:
      return print_result(
          {{"is_error", true}, {"api_error_status", 529}, {"result", "Repeated 529 Overloaded errors"}});
    case ending::sign_in:
      return print_result({{"is_error", true}, {"api_error_status", 401}, {"result", "Failed to authenticate"}});
    case ending::broken_result:
      is_trusted_ = false;
      return print_line(R"({"type":"result","subtype":"success","is_error":false,"result":"no end)", {});
    case ending::death:
      error_text_ = "Segmentation fault";
      return exit_soon(shared_.random.one_in(2) ? 1 : 0, 1ms);
    case ending::half_line: {
      constexpr std::string_view half = R"({"type":"assistant","message":{"role":"assi)";
      pending_ += half;
      printed_ += half.size();
      release();
      return exit_soon(139, 1ms);
    }
    case ending::hang:
      return;
    case ending::endless:
      // It talks, and comes to no end.
      script_ = {act::reply, act::noise, act::end};
      is_waiting_ = true;
      return later(shared_.random.about(1min, 30min), &claude::next);
  }
}

void claude::print_result(json more) {
  for (const auto& prompt : turn_prompts_) {
    tell({{"type", "command_lifecycle"}, {"command_uuid", prompt.uuid}, {"state", "completed"}});
  }
  std::string text = "The answer to @" + tag_ + "@";
  for (const auto& tag : steered_) text += " @" + tag + "@";
  json result = {{"type", "result"},
                 {"subtype", "success"},
                 {"result", text},
                 {"session_id", session_},
                 {"num_turns", replies_},
                 {"duration_ms", 1000},
                 {"total_cost_usd", cost_},
                 {"usage", {{"input_tokens", 100}, {"output_tokens", 20}}},
                 {"permission_denials", json::array()}};
  if (speaks_new()) result["model_usage_since_last_result"] = {{"m", {{"costUSD", cost_ - cost_before_}}}};
  if (turn_prompts_.empty()) result["origin"] = {{"kind", "task-notification"}};
  cost_before_ = cost_;
  result.update(more);
  print(result);
  shared_.events.note(name_, "ends the turn about " + tag_);
  is_in_turn_ = false;
  code_ = result["is_error"].get<bool>() ? 1 : 0;
  end_of_turn();
}

void claude::interrupt() {
  script_.clear();
  questions_.clear();
  const json block = {{"type", "text"}, {"text", "[Request interrupted by user]"}};
  print_message("user", {{"role", "user"}, {"content", json::array({block})}});
  print_result({{"subtype", "error_during_execution"}, {"is_error", true}, {"terminal_reason", "aborted_streaming"}});
  code_ = 0;
}

/// What comes behind a turn: the next one, or the end.
void claude::end_of_turn() {
  if (!queue_.empty()) {
    auto all = std::exchange(queue_, {});
    return begin_turn({all.begin(), all.end()}, nullptr);
  }
  if (!input_closed_) return;
  if (!background_.empty()) return;  // 2.1.329 waits for them
  if (by_chance(12)) return;         // does not find its end
  exit_soon(code_.value_or(0), shared_.random.about(30ms, 300ms));
}

// ---- its end ----

void claude::exit_soon(int code, duration delay) {
  if (is_exiting_) return;
  is_exiting_ = true;
  shared_.time.after(delay, [self = weak_from_this(), code] {
    const auto alive = self.lock();
    if (!alive || alive->exit_) return;
    alive->has_died_ = true;
    alive->become(code);
  });
}

void claude::become(int code) {
  is_in_turn_ = false;
  background_.clear();
  const auto memory = all_.sessions.find(session_);
  if (memory != all_.sessions.end() && memory->second.owner == this) memory->second.owner = nullptr;
  readable_ += std::exchange(pending_, {});
  exit_ = coro::exit_status{code};
  if (!is_probe_) shared_.events.note(name_, "is gone, " + std::to_string(code));
  if (listener_ != nullptr) listener_->ended();
}

// ---- what it prints ----

/// 2.1.329 says what becomes of each message.
void claude::tell(const json& line) {
  if (speaks_new() && !line.value("command_uuid", "").empty()) print(line);
}

void claude::print_message(const char* role, json message, json more) {
  const auto id = "(m" + std::to_string(shared_.random.next()) + ")";
  message["content"][0]["mark"] = id;  // in the block: of blocks that belong together one keeps its envelope
  more["type"] = role;
  more["session_id"] = session_;
  more["message"] = std::move(message);
  print_line(more.dump(), id);
}

void claude::print_line(std::string text, std::string message_id) {
  text += '\n';
  printed_ += text.size();
  const bool is_kept = is_trusted_ && is_wanted_ && !tag_.empty();
  if (!message_id.empty() && is_kept) messages_.push_back({printed_, tag_, std::move(message_id)});
  pending_ += text;
  if (std::exchange(is_releasing_, true)) return;
  shared_.time.after(shared_.random.about(10us, 20ms), [self = weak_from_this()] {
    if (const auto alive = self.lock()) alive->release();
  });
}

/// Some of what was printed gets into the pipe, cut anywhere.
void claude::release() {
  is_releasing_ = false;
  if (exit_ || pending_.empty()) return;
  const auto size = shared_.random.one_in(3) ? shared_.random.between(1, pending_.size()) : pending_.size();
  readable_ += pending_.substr(0, size);
  pending_.erase(0, size);
  if (listener_ != nullptr) listener_->output_came();
  if (pending_.empty()) return;
  is_releasing_ = true;
  shared_.time.after(shared_.random.about(10us, 1s), [self = weak_from_this()] {
    if (const auto alive = self.lock()) alive->release();
  });
}

std::size_t claude::read(std::span<char> into) {
  const auto size = std::min(into.size(), readable_.size());
  std::memcpy(into.data(), readable_.data(), size);
  readable_.erase(0, size);
  consumed_ += size;
  while (!messages_.empty() && messages_.front().end <= consumed_) {
    checks_.message_read(messages_.front().tag, std::move(messages_.front().id));
    messages_.pop_front();
  }
  return size;
}

}  // namespace awm::simulation
