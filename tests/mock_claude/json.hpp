// Just enough JSON to read one protocol line and to write one: values are found by scanning and handed out as slices of
// the line, never as a tree, so that the program stays as small as the processes it stands in for are large.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace mock::json {

/// True when the whole text is one JSON value (white space around it allowed).
bool valid(std::string_view text);

/// The raw value of a member of an object, or an empty view when `object` is no object or has no such member.
std::string_view member(std::string_view object, std::string_view key);

/// Calls `visit(key, raw value)` for every member of an object, in order; the key is unescaped.
void each_member(std::string_view object, const std::function<void(std::string_view, std::string_view)>& visit);

/// Calls `visit(raw value)` for every element of an array, in order.
void each_element(std::string_view array, const std::function<void(std::string_view)>& visit);

/// The text of a raw string value, unescaped; any other raw value is returned as it stands.
std::string text(std::string_view raw);

/// The text of a string member, or an empty string.
std::string text_of(std::string_view object, std::string_view key);

/// A text as a JSON string, quotes included.
std::string quote(std::string_view text);

/// A JSON value without the white space between its tokens.
std::string compact(std::string_view raw);

/// The end of the value that starts at `from`, or npos when there is none.
std::size_t value_end(std::string_view text, std::size_t from);

}  // namespace mock::json
