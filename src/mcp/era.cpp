#include "mcp/era.hpp"

#include <nlohmann/json.hpp>

#include <array>

namespace awm::mcp {
namespace {

constexpr std::array<std::string_view, 4> names{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"};

}  // namespace

std::string_view to_string(protocol_version version) {
  return names.at(static_cast<std::size_t>(version));
}

protocol_version negotiate(std::string_view requested) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names.at(i) == requested) return static_cast<protocol_version>(i);
  }
  return latest_version;
}

std::optional<dialect> dialect_of(const nlohmann::json& /*params*/, std::optional<protocol_version> negotiated) {
  if (!negotiated) return std::nullopt;
  return dialect{era::legacy, *negotiated};
}

}  // namespace awm::mcp
