#include "text/json_text.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

namespace awm::text {
namespace {

using nlohmann::json;

std::string dumped(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

constexpr std::uint64_t in_each_byte(unsigned char byte) {
  return 0x0101010101010101U * byte;
}
constexpr auto high_bits = in_each_byte(0x80);

/// Whether one of eight ASCII characters is `byte`. As the next, it may take a character beyond ASCII for one as well.
constexpr std::uint64_t marks_equal(std::uint64_t eight, unsigned char byte) {
  const auto difference = eight ^ in_each_byte(byte);
  return (difference - in_each_byte(1)) & ~difference & high_bits;
}

constexpr std::uint64_t marks_below(std::uint64_t eight, unsigned char byte) {
  return (eight - in_each_byte(byte)) & ~eight & high_bits;
}

bool needs_escape(char character) {
  return static_cast<unsigned char>(character) < 0x20 || character == '"' || character == '\\';
}

/// The first character that has to be escaped, or with `beyond_ascii` is none of ASCII; eight at a time, as most have
/// nothing of the kind.
const char* first_special(const char* begin, const char* end, bool beyond_ascii) {
  const auto wanted = beyond_ascii ? high_bits : 0;
  std::uint64_t eight = 0;
  for (; static_cast<std::size_t>(end - begin) >= sizeof eight; begin += sizeof eight) {
    std::memcpy(&eight, begin, sizeof eight);
    if ((marks_below(eight, 0x20) | marks_equal(eight, '"') | marks_equal(eight, '\\') | (eight & wanted)) != 0) break;
  }
  return std::find_if(begin, end, [&](char one) {
    return needs_escape(one) || (beyond_ascii && static_cast<unsigned char>(one) >= 0x80);
  });
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

/// As JSON's own writers print it: always to be read as a number with a fraction, long ones with an exponent.
void append_fraction(std::string& to, double number) {
  constexpr double least_fixed = 1e-4;
  constexpr double least_beyond_fixed = 1e15;
  const auto size = std::abs(number);
  if (number != 0 && !(size >= least_fixed && size < least_beyond_fixed)) {
    to += dumped(number);
    return;
  }
  std::array<char, 40> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::fixed).ptr;
  const std::string_view text(digits.data(), end);
  to += text;
  if (text.find('.') == std::string_view::npos) to += ".0";
}

/// Moves through the text of valid JSON.
class json_cursor {
 public:
  explicit json_cursor(std::string_view text) : text_(text) {}

  void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }
  bool take(char wanted) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  /// The value that comes next; behind a number or a word with the space that follows.
  std::string_view take_value() {
    skip_space();
    const auto begin = at_;
    std::size_t depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const auto what = marks[static_cast<unsigned char>(text_[at_])];
      if (what == mark::none) continue;
      if (depth == 0 && (what == mark::comma || what == mark::closes)) break;
      if (what == mark::quote) skip_string();
      if (what == mark::opens) ++depth;
      if (what == mark::closes) --depth;
      if (depth == 0) {
        ++at_;
        break;
      }
    }
    return text_.substr(begin, at_ - begin);
  }

 private:
  enum class mark : unsigned char { none, quote, comma, opens, closes };
  static constexpr auto marks = [] {
    std::array<mark, 256> table{};
    table['"'] = mark::quote;
    table[','] = mark::comma;
    table['['] = table['{'] = mark::opens;
    table[']'] = table['}'] = mark::closes;
    return table;
  }();

  /// From a string's first quotation mark to its last.
  void skip_string() {
    const auto begin = at_ + 1;
    for (;;) {
      at_ = text_.find('"', at_ + 1);
      if (at_ == std::string_view::npos) break;
      auto backslashes = at_;
      while (backslashes > begin && text_[backslashes - 1] == '\\') --backslashes;
      if ((at_ - backslashes) % 2 == 0) return;
    }
    at_ = text_.size() - 1;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::string_view member_text(std::string_view object, std::string_view key) {
  json_cursor cursor(object);
  if (!cursor.take('{')) return {};
  do {
    const auto name = cursor.take_value();
    if (!cursor.take(':')) return {};
    const auto value = cursor.take_value();
    if (name.size() == key.size() + 2 && name.substr(1, key.size()) == key) return value;
  } while (cursor.take(','));
  return {};
}

void append_json_string(std::string& to, std::string_view value) {
  const auto size_before = to.size();
  const auto* begin = value.data();
  const auto* const end = begin + value.size();
  const auto* stop = first_special(begin, end, true);
  if (stop == end) {
    to.resize(size_before + value.size() + 2, '"');
    std::copy(begin, end, to.data() + size_before + 1);
    return;
  }
  bool is_utf8 = false;
  to += '"';
  for (;; stop = first_special(begin, end, !is_utf8)) {
    to.append(begin, stop);
    if (stop == end) break;
    begin = stop;
    if (needs_escape(*stop)) {
      append_escape(to, *begin++);
    } else if (simdjson::validate_utf8(value)) {
      is_utf8 = true;
    } else {
      to.resize(size_before);
      to += dumped(value);
      return;
    }
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
    case json::value_t::number_float:
      append_fraction(to, value.get<double>());
      break;
    default:
      to += dumped(value);
  }
}

std::string json_text(const json& value) {
  constexpr std::size_t ordinary_size = 500;
  std::string text;
  text.reserve(ordinary_size);
  append_json(text, value);
  text.shrink_to_fit();
  return text;
}

}  // namespace awm::text
