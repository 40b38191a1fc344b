#include "tools/resources.hpp"

#include "mcp/content.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace awm::tools {
namespace {

using nlohmann::json;

constexpr auto status_uri = "worker://status";
constexpr auto result_suffix = "/result";
constexpr auto transcript_suffix = "/transcript";

// Claude Code drops a server that writes a line of more than 16 MiB (measured with 2.1.197 and 2.1.329).
constexpr std::size_t longest_transcript = std::size_t{8} << 20;

std::string uri_of(const std::string& worker_id, const char* suffix) {
  return "worker://" + worker_id + suffix;
}

mcp::resource_contents plain_text(std::string uri, std::string text) {
  return std::vector{mcp::text_contents(std::move(uri), "text/plain", std::move(text))};
}

asio::awaitable<mcp::resource_contents> read_status(manager::manager& manager, std::string uri) {
  co_return std::vector{mcp::text_contents(std::move(uri), "application/json", manager.status())};
}

asio::awaitable<mcp::resource_contents> read_result(manager::manager& manager, std::string uri, std::string id) {
  const auto found = co_await manager.output(std::move(id), {});
  const auto* const output = std::get_if<manager::worker_output>(&found);
  if (output == nullptr) co_return std::nullopt;
  if (output->is_finished) co_return plain_text(std::move(uri), output->result);
  std::string so_far = "The worker is at work; there is no result yet. What it did last:";
  for (const auto& line : output->summary.recent) so_far += "\n" + line;
  co_return plain_text(std::move(uri), std::move(so_far));
}

asio::awaitable<mcp::resource_contents> read_transcript(manager::manager& manager, std::string uri, std::string id) {
  // Also finds one that an earlier server left.
  const auto found = co_await manager.output(id, {});
  if (std::holds_alternative<manager::refusal>(found)) co_return std::nullopt;
  auto text = manager.transcript(id, longest_transcript);
  if (const auto* const refused = std::get_if<manager::refusal>(&text)) {
    co_return plain_text(std::move(uri), refused->reason);
  }
  co_return std::vector{mcp::text_contents(std::move(uri), "application/json", std::get<std::string>(std::move(text)))};
}

std::vector<mcp::resource_entry> entries(const manager::manager& manager, const char* suffix, const char* what,
                                         const char* mime_type) {
  std::vector<mcp::resource_entry> all;
  for (const auto& worker : manager.known()) {
    mcp::resource_entry entry;
    entry.uri = uri_of(worker.worker_id, suffix);
    entry.name = worker.worker_id.substr(0, 8) + suffix;
    entry.title = what + (": " + worker.description);
    entry.description = "State: " + std::string(manager::to_string(worker.state));
    entry.mime_type = mime_type;
    all.push_back(std::move(entry));
  }
  return all;
}

mcp::completer ids_of(const manager::manager& manager) {
  return [&manager](const std::string& typed, const std::map<std::string, std::string>&) {
    return manager.known_ids(typed);
  };
}

/// What is the same for the two kinds of resources that every worker has.
mcp::resource_template per_worker(manager::manager& manager, const char* suffix, const char* what,
                                  const char* mime_type) {
  mcp::resource_template one;
  one.uri_template = uri_of("{id}", suffix);
  one.name = suffix + 1;
  one.title = what;
  one.mime_type = mime_type;
  one.list = [&manager, suffix, what, mime_type] { return entries(manager, suffix, what, mime_type); };
  one.complete["id"] = ids_of(manager);
  return one;
}

}  // namespace

void add_resources(mcp::offering& offer, manager::manager& manager) {
  mcp::resource status;
  status.entry.uri = status_uri;
  status.entry.name = "status";
  status.entry.title = "All workers";
  status.entry.description = "State, activity and cost of each worker.";
  status.entry.mime_type = "application/json";
  status.read = [&manager](std::string uri, const mcp::uri_variables&, mcp::request_context&) {
    return read_status(manager, std::move(uri));
  };
  offer.resources.push_back(std::move(status));

  auto result = per_worker(manager, result_suffix, "Result", "text/plain");
  result.description = "The text of a worker's last result.";
  result.read = [&manager](std::string uri, mcp::uri_variables of, mcp::request_context&) {
    return read_result(manager, std::move(uri), std::move(of.at("id")));
  };
  offer.templates.push_back(std::move(result));

  auto transcript = per_worker(manager, transcript_suffix, "Transcript", "application/json");
  transcript.description = "A worker's conversation and the record of its turns, as of its last turn that ended.";
  transcript.read = [&manager](std::string uri, mcp::uri_variables of, mcp::request_context&) {
    return read_transcript(manager, std::move(uri), std::move(of.at("id")));
  };
  offer.templates.push_back(std::move(transcript));
}

void tell_changes(manager::manager& manager, mcp::server& server) {
  manager.tell_changes_to([&manager, &server, told = std::size_t{0}](const std::set<std::string>& workers) mutable {
    server.resource_updated(status_uri);
    for (const auto& id : workers) {
      server.resource_updated(uri_of(id, result_suffix));
      server.resource_updated(uri_of(id, transcript_suffix));
    }
    if (const auto count = manager.known_count(); std::exchange(told, count) != count) server.resources_changed();
  });
}

}  // namespace awm::tools
