#pragma once
// What a request says about itself in `params._meta`: its progress token, and in the stateless era everything that
// `initialize` settled before.

#include "mcp/context.hpp"
#include "mcp/era.hpp"
#include "mcp/jsonrpc.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <variant>

namespace awm::mcp {

struct request_meta {
  dialect how;
  std::shared_ptr<const client_info> who;  ///< one for many requests; never null
  nlohmann::json progress_token;           ///< null: none
  std::optional<log_level> level;          ///< stateless era: messages from this level on are wanted; nothing: none are

  bool takes_tasks() const;
};

/// Whether the request speaks of itself as one of the stateless era: it names a version or its capabilities.
bool is_stateless(const nlohmann::json& params);

/// Reads the `_meta` of a request of that era, or says what is wrong with it (MCP 2026-07-28, "Request metadata").
/// `known` is who sent the one before, or null.
std::variant<request_meta, rpc_error> read_stateless_meta(const nlohmann::json& params,
                                                          std::shared_ptr<const client_info> known);

/// The same in the legacy era, for a client that `initialize` made known.
std::variant<request_meta, rpc_error> read_legacy_meta(const nlohmann::json& params, protocol_version version,
                                                       std::shared_ptr<const client_info> who);

/// @name Errors of these codes.
/// @{
rpc_error invalid_params(std::string why);
rpc_error internal_error(std::string why);
/// @}

/// An object's string member, or null when it is missing or something else.
const std::string* string_member(const nlohmann::json& object, const char* key);

}  // namespace awm::mcp
