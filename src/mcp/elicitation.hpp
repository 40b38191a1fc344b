#pragma once
// The wire form of elicitation: `elicitation/create` of MCP 2025-06-18 and 2025-11-25, in form mode.

#include "mcp/client.hpp"
#include "mcp/jsonrpc.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace awm::mcp {

/// Whether a client that said this in `initialize` takes forms: it declared `elicitation` as `{}`, which is all that
/// 2025-06-18 has, or with `form` (2025-11-25).
bool takes_forms(const nlohmann::json& capabilities);

/// The params of the request, whose `message` is `words`. `mode` is left out: form is the default, and older clients do
/// not know it.
nlohmann::json elicitation_params(std::string words, nlohmann::json requested_schema);

/// What the client's answer means; anything but a well-formed result is `unavailable`.
elicitation read_elicitation(rpc_outcome answer);

}  // namespace awm::mcp
