// A whole MCP server on src/mcp: one tool, one resource and one prompt over stdin and stdout. See docs/mcp.md.
#include "mcp/content.hpp"
#include "mcp/session.hpp"
#include "mcp/stdio_transport.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <algorithm>
#include <cctype>
#include <csignal>

using namespace awm::mcp;
using nlohmann::json;

struct echo_arguments {
  std::string text;
  bool loud = false;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(echo_arguments, text, loud)

asio::awaitable<tool_result> echo(echo_arguments given, request_context& context) {
  if (given.loud) {
    const json form = {{"type", "object"}, {"properties", json::object()}};
    asio::awaitable<elicitation> question = context.client().elicit("Really shout?", form);
    const elicitation answer = co_await std::move(question);
    if (answer.what != elicitation::action::accept) co_return tool_result::error("Nobody agreed to shouting.");
    std::ranges::transform(given.text, given.text.begin(), [](unsigned char c) { return std::toupper(c); });
  }
  co_return tool_result::json({{"echo", given.text}});
}

asio::awaitable<resource_contents> read_greeting(std::string uri, uri_variables variables, request_context&) {
  std::vector<json> contents{text_contents(uri, "text/plain", "Hello, " + variables["name"] + "!")};
  co_return contents;
}

asio::awaitable<prompt_result> ask_to_shout(std::map<std::string, std::string> arguments, request_context&) {
  co_return prompt_result{"", {prompt_result::message("user", text_block("Call echo, loud: " + arguments["text"]))}};
}

int main() {
  std::signal(SIGPIPE, SIG_IGN);  // a client that is gone is the error of a write
  const json schema = json::parse(R"({"type": "object", "required": ["text"],
    "properties": {"text": {"type": "string"}, "loud": {"type": "boolean"}}})");
  server offer({.name = "echo", .version = "1.0"});
  const tool_handler handler = typed_handler<echo_arguments>(echo);
  offer.add(tool{.name = "echo", .description = "Repeats a text.", .input_schema = schema, .handler = handler});
  offer.add(resource_template{.uri_template = "hello://{name}", .name = "greeting", .read = read_greeting});
  offer.add(prompt{.name = "shout", .arguments = {{.name = "text", .is_required = true}}, .handler = ask_to_shout});

  asio::io_context context{1};
  stdio_transport stream(context.get_executor());
  session talk(stream, offer);
  asio::co_spawn(context, talk.run(), [](std::exception_ptr failure, session_outcome) {
    if (failure) std::rethrow_exception(failure);
  });
  context.run();
}
