// libFuzzer's way into a target.
#include "targets.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // std::string_view of a null pointer would be no empty one for who asks its data().
  awm::fuzz::AWM_FUZZ_TARGET(size == 0 ? std::string_view("")
                                       : std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
