#include "client.hpp"

#include <algorithm>
#include <utility>

namespace awm::simulation {

using nlohmann::json;

namespace {

// Asking the CLI for its version may take 20 s, and what is written waits for a client that reads seldom.
constexpr auto patience_with_answers = 40s;
// Interrupt, end of the input, SIGINT and SIGKILL of a child, one after the other; and a child that never got ready.
constexpr auto patience_with_cancel = 60s;

}  // namespace

// ---- the connection ----

void client::connect(server& to) {
  server_ = &to;
  ++connection_;
  is_stateless_ = shared_.random.one_in(3);
  has_person_ = !is_stateless_ && shared_.random.one_in(3);
  unsent_.clear();
  received_.clear();
  sent_ = 0;
  open_.clear();
  being_answered_.clear();
  last_wait_ = 0;
  is_pumping_ = false;
  if (!is_stateless_) {
    auto capabilities = json::object();
    if (has_person_) capabilities["elicitation"] = json::object();
    send({{"jsonrpc", "2.0"},
          {"id", 0},
          {"method", "initialize"},
          {"params",
           {{"protocolVersion", "2025-11-25"}, {"capabilities", capabilities}, {"clientInfo", {{"name", "lead"}}}}}});
    send({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
  }
  read();
}

void client::disconnect() {
  server_ = nullptr;
  ++connection_;
}

void client::send(const json& message) {
  send_text(message.dump() + "\n");
}

void client::send_text(std::string text) {
  sent_ += text.size();
  unsent_ += text;
  if (std::exchange(is_pumping_, true)) return;
  pump();
}

/// What is sent arrives in pieces.
void client::pump() {
  shared_.time.after(shared_.random.about(10us, 10ms), [this, connection = connection_] {
    if (connection != connection_) return;
    is_pumping_ = false;
    const auto size = shared_.random.one_in(4) ? shared_.random.between(1, unsent_.size()) : unsent_.size();
    server_->put(unsent_.substr(0, size));
    unsent_.erase(0, size);
    if (unsent_.empty()) return;
    is_pumping_ = true;
    pump();
  });
}

void client::read() {
  const auto pause = shared_.random.one_in(200) ? shared_.random.about(1s, 20s) : shared_.random.about(1ms, 2s);
  shared_.time.after(pause, [this, connection = connection_] {
    if (connection != connection_) return;
    received_ += server_->take();
    for (auto end = received_.find('\n'); end != std::string::npos; end = received_.find('\n')) {
      const auto message = json::parse(received_.substr(0, end), nullptr, false);
      received_.erase(0, end + 1);
      receive(message);
      if (connection != connection_) return;
    }
    read();
  });
}

void client::receive(const json& message) {
  if (message.is_array()) return;
  if (message.contains("method") && message.contains("id")) return answer_question(message);
  if (message.contains("method") || !message["id"].is_number_unsigned()) return;
  const auto found = open_.find(message["id"].get<std::uint64_t>());
  if (found == open_.end()) return;
  const auto id = found->first;
  const auto asked = found->second;
  // It may give a wait up while the answer is on its way.
  const bool crosses = id == last_wait_ && !asked.is_cancelled && !winds_up_ && shared_.random.one_in(12);
  if (crosses) return give_up(id);
  open_.erase(found);
  if (!asked.is_cancelled) received(id, asked, message);
}

/// The person is asked.
void client::answer_question(const json& message) {
  const auto id = message["id"];
  if (message["method"] != "elicitation/create") {
    return send({{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", -32601}, {"message", "no"}}}});
  }
  const auto words = message["params"].value("message", "");
  shared_.time.after(shared_.random.about(100ms, 10min), [this, id, words, connection = connection_] {
    if (connection != connection_) return;
    json result;
    const auto choice = shared_.random.below(8);
    const auto tags = tags_in(words);
    if (choice == 0) {
      result = {{"action", "cancel"}};
    } else if (choice == 1) {
      result = {{"action", "decline"}};
      for (const auto& tag : tags) checks_.decided(tag, false);
    } else {
      const bool allow = choice > 3;
      result = {{"action", "accept"}, {"content", {{"decision", allow ? "Allow once" : "Deny"}}}};
      for (const auto& tag : tags) checks_.decided(tag, allow);
    }
    send({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}});
  });
}

std::uint64_t client::call(const std::string& tool, json arguments, std::optional<duration> patience) {
  ++shared_.counts.requests;
  const auto id = ++ids_;
  json params = {{"name", tool}, {"arguments", arguments}};
  if (is_stateless_) {
    params["_meta"] = {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                       {"io.modelcontextprotocol/clientInfo", {{"name", "lead"}, {"version", "1"}}},
                       {"io.modelcontextprotocol/clientCapabilities", json::object()}};
  } else if (shared_.random.one_in(2)) {
    params["_meta"] = {{"progressToken", id}};
  }
  shared_.events.note("client", "calls " + tool + " " + std::to_string(id) + " " + arguments.dump());
  send({{"jsonrpc", "2.0"}, {"id", id}, {"method", "tools/call"}, {"params", std::move(params)}});
  std::optional<time_point> due;
  if (patience) due = shared_.time.now() + *patience;
  open_[id] = {tool, std::move(arguments), shared_.time.now(), due, false};
  return id;
}

// ---- what comes back ----

void client::received(std::uint64_t id, const request& asked, const json& message) {
  if (message.contains("error")) {
    return checks_.fail("the request " + std::to_string(id) + " of " + asked.tool + " got " + message["error"].dump());
  }
  const auto& result = message["result"];
  const bool is_refused = result.value("isError", false);
  shared_.events.note("client", asked.tool + " " + std::to_string(id) + " answered: " +
                                    (is_refused ? result["content"].dump() : result["structuredContent"].dump()));
  if (asked.tool == "wait" && winds_up_ && is_refused) is_done_ = true;
  if (is_refused) return;
  const auto& answer = result["structuredContent"];
  if (asked.tool == "wait") return received_wait(answer);
  if (asked.tool == "spawn_worker") workers_.insert(answer["worker_id"].get<std::string>());
}

void client::received_wait(const json& answer) {
  for (const auto* const list : {"completed", "failed", "cancelled"}) {
    for (const auto& entry : answer.value(list, json::array())) {
      const std::string id = entry["worker_id"];
      workers_.insert(id);
      if (std::find(ended_.begin(), ended_.end(), id) == ended_.end()) ended_.push_back(id);
    }
  }
  for (const auto& question : answer["pending_permissions"]) {
    if (!being_answered_.insert(question["request_id"]).second) continue;
    const auto thinks = winds_up_ ? shared_.random.about(10ms, 1s) : shared_.random.about(10ms, 2h);
    shared_.time.after(thinks, [this, question, connection = connection_] {
      if (connection == connection_) approve(question);
    });
  }
}

void client::approve(const json& question) {
  const bool allow = shared_.random.one_in(2);
  for (const auto& tag : tags_in(question.value("reason", ""))) checks_.decided(tag, allow);
  json arguments = {{"request_id", question["request_id"]}, {"allow", allow}};
  const auto command = question["input"].value("command", "");
  if (command.starts_with("shared")) {
    arguments["scope"] = shared_.random.one_in(2) ? "all" : "worker";
    checks_.decided_for_all(command, allow);
  }
  call("approve_permission", std::move(arguments), patience_with_answers);
}

// ---- ideas ----

bool client::has_wait() const {
  return std::any_of(open_.begin(), open_.end(),
                     [](const auto& each) { return each.second.tool == "wait" && !each.second.is_cancelled; });
}

void client::act() {
  if (server_ == nullptr) return;
  if (winds_up_) return act_to_the_end();
  constexpr std::size_t all = 100;
  const auto idea = shared_.random.below(all);
  if (idea < 25) return spawn();
  if (idea < 60) return wait();
  if (idea < 72) return resume();
  if (idea < 80) return steer();
  if (idea < 84) return cancel();
  if (idea < 90) return cancel_wait();
  if (idea < 97) return look();
  talk_nonsense();
}

void client::spawn() {
  const auto name = tag("P");
  json arguments = {{"description", "work on " + name}, {"prompt", "Please see to @" + name + "@."}};
  json options = json::object();
  if (shared_.random.one_in(6)) options["timeout_s"] = shared_.random.between(5, 2000);
  if (shared_.random.one_in(8)) options["background"] = true;
  if (shared_.random.one_in(10)) options["max_turns"] = shared_.random.between(1, 5);
  if (shared_.random.one_in(10)) options["mcp"] = {{"one", {{"command", "server"}}}};
  if (shared_.random.one_in(10)) options["ask"] = "model";
  if (!options.empty()) arguments["options"] = std::move(options);
  if (shared_.random.one_in(6) && !workers_.empty()) {
    auto before = workers_.begin();
    std::advance(before, static_cast<std::ptrdiff_t>(shared_.random.below(workers_.size())));
    arguments["after"] = {*before};
    if (shared_.random.one_in(2)) arguments["after_policy"] = "always";
  }
  call("spawn_worker", std::move(arguments), patience_with_answers);
}

void client::wait() {
  if (has_wait() && !shared_.random.one_in(6)) return;
  json arguments = json::object();
  std::optional<duration> patience;
  if (shared_.random.one_in(3)) arguments["mode"] = "any";
  if (shared_.random.one_in(3)) {
    const auto seconds = shared_.random.one_in(4) ? 0 : shared_.random.between(1, 3600);
    arguments["timeout_s"] = seconds;
    patience = std::chrono::seconds(seconds) + patience_with_answers;
  }
  if (shared_.random.one_in(5) && !workers_.empty()) {
    auto some = json::array();
    for (const auto& id : workers_) {
      if (shared_.random.one_in(3)) some.push_back(id);
    }
    if (!some.empty()) arguments["worker_ids"] = std::move(some);
  }
  last_wait_ = call("wait", std::move(arguments), patience);
}

void client::resume() {
  if (ended_.empty()) return;
  const auto name = tag("R");
  const auto& whom = shared_.random.pick(ended_);
  checks_.sent_to(name, whom);
  call("resume_worker", {{"worker_id", whom}, {"prompt", "Now see to @" + name + "@."}}, patience_with_answers);
}

void client::steer() {
  if (workers_.empty()) return;
  auto whom = workers_.begin();
  std::advance(whom, static_cast<std::ptrdiff_t>(shared_.random.below(workers_.size())));
  static const std::vector<std::string> modes{"queue", "steer", "interrupt"};
  const auto name = tag("M");
  checks_.sent_to(name, *whom);
  call("send_message",
       {{"worker_id", *whom}, {"text", "And mind @" + name + "@."}, {"mode", shared_.random.pick(modes)}},
       patience_with_answers);
}

void client::cancel() {
  if (workers_.empty()) return;
  auto whom = workers_.begin();
  std::advance(whom, static_cast<std::ptrdiff_t>(shared_.random.below(workers_.size())));
  const auto target = shared_.random.one_in(8) ? std::string("all") : *whom;
  call("cancel_worker", {{"worker_id", target}, {"reason", "a change of mind"}}, patience_with_cancel);
}

/// Only the last wait is given up: who waits again has read the answer before.
void client::cancel_wait() {
  const auto found = open_.find(last_wait_);
  if (found != open_.end() && !found->second.is_cancelled) give_up(last_wait_);
}

void client::give_up(std::uint64_t id) {
  auto& asked = open_[id];
  asked.is_cancelled = true;
  asked.due.reset();
  shared_.events.note("client", "gives up the wait " + std::to_string(id));
  send({{"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", id}}}});
  checks_.request_cancelled(id, sent_);
}

void client::look() {
  if (shared_.random.one_in(2) || workers_.empty()) {
    call("list_workers", json::object(), patience_with_answers);
    return;
  }
  auto whom = workers_.begin();
  std::advance(whom, static_cast<std::ptrdiff_t>(shared_.random.below(workers_.size())));
  const auto timeout = shared_.random.below(60'000);
  call("worker_output", {{"worker_id", *whom}, {"timeout", timeout}},
       std::chrono::milliseconds(timeout) + patience_with_answers);
}

void client::talk_nonsense() {
  static const std::vector<std::string> lines{
      "nonsense",
      "{",
      "[]",
      "[1,2]",
      "null",
      "{\"jsonrpc\":\"2.0\"}",
      "{\"jsonrpc\":\"1.0\",\"id\":\"x\",\"method\":\"tools/call\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"no/such\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"tools/call\",\"params\":{\"name\":\"no_tool\"}}",
      "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"tools/"
      "call\",\"params\":{\"name\":\"wait\",\"arguments\":{\"x\":1}}}",
      "{\"jsonrpc\":\"2.0\",\"id\":\"y\",\"result\":{}}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"nobody\"}}",
      "{\"jsonrpc\":\"2.0\",\"id\":\"z\",\"method\":\"tools/"
      "call\",\"params\":{\"name\":\"approve_permission\",\"arguments\":"
      "{\"request_id\":\"guessed\",\"allow\":true}}}",
      "{\"jsonrpc\":\"2.0\",\"id\":\"z\",\"method\":\"tools/"
      "call\",\"params\":{\"name\":\"cancel_worker\",\"arguments\":"
      "{\"worker_id\":\"../../etc/passwd\"}}}",
      std::string(3000, '[')};
  send_text(shared_.random.pick(lines) + "\n");
}

/// Nobody is left to want anything: what runs is ended, and what is there is collected.
void client::act_to_the_end() {
  if (is_done_) return;
  const bool is_cancelling =
      std::any_of(open_.begin(), open_.end(), [](const auto& each) { return each.second.tool == "cancel_worker"; });
  if (!is_cancelling) call("cancel_worker", {{"worker_id", "all"}}, patience_with_cancel);
  if (!has_wait()) last_wait_ = call("wait", json::object(), std::nullopt);
}

void client::watch() {
  if (server_ == nullptr || !server_->is_alive()) return;
  for (const auto& [id, asked] : open_) {
    if (!asked.due || shared_.time.now() <= *asked.due) continue;
    return checks_.fail("the request " + std::to_string(id) + " of " + asked.tool + " was not answered in time");
  }
}

}  // namespace awm::simulation
