#include "mcp/request_meta.hpp"

#include "mcp/server.hpp"
#include "text/words.hpp"

#include <utility>

namespace awm::mcp {
namespace {

using nlohmann::json;

constexpr auto version_key = "io.modelcontextprotocol/protocolVersion";
constexpr auto capabilities_key = "io.modelcontextprotocol/clientCapabilities";
constexpr auto client_key = "io.modelcontextprotocol/clientInfo";
constexpr auto level_key = "io.modelcontextprotocol/logLevel";

const json& meta_of(const json& params) {
  static const json none = json::object();
  const auto meta = params.find("_meta");
  return meta != params.end() && meta->is_object() ? *meta : none;
}

/// Nothing when it is in order.
std::optional<rpc_error> read_progress_token(const json& meta, json& into) {
  const auto token = meta.find("progressToken");
  if (token == meta.end()) return std::nullopt;
  if (!is_valid_id(*token)) return invalid_params("_meta.progressToken must be a string or a number");
  into = *token;
  return std::nullopt;
}

rpc_error missing(const char* key) {
  return invalid_params(std::string("_meta[\"") + key + "\"] is missing");
}

}  // namespace

bool request_meta::takes_tasks() const {
  if (!how.is_stateless()) return false;
  const auto extensions = who->capabilities.find("extensions");
  return extensions != who->capabilities.end() && extensions->is_object() && extensions->contains(tasks_extension);
}

bool is_stateless(const json& params) {
  const json& meta = meta_of(params);
  return meta.contains(version_key) || meta.contains(capabilities_key);
}

std::variant<request_meta, rpc_error> read_stateless_meta(const json& params,
                                                          std::shared_ptr<const client_info> known) {
  const json& meta = meta_of(params);
  if (!meta.contains(version_key)) return missing(version_key);
  if (!meta.contains(capabilities_key)) return missing(capabilities_key);
  const std::string* const name = string_member(meta, version_key);
  if (name == nullptr) return invalid_params(std::string("_meta[\"") + version_key + "\"] must be a string");
  const auto version = stateless_version(*name);
  if (!version) {
    json data = {{"supported", stateless_versions()}, {"requested", text::shortened(*name, 80)}};
    return rpc_error{rpc_code::unsupported_version, "Unsupported protocol version", std::move(data)};
  }
  request_meta out;
  out.how = {era::stateless, *version};
  const json& capabilities = meta.at(capabilities_key);
  if (!capabilities.is_object()) {
    return invalid_params(std::string("_meta[\"") + capabilities_key + "\"] must be an object");
  }
  static const json nobody = json::object();
  const auto named = meta.find(client_key);
  const json& implementation = named == meta.end() ? nobody : *named;
  const bool is_known = known && known->capabilities == capabilities && known->implementation == implementation;
  if (is_known) {
    out.who = std::move(known);
  } else {
    out.who = std::make_shared<client_info>(client_info{implementation, capabilities});
  }
  if (meta.contains(level_key)) {
    const std::string* const level = string_member(meta, level_key);
    out.level = level == nullptr ? std::nullopt : parse_log_level(*level);
    if (!out.level) return invalid_params(std::string("_meta[\"") + level_key + "\"] is no log level");
  }
  if (auto wrong = read_progress_token(meta, out.progress_token)) return std::move(*wrong);
  return out;
}

std::variant<request_meta, rpc_error> read_legacy_meta(const json& params, protocol_version version,
                                                       std::shared_ptr<const client_info> who) {
  const auto given = params.find("_meta");
  if (given != params.end() && !given->is_object()) return invalid_params("_meta must be an object");
  request_meta out;
  out.how = {era::legacy, version};
  out.who = std::move(who);
  if (auto wrong = read_progress_token(meta_of(params), out.progress_token)) return std::move(*wrong);
  return out;
}

rpc_error invalid_params(std::string why) {
  return {rpc_code::invalid_params, "Invalid params: " + std::move(why)};
}

rpc_error internal_error(std::string why) {
  return {rpc_code::internal_error, "Internal error: " + std::move(why)};
}

const std::string* string_member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

}  // namespace awm::mcp
