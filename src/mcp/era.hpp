#pragma once
// What a client speaks. MCP has two eras: the legacy one, where `initialize` settles a protocol version for the
// process, and the stateless one (2026-07-28), where every request says its version itself. A server may meet both on
// one stream, so the question is asked for each request, and the answer travels with the request.

#include <optional>
#include <string_view>
#include <vector>

namespace awm::mcp {

enum class era {
  legacy,     ///< `initialize`, 2024-11-05 to 2025-11-25
  stateless,  ///< `server/discover` and `_meta`, 2026-07-28
};

/// In the order in which they were published, so that `<` means "older than".
enum class protocol_version { v2024_11_05, v2025_03_26, v2025_06_18, v2025_11_25, v2026_07_28 };

inline constexpr protocol_version latest_legacy_version = protocol_version::v2025_11_25;

std::string_view to_string(protocol_version version);

/// The version to answer an `initialize` with: the requested one where it is a legacy one, else the latest of those.
protocol_version negotiate(std::string_view requested);

/// The stateless version of that name, or nothing.
std::optional<protocol_version> stateless_version(std::string_view name);
std::vector<std::string_view> stateless_versions();

/// How one request is to be understood and answered. The sources are the change logs of the specification's versions.
struct dialect {
  mcp::era era = mcp::era::legacy;
  protocol_version version = latest_legacy_version;

  bool is_stateless() const { return era == mcp::era::stateless; }
  bool has_batches() const { return version == protocol_version::v2025_03_26; }
  bool has_annotations() const { return version >= protocol_version::v2025_03_26; }
  bool has_completions_capability() const { return version >= protocol_version::v2025_03_26; }
  bool has_progress_message() const { return version >= protocol_version::v2025_03_26; }
  bool has_structured_content() const { return version >= protocol_version::v2025_06_18; }
  bool has_titles() const { return version >= protocol_version::v2025_06_18; }
  bool has_meta() const { return version >= protocol_version::v2025_06_18; }
  bool has_icons() const { return version >= protocol_version::v2025_11_25; }
  bool has_elicitation() const { return version >= protocol_version::v2025_06_18; }
  bool has_url_elicitation() const { return version >= protocol_version::v2025_11_25; }
};

}  // namespace awm::mcp
