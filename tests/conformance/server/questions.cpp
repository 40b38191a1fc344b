#include "fixtures.hpp"

#include <optional>
#include <utility>
#include <variant>

namespace awm::conformance {
namespace {

using mcp::elicitation;
using mcp::request_context;
using mcp::rpc_error;
using mcp::rpc_outcome;
using mcp::tool_result;
using nlohmann::json;

json name_form() {
  return object_schema({{"name", of_type("string")}});
}

json sampling_of(std::string prompt, int max_tokens) {
  json message = {{"role", "user"}, {"content", mcp::text_block(std::move(prompt))}};
  return {{"messages", json::array({std::move(message)})}, {"maxTokens", max_tokens}};
}

/// A question that is not asked alone.
mcp::question sampling_question(std::string key, std::string prompt, int max_tokens) {
  return {std::move(key), "sampling/createMessage", sampling_of(std::move(prompt), max_tokens)};
}

std::string said(const elicitation& answer) {
  switch (answer.what) {
    case elicitation::action::accept:
      return "action=accept, content=" + answer.content.dump();
    case elicitation::action::decline:
      return "action=decline";
    case elicitation::action::cancel:
      return "action=cancel";
    case elicitation::action::unavailable:
      break;
  }
  return "nobody answered: " + answer.error;
}

/// What the model said, or the error that the call then fails with.
tool_result with_sampled(const rpc_outcome& outcome, const std::string& words) {
  if (const auto* const error = std::get_if<rpc_error>(&outcome)) return tool_result::failed(*error);
  const json& content = std::get<json>(outcome).at("content");
  return tool_result::text(words + content.value("text", content.dump()));
}

// ---- one question ----

struct sampling_arguments {
  std::string prompt;
};

void from_json(const json& from, sampling_arguments& to) {
  from.at("prompt").get_to(to.prompt);
}

asio::awaitable<tool_result> sample(sampling_arguments arguments, request_context& context) {
  json params = sampling_of(std::move(arguments.prompt), 100);
  const rpc_outcome outcome = co_await context.client().sample(std::move(params));
  co_return with_sampled(outcome, "LLM response: ");
}

struct elicitation_arguments {
  std::string message;
};

void from_json(const json& from, elicitation_arguments& to) {
  from.at("message").get_to(to.message);
}

asio::awaitable<tool_result> elicit(elicitation_arguments arguments, request_context& context) {
  json form = object_schema({{"username", {{"type", "string"}, {"description", "User's response"}}},
                             {"email", {{"type", "string"}, {"description", "User's email address"}}}});
  const elicitation answer = co_await context.client().elicit(std::move(arguments.message), std::move(form));
  co_return tool_result::text("User response: " + said(answer));
}

/// A tool that shows a form without required members, and says what came of it.
mcp::tool form_tool(std::string name, std::string description, json properties) {
  json form = {{"type", "object"}, {"properties", std::move(properties)}};
  auto show = [form = std::move(form)](json, request_context& context) -> asio::awaitable<tool_result> {
    std::string words = "Please fill this in";
    json schema = form;
    const elicitation answer = co_await context.client().elicit(std::move(words), std::move(schema));
    co_return tool_result::text("Elicitation completed: " + said(answer));
  };
  return tool_named(std::move(name), std::move(description), std::move(show));
}

json form_of_defaults() {
  return json::parse(R"({
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": true}
  })");
}

json form_of_choices() {
  return json::parse(R"({
    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
    "titledSingle": {
      "type": "string",
      "oneOf": [
        {"const": "value1", "title": "First Option"},
        {"const": "value2", "title": "Second Option"},
        {"const": "value3", "title": "Third Option"}
      ]
    },
    "legacyEnum": {
      "type": "string",
      "enum": ["opt1", "opt2", "opt3"],
      "enumNames": ["Option One", "Option Two", "Option Three"]
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
    "titledMulti": {
      "type": "array",
      "items": {
        "anyOf": [
          {"const": "value1", "title": "First Choice"},
          {"const": "value2", "title": "Second Choice"},
          {"const": "value3", "title": "Third Choice"}
        ]
      }
    }
  })");
}

asio::awaitable<tool_result> greet_by_name(json, request_context& context) {
  json form = name_form();
  const elicitation answer = co_await context.client().elicit("What is your name?", std::move(form), "user_name");
  if (answer.what != elicitation::action::accept) co_return tool_result::text("No name: " + said(answer));
  co_return tool_result::text("Hello, " + answer.content.value("name", "whoever you are") + "!");
}

asio::awaitable<tool_result> ask_for_a_capital(json, request_context& context) {
  json params = sampling_of("What is the capital of France?", 100);
  const rpc_outcome outcome = co_await context.client().sample(std::move(params), "capital_question");
  co_return with_sampled(outcome, "The model says: ");
}

asio::awaitable<tool_result> list_roots(json, request_context& context) {
  const rpc_outcome outcome = co_await context.client().list_roots("client_roots");
  if (const auto* const error = std::get_if<rpc_error>(&outcome)) co_return tool_result::failed(*error);
  co_return tool_result::text("The roots: " + std::get<json>(outcome).at("roots").dump());
}

asio::awaitable<tool_result> confirm(json, request_context& context) {
  json form = object_schema({{"ok", of_type("boolean")}});
  const elicitation answer = co_await context.client().elicit("Please confirm", std::move(form), "confirm");
  // The session takes no state that was changed on its way.
  co_return tool_result::text("state-ok, " + said(answer));
}

/// Needs sampling: without it the call fails with the error that names the capability.
asio::awaitable<tool_result> need_sampling(json, request_context& context) {
  json params = sampling_of("Say yes.", 10);
  const rpc_outcome outcome = co_await context.client().sample(std::move(params));
  co_return with_sampled(outcome, "The model says: ");
}

// ---- several ----

asio::awaitable<tool_result> ask_three_at_once(json, request_context& context) {
  std::vector<mcp::question> questions;
  questions.push_back(mcp::form_question("What is your name?", name_form(), "user_name"));
  questions.push_back(sampling_question("greeting", "Generate a greeting", 50));
  questions.push_back({"client_roots", "roots/list", json::object()});
  const std::vector<rpc_outcome> answers = co_await context.client().ask(std::move(questions));
  std::string words = "The answers:";
  for (const rpc_outcome& answer : answers) {
    if (const auto* const error = std::get_if<rpc_error>(&answer)) co_return tool_result::failed(*error);
    words += " " + std::get<json>(answer).dump();
  }
  co_return tool_result::text(std::move(words));
}

asio::awaitable<tool_result> ask_step_by_step(json, request_context& context) {
  json name = name_form();
  json color = object_schema({{"color", of_type("string")}});
  const elicitation first = co_await context.client().elicit("Step 1: What is your name?", std::move(name), "step1");
  const elicitation second =
      co_await context.client().elicit("Step 2: What is your favorite color?", std::move(color), "step2");
  co_return tool_result::text("First: " + said(first) + "; then: " + said(second));
}

/// Asks what this client can answer.
asio::awaitable<tool_result> ask_what_is_possible(json, request_context& context) {
  std::vector<mcp::question> questions;
  questions.push_back(mcp::form_question("What is your name?", name_form(), "user_name"));
  questions.push_back(sampling_question("greeting", "Generate a greeting", 50));
  std::erase_if(questions, [&](const mcp::question& asked) { return !context.client().takes(asked); });
  const std::vector<rpc_outcome> answers = co_await context.client().ask(std::move(questions));
  co_return tool_result::text(std::to_string(answers.size()) + " answers");
}

asio::awaitable<mcp::prompt_result> prompt_about_context(std::map<std::string, std::string>, request_context& context) {
  json form = object_schema({{"context", of_type("string")}});
  const elicitation answer =
      co_await context.client().elicit("What context should the prompt use?", std::move(form), "user_context");
  mcp::prompt_result result;
  result.messages.push_back(mcp::prompt_result::message("user", mcp::text_block("The context: " + said(answer))));
  co_return result;
}

}  // namespace

void add_questions(mcp::server& server) {
  server.add(tool_named("test_sampling", "Asks the client's model", mcp::typed_handler<sampling_arguments>(sample),
                        object_schema({{"prompt", of_type("string")}})));
  server.add(tool_named("test_elicitation", "Shows a form", mcp::typed_handler<elicitation_arguments>(elicit),
                        object_schema({{"message", of_type("string")}})));
  server.add(form_tool("test_elicitation_sep1034_defaults", "Shows a form with defaults", form_of_defaults()));
  server.add(form_tool("test_elicitation_sep1330_enums", "Shows a form with choices", form_of_choices()));
  server.add(tool_named("test_missing_capability", "Needs a model of the client's", need_sampling));
  server.add(tool_named("test_streaming_elicitation", "Asks for a name", greet_by_name));

  server.add(tool_named("test_input_required_result_elicitation", "Asks for a name", greet_by_name));
  server.add(tool_named("test_input_required_result_sampling", "Asks a model", ask_for_a_capital));
  server.add(tool_named("test_input_required_result_list_roots", "Asks for the roots", list_roots));
  server.add(tool_named("test_input_required_result_request_state", "Asks for a confirmation", confirm));
  server.add(tool_named("test_input_required_result_tampered_state", "Asks for a confirmation", confirm));
  server.add(tool_named("test_input_required_result_multiple_inputs", "Asks three things at once", ask_three_at_once));
  server.add(tool_named("test_input_required_result_multi_round", "Asks one thing after the other", ask_step_by_step));
  server.add(tool_named("test_input_required_result_capabilities", "Asks what can be asked", ask_what_is_possible));

  server.add({"test_input_required_result_prompt", "", "A text about something", {}, prompt_about_context});
}

}  // namespace awm::conformance
