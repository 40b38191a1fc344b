#include "mcp/request_state.hpp"

#include "mcp/jsonrpc.hpp"

#include <nlohmann/json.hpp>

#include <sodium.h>

#include <stdexcept>
#include <vector>

namespace awm::mcp {
namespace {

using nlohmann::json;

static_assert(crypto_auth_hmacsha256_KEYBYTES == 32);
constexpr int base64_variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

std::string to_base64(std::string_view bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), base64_variant), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    base64_variant);
  text.pop_back();  // the terminating zero
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes(text.size(), '\0');
  std::size_t size = 0;
  const int failed = sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                                       text.size(), nullptr, &size, nullptr, base64_variant);
  if (failed != 0) return std::nullopt;
  bytes.resize(size);
  return bytes;
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::int64_t seconds_of(state_seal::time_point when) {
  return std::chrono::duration_cast<std::chrono::seconds>(when.time_since_epoch()).count();
}

}  // namespace

state_seal::state_seal() {
  if (sodium_init() < 0) throw std::runtime_error("libsodium cannot be initialised: no source of random numbers");
  crypto_auth_hmacsha256_keygen(key_.data());
}

std::string state_seal::seal(const json& content, std::string_view request, time_point expires) const {
  const std::string text = to_text({{"content", content}, {"request", request}, {"expires", seconds_of(expires)}});
  std::string code(crypto_auth_hmacsha256_BYTES, '\0');
  crypto_auth_hmacsha256(reinterpret_cast<unsigned char*>(code.data()), bytes_of(text), text.size(), key_.data());
  return to_base64(text) + "." + to_base64(code);
}

std::optional<json> state_seal::open(std::string_view sealed, std::string_view request, time_point now) const {
  const auto dot = sealed.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto text = from_base64(sealed.substr(0, dot));
  const auto code = from_base64(sealed.substr(dot + 1));
  if (!text || !code || code->size() != crypto_auth_hmacsha256_BYTES) return std::nullopt;
  if (crypto_auth_hmacsha256_verify(bytes_of(*code), bytes_of(*text), text->size(), key_.data()) != 0) {
    return std::nullopt;
  }
  json state = json::parse(*text);
  if (state.at("request") != request || state.at("expires") < seconds_of(now)) return std::nullopt;
  return std::move(state.at("content"));
}

std::string digest_of(std::string_view method, json params) {
  for (const char* const changing : {"_meta", "inputResponses", "requestState"}) params.erase(changing);
  const std::string text = to_text({{"method", method}, {"params", std::move(params)}});
  std::string digest(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(digest.data()), bytes_of(text), text.size());
  return to_base64(digest);
}

std::string random_name() {
  std::array<unsigned char, random_name_size / 2> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  std::string text(2 * bytes.size() + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
  text.pop_back();
  return text;
}

}  // namespace awm::mcp
