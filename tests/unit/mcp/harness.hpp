#pragma once
// A session over memory, driven step by step: nothing happens but in `settle()`, which runs the event loop until it has
// nothing left to do. So a test needs neither threads nor time.

#include "coro/event.hpp"
#include "mcp/memory_transport.hpp"
#include "mcp/server.hpp"
#include "mcp/session.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace awm::mcp::testing {

using nlohmann::json;
using deliveries = std::vector<delivery>;

class harness {
 public:
  explicit harness(std::vector<tool> tools = {}, session_options options = {})
      : offer({"probe", "1.2.3", "Probe", "Use it well.", "", "", nullptr}, offering{std::move(tools), {}, {}, {}}),
        input(std::make_shared<memory_pipe>(context.get_executor())),
        output(std::make_shared<memory_pipe>(context.get_executor())),
        stream(input, output),
        talk(std::make_unique<session>(stream, offer, std::move(options))) {}

  void start() {
    if (std::exchange(started, true)) return;
    auto done = [this](const std::exception_ptr& failure, session_outcome end) {
      failed = failure;
      outcome = end;
    };
    asio::co_spawn(context, talk->run([this] { ++endings; }),
                   asio::bind_cancellation_slot(stop.slot(), std::move(done)));
    settle();
  }

  /// start() and a finished handshake.
  void open(const std::string& version = "2025-11-25", const json& capabilities = {{"roots", json::object()}}) {
    start();
    send(ask(0, "initialize",
             {{"protocolVersion", version}, {"capabilities", capabilities}, {"clientInfo", {{"name", "tester"}}}}));
    send({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
    received();
  }

  void settle() {
    context.restart();
    context.poll();
  }

  static json ask(json id, const std::string& method, json params = json::object()) {
    return {{"jsonrpc", "2.0"}, {"id", std::move(id)}, {"method", method}, {"params", std::move(params)}};
  }
  static json call(json id, const std::string& name, json arguments = json::object(), json token = nullptr) {
    json params = {{"name", name}, {"arguments", std::move(arguments)}};
    if (!token.is_null()) params["_meta"] = {{"progressToken", std::move(token)}};
    return ask(std::move(id), "tools/call", std::move(params));
  }
  /// A request of the stateless era; `meta` goes over what every such request has to say.
  static json stateless(json id, const std::string& method, json params = json::object(),
                        json capabilities = json::object(), const json& meta = json::object()) {
    json own = {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                {"io.modelcontextprotocol/clientInfo", {{"name", "stateless tester"}}},
                {"io.modelcontextprotocol/clientCapabilities", std::move(capabilities)}};
    own.update(meta);
    params["_meta"] = std::move(own);
    return ask(std::move(id), method, std::move(params));
  }
  static json stateless_call(json id, const std::string& name, json capabilities = json::object(),
                             json params = json::object()) {
    params["name"] = name;
    return stateless(std::move(id), "tools/call", std::move(params), std::move(capabilities));
  }
  static json cancelled(json id) {
    return {{"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", std::move(id)}}}};
  }

  void send_text(const std::string& bytes) {
    input->put(bytes);
    settle();
  }
  void send(const json& message) { send_text(message.dump() + "\n"); }

  /// What the session wrote since the last time, a message a line.
  std::vector<json> received() {
    settle();
    std::vector<json> messages;
    std::string text = output->take();
    settle();
    text += output->take();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      EXPECT_NE(end, std::string::npos) << "an unfinished line: " << text.substr(at);
      if (end == std::string::npos) break;
      messages.push_back(json::parse(text.substr(at, end - at)));
      at = end + 1;
    }
    return messages;
  }

  /// The one message that the session wrote.
  json answer() {
    auto messages = received();
    EXPECT_EQ(messages.size(), 1U) << json(messages).dump();
    return messages.size() == 1 ? messages.front() : json();
  }
  json answer_to(const json& message) {
    send(message);
    return answer();
  }
  int error_code_for(const json& message) { return answer_to(message).value(json::json_pointer("/error/code"), 0); }

  // Before the context: whatever is still suspended when a test ends refers to them.
  asio::cancellation_signal stop;
  int endings = 0;  // how often the session said that it begins to end
  std::optional<session_outcome> outcome;
  std::exception_ptr failed;
  bool started = false;
  asio::io_context context{1};
  server offer;
  std::shared_ptr<memory_pipe> input;
  std::shared_ptr<memory_pipe> output;
  memory_transport stream;
  std::unique_ptr<session> talk;
};

/// A tool by its handler, a function `asio::awaitable<tool_result>(json, request_context&)`.
template <class Handler>
tool make_tool(std::string name, Handler handler) {
  tool t;
  t.name = std::move(name);
  t.description = "of a test";
  t.handler = std::move(handler);
  return t;
}

/// What clients of the stateless era declare.
inline const json with_elicitation = {{"elicitation", json::object()}};
inline const json with_tasks = {{"extensions", {{"io.modelcontextprotocol/tasks", json::object()}}}};
inline const json with_all = {{"elicitation", {{"form", json::object()}, {"url", json::object()}}},
                              {"sampling", json::object()},
                              {"roots", json::object()},
                              {"extensions", {{"io.modelcontextprotocol/tasks", json::object()}}}};

inline json accepted(json content) {
  return {{"action", "accept"}, {"content", std::move(content)}};
}

/// Somebody who belongs to no request and asks the person, and what became of it.
class asker {
 public:
  explicit asker(harness& world, std::string words = "May it?") : world_(world) {
    auto done = [this, stop = stop_](const std::exception_ptr& thrown, elicitation got) {
      failure = thrown;
      if (!thrown) answer = std::move(got);
    };
    client& peer = world.talk->peer();
    json schema = {{"type", "object"}, {"properties", {{"ok", {{"type", "boolean"}}}}}};
    asio::co_spawn(world.context, peer.elicit(std::move(words), std::move(schema)),
                   asio::bind_cancellation_slot(stop_->slot(), std::move(done)));
    world.settle();
  }

  void cancel() {
    stop_->emit(asio::cancellation_type::terminal);
    world_.settle();
  }

  bool is_over() const { return answer || failure; }
  bool was_aborted() const {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::system_error& error) {
      return error.code() == asio::error::operation_aborted;
    }
    return false;
  }

  std::optional<elicitation> answer;
  std::exception_ptr failure;

 private:
  harness& world_;
  // Shared with the coroutine, which may still wait when the test ends.
  std::shared_ptr<asio::cancellation_signal> stop_ = std::make_shared<asio::cancellation_signal>();
};

/// A tool that waits until the test lets it go, and keeps what happened to its calls.
struct gate {
  explicit gate(asio::io_context& context) : opened(context.get_executor()) {}

  coro::event opened;
  int started = 0;
  int stopped = 0;
  deliveries receipts;
  request_context* last = nullptr;
  json result = {{"done", true}};

  asio::awaitable<tool_result> pass(request_context& context) {
    ++started;
    last = &context;
    struct farewell {
      int& count;
      ~farewell() { ++count; }
    };
    const farewell at_end{stopped};
    co_await opened.async_wait(asio::use_awaitable);
    tool_result out = tool_result::json(result);
    out.settled = [this](delivery what) { receipts.push_back(what); };
    co_return out;
  }
};

/// Outlives the context, which settles what it still holds when it is destroyed.
struct echo_log {
  deliveries echo_receipts;
};

/// The tools of `gated_harness`: "gate" waits; "echo" answers with its arguments at once and with a receipt.
struct gated_harness : echo_log, harness {
  explicit gated_harness(session_options options = {}) : harness({}, std::move(options)), door(context) {
    offer.add(gate_tool());
    offer.add(echo_tool());
  }
  gated_harness(const gated_harness&) = delete;
  gated_harness& operator=(const gated_harness&) = delete;
  // A session that ends settles the receipts of its tasks, which the gate keeps.
  ~gated_harness() { talk.reset(); }

  tool gate_tool() {
    tool t;
    t.name = "gate";
    t.description = "waits";
    t.handler = [this](json, request_context& call) { return door.pass(call); };
    return t;
  }
  tool echo_tool() {
    tool t;
    t.name = "echo";
    t.description = "answers";
    t.handler = [this](json arguments, request_context& call) { return echo(std::move(arguments), call); };
    return t;
  }
  asio::awaitable<tool_result> echo(json arguments, request_context&) {
    tool_result out = tool_result::json(std::move(arguments));
    out.settled = [this](delivery what) { echo_receipts.push_back(what); };
    co_return out;
  }

  gate door;
};

}  // namespace awm::mcp::testing
