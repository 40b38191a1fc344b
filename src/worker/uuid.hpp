#pragma once

#include <string>
#include <string_view>

namespace awm::worker {

/// A random UUID (RFC 9562, version 4) in lower case.
std::string random_uuid();

/// True for the 8-4-4-4-12 form in hexadecimal digits: what may become part of a path.
bool is_uuid(std::string_view text);

}  // namespace awm::worker
