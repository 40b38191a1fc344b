#include "mcp/client.hpp"

#include <utility>

namespace awm::mcp {

using nlohmann::json;

asio::awaitable<rpc_outcome> client::ask_one(question asked) {
  std::vector<question> questions;
  questions.push_back(std::move(asked));
  std::vector<rpc_outcome> answers = co_await ask(std::move(questions));
  co_return std::move(answers.front());
}

asio::awaitable<elicitation> client::elicit(question asked) {
  rpc_outcome answer = co_await ask_one(asked);
  co_return read_elicitation(asked, std::move(answer));
}

asio::awaitable<elicitation> client::elicit(std::string words, json requested_schema, std::string key) {
  return elicit(form_question(std::move(words), std::move(requested_schema), std::move(key)));
}

asio::awaitable<elicitation> client::elicit_url(std::string words, std::string url, std::string id, std::string key) {
  return elicit(url_question(std::move(words), std::move(url), std::move(id), std::move(key)));
}

asio::awaitable<rpc_outcome> client::sample(json params, std::string key) {
  return ask_one({std::move(key), "sampling/createMessage", std::move(params)});
}

asio::awaitable<rpc_outcome> client::list_roots(std::string key) {
  return ask_one({std::move(key), "roots/list", json::object()});
}

}  // namespace awm::mcp
