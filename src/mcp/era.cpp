#include "mcp/era.hpp"

#include <algorithm>
#include <array>

namespace awm::mcp {
namespace {

constexpr std::array<std::string_view, 5> names{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"};

std::optional<protocol_version> version_of(std::string_view name) {
  const auto* const found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<protocol_version>(found - names.begin());
}

}  // namespace

std::string_view to_string(protocol_version version) {
  return names.at(static_cast<std::size_t>(version));
}

protocol_version negotiate(std::string_view requested) {
  return std::min(version_of(requested).value_or(latest_legacy_version), latest_legacy_version);
}

std::optional<protocol_version> stateless_version(std::string_view name) {
  const auto version = version_of(name);
  return version && *version > latest_legacy_version ? version : std::nullopt;
}

std::vector<std::string_view> stateless_versions() {
  return {names.back()};
}

}  // namespace awm::mcp
