#include "mcp/client_requests.hpp"

#include "coro/event.hpp"

#include <asio/error.hpp>
#include <asio/redirect_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

namespace awm::mcp {
namespace {

using nlohmann::json;

// The ids of both directions are independent; the prefix keeps them apart for people who read a log, too.
constexpr std::string_view id_prefix = "awm-";

struct pending {
  explicit pending(asio::any_io_executor executor) : is_answered(std::move(executor)) {}

  coro::event is_answered;
  std::optional<rpc_outcome> outcome;

  void complete(rpc_outcome what) {
    outcome = std::move(what);
    is_answered.set();
  }
};

}  // namespace

struct client_requests::state {
  std::function<void(std::string)> send;  // not emptied by close(), which it may call
  std::optional<rpc_error> closed;
  std::uint64_t last_id = 0;
  std::map<std::string, std::shared_ptr<pending>, std::less<>> waiting;

  void give_up(const std::string& id) {
    const bool was_waiting = waiting.erase(id) > 0;
    if (!was_waiting) return;  // answered or closed in the meantime
    send(notification_text("notifications/cancelled", {{"requestId", id}, {"reason", "no longer needed"}}));
  }
};

client_requests::client_requests(std::function<void(std::string)> send) : state_(std::make_shared<state>()) {
  state_->send = std::move(send);
}

client_requests::~client_requests() {
  close("it was destroyed");
}

asio::awaitable<rpc_outcome> client_requests::ask(std::string method, json params) {
  const std::shared_ptr<state> all = state_;  // `this` is not touched from here on
  const auto executor = co_await asio::this_coro::executor;
  const auto cancellation = co_await asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != asio::cancellation_type::none) {
    throw std::system_error(asio::error::operation_aborted);
  }
  if (all->closed) co_return *all->closed;

  const std::string id = std::string(id_prefix) + std::to_string(++all->last_id);
  const auto mine = std::make_shared<pending>(executor);
  all->waiting.emplace(id, mine);
  all->send(request_text(id, method, std::move(params)));  // may end the session, and so answer this

  asio::error_code interrupted;
  co_await mine->is_answered.async_wait(asio::redirect_error(asio::use_awaitable, interrupted));
  if (interrupted) {
    all->give_up(id);
    throw std::system_error(interrupted);
  }
  co_return std::move(*mine->outcome);
}

void client_requests::answered(response what) {
  const auto* const id = what.id.get_ptr<const std::string*>();
  if (id == nullptr) return;
  const auto found = state_->waiting.find(*id);
  if (found == state_->waiting.end()) return;
  const std::shared_ptr<pending> one = std::move(found->second);
  state_->waiting.erase(found);
  one->complete(std::move(what.outcome));
}

void client_requests::close(std::string_view why) {
  if (state_->closed) return;
  state_->closed = rpc_error{rpc_code::connection_closed, "the session is over: " + std::string(why)};
  for (const auto& [id, one] : std::exchange(state_->waiting, {})) one->complete(*state_->closed);
}

}  // namespace awm::mcp
