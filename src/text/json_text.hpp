#pragma once
// JSON as text. It is what every layer says to another process and to the disk, thousands of times a second, and almost
// all of it is strings without anything to escape.

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace awm::text {

/// `value` in one line without spaces, as `value.dump(-1, ' ', false, error_handler_t::replace)` gives it: bytes that are
/// no UTF-8 become U+FFFD, a number that is none becomes null. Several times as fast.
std::string json_text(const nlohmann::json& value);

/// Appends that to `to`.
void append_json(std::string& to, const nlohmann::json& value);

/// Appends `value` as a JSON string, with its quotation marks.
void append_json_string(std::string& to, std::string_view value);

}  // namespace awm::text
