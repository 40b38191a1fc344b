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

/// Bytes of the kernel's generator, as ids must not be guessable, fetched many at a time.
class random_bytes {
 public:
  unsigned char next() {
    if (next_ == bytes_.end()) fetch();
    return *next_++;
  }

 private:
  void fetch() {
    // It does not fail for so few bytes (getentropy(3)).
    if (::getentropy(bytes_.data(), bytes_.size()) != 0)
      throw std::system_error(errno, std::generic_category(), "getentropy");
    next_ = bytes_.begin();
  }

  std::array<unsigned char, 256> bytes_{};
  std::array<unsigned char, 256>::const_iterator next_ = bytes_.end();
};

}  // namespace

std::string random_uuid() {
  constexpr std::string_view digits = "0123456789abcdef";
  thread_local random_bytes random;
  std::string uuid(shape);
  for (auto& character : uuid) {
    if (character == 'x') character = digits[random.next() & 0xFU];
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
