#include "worker/uuid.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <random>

namespace awm::worker {
namespace {

constexpr std::string_view shape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

}  // namespace

std::string random_uuid() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::random_device entropy;  // the kernel's generator: ids must not be guessable
  std::string uuid(shape);
  unsigned int bits = 0;
  int left = 0;
  for (auto& character : uuid) {
    if (character != 'x') continue;
    if (left == 0) {
      bits = entropy();
      left = 8;
    }
    character = digits[bits & 0xFU];
    bits >>= 4U;
    --left;
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
