#include "worker/json_repair.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace awm::worker {
namespace {

constexpr std::size_t escape_size = 6;       // \uXXXX
constexpr std::size_t largest_integer = 18;  // digits that always fit 64 bits

/// The code unit of a \uXXXX escape at the start of `text`; 0 for anything else.
unsigned int unit_at(std::string_view text) {
  unsigned int unit = 0;
  if (text.size() < escape_size || text[0] != '\\' || text[1] != 'u') return 0;
  const auto read = std::from_chars(text.data() + 2, text.data() + escape_size, unit, 16);
  return read.ptr == text.data() + escape_size ? unit : 0;
}

bool is_high(unsigned int unit) {
  return unit >= 0xD800 && unit < 0xDC00;
}
bool is_low(unsigned int unit) {
  return unit >= 0xDC00 && unit < 0xE000;
}

/// Copies the escape at the start of `text`, or what stands for it; returns how much of `text` that took.
std::size_t copy_escape(std::string_view text, std::string& out) {
  const auto unit = unit_at(text);
  if (is_high(unit) && is_low(unit_at(text.substr(escape_size)))) {
    out += text.substr(0, 2 * escape_size);
    return 2 * escape_size;
  }
  if (is_high(unit) || is_low(unit)) {
    out += "\\ufffd";
    return escape_size;
  }
  out += text.substr(0, 2);
  return 2;
}

bool is_part_of_number(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("+-.eE").find(c) != std::string_view::npos;
}

/// Copies the number at the start of `text`; returns its size.
std::size_t copy_number(std::string_view text, std::string& out) {
  std::size_t size = 0;
  while (size < text.size() && is_part_of_number(text[size])) ++size;
  const auto number = text.substr(0, size);
  out += number;
  if (size > largest_integer && number.find_first_of(".eE") == std::string_view::npos) out += "e0";
  return size;
}

}  // namespace

std::string repaired_json(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  while (!text.empty()) {
    std::size_t taken = 1;
    if (in_string && text[0] == '\\') {
      taken = copy_escape(text, out);
    } else if (!in_string && is_part_of_number(text[0]) && text[0] != 'e' && text[0] != 'E') {
      taken = copy_number(text, out);
    } else {
      if (text[0] == '"') in_string = !in_string;
      out += text[0];
    }
    text.remove_prefix(std::min(taken, text.size()));
  }
  return out;
}

}  // namespace awm::worker
