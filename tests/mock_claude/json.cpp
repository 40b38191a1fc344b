#include "json.hpp"

#include <cstdint>
#include <cstdio>

namespace mock::json {
namespace {

constexpr auto none = std::string_view::npos;
constexpr int max_depth = 64;  // deeper input is not protocol, and recursion must end somewhere

std::size_t skip_space(std::string_view t, std::size_t i) {
  while (i < t.size() && (t[i] == ' ' || t[i] == '\t' || t[i] == '\n' || t[i] == '\r')) ++i;
  return i;
}

std::size_t string_end(std::string_view t, std::size_t i) {
  for (++i; i < t.size(); ++i) {
    if (t[i] == '\\')
      ++i;
    else if (t[i] == '"')
      return i + 1;
  }
  return none;
}

std::size_t word_end(std::string_view t, std::size_t i) {
  std::size_t from = i;
  while (i < t.size() && (std::string_view("+-.").find(t[i]) != none || (t[i] >= '0' && t[i] <= '9') ||
                          (t[i] >= 'a' && t[i] <= 'z') || t[i] == 'E'))
    ++i;
  std::string_view word = t.substr(from, i - from);
  if (word == "true" || word == "false" || word == "null") return i;
  if (word.empty() || (word[0] != '-' && (word[0] < '0' || word[0] > '9'))) return none;
  return i;
}

std::size_t end_of_value(std::string_view t, std::size_t i, int depth);

std::size_t container_end(std::string_view t, std::size_t i, int depth) {
  char const close = t[i] == '{' ? '}' : ']';
  i = skip_space(t, i + 1);
  if (i < t.size() && t[i] == close) return i + 1;
  while (i < t.size()) {
    if (close == '}') {
      if (t[i] != '"' || (i = string_end(t, i)) == none) return none;
      i = skip_space(t, i);
      if (i >= t.size() || t[i] != ':') return none;
      i = skip_space(t, i + 1);
    }
    if ((i = end_of_value(t, i, depth + 1)) == none) return none;
    i = skip_space(t, i);
    if (i >= t.size()) return none;
    if (t[i] == close) return i + 1;
    if (t[i] != ',') return none;
    i = skip_space(t, i + 1);
  }
  return none;
}

std::size_t end_of_value(std::string_view t, std::size_t i, int depth) {
  if (i >= t.size() || depth > max_depth) return none;
  if (t[i] == '"') return string_end(t, i);
  if (t[i] == '{' || t[i] == '[') return container_end(t, i, depth);
  return word_end(t, i);
}

void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

std::uint32_t hex4(std::string_view t, std::size_t i) {
  std::uint32_t value = 0;
  for (std::size_t k = i; k < i + 4 && k < t.size(); ++k) {
    char const c = t[k];
    std::uint32_t const digit = c >= 'a'   ? static_cast<std::uint32_t>(c - 'a' + 10)
                                : c >= 'A' ? static_cast<std::uint32_t>(c - 'A' + 10)
                                           : static_cast<std::uint32_t>(c - '0');
    value = value * 16 + (digit & 15);
  }
  return value;
}

/// Appends the escape at `i` (just behind the backslash) and returns the place of its last character.
std::size_t unescape_one(std::string_view t, std::size_t i, std::string& out) {
  switch (t[i]) {
    case 'n':
      out += '\n';
      return i;
    case 't':
      out += '\t';
      return i;
    case 'r':
      out += '\r';
      return i;
    case 'b':
      out += '\b';
      return i;
    case 'f':
      out += '\f';
      return i;
    case 'u':
      break;
    default:
      out += t[i];
      return i;
  }
  std::uint32_t c = hex4(t, i + 1);
  i += 4;
  if (c >= 0xD800 && c < 0xDC00 && i + 2 < t.size() && t[i + 1] == '\\' && t[i + 2] == 'u') {
    c = 0x10000 + ((c - 0xD800) << 10) + (hex4(t, i + 3) - 0xDC00);
    i += 6;
  }
  append_utf8(out, c);
  return i;
}

}  // namespace

std::size_t value_end(std::string_view t, std::size_t from) {
  return end_of_value(t, skip_space(t, from), 0);
}

bool valid(std::string_view t) {
  std::size_t const end = value_end(t, 0);
  return end != none && skip_space(t, end) == t.size();
}

void each_member(std::string_view object, const std::function<void(std::string_view, std::string_view)>& visit) {
  std::size_t i = skip_space(object, 0);
  if (i >= object.size() || object[i] != '{') return;
  i = skip_space(object, i + 1);
  while (i < object.size() && object[i] == '"') {
    std::size_t const key_end = string_end(object, i);
    if (key_end == none) return;
    std::string const key = text(object.substr(i, key_end - i));
    i = skip_space(object, skip_space(object, key_end) + 1);
    std::size_t const end = end_of_value(object, i, 0);
    if (end == none) return;
    visit(key, object.substr(i, end - i));
    i = skip_space(object, end);
    if (i >= object.size() || object[i] != ',') return;
    i = skip_space(object, i + 1);
  }
}

void each_element(std::string_view array, const std::function<void(std::string_view)>& visit) {
  std::size_t i = skip_space(array, 0);
  if (i >= array.size() || array[i] != '[') return;
  i = skip_space(array, i + 1);
  while (i < array.size() && array[i] != ']') {
    std::size_t const end = end_of_value(array, i, 0);
    if (end == none) return;
    visit(array.substr(i, end - i));
    i = skip_space(array, end);
    if (i >= array.size() || array[i] != ',') return;
    i = skip_space(array, i + 1);
  }
}

std::string_view member(std::string_view object, std::string_view key) {
  std::string_view found;
  each_member(object, [&](std::string_view name, std::string_view raw) {
    if (name == key) found = raw;
  });
  return found;
}

std::string text(std::string_view raw) {
  if (raw.size() < 2 || raw.front() != '"') return std::string(raw);
  raw = raw.substr(1, raw.size() - 2);
  std::string out;
  out.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '\\' && i + 1 < raw.size())
      i = unescape_one(raw, i + 1, out);
    else
      out += raw[i];
  }
  return out;
}

std::string text_of(std::string_view object, std::string_view key) {
  std::string_view const raw = member(object, key);
  return raw.empty() || raw.front() != '"' ? std::string() : text(raw);
}

std::string compact(std::string_view raw) {
  std::string out;
  for (std::size_t i = 0; i < raw.size();) {
    std::size_t const end = raw[i] == '"' ? string_end(raw, i) : i + 1;
    if (end == none) break;
    if (std::string_view(" \t\r\n").find(raw[i]) == none) out += raw.substr(i, end - i);
    i = end;
  }
  return out;
}

std::string quote(std::string_view t) {
  std::string out = "\"";
  out.reserve(t.size() + 2);
  for (char const c : t) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += buffer;
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace mock::json
