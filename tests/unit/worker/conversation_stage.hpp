#pragma once
// A conversation with a fake child, and everything around it; and the lines that such a child prints.

#include "support/fake_launcher.hpp"
#include "support/manual_clock.hpp"
#include "support/run.hpp"
#include "support/temporary_directory.hpp"
#include "worker/conversation.hpp"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace awm::worker::testing {

/// Remembers what it was told.
class recorder final : public conversation_observer {
 public:
  using settled_message = std::pair<std::string, message_fate>;

  void permission_asked(const permission_line& question) override { asked.push_back(question); }
  void permission_withdrawn(const std::string& request_id) override { withdrawn.push_back(request_id); }
  void background_running(std::size_t tasks) override { background.push_back(tasks); }
  void cost_so_far(double cost) override { costs.push_back(cost); }
  void rate_limited(coro::clock::duration wait, std::int64_t until) override { limits.emplace_back(wait, until); }
  void message_settled(const std::string& id, message_fate fate) override { fates.emplace_back(id, fate); }
  asio::awaitable<void> before_report() override {
    ++reports;
    co_return;
  }
  void turn_ended(const turn_outcome& ended) override {
    ++endings;
    outcome = ended;
    if (at_end) std::exchange(at_end, nullptr)();
  }

  std::vector<permission_line> asked;
  std::vector<std::string> withdrawn;
  std::vector<std::size_t> background;
  std::vector<double> costs;
  std::vector<std::pair<coro::clock::duration, std::int64_t>> limits;
  std::vector<settled_message> fates;
  int reports = 0;
  int endings = 0;
  turn_outcome outcome;
  /// Called once, inside the next `turn_ended`.
  std::function<void()> at_end;
};

struct stage {
  explicit stage(const asio::any_io_executor& executor) : launcher(executor), executor_(executor) {
    transcript_record record;
    record.worker_id = "w1";
    record.turns.push_back({{"prompt", "do it"}});
    transcript.emplace(files, directory.path(), std::move(record));
    request.prompt = "do it";
    request.prompt_id = "p1";
    plan.launch.program = "/bin/claude";
  }

  /// Starts the child with the turn of `request` and lets it run until it waits for its child.
  asio::awaitable<void> start() {
    running.emplace(plan, launcher, clock, buffers, observer);
    running->begin(request, *transcript);
    const auto run = [](conversation& started, bool& done) -> asio::awaitable<void> {
      co_await started.run();
      done = true;
    };
    asio::co_spawn(executor_, run(*running, over), asio::detached);
    co_await test::settle();
  }

  /// The same, up to the prompt.
  asio::awaitable<void> start_working() {
    co_await start();
    child().answer_initialize();
    co_await test::settle();
  }

  /// Begins one more turn with the child that is there.
  void begin_another(const std::string& prompt) {
    transcript->record().turns.push_back({{"prompt", prompt}});
    request.prompt = prompt;
    running->begin(request, *transcript);
  }

  /// The child's exit, and the end of the conversation.
  asio::awaitable<void> exit(int code = 0) {
    child().exit_with(code);
    co_await test::settle();
  }

  test::fake_child& child() { return *launcher.children.at(0); }
  nlohmann::json last_line() { return child().lines().back(); }
  bool was_interrupted() {
    return last_line().value(nlohmann::json::json_pointer("/request/subtype"), "") == "interrupt";
  }

  nlohmann::json on_disk() { return nlohmann::json::parse(files.read(transcript->path()).value()); }

  test::temporary_directory directory;
  system_files files;
  test::manual_clock clock;
  test::fake_launcher launcher;
  worker::reading buffers;
  recorder observer;
  child_plan plan;
  turn_request request;
  std::optional<worker::transcript> transcript;
  std::optional<conversation> running;
  bool over = false;

 private:
  asio::any_io_executor executor_;
};

template <class Body>
void run(Body body) {
  test::run([&body](asio::any_io_executor executor) -> asio::awaitable<void> {
    stage stage(executor);
    co_await body(stage);
  });
}

inline nlohmann::json question(const std::string& id, const std::string& tool = "Bash") {
  return {{"type", "control_request"},
          {"request_id", id},
          {"request", {{"subtype", "can_use_tool"}, {"tool_name", tool}, {"input", {{"command", "ls"}}}}}};
}

inline nlohmann::json init(const std::string& session) {
  return {{"type", "system"}, {"subtype", "init"}, {"session_id", session}, {"model", "m"}};
}

/// The model calls a tool, in the reply `reply`.
inline nlohmann::json tool_call(const std::string& id, const std::string& reply = "m1") {
  nlohmann::json block = {{"type", "tool_use"}, {"id", id}, {"name", "Bash"}, {"input", {{"command", "make"}}}};
  return {{"type", "assistant"},
          {"message", {{"id", reply}, {"role", "assistant"}, {"content", nlohmann::json::array({block})}}}};
}

/// The end of that call. `background_task`: it goes on as this task.
inline nlohmann::json tool_result(const std::string& id, const std::string& background_task = "") {
  nlohmann::json block = {{"type", "tool_result"}, {"tool_use_id", id}, {"content", "ok"}};
  nlohmann::json line = {{"type", "user"},
                         {"message", {{"role", "user"}, {"content", nlohmann::json::array({block})}}}};
  if (!background_task.empty()) line["tool_use_result"] = {{"backgroundTaskId", background_task}};
  return line;
}

inline nlohmann::json said(const std::string& text, const std::string& reply = "m2") {
  nlohmann::json block = {{"type", "text"}, {"text", text}};
  return {{"type", "assistant"},
          {"message", {{"id", reply}, {"role", "assistant"}, {"content", nlohmann::json::array({block})}}}};
}

/// What 2.1.329 says about a message.
inline nlohmann::json lifecycle(const std::string& message_id, const std::string& state) {
  return {{"type", "command_lifecycle"}, {"command_uuid", message_id}, {"state", state}};
}

/// Task `id` has ended.
inline nlohmann::json task_ended(const std::string& id) {
  return {{"type", "system"}, {"subtype", "task_notification"}, {"task_id", id}, {"status", "completed"}};
}

}  // namespace awm::worker::testing
