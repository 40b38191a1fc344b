#include "mcp/receipt.hpp"

#include <algorithm>

namespace awm::mcp {
namespace {

auto is_of(const nlohmann::json& id) {
  return [&id](const sent_receipts::due& each) { return each.id == id; };
}

}  // namespace

void sent_receipts::end(std::size_t bytes) {
  // Moved out first: a receipt's function may end the session, which looks at these.
  for (due& each : std::exchange(being_written_, {})) {
    if (each.end > bytes) {
      each.receipt.drop();
      continue;
    }
    each.receipt.write();
    if (each.receipt && !each.id.is_null()) kept_.push_back(std::move(each));
  }
  while (kept_.size() > max_kept) kept_.pop_front();
}

void sent_receipts::revoke(const nlohmann::json& id) {
  for (due& each : being_written_) {
    if (each.id == id) return each.receipt.revoke();
  }
  const auto found = std::find_if(kept_.begin(), kept_.end(), is_of(id));
  if (found == kept_.end()) return;
  due revoked = std::move(*found);
  kept_.erase(found);
  revoked.receipt.revoke();
}

void sent_receipts::forget(const nlohmann::json& id) {
  for (due& each : being_written_) {
    if (each.id == id) each.id = nullptr;
  }
  kept_.remove_if(is_of(id));
}

}  // namespace awm::mcp
