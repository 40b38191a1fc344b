#pragma once
// What a client speaks. MCP has two eras: the legacy one, where `initialize` settles a protocol version for the
// process, and the stateless one (2026-07-28), where every request says its version itself. A server may meet both on
// one stream, so the question is asked for each request, here, and the answer travels with the request.

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string_view>

namespace awm::mcp {

enum class era {
  legacy,  ///< `initialize`, 2024-11-05 to 2025-11-25
};

/// In the order in which they were published, so that `<` means "older than".
enum class protocol_version { v2024_11_05, v2025_03_26, v2025_06_18, v2025_11_25 };

inline constexpr protocol_version latest_version = protocol_version::v2025_11_25;

std::string_view to_string(protocol_version version);

/// The version to answer an `initialize` with: the requested one where it is supported, else the latest.
protocol_version negotiate(std::string_view requested);

/// How one request is to be understood and answered. The sources are the change logs of the specification's versions.
struct dialect {
  mcp::era era = mcp::era::legacy;
  protocol_version version = latest_version;

  bool has_batches() const { return version == protocol_version::v2025_03_26; }
  bool has_annotations() const { return version >= protocol_version::v2025_03_26; }
  bool has_progress_message() const { return version >= protocol_version::v2025_03_26; }
  bool has_structured_content() const { return version >= protocol_version::v2025_06_18; }
  bool has_titles() const { return version >= protocol_version::v2025_06_18; }
  bool has_tool_meta() const { return version >= protocol_version::v2025_06_18; }
  /// Whether the server may send `elicitation/create`. In the stateless era a server sends no requests at all.
  bool has_elicitation() const { return era == mcp::era::legacy && version >= protocol_version::v2025_06_18; }
};

/// Decides for one request from its `params`; `negotiated` is what `initialize` settled, nothing before it. Nothing
/// comes back for a request that no era allows yet: one of the legacy era before `initialize`.
std::optional<dialect> dialect_of(const nlohmann::json& params, std::optional<protocol_version> negotiated);

}  // namespace awm::mcp
