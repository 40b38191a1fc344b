#include "mcp/tool.hpp"

#include <array>
#include <utility>

namespace awm::mcp {
namespace {

constexpr std::array<std::string_view, 8> level_names{"debug", "info",     "notice", "warning",
                                                      "error", "critical", "alert",  "emergency"};

nlohmann::json text_block(std::string text) {
  return {{"type", "text"}, {"text", std::move(text)}};
}

}  // namespace

std::string_view to_string(log_level level) {
  return level_names.at(static_cast<std::size_t>(level));
}

std::optional<log_level> parse_log_level(std::string_view name) {
  for (std::size_t i = 0; i < level_names.size(); ++i) {
    if (level_names.at(i) == name) return static_cast<log_level>(i);
  }
  return std::nullopt;
}

tool_result tool_result::json(nlohmann::json structured) {
  tool_result result;
  result.structured = std::move(structured);
  return result;
}

tool_result tool_result::text(std::string text) {
  tool_result result;
  result.content.push_back(text_block(std::move(text)));
  return result;
}

tool_result tool_result::error(std::string text) {
  tool_result result = tool_result::text(std::move(text));
  result.is_error = true;
  return result;
}

}  // namespace awm::mcp
