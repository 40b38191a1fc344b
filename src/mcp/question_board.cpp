#include "mcp/question_board.hpp"

#include <algorithm>
#include <utility>

namespace awm::mcp {

using nlohmann::json;

json input_request(const question& asked) {
  json params = asked.params;
  params.erase("elicitationId");  // of the legacy era
  return {{"method", asked.method}, {"params", std::move(params)}};
}

question_board::question_board(std::function<void()> changed)
    : changed_(std::move(changed)), awaited_([this](const std::string& id) { forget(id); }) {}

awaited_answers::ticket question_board::put(const asio::any_io_executor& executor, question asked, party owner) {
  const std::string id = std::to_string(++last_id_);
  // The number makes it another key than every one before.
  asked.key = asked.key.empty() ? "asked-" + id : asked.key + "-" + id;
  awaited_answers::ticket ticket = awaited_.expect(executor, id);
  if (!awaited_.awaits(id)) return ticket;
  open_.push_back({id, std::move(asked), owner, owner});
  changed_();
  return ticket;
}

void question_board::forget(const std::string& id) {
  open_.remove_if([&](const entry& each) { return each.id == id; });
  changed_();
}

bool question_board::waits_for_client(party who) const {
  return std::ranges::any_of(open_, [&](const entry& each) { return each.carrier == who; });
}

json question_board::requests_of(party who) const {
  json requests = json::object();
  for (const entry& each : open_) {
    if (each.carrier == who) requests[each.asked.key] = input_request(each.asked);
  }
  return requests;
}

void question_board::answer(party who, const std::string& key, json result) {
  const auto found = std::ranges::find_if(
      open_, [&](const entry& each) { return each.asked.key == key && (each.owner == who || each.owner == nullptr); });
  if (found == open_.end()) return;
  const std::string id = found->id;
  open_.erase(found);
  awaited_.answer(id, std::move(result));
  changed_();
}

void question_board::release(party who) {
  for (entry& each : open_) {
    if (each.carrier == who && each.owner == nullptr) each.carrier = nullptr;
  }
}

}  // namespace awm::mcp
