#pragma once
// A manager with everything around it replaced: fake children, a clock that stands still, a folder of its own.

#include "manager/manager.hpp"
#include "support/fake_launcher.hpp"
#include "support/manual_clock.hpp"
#include "support/run.hpp"
#include "support/temporary_directory.hpp"
#include "worker/files.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace awm::manager::testing {

inline constexpr auto session = "11111111-2222-4333-8444-555555555555";

using answered = std::vector<pending_permission>;

/// A wait that runs beside the test.
struct pending_wait {
  bool over = false;
  bool aborted = false;
  std::optional<answer<join::loan>> found;
  std::vector<std::string> reports;
  asio::cancellation_signal cancel;

  const join_result& result() const { return std::get<join::loan>(found.value()).result; }
  void settle(bool written) { std::get<join::loan>(found.value()).settle(written); }
  bool refused() const { return found && std::holds_alternative<refusal>(*found); }
};

/// Another call that runs beside the test.
template <class T>
struct pending_call {
  std::optional<answer<T>> found;

  bool over() const { return found.has_value(); }
  const T& value() const { return std::get<T>(found.value()); }
};

struct stage {
  explicit stage(const asio::any_io_executor& on, std::size_t max_workers = 10) : launcher(on), executor(on) {
    config.claude = "/bin/claude";
    config.log_dir = directory.path() / "logs";
    config.max_workers = max_workers;
    config.max_starts = max_workers;
    config.keep_warm = std::chrono::seconds(0);
    config.cwd = directory.path();
    config.environment = {{"HOME", directory.path()}, {"PATH", "/bin"}};
    start();
  }

  /// A new manager process on the same log folder; the one before has no child any more.
  void start() { manager.emplace(executor, config, launcher, clock, files); }

  /// As if this manager's process were killed now: `successor` is a new one on what stands on the disk.
  void be_killed() {
    successor_config = config;
    successor_config.log_dir = directory.path() / "logs of the killed";
    std::filesystem::copy(config.log_dir, successor_config.log_dir);
    start_successor();
  }
  /// `successor` is a manager process that runs beside the first one, on the same log folder.
  void start_beside() {
    successor_config = config;
    start_successor();
  }
  void start_successor() { successor.emplace(executor, successor_config, launcher, clock, files); }

  asio::awaitable<answer<accepted_turn>> try_spawn(spawn_request request) {
    auto accepted = co_await manager->spawn(std::move(request));
    co_await test::settle();
    co_return accepted;
  }
  asio::awaitable<answer<accepted_turn>> try_spawn(nlohmann::json options = nullptr) {
    spawn_request request{"task", "do it", std::nullopt, std::move(options), {}, false};
    return try_spawn(std::move(request));
  }
  asio::awaitable<std::string> spawn(nlohmann::json options = nullptr) {
    const auto accepted = co_await try_spawn(std::move(options));
    co_return std::get<accepted_turn>(accepted).worker_id;
  }
  /// One that comes after others.
  asio::awaitable<std::string> spawn_after(std::vector<std::string> before, bool in_any_case = false) {
    spawn_request request{"later task", "go on from there", std::nullopt, nullptr, std::move(before), in_any_case};
    const auto accepted = co_await try_spawn(std::move(request));
    co_return std::get<accepted_turn>(accepted).worker_id;
  }
  asio::awaitable<answer<accepted_turn>> resume(std::string worker_id, nlohmann::json options = nullptr) {
    resume_request request{std::move(worker_id), "go on", std::move(options)};
    auto accepted = co_await manager->resume(std::move(request));
    co_await test::settle();
    co_return accepted;
  }
  std::shared_ptr<pending_wait> wait(wait_request request = {}) { return wait_on(*manager, std::move(request)); }
  std::shared_ptr<pending_wait> wait_on(awm::manager::manager& whom, wait_request request = {}) {
    auto waiting = std::make_shared<pending_wait>();
    asio::co_spawn(executor, run_wait(whom, std::move(request), waiting),
                   asio::bind_cancellation_slot(waiting->cancel.slot(), asio::detached));
    return waiting;
  }
  /// Runs `call` beside the test.
  template <class T>
  std::shared_ptr<pending_call<T>> beside(asio::awaitable<answer<T>> call) {
    auto pending = std::make_shared<pending_call<T>>();
    asio::co_spawn(executor, run_call(std::move(call), pending), asio::detached);
    return pending;
  }
  asio::awaitable<worker_summary> summary(std::string worker_id) { return summary_by(*manager, std::move(worker_id)); }
  asio::awaitable<worker_summary> summary_by(awm::manager::manager& whom, std::string worker_id) {
    const auto all = co_await whom.list();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.worker_id == worker_id; });
    co_return found == all.end() ? worker_summary{} : *found;
  }

  test::fake_child& child(std::size_t number) { return *launcher.children.at(number); }
  void begin(std::size_t number) {
    child(number).answer_initialize();
    child(number).print({{"type", "system"}, {"subtype", "init"}, {"session_id", session}, {"model", "m"}});
  }
  void finish(std::size_t number, const std::string& text = "done") {
    begin(number);
    child(number).print_result(text);
    child(number).exit_with(0);
  }
  /// Ends the turn with an error result; `more` says which.
  void fail(std::size_t number, const std::string& text, nlohmann::json more) {
    begin(number);
    more["is_error"] = true;
    child(number).print_result(text, more);
    child(number).exit_with(1);
  }
  void ask(std::size_t number, const std::string& id, const std::string& tool = "Bash",
           nlohmann::json input = {{"command", "ls"}}) {
    child(number).print({{"type", "control_request"},
                         {"request_id", id},
                         {"request", {{"subtype", "can_use_tool"}, {"tool_name", tool}, {"input", std::move(input)}}}});
  }
  void call_tool(std::size_t number, const std::string& id, const std::string& tool = "Bash",
                 nlohmann::json input = {{"command", "make"}}) {
    nlohmann::json block = {{"type", "tool_use"}, {"id", id}, {"name", tool}, {"input", std::move(input)}};
    print_message(number, "assistant", std::move(block));
  }
  void end_tool(std::size_t number, const std::string& id) {
    nlohmann::json block = {{"type", "tool_result"}, {"tool_use_id", id}, {"content", "ok"}};
    print_message(number, "user", std::move(block));
  }

  /// The texts of all user messages that the child got.
  std::vector<std::string> prompts(std::size_t number) {
    std::vector<std::string> texts;
    for (const auto& line : child(number).lines()) {
      if (line["type"] == "user") texts.push_back(line["message"]["content"]);
    }
    return texts;
  }
  /// What follows `flag` on the child's command line; empty: it is not there.
  std::string argument(std::size_t number, const std::string& flag) {
    const auto& arguments = child(number).spec.arguments;
    const auto found = std::find(arguments.begin(), arguments.end(), flag);
    return found == arguments.end() ? "" : *(found + 1);
  }
  bool was_interrupted(std::size_t number) {
    const auto lines = child(number).lines();
    return lines.back().value(nlohmann::json::json_pointer("/request/subtype"), "") == "interrupt";
  }
  nlohmann::json on_disk(const std::string& worker_id) {
    return nlohmann::json::parse(files.read(config.log_dir / ("worker-" + worker_id + ".json")).value_or("null"));
  }

  test::temporary_directory directory;
  worker::system_files files;
  test::manual_clock clock;
  test::fake_launcher launcher;
  asio::any_io_executor executor;
  manager_config config;
  std::optional<awm::manager::manager> manager;
  manager_config successor_config;
  std::optional<awm::manager::manager> successor;

 private:
  static asio::awaitable<void> run_wait(awm::manager::manager& manager, wait_request request,
                                        std::shared_ptr<pending_wait> waiting) {
    const join::progress report = [waiting](std::size_t finished, const outstanding_turns& turns) {
      waiting->reports.push_back(std::to_string(finished) + "/" + std::to_string(turns.total()));
    };
    try {
      waiting->found = co_await manager.wait(std::move(request), report);
    } catch (const std::system_error&) {
      waiting->aborted = true;
    }
    waiting->over = true;
  }

  template <class T>
  static asio::awaitable<void> run_call(asio::awaitable<answer<T>> call, std::shared_ptr<pending_call<T>> pending) {
    pending->found = co_await std::move(call);
  }

  void print_message(std::size_t number, const char* role, nlohmann::json block) {
    nlohmann::json message = {{"role", role}, {"content", nlohmann::json::array({std::move(block)})}};
    if (std::string_view(role) == "assistant") message["id"] = "m" + std::to_string(++replies_);
    child(number).print({{"type", role}, {"message", std::move(message)}});
  }

  int replies_ = 0;
};

template <class Body>
void run(Body body, std::size_t max_workers = 10) {
  test::run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
    stage stage(executor, max_workers);
    co_await body(stage);
    // Whatever the test left running ends, and nothing starts in its place: nothing outlives the stage.
    stage.manager->stop();
    if (stage.successor) stage.successor->stop();
    for (const auto& child : stage.launcher.children) {
      if (!child->exit()) child->exit_with(0);
    }
    co_await test::settle();
  });
}

}  // namespace awm::manager::testing
