#include "directives.hpp"

#include "json.hpp"

#include <cstdlib>

namespace mock {
namespace {

std::string_view trim(std::string_view text) {
  std::size_t const from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

}  // namespace

std::string directive::take_word() {
  std::size_t end = std::string::npos;
  if (!rest.empty() && (rest[0] == '"' || rest[0] == '{' || rest[0] == '[')) end = json::value_end(rest, 0);
  if (end == std::string::npos) end = rest.find(' ');
  if (end == std::string::npos) end = rest.size();
  std::string const word = rest.substr(0, end);
  rest = std::string(trim(std::string_view(rest).substr(end)));
  return word.size() > 1 && word[0] == '"' ? json::text(word) : word;
}

std::string directive::text() const {
  return json::valid(rest) ? json::text(rest) : rest;
}

long directive::number(long otherwise) {
  std::string const word = take_word();
  return word.empty() ? otherwise : std::strtol(word.c_str(), nullptr, 10);
}

std::vector<directive> parse_directives(std::string_view prompt) {
  std::vector<directive> out;
  while (!prompt.empty()) {
    std::size_t const end = prompt.find('\n');
    std::string_view line = trim(prompt.substr(0, end));
    prompt = end == std::string_view::npos ? std::string_view() : prompt.substr(end + 1);
    if (line.substr(0, 5) != "MOCK ") continue;
    directive one;
    one.rest = std::string(trim(line.substr(5)));
    one.verb = one.take_word();
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace mock
