#include "fixtures.hpp"

#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <chrono>
#include <utility>

namespace awm::conformance {
namespace {

using namespace std::chrono_literals;
using mcp::request_context;
using mcp::tool_result;
using nlohmann::json;

/// A red pixel.
constexpr auto png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// One sample of silence.
constexpr auto wav = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==";

asio::awaitable<void> pause(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

// ---- tools ----

/// A tool that always returns these blocks.
mcp::tool constant(std::string name, std::string description, std::vector<json> content) {
  auto answer = [content = std::move(content)](json, request_context&) -> asio::awaitable<tool_result> {
    tool_result result;
    result.content = content;
    co_return result;
  };
  return tool_named(std::move(name), std::move(description), std::move(answer));
}

asio::awaitable<tool_result> log_three_times(json, request_context& context) {
  context.log(mcp::log_level::info, "", "Tool execution started");
  co_await pause(50ms);
  context.log(mcp::log_level::info, "", "Tool processing data");
  co_await pause(50ms);
  context.log(mcp::log_level::info, "", "Tool execution completed");
  co_return tool_result::text("The tool has logged three times.");
}

asio::awaitable<tool_result> make_progress(json, request_context& context) {
  for (const int percent : {0, 50, 100}) {
    if (percent > 0) co_await pause(50ms);
    context.progress(percent, 100, "Completed " + std::to_string(percent) + " of 100");
  }
  co_return tool_result::text("The tool has made its progress.");
}

asio::awaitable<tool_result> fail(json, request_context&) {
  co_return tool_result::error("This tool intentionally returns an error for testing");
}

asio::awaitable<tool_result> echo(json arguments, request_context&) {
  co_return tool_result::text("Called with " + arguments.dump());
}

/// Keywords that a server must pass on as they are, whatever it makes of them.
json schema_of_2020_12() {
  return json::parse(R"({
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
      "address": {
        "$anchor": "addressDef",
        "type": "object",
        "properties": {"street": {"type": "string"}, "city": {"type": "string"}}
      }
    },
    "properties": {
      "name": {"type": "string"},
      "address": {"$ref": "#/$defs/address"},
      "contactMethod": {"type": "string", "enum": ["phone", "email"]},
      "phone": {"type": "string"},
      "email": {"type": "string"}
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": false
  })");
}

void add_tools(mcp::server& server) {
  const json embedded = mcp::resource_block(
      mcp::text_contents("test://embedded-resource", "text/plain", "This is an embedded resource content."));
  const json mixed = mcp::resource_block(
      mcp::text_contents("test://mixed-content-resource", "application/json", R"({"test":"data","value":123})"));

  // The suite calls the first tool of the list with no arguments, whatever it is.
  server.add(
      constant("test_simple_text", "Returns a text", {mcp::text_block("This is a simple text response for testing.")}));
  server.add(constant("test_image_content", "Returns an image", {mcp::image_block(png, "image/png")}));
  server.add(constant("test_audio_content", "Returns a sound", {mcp::audio_block(wav, "audio/wav")}));
  server.add(constant("test_embedded_resource", "Returns a resource", {embedded}));
  server.add(constant("test_multiple_content_types", "Returns a text, an image and a resource",
                      {mcp::text_block("Multiple content types test:"), mcp::image_block(png, "image/png"), mixed}));
  server.add(
      constant("test_reconnection", "Returns a text", {mcp::text_block("A stdio server has no streams to close.")}));
  server.add(tool_named("test_tool_with_logging", "Logs while it works", log_three_times));
  server.add(tool_named("test_logging_tool", "Logs, for who asked for it", log_three_times));
  server.add(tool_named("test_tool_with_progress", "Tells how far it is", make_progress));
  server.add(tool_named("test_error_handling", "Fails", fail));
  server.add(tool_named("json_schema_2020_12_tool", "Has a schema of many keywords", echo, schema_of_2020_12()));
}

// ---- resources ----

/// A resource that never changes.
mcp::resource fixed(std::string name, json contents) {
  mcp::resource out;
  out.entry.uri = contents.at("uri").get<std::string>();
  out.entry.name = std::move(name);
  out.entry.description = "A resource of the conformance suite";
  out.entry.mime_type = contents.at("mimeType").get<std::string>();
  out.read = [contents = std::move(contents)](std::string, mcp::uri_variables,
                                              request_context&) -> asio::awaitable<mcp::resource_contents> {
    co_return std::vector<json>{contents};
  };
  return out;
}

asio::awaitable<mcp::resource_contents> read_template(std::string uri, mcp::uri_variables variables, request_context&) {
  const std::string& id = variables.at("id");
  const json data = {{"id", id}, {"templateTest", true}, {"data", "Data for ID: " + id}};
  co_return std::vector<json>{mcp::text_contents(std::move(uri), "application/json", data.dump())};
}

void add_resources(mcp::server& server) {
  server.add(fixed("static-text", mcp::text_contents("test://static-text", "text/plain",
                                                     "This is the content of the static text resource.")));
  server.add(fixed("static-binary", mcp::blob_contents("test://static-binary", "image/png", png)));
  server.add(fixed("watched-resource", mcp::text_contents("test://watched-resource", "text/plain", "Nothing yet.")));

  mcp::resource_template data;
  data.uri_template = "test://template/{id}/data";
  data.name = "template";
  data.description = "Data for any id";
  data.mime_type = "application/json";
  data.read = read_template;
  server.add(std::move(data));
}

// ---- prompts ----

using prompt_arguments = std::map<std::string, std::string>;

/// A prompt of the user's messages.
mcp::prompt_result user_says(std::vector<json> blocks) {
  mcp::prompt_result result;
  for (json& block : blocks) result.messages.push_back(mcp::prompt_result::message("user", std::move(block)));
  return result;
}

asio::awaitable<mcp::prompt_result> simple(prompt_arguments, request_context&) {
  co_return user_says({mcp::text_block("This is a simple prompt for testing.")});
}

asio::awaitable<mcp::prompt_result> with_arguments(prompt_arguments given, request_context&) {
  co_return user_says(
      {mcp::text_block("Prompt with arguments: arg1='" + given.at("arg1") + "', arg2='" + given.at("arg2") + "'")});
}

asio::awaitable<mcp::prompt_result> with_resource(prompt_arguments given, request_context&) {
  json contents = mcp::text_contents(given.at("resourceUri"), "text/plain", "Embedded resource content for testing.");
  co_return user_says(
      {mcp::resource_block(std::move(contents)), mcp::text_block("Please process the embedded resource above.")});
}

asio::awaitable<mcp::prompt_result> with_image(prompt_arguments, request_context&) {
  co_return user_says({mcp::image_block(png, "image/png"), mcp::text_block("Please analyze the image above.")});
}

std::vector<std::string> complete_test(const std::string& typed, const prompt_arguments&) {
  std::vector<std::string> out;
  for (const char* const value : {"test", "testing", "tested"}) {
    if (std::string_view(value).starts_with(typed)) out.emplace_back(value);
  }
  return out;
}

void add_prompts(mcp::server& server) {
  server.add({"test_simple_prompt", "", "A text", {}, simple});
  server.add({"test_prompt_with_arguments",
              "",
              "A text with two words of yours in it",
              {{"arg1", "The first word", true, complete_test}, {"arg2", "The second word", true, complete_test}},
              with_arguments});
  server.add({"test_prompt_with_embedded_resource",
              "",
              "A text with a resource",
              {{"resourceUri", "The URI of the resource", true, {}}},
              with_resource});
  server.add({"test_prompt_with_image", "", "A text with an image", {}, with_image});
}

}  // namespace

mcp::tool tool_named(std::string name, std::string description, mcp::tool_handler handler, json input_schema) {
  mcp::tool out;
  out.name = std::move(name);
  out.description = std::move(description);
  out.input_schema = std::move(input_schema);
  out.handler = std::move(handler);
  return out;
}

json of_type(const char* type) {
  return {{"type", type}};
}

json object_schema(json properties) {
  json required = json::array();
  for (const auto& [name, schema] : properties.items()) required.push_back(name);
  return {{"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}};
}

void add_content(mcp::server& server) {
  add_tools(server);
  add_resources(server);
  add_prompts(server);
}

}  // namespace awm::conformance
