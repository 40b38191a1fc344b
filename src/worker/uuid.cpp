#include "worker/uuid.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <system_error>

namespace awm::worker {
namespace {

constexpr std::string_view shape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

}  // namespace

std::string random_uuid() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<unsigned char, 32> random;
  // The kernel's generator: ids must not be guessable. It does not fail for so few bytes (getentropy(3)).
  if (::getentropy(random.data(), random.size()) != 0)
    throw std::system_error(errno, std::generic_category(), "getentropy");
  std::string uuid(shape);
  auto next = random.begin();
  for (auto& character : uuid) {
    if (character == 'x') character = digits[*next++ & 0xFU];
  }
  uuid[14] = '4';                                   // the version
  uuid[19] = "89ab"[digits.find(uuid[19]) & 0x3U];  // the variant
  return uuid;
}

bool is_uuid(std::string_view text) {
  return text.size() == shape.size() &&
         std::equal(text.begin(), text.end(), shape.begin(), [](char given, char wanted) {
           return wanted == '-' ? given == '-' : std::isxdigit(static_cast<unsigned char>(given)) != 0;
         });
}

}  // namespace awm::worker
