#pragma once

#include <string>
#include <string_view>

namespace awm::worker {

/// JavaScript prints what strict readers of JSON refuse: half of a surrogate pair (a long text cut in the middle of an
/// emoji) and integers beyond 64 bits. Returns `text` with the half replaced by U+FFFD and the integer written as the
/// floating-point number that it is in JavaScript; everything else stays as it is.
std::string repaired_json(std::string_view text);

}  // namespace awm::worker
