#include "mcp/client_requests.hpp"

#include <utility>

namespace awm::mcp {
namespace {

// The ids of both directions are independent; the prefix keeps them apart for people who read a log, too.
constexpr std::string_view id_prefix = "awm-";

}  // namespace

client_requests::client_requests(std::function<void(std::string)> send)
    : send_(std::move(send)), awaited_([this](const std::string& id) {
        send_(notification_text("notifications/cancelled", {{"requestId", id}, {"reason", "no longer needed"}}));
      }) {}

awaited_answers::ticket client_requests::ask(const asio::any_io_executor& executor, std::string_view method,
                                             nlohmann::json params) {
  const std::string id = std::string(id_prefix) + std::to_string(++last_id_);
  awaited_answers::ticket ticket = awaited_.expect(executor, id);
  if (awaited_.awaits(id)) send_(request_text(id, method, std::move(params)));  // may end the session, and so answer it
  return ticket;
}

void client_requests::answered(response what) {
  const auto* const id = what.id.get_ptr<const std::string*>();
  if (id != nullptr) awaited_.answer(*id, std::move(what.outcome));
}

}  // namespace awm::mcp
