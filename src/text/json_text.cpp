#include "text/json_text.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

namespace awm::text {
namespace {

using nlohmann::json;

std::string dumped(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

enum class kind : unsigned char { plain, escaped, beyond_ascii };

constexpr auto kinds = []() {
  std::array<kind, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    if (byte < 0x20 || byte == '"' || byte == '\\') table[byte] = kind::escaped;
    if (byte >= 0x80) table[byte] = kind::beyond_ascii;
  }
  return table;
}();

kind kind_of(char character) {
  return kinds[static_cast<unsigned char>(character)];
}

void append_escape(std::string& to, char character) {
  static constexpr std::string_view digits = "0123456789abcdef";
  to += '\\';
  switch (character) {
    case '"':
    case '\\':
      to += character;
      break;
    case '\b':
      to += 'b';
      break;
    case '\f':
      to += 'f';
      break;
    case '\n':
      to += 'n';
      break;
    case '\r':
      to += 'r';
      break;
    case '\t':
      to += 't';
      break;
    default: {
      const auto code = static_cast<unsigned char>(character);
      to += "u00";
      to += digits[code >> 4U];
      to += digits[code & 0xFU];
    }
  }
}

template <class Number>
void append_number(std::string& to, Number number) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  to.append(digits.data(), end);
}

}  // namespace

void append_json_string(std::string& to, std::string_view value) {
  const auto is_ascii = [](char character) { return kind_of(character) != kind::beyond_ascii; };
  if (!std::all_of(value.begin(), value.end(), is_ascii) && !simdjson::validate_utf8(value)) {
    to += dumped(value);
    return;
  }
  to += '"';
  const auto* begin = value.data();
  const auto* const end = begin + value.size();
  while (begin != end) {
    const auto* const stop = std::find_if(begin, end, [](char one) { return kind_of(one) == kind::escaped; });
    to.append(begin, stop);
    if (stop == end) break;
    append_escape(to, *stop);
    begin = stop + 1;
  }
  to += '"';
}

void append_json(std::string& to, const json& value) {
  bool is_first = true;
  switch (value.type()) {
    case json::value_t::object:
      to += '{';
      for (const auto& [key, member] : value.get_ref<const json::object_t&>()) {
        if (!std::exchange(is_first, false)) to += ',';
        append_json_string(to, key);
        to += ':';
        append_json(to, member);
      }
      to += '}';
      break;
    case json::value_t::array:
      to += '[';
      for (const auto& element : value) {
        if (!std::exchange(is_first, false)) to += ',';
        append_json(to, element);
      }
      to += ']';
      break;
    case json::value_t::string:
      append_json_string(to, value.get_ref<const std::string&>());
      break;
    case json::value_t::boolean:
      to += value.get<bool>() ? "true" : "false";
      break;
    case json::value_t::null:
      to += "null";
      break;
    case json::value_t::number_integer:
      append_number(to, value.get<std::int64_t>());
      break;
    case json::value_t::number_unsigned:
      append_number(to, value.get<std::uint64_t>());
      break;
    default:
      to += dumped(value);
  }
}

std::string json_text(const json& value) {
  std::string text;
  append_json(text, value);
  return text;
}

}  // namespace awm::text
