// A client that writes anything to a server with one of everything. Whole and cut into pieces, its bytes get at most
// one answer a request, in JSON, and a session that ends well.
#include "coro/event.hpp"
#include "mcp/content.hpp"
#include "mcp/memory_transport.hpp"
#include "mcp/session.hpp"
#include "targets.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace awm::fuzz {
namespace {

using nlohmann::json;

/// So short that the fuzzer writes longer ones.
constexpr std::size_t longest_line = 1024;

mcp::tool make_tool(std::string name, mcp::tool_handler handler) {
  mcp::tool made;
  made.name = std::move(name);
  made.description = "of the fuzzer";
  made.handler = std::move(handler);
  return made;
}

asio::awaitable<mcp::resource_contents> read_resource(std::string uri, mcp::uri_variables, mcp::request_context&) {
  std::vector<json> contents{mcp::text_contents(uri, "", "contents")};
  co_return contents;
}

/// A call that nobody ends but the client.
asio::awaitable<mcp::tool_result> wait_for_ever(json, mcp::request_context& call) {
  call.begin_task("waits");
  call.progress(1, 2, "half");
  coro::event never(co_await asio::this_coro::executor);
  co_await never.async_wait(asio::use_awaitable);
  co_return mcp::tool_result::text("never");
}

asio::awaitable<mcp::tool_result> ask_person(json, mcp::request_context& call) {
  json schema = {{"type", "object"}, {"properties", {{"ok", {{"type", "boolean"}}}}}};
  const auto answer = co_await call.client().elicit("May it?", std::move(schema));
  co_return mcp::tool_result::json({{"answer", answer.content}});
}

asio::awaitable<mcp::tool_result> echo(json arguments, mcp::request_context&) {
  co_return mcp::tool_result::json(std::move(arguments));
}

asio::awaitable<mcp::prompt_result> fill_in(std::map<std::string, std::string> arguments, mcp::request_context&) {
  mcp::prompt_result result;
  result.messages.push_back(mcp::prompt_result::message("user", mcp::text_block(arguments.at("a"))));
  co_return result;
}

mcp::offering everything() {
  mcp::offering all;
  all.tools.push_back(make_tool("echo", echo));
  all.tools.push_back(make_tool("wait", wait_for_ever));
  all.tools.back().task = mcp::task_support::optional;
  all.tools.push_back(make_tool("ask", ask_person));
  all.tools.back().input_schema = {
      {"type", "object"}, {"properties", {{"what", {{"type", "string"}}}}}, {"required", {"what"}}};
  all.resources.push_back({{"x://a", "a"}, read_resource, {}});
  mcp::resource_template many;
  many.uri_template = "x://{id}/b";
  many.name = "b";
  many.read = read_resource;
  all.templates.push_back(std::move(many));
  mcp::prompt one;
  one.name = "p";
  one.arguments = {{"a", "", true, nullptr}};
  one.handler = fill_in;
  all.prompts.push_back(std::move(one));
  return all;
}

/// Made once: it is the same for every client, and knows nothing of any.
mcp::server& offer() {
  static mcp::server made({"fuzzed", "1", "", "", "", "", nullptr}, everything(), 2);
  return made;
}

class world {
 public:
  world()
      : input_(std::make_shared<mcp::memory_pipe>(context_.get_executor())),
        output_(std::make_shared<mcp::memory_pipe>(context_.get_executor())),
        stream_(input_, output_) {
    mcp::session_options options;
    options.line_bytes = longest_line;
    options.finished_tasks = 2;
    // Stands still, so that a run is the same whenever it runs.
    options.utc_now = [] { return std::chrono::system_clock::time_point{std::chrono::seconds(1'795'000'000)}; };
    talk_ = std::make_unique<mcp::session>(stream_, offer(), std::move(options));
    auto done = [this](const std::exception_ptr& failure, mcp::session_outcome outcome) {
      require(!failure, "run() does not throw");
      outcome_ = outcome;
    };
    asio::co_spawn(context_, talk_->run(), std::move(done));
    settle();
  }

  void write(std::string_view bytes) {
    input_->put(bytes);
    settle();
  }

  /// All that the server wrote, after the client has closed its side.
  std::string end() {
    input_->close();
    settle();
    require(outcome_.has_value(), "the session ends with its input");
    require(outcome_->reason == mcp::session_end::input_ended, "nothing else ends it", to_string(outcome_->reason));
    return output_->take();
  }

 private:
  void settle() {
    context_.restart();
    context_.poll();
  }

  // Before the context: what is still suspended at the end refers to it.
  std::optional<mcp::session_outcome> outcome_;
  asio::io_context context_{1};
  std::shared_ptr<mcp::memory_pipe> input_;
  std::shared_ptr<mcp::memory_pipe> output_;
  mcp::memory_transport stream_;
  std::unique_ptr<mcp::session> talk_;
};

/// What a reader of JSON that shares nothing with the session sees in the client's bytes.
struct account {
  std::size_t lines = 0;
  std::map<json, std::size_t> requests;  // by id
  /// Ids of plain pings, each the only use of its id.
  std::vector<json> pings;
};

account read_input(std::string_view input) {
  account found;
  while (!input.empty()) {
    const auto line = take_line(input);
    ++found.lines;
    const auto value = json::parse(line, nullptr, false);
    if (!value.is_object() || !value.contains("id")) continue;
    const auto& id = value["id"];
    ++found.requests[id];
    const bool is_ping = id.is_string() && value.size() == 3 && value.value("jsonrpc", json()) == "2.0" &&
                         value.value("method", json()) == "ping" && line.size() <= longest_line;
    if (is_ping) found.pings.push_back(id);
  }
  std::erase_if(found.pings, [&](const json& id) { return found.requests.at(id) > 1; });
  return found;
}

void check(std::string_view input, const account& asked, std::string_view output) {
  std::map<json, std::size_t> answers;
  require(output.empty() || output.back() == '\n', "every line is whole");
  while (!output.empty()) {
    const auto line = take_line(output);
    const auto value = json::parse(line, nullptr, false);
    require(value.is_object() && value.value("jsonrpc", json()) == "2.0", "every line is a message", line);
    if (value.contains("method")) continue;
    require(value.contains("id") && value.contains("result") != value.contains("error"), "an answer has one outcome",
            line);
    ++answers[value["id"]];
  }
  std::size_t total = 0;
  for (const auto& [id, count] : answers) {
    total += count;
    if (id.is_null()) continue;
    // Of a line that is too long the id is known though no parser sees the end of it; and its text stands in the input.
    const auto known = asked.requests.find(id);
    if (known == asked.requests.end()) continue;
    require(count <= known->second, "a request is answered once",
            id.dump(-1, ' ', false, json::error_handler_t::replace));
  }
  require(total <= asked.lines, "a line gets one answer at most");
  const bool cancels = input.find("cancelled") != std::string_view::npos || input.find('\\') != std::string_view::npos;
  for (const auto& id : asked.pings) {
    require(cancels || answers[id] == 1, "a ping is answered", id.dump(-1, ' ', false, json::error_handler_t::replace));
  }
}

}  // namespace

void mcp_input(std::string_view input) {
  const auto asked = read_input(input);
  world whole;
  whole.write(input);
  check(input, asked, whole.end());

  world cut;
  auto seed = hash_of(input);
  for (auto rest = input; !rest.empty();) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    const auto size = std::min<std::size_t>(rest.size(), 1 + (seed >> 33U) % 64);
    cut.write(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  check(input, asked, cut.end());
}

}  // namespace awm::fuzz
