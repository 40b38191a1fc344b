#include "mcp/id_scanner.hpp"

#include "mcp/jsonrpc.hpp"

#include <utility>

namespace awm::mcp {
namespace {

// A longer id or key is none that anybody sends.
constexpr std::size_t longest_text = 4096;

}  // namespace

void id_scanner::feed(std::string_view piece) {
  for (const char c : piece) {
    if (is_done()) return;
    take(c);
  }
}

void id_scanner::take(char c) {
  if (in_string_) {
    keep(c);
    if (is_escaped_) {
      is_escaped_ = false;
    } else if (c == '\\') {
      is_escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    }
  } else if (c != ' ' && c != '\t' && c != '\r') {
    take_structure(c);
  }
}

void id_scanner::take_structure(char c) {
  const bool is_message = depth_ == 1;
  if (depth_ == 0 && c != '{') {
    is_over_ = true;  // a batch, or no message at all
  } else if (c == '{' || c == '[') {
    keep(c);
    ++depth_;
  } else if (c == '}' || c == ']') {
    if (is_message) end_member();
    is_over_ = is_message;
    --depth_;
    keep(c);
  } else if (is_message && c == ',') {
    end_member();
  } else if (is_message && c == ':' && !in_value_) {
    key_ = std::exchange(text_, {});
    in_value_ = true;
    if (key_ == R"("method")") has_method_ = true;
  } else {
    in_string_ = c == '"';
    keep(c);
  }
}

void id_scanner::keep(char c) {
  const bool is_wanted = depth_ == 1 && (!in_value_ || key_ == R"("id")");
  if (is_wanted && text_.size() <= longest_text) text_ += c;
}

void id_scanner::end_member() {
  const std::string text = std::exchange(text_, {});
  if (!std::exchange(in_value_, false) || key_ != R"("id")" || text.size() > longest_text) return;
  nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  if (is_valid_id(value)) id_ = std::move(value);
}

}  // namespace awm::mcp
