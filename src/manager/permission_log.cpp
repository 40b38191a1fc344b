#include "manager/permission_log.hpp"

#include "text/json_text.hpp"
#include "text/timestamp.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace awm::manager {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t most_characters = 4000;
/// What a child sends must not choose how deep the log recurses.
constexpr int deepest_input = 100;

bool begins_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

/// `text`, or its first 4 000 characters (UTF-8) and a note of how many there were.
std::string cut(std::string_view text) {
  if (text.size() <= most_characters) return std::string(text);
  std::size_t characters = 0;
  std::size_t end = text.size();
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!begins_character(text[at])) continue;
    if (characters == most_characters) end = at;
    ++characters;
  }
  if (characters <= most_characters) return std::string(text);
  return std::string(text.substr(0, end)) + "… [cut: " + std::to_string(characters) + " characters]";
}

bool cut_strings(json& value, int levels) {
  if (value.is_string()) value = cut(value.get_ref<const std::string&>());
  if (!value.is_structured()) return true;
  return levels > 0 &&
         std::all_of(value.begin(), value.end(), [&](json& inner) { return cut_strings(inner, levels - 1); });
}

/// As JSON with its strings cut; as a cut string when it is not JSON or nested too deeply.
json input_of(const std::string& text) {
  auto input = json::parse(text, nullptr, false);
  if (input.is_discarded() || !cut_strings(input, deepest_input)) return cut(text);
  return input;
}

std::string_view name_of(decided_by by) {
  switch (by) {
    case decided_by::rule:
      return "rule";
    case decided_by::human:
      return "human";
    case decided_by::model:
      return "model";
    case decided_by::remembered:
      return "remembered";
    case decided_by::withdrawn:
      break;
  }
  return "withdrawn";
}

std::string line_of(const logged_decision& decision, std::chrono::system_clock::time_point when) {
  json line;
  line["time"] = text::timestamp(when);
  line["worker_id"] = cut(decision.worker_id);
  line["description"] = cut(decision.description);
  line["request_id"] = cut(decision.request_id);
  line["tool"] = cut(decision.tool);
  line["input"] = input_of(decision.input);
  line["decision"] = decision.allowed ? "allow" : "deny";
  line["by"] = name_of(decision.by);
  if (!decision.rule.empty()) line["rule"] = cut(decision.rule);
  if (!decision.scope.empty()) line["scope"] = cut(decision.scope);
  if (!decision.reason.empty()) line["reason"] = cut(decision.reason);
  return text::json_text(line) + "\n";
}

}  // namespace

permission_log::permission_log(worker::files& files, const std::filesystem::path& log_dir)
    : files_(files), path_(log_dir / "permissions.ndjson") {}

std::error_code permission_log::append(const logged_decision& decision, std::chrono::system_clock::time_point when) {
  waiting_.push_back(line_of(decision, when));
  if (waiting_.size() > most_waiting) waiting_.pop_front();
  return catch_up();
}

std::error_code permission_log::catch_up() {
  if (waiting_.empty()) return {};
  std::error_code error;
  const auto file = files_.open_append(path_, error);
  while (!error && !waiting_.empty()) {
    error = file->append((line_is_open_ ? "\n" : "") + waiting_.front());
    line_is_open_ = static_cast<bool>(error);
    if (!error) waiting_.pop_front();
  }
  return error;
}

}  // namespace awm::manager
