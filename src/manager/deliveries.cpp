#include "manager/deliveries.hpp"

#include "text/json_text.hpp"

#include <nlohmann/json.hpp>

#include <string_view>

namespace awm::manager {

using nlohmann::json;

void deliveries::load() {
  const auto file = files_.view_own(journal_);
  if (!file) return;
  auto text = file->bytes();
  line_is_open_ = !text.empty() && !text.ends_with('\n');
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const auto line = json::parse(text.substr(0, end), nullptr, false);
    text.remove_prefix(end + 1);
    if (!line.is_object() || !line.contains("worker_id") || !line["worker_id"].is_string()) continue;
    const auto turn = line.find("turn");
    if (turn == line.end() || !turn->is_number_unsigned()) continue;
    apply(line["worker_id"].get<std::string>(), turn->get<std::size_t>(), !line.contains("taken_back"));
  }
}

void deliveries::apply(const std::string& worker_id, std::size_t turn, bool delivered) {
  auto& turns = delivered_[worker_id];
  if (delivered) {
    turns.insert(turn);
  } else {
    turns.erase(turn);
  }
}

bool deliveries::contains(const std::string& worker_id, std::size_t turn) const {
  const auto found = delivered_.find(worker_id);
  return found != delivered_.end() && found->second.contains(turn);
}

std::error_code deliveries::note(const std::string& worker_id, std::size_t turn, bool delivered) {
  apply(worker_id, turn, delivered);
  auto line = text::json_object("worker_id", worker_id, "turn", turn);
  if (!delivered) line["taken_back"] = true;
  text::append_json(unwritten_, line);
  unwritten_ += '\n';
  return catch_up();
}

std::error_code deliveries::catch_up() {
  if (unwritten_.empty()) return {};
  std::error_code error;
  if (!open_) open_ = files_.open_append(journal_, error);
  if (error) return error;
  error = open_->append(line_is_open_ ? "\n" + unwritten_ : unwritten_);
  // After an error a part of it may stand there. Said twice it means the same.
  line_is_open_ = static_cast<bool>(error);
  if (!error) unwritten_.clear();
  return error;
}

}  // namespace awm::manager
