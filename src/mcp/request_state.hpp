#pragma once
// A server of the stateless era that needs something from its client answers a request with questions, and forgets it.
// What it has to remember goes along as `requestState`, and comes back with the answers, from a client that may have
// changed it, kept it for days, or taken it from another request.

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace awm::mcp {

/// Seals what a client is to bring back: readable to it, but not to be changed (HMAC-SHA-256), for one request only and
/// for a limited time. The key is random and lives as long as this object, so no other process takes the state.
class state_seal {
 public:
  using time_point = std::chrono::system_clock::time_point;

  state_seal();

  /// `request` is the digest of the request that it belongs to, see `digest_of`.
  std::string seal(const nlohmann::json& content, std::string_view request, time_point expires) const;

  /// The content, or nothing when `sealed` is not of this object, was changed, belongs to another request, or has
  /// expired.
  std::optional<nlohmann::json> open(std::string_view sealed, std::string_view request, time_point now) const;

 private:
  std::array<unsigned char, 32> key_;
};

/// SHA-256 of what stays the same when a request is sent again: its method, and its params without `_meta`,
/// `inputResponses` and `requestState`. In base64.
std::string digest_of(std::string_view method, nlohmann::json params);

/// 128 random bits in hexadecimal digits: a name that nobody guesses.
std::string random_name();
inline constexpr std::size_t random_name_size = 32;

}  // namespace awm::mcp
