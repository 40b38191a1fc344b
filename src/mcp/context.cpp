#include "mcp/context.hpp"

#include <algorithm>
#include <array>

namespace awm::mcp {
namespace {

constexpr std::array<std::string_view, 8> level_names{"debug", "info",     "notice", "warning",
                                                      "error", "critical", "alert",  "emergency"};

}  // namespace

std::string_view to_string(log_level level) {
  return level_names.at(static_cast<std::size_t>(level));
}

std::optional<log_level> parse_log_level(std::string_view name) {
  const auto* const found = std::ranges::find(level_names, name);
  if (found == level_names.end()) return std::nullopt;
  return static_cast<log_level>(found - level_names.begin());
}

}  // namespace awm::mcp
