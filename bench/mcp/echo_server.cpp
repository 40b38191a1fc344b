// The smallest server on src/mcp: one tool, which answers with the text it was given. What it costs is the layer's.
#include "mcp/server.hpp"
#include "mcp/session.hpp"
#include "mcp/stdio_transport.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <csignal>
#include <utility>
#include <vector>

namespace {

using namespace awm;

asio::awaitable<mcp::tool_result> echo(nlohmann::json arguments, mcp::request_context&) {
  co_return mcp::tool_result::text(arguments["text"].get<std::string>());
}

mcp::tool echo_tool() {
  mcp::tool tool;
  tool.name = "echo";
  tool.description = "Answers with its text.";
  nlohmann::json text = {{"type", "string"}};
  tool.input_schema = {{"type", "object"}, {"properties", {{"text", std::move(text)}}}, {"required", {"text"}}};
  tool.handler = echo;
  return tool;
}

}  // namespace

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  mcp::server_info self;
  self.name = "echo";
  self.version = "1";
  mcp::server offer(std::move(self));
  offer.add(echo_tool());
  asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
  mcp::stdio_transport stream(context.get_executor());
  mcp::session session(stream, offer);
  asio::co_spawn(context, session.run(), asio::detached);
  context.run();
}
