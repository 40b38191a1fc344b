// A stdio server on src/mcp alone, for the official conformance suite.

#include "fixtures.hpp"
#include "mcp/session.hpp"
#include "mcp/stdio_transport.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <csignal>
#include <utility>

int main() {
  using namespace awm;

  std::signal(SIGPIPE, SIG_IGN);  // a client that went away is an error of the write
  asio::io_context context;

  mcp::server_info info;
  info.name = "mcp-conformance-server";
  info.version = "1.0.0";
  info.title = "Conformance server";
  info.instructions = "Everything that the MCP conformance suite asks for.";
  mcp::server server(std::move(info));
  conformance::add_content(server);
  conformance::add_questions(server);
  conformance::add_tasks(server);
  conformance::add_changes(server);

  mcp::stdio_transport stream(context.get_executor());
  mcp::session session(stream, server);
  asio::co_spawn(context, session.run(), asio::detached);
  context.run();
}
