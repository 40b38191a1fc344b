#include "manager/deliveries.hpp"

#include "text/json_text.hpp"

#include <nlohmann/json.hpp>

#include <string_view>

namespace awm::manager {

using nlohmann::json;

void deliveries::load() {
  std::error_code ignored;  // without it, what was delivered is delivered once more
  const auto file = files_.view_own(journal_, ignored);
  if (!file) return;
  auto text = file->bytes();
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const auto line = json::parse(text.substr(0, end), nullptr, false);
    text.remove_prefix(end + 1);
    if (!line.is_object() || !line.contains("worker_id") || !line["worker_id"].is_string()) continue;
    const auto turn = line.find("turn");
    if (turn == line.end() || !turn->is_number_unsigned()) continue;
    delivered_[line["worker_id"].get<std::string>()] = turn->get<std::size_t>();
  }
}

std::size_t deliveries::last_delivered(const std::string& worker_id) const {
  const auto found = delivered_.find(worker_id);
  return found == delivered_.end() ? 0 : found->second;
}

std::error_code deliveries::note(const std::string& worker_id, std::size_t turn) {
  delivered_[worker_id] = turn;
  std::error_code error;
  if (!open_) open_ = files_.open_append(journal_, error);
  if (error) return error;
  const json line = {{"worker_id", worker_id}, {"turn", turn}};
  return open_->append(text::json_text(line) + "\n");
}

}  // namespace awm::manager
