#pragma once

#include "coro/event.hpp"
#include "worker/launcher.hpp"

#include <nlohmann/json.hpp>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace awm::test {

/// A child that does what the test says, and remembers what it was told.
class fake_child final : public worker::child {
 public:
  fake_child(const asio::any_io_executor& executor, worker::launch_spec launched)
      : spec(std::move(launched)), wake_(executor), exited_(executor) {}

  // The test's side.
  void print(const nlohmann::json& line) { print_raw(line.dump() + "\n"); }
  void print_raw(const std::string& text) {
    output_ += text;
    wake_.set();
  }
  void close_output() {
    closed_ = true;
    wake_.set();
  }
  void exit_with(int code, bool keep_output_open = false) {
    status_ = coro::exit_status{code};
    closed_ = closed_ || !keep_output_open;
    exited_.set();
    wake_.set();
  }
  void answer_initialize(const nlohmann::json& response = nlohmann::json::object()) {
    print({{"type", "control_response"},
           {"response",
            {{"subtype", "success"}, {"request_id", lines().at(0).at("request_id")}, {"response", response}}}});
  }
  /// Answers every control request so far that was not answered.
  void answer_requests(bool success = true) {
    const auto all = lines();
    for (; answered_ < all.size(); ++answered_) {
      if (all[answered_]["type"] != "control_request") continue;
      nlohmann::json response = {{"subtype", success ? "success" : "error"},
                                 {"request_id", all[answered_]["request_id"]}};
      if (!success) response["error"] = "refused by the test";
      print({{"type", "control_response"}, {"response", std::move(response)}});
    }
  }
  void print_result(const std::string& text, const nlohmann::json& more = nlohmann::json::object()) {
    nlohmann::json result = {{"type", "result"},        {"subtype", "success"},  {"is_error", false}, {"result", text},
                             {"session_id", "session"}, {"total_cost_usd", 0.5}, {"num_turns", 1}};
    result.update(more);
    print(result);
  }
  /// The lines that were sent, parsed.
  std::vector<nlohmann::json> lines() const {
    std::vector<nlohmann::json> found;
    for (std::size_t at = 0; at < input.size();) {
      const auto end = input.find('\n', at);
      found.push_back(nlohmann::json::parse(input.substr(at, end - at)));
      at = end + 1;
    }
    return found;
  }

  worker::launch_spec spec;
  std::string input;
  bool input_closed = false;
  std::vector<int> signals;
  std::string stderr_text;

  // The worker's side.
  asio::awaitable<void> output_or_exit() override {
    while (output_.empty() && !closed_ && !status_) {
      wake_.reset();
      const auto [cancelled] = co_await wake_.async_wait(coro::as_value);
      if (cancelled) co_return;
    }
  }
  worker::read_outcome read_output(std::span<char> into) override {
    using kind = worker::read_outcome::kind;
    if (output_.empty()) return {closed_ ? kind::end_of_stream : kind::nothing_yet, 0};
    const auto size = std::min(into.size(), output_.size());
    std::memcpy(into.data(), output_.data(), size);
    output_.erase(0, size);
    return {kind::bytes, size};
  }
  void send(std::string text) override {
    if (!input_closed) input += text;
  }
  void close_input() override { input_closed = true; }
  std::string error_tail() const override { return stderr_text; }
  void signal(int number) override { signals.push_back(number); }
  std::optional<coro::exit_status> exit() const override { return status_; }
  coro::event& exited() override { return exited_; }

 private:
  std::string output_;
  std::size_t answered_ = 0;  // of the lines
  bool closed_ = false;
  std::optional<coro::exit_status> status_;
  coro::event wake_;
  coro::event exited_;
};

/// Hands out fake children. The test reaches each through `children`, which outlives the worker's hold on it.
class fake_launcher final : public worker::launcher {
 public:
  explicit fake_launcher(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  std::unique_ptr<worker::child> start(const worker::launch_spec& spec, std::error_code& error) override {
    error = failure;
    if (error) return nullptr;
    auto child = std::make_shared<fake_child>(executor_, spec);
    if (spec.arguments == std::vector<std::string>{"--version"}) {
      ++version_questions;
      if (!hold_version) {
        child->print_raw(version);
        child->exit_with(0);
      }
    } else {
      children.push_back(child);
    }
    return std::make_unique<handle>(std::move(child));
  }

  std::vector<std::shared_ptr<fake_child>> children;
  std::error_code failure;
  std::string version = "2.1.329 (Claude Code)\n";
  int version_questions = 0;
  bool hold_version = false;  // the question stays without an answer

 private:
  class handle final : public worker::child {
   public:
    explicit handle(std::shared_ptr<fake_child> started) : child_(std::move(started)) {}
    asio::awaitable<void> output_or_exit() override { return child_->output_or_exit(); }
    worker::read_outcome read_output(std::span<char> into) override { return child_->read_output(into); }
    void send(std::string text) override { child_->send(std::move(text)); }
    void close_input() override { child_->close_input(); }
    std::string error_tail() const override { return child_->error_tail(); }
    void signal(int number) override { child_->signal(number); }
    std::optional<coro::exit_status> exit() const override { return child_->exit(); }
    coro::event& exited() override { return child_->exited(); }

   private:
    std::shared_ptr<fake_child> child_;
  };

  asio::any_io_executor executor_;
};

}  // namespace awm::test
