#pragma once
// JSON as text. It is what every layer says to another process and to the disk, thousands of times a second, and almost
// all of it is strings without anything to escape.

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace awm::text {

/// `value` in one line without spaces, as `value.dump(-1, ' ', false, error_handler_t::replace)` gives it: bytes that
/// are no UTF-8 become U+FFFD, a number that is none becomes null. Several times as fast.
std::string json_text(const nlohmann::json& value);

/// Appends that to `to`.
void append_json(std::string& to, const nlohmann::json& value);

/// Appends `value` as a JSON string, with its quotation marks.
void append_json_string(std::string& to, std::string_view value);

/// The value of the first member `key` as it stands in the text of an object, which must be valid JSON; empty when there
/// is none. Finds in a fraction of the time in which a parser would, whose strings it need not look into.
std::string_view member_text(std::string_view object, std::string_view key);

/// Gives `object` these members: `add_members(object, "worker_id", id, "turn", 1)`.
inline void add_members(nlohmann::json&) {}
template <class Value, class... More>
void add_members(nlohmann::json& object, const char* key, Value&& value, More&&... more) {
  object[key] = std::forward<Value>(value);
  add_members(object, std::forward<More>(more)...);
}

/// The object with these members: `json_object("worker_id", id, "turn", 1)`. A braced list of pairs makes an array of
/// each pair first, and takes five times as many allocations.
template <class... Members>
nlohmann::json json_object(Members&&... keys_and_values) {
  auto object = nlohmann::json::object();
  add_members(object, std::forward<Members>(keys_and_values)...);
  return object;
}

}  // namespace awm::text
