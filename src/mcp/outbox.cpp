#include "mcp/outbox.hpp"

#include <algorithm>

namespace awm::mcp {

void outbox::keep(batch where, nlohmann::json id, std::string text, delivery_receipt receipt) {
  bytes_ += text.size();
  if (!id.is_null()) responses_[id] = where;
  where->responses.push_back({std::move(id), std::move(text), std::move(receipt)});
}

void outbox::respond(nlohmann::json id, std::string text, delivery_receipt receipt) {
  const auto at = queue_.insert(queue_.end(), entry{kind::response, {}, {}, nullptr});
  keep(at, std::move(id), std::move(text), std::move(receipt));
}

outbox::batch outbox::open_batch(std::size_t awaited) {
  return open_batches_.insert(open_batches_.end(), entry{kind::batch, {}, {}, nullptr, awaited});
}

void outbox::respond_in(batch to, nlohmann::json id, std::string text, delivery_receipt receipt) {
  keep(to, std::move(id), std::move(text), std::move(receipt));
  one_less(to);
}

void outbox::give_up_in(batch to) {
  one_less(to);
}

void outbox::one_less(batch of) {
  if (--of->awaited > 0) return;
  if (of->responses.empty()) {
    open_batches_.erase(of);
  } else {
    queue_.splice(queue_.end(), open_batches_, of);
  }
}

void outbox::report(const nlohmann::json& about, std::string text) {
  bytes_ += text.size();
  const auto found = reports_.find(about);
  if (found == reports_.end()) {
    reports_[about] = queue_.insert(queue_.end(), entry{kind::report, {}, std::move(text), about});
  } else {
    bytes_ -= found->second->text.size();
    found->second->text = std::move(text);
  }
}

void outbox::say(std::string text) {
  bytes_ += text.size();
  queue_.push_back(entry{kind::plain, {}, std::move(text), nullptr});
}

void outbox::notify(std::string text) {
  if (unsent_notifications_ >= max_unsent_notifications) return;
  ++unsent_notifications_;
  bytes_ += text.size();
  queue_.push_back(entry{kind::notification, {}, std::move(text), nullptr});
}

void outbox::withdraw(const nlohmann::json& id) {
  if (const auto found = reports_.find(id); found != reports_.end()) {
    bytes_ -= found->second->text.size();
    queue_.erase(found->second);
    reports_.erase(found);
  }
  const auto found = responses_.find(id);
  if (found == responses_.end()) return;
  const auto holder = found->second;
  responses_.erase(found);
  auto& responses = holder->responses;
  const auto at = std::find_if(responses.begin(), responses.end(), [&](const response& r) { return r.id == id; });
  const response withdrawn = std::move(*at);  // settled last, when the books are right again
  bytes_ -= withdrawn.text.size();
  responses.erase(at);
  // An open batch may still get others, and belongs to those that will answer in it.
  if (responses.empty() && holder->awaited == 0) queue_.erase(holder);
}

void outbox::withdraw_reports_to(const nlohmann::json& id) {
  std::erase_if(reports_, [&](const auto& each) {
    const auto& [about, at] = each;
    if (!about.is_array() || about.size() < 2 || about.back() != id) return false;
    bytes_ -= at->text.size();
    queue_.erase(at);
    return true;
  });
}

void outbox::append(entry& from, chunk& to) {
  if (from.kind == kind::report) reports_.erase(from.about);
  if (from.kind == kind::notification) --unsent_notifications_;
  bytes_ -= from.text.size();
  to.bytes += from.text;

  if (from.kind == kind::batch) to.bytes += '[';
  for (response& each : from.responses) {
    if (&each != &from.responses.front()) to.bytes += ',';
    to.bytes += each.text;
    bytes_ -= each.text.size();
    responses_.erase(each.id);
  }
  if (from.kind == kind::batch) to.bytes += ']';
  to.bytes += '\n';
  for (response& each : from.responses) {
    if (each.receipt) to.receipts.push_back({to.bytes.size(), std::move(each.id), std::move(each.receipt)});
  }
}

outbox::chunk outbox::take(std::size_t bytes) {
  chunk out;
  while (!queue_.empty()) {
    entry& next = queue_.front();
    std::size_t size = next.text.size();
    for (const response& each : next.responses) size += each.text.size();
    if (!out.bytes.empty() && out.bytes.size() + size > bytes) break;
    append(next, out);
    queue_.pop_front();
  }
  return out;
}

void outbox::clear() {
  // Moved out first: receipts may look at this outbox.
  const auto queued = std::exchange(queue_, {});
  const auto open = std::exchange(open_batches_, {});
  responses_.clear();
  reports_.clear();
  unsent_notifications_ = 0;
  bytes_ = 0;
}

}  // namespace awm::mcp
