#include "mcp/uri_template.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace awm::mcp {
namespace {

// RFC 6570, section 2.3, without the dot and the percent-encoded characters, which nobody needs.
bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

/// Nothing when a `%` is not followed by two hexadecimal digits.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    unsigned value = 0;
    const auto digits = text.substr(at + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc{} || digits.size() != 2 || end != digits.data() + 2) return std::nullopt;
    out += static_cast<char>(value);
    at += 2;
  }
  return out;
}

}  // namespace

uri_template::uri_template(std::string text) : text_(std::move(text)) {
  const auto refuse = [this](const std::string& why) {
    throw std::invalid_argument("URI template \"" + text_ + "\": " + why);
  };
  std::string_view rest = text_;
  while (true) {
    const auto open = rest.find('{');
    literals_.emplace_back(rest.substr(0, open));
    if (literals_.back().find('}') != std::string::npos) refuse("a } without a {");
    if (open == std::string_view::npos) break;
    if (!variables_.empty() && literals_.back().empty()) refuse("text is needed between two variables");
    const auto close = rest.find('}', open);
    if (close == std::string_view::npos) refuse("a { without a }");
    const std::string name(rest.substr(open + 1, close - open - 1));
    if (!is_name(name)) refuse("{" + name + "} is no variable of letters, digits and _");
    if (std::ranges::find(variables_, name) != variables_.end()) refuse("{" + name + "} is there twice");
    variables_.push_back(name);
    rest.remove_prefix(close + 1);
  }
}

std::optional<std::map<std::string, std::string>> uri_template::match(std::string_view uri) const {
  if (!uri.starts_with(literals_.front())) return std::nullopt;
  uri.remove_prefix(literals_.front().size());
  std::map<std::string, std::string> values;
  for (std::size_t i = 0; i < variables_.size(); ++i) {
    const std::string& behind = literals_[i + 1];
    const auto segment = uri.substr(0, uri.find_first_of("/?#"));
    // The last value reaches as far as what stands behind it allows, any other to the first text that separates it.
    const bool is_last = i + 1 == variables_.size();
    const auto end =
        is_last ? uri.size() - std::min(behind.size(), uri.size()) : std::min(uri.find(behind), uri.size());
    if (end == 0 || end > segment.size() || !uri.substr(end).starts_with(behind)) return std::nullopt;
    auto value = decoded(uri.substr(0, end));
    if (!value) return std::nullopt;
    values.emplace(variables_[i], std::move(*value));
    uri.remove_prefix(end + behind.size());
  }
  if (!uri.empty()) return std::nullopt;
  return values;
}

}  // namespace awm::mcp
