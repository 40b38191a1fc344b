#include "fixtures.hpp"

#include <utility>

namespace awm::conformance {
namespace {

using mcp::request_context;
using mcp::tool_result;
using nlohmann::json;

asio::awaitable<tool_result> do_nothing(json, request_context&) {
  co_return tool_result::text("I come and go.");
}

asio::awaitable<mcp::prompt_result> say_nothing(std::map<std::string, std::string>, request_context&) {
  mcp::prompt_result result;
  result.messages.push_back(mcp::prompt_result::message("user", mcp::text_block("I come and go.")));
  co_return result;
}

}  // namespace

void add_changes(mcp::server& server) {
  auto change_tools = [&server](json, request_context&) -> asio::awaitable<tool_result> {
    constexpr auto name = "test_dynamic_tool";
    if (server.find_tool(name)) {
      server.remove_tool(name);
    } else {
      server.add(tool_named(name, "Comes and goes", do_nothing));
    }
    co_return tool_result::text("The list of tools has changed.");
  };
  auto change_prompts = [&server](json, request_context&) -> asio::awaitable<tool_result> {
    constexpr auto name = "test_dynamic_prompt";
    if (server.find_prompt(name)) {
      server.remove_prompt(name);
    } else {
      server.add({name, "", "Comes and goes", {}, say_nothing});
    }
    co_return tool_result::text("The list of prompts has changed.");
  };
  server.add(tool_named("test_trigger_tool_change", "Changes the list of tools", change_tools));
  server.add(tool_named("test_trigger_prompt_change", "Changes the list of prompts", change_prompts));
}

}  // namespace awm::conformance
