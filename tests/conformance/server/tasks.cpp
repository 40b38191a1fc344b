#include "fixtures.hpp"

#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <chrono>
#include <utility>

namespace awm::conformance {
namespace {

using mcp::elicitation;
using mcp::request_context;
using mcp::task_support;
using mcp::tool_result;
using nlohmann::json;

struct greeting {
  std::string name;
};

void from_json(const json& from, greeting& to) {
  from.at("name").get_to(to.name);
}

asio::awaitable<tool_result> greet(greeting arguments, request_context&) {
  co_return tool_result::text("Hello, " + arguments.name + "!");
}

struct computation {
  double seconds = 0;
  std::string label;
};

void from_json(const json& from, computation& to) {
  from.at("seconds").get_to(to.seconds);
  to.label = from.value("label", "no label");
}

/// `tasks/cancel` ends the waiting, and with it the coroutine.
asio::awaitable<tool_result> compute(computation arguments, request_context& context) {
  context.begin_task();
  const auto time =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(arguments.seconds));
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
  co_return tool_result::text("Computed: " + arguments.label);
}

/// The tool failed: for the protocol, its task has completed.
asio::awaitable<tool_result> fail_as_a_tool(json, request_context& context) {
  context.begin_task();
  co_return tool_result::error("The job has failed.");
}

/// The request failed: so has its task.
asio::awaitable<tool_result> fail_as_a_request(json, request_context& context) {
  context.begin_task();
  mcp::rpc_error error{mcp::rpc_code::internal_error, "The job was lost.", nullptr};
  co_return tool_result::failed(std::move(error));
}

struct deletion {
  std::string filename;
};

void from_json(const json& from, deletion& to) {
  from.at("filename").get_to(to.filename);
}

/// Asks while it is a task: the client finds the question in `tasks/get` and answers it by `tasks/update`.
asio::awaitable<tool_result> confirm_deletion(deletion arguments, request_context& context) {
  context.begin_task();
  json form = object_schema({{"confirm", of_type("boolean")}});
  const elicitation answer = co_await context.client().elicit("Delete " + arguments.filename + "?", std::move(form));
  const bool is_confirmed = answer.what == elicitation::action::accept && answer.content.value("confirm", false);
  co_return tool_result::text(arguments.filename + (is_confirmed ? " was deleted." : " was kept."));
}

asio::awaitable<tool_result> ask_twice_at_once(json, request_context& context) {
  context.begin_task();
  std::vector<mcp::question> questions;
  questions.push_back(mcp::form_question("What is your name?", object_schema({{"name", of_type("string")}})));
  questions.push_back(mcp::form_question("Are you sure?", object_schema({{"confirm", of_type("boolean")}})));
  const std::vector<mcp::rpc_outcome> answers = co_await context.client().ask(std::move(questions));
  co_return tool_result::text(std::to_string(answers.size()) + " answers");
}

/// Asks before it becomes a task, as any other call does.
asio::awaitable<tool_result> ask_and_become_a_task(json, request_context& context) {
  json form = object_schema({{"name", of_type("string")}});
  const elicitation answer = co_await context.client().elicit("What is your name?", std::move(form), "user_name");
  context.begin_task();
  if (answer.what != elicitation::action::accept) co_return tool_result::error("There is no name.");
  co_return tool_result::text("Hello, " + answer.content.value("name", "") + "!");
}

mcp::tool task_named(std::string name, std::string description, task_support support, mcp::tool_handler handler,
                     json input_schema = of_type("object")) {
  mcp::tool out = tool_named(std::move(name), std::move(description), std::move(handler), std::move(input_schema));
  out.task = support;
  return out;
}

}  // namespace

void add_tasks(mcp::server& server) {
  const json computation_schema = {
      {"type", "object"},
      {"properties", {{"seconds", {{"type", "number"}, {"minimum", 0}}}, {"label", of_type("string")}}},
      {"required", {"seconds"}}};

  server.add(tool_named("greet", "Greets at once", mcp::typed_handler<greeting>(greet),
                        object_schema({{"name", of_type("string")}})));
  server.add(task_named("slow_compute", "Takes its time", task_support::optional,
                        mcp::typed_handler<computation>(compute), computation_schema));
  server.add(task_named("failing_job", "Fails", task_support::required, fail_as_a_tool));
  server.add(task_named("protocol_error_job", "Is lost", task_support::optional, fail_as_a_request));
  server.add(task_named("confirm_delete", "Asks before it deletes", task_support::optional,
                        mcp::typed_handler<deletion>(confirm_deletion),
                        object_schema({{"filename", of_type("string")}})));
  server.add(task_named("multi_input", "Asks two things at once", task_support::optional, ask_twice_at_once));
  server.add(task_named("test_tool_with_task", "Asks, and then works", task_support::required, ask_and_become_a_task));
}

}  // namespace awm::conformance
