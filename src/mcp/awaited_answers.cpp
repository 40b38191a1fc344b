#include "mcp/awaited_answers.hpp"

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include <cassert>
#include <system_error>
#include <utility>

namespace awm::mcp {

struct awaited_answers::entry {
  entry(const asio::any_io_executor& executor, std::string name) : is_answered(executor), key(std::move(name)) {}

  coro::event is_answered;
  std::string key;
  std::optional<rpc_outcome> outcome;

  void complete(rpc_outcome what) {
    outcome = std::move(what);
    is_answered.set();
  }
};

struct awaited_answers::state {
  std::function<void(const std::string&)> withdrawn;
  std::optional<rpc_error> closed;
  std::map<std::string, std::shared_ptr<entry>, std::less<>> waiting;
};

awaited_answers::ticket::~ticket() {
  // Not there: moved from, answered, or closed.
  if (place_ && of_->waiting.erase(place_->key) > 0) of_->withdrawn(place_->key);
}

asio::awaitable<rpc_outcome> awaited_answers::ticket::wait() {
  asio::error_code interrupted;
  co_await place_->is_answered.async_wait(asio::redirect_error(asio::use_awaitable, interrupted));
  if (interrupted) throw std::system_error(interrupted);
  co_return std::move(*place_->outcome);
}

awaited_answers::awaited_answers(std::function<void(const std::string&)> withdrawn)
    : state_(std::make_shared<state>()) {
  state_->withdrawn = std::move(withdrawn);
}

awaited_answers::~awaited_answers() {
  close("it was destroyed");
}

awaited_answers::ticket awaited_answers::expect(const asio::any_io_executor& executor, std::string key) {
  const auto place = std::make_shared<entry>(executor, std::move(key));
  if (state_->closed) {
    place->complete(*state_->closed);
  } else {
    const bool is_new = state_->waiting.emplace(place->key, place).second;
    assert(is_new);
    (void)is_new;
  }
  return {state_, place};
}

bool awaited_answers::awaits(std::string_view key) const {
  return state_->waiting.contains(key);
}

bool awaited_answers::answer(std::string_view key, rpc_outcome outcome) {
  const auto found = state_->waiting.find(key);
  if (found == state_->waiting.end()) return false;
  const std::shared_ptr<entry> one = std::move(found->second);
  state_->waiting.erase(found);
  one->complete(std::move(outcome));
  return true;
}

void awaited_answers::close(std::string_view why) {
  if (state_->closed) return;
  state_->closed = rpc_error{rpc_code::connection_closed, "the session is over: " + std::string(why)};
  for (const auto& [key, one] : std::exchange(state_->waiting, {})) one->complete(*state_->closed);
}

}  // namespace awm::mcp
