#pragma once

#include <chrono>
#include <string>

namespace awm::text {

/// UTC in the form of RFC 3339 with milliseconds: `2026-11-21T02:47:51.123Z`.
std::string timestamp(std::chrono::system_clock::time_point when);

/// The moment that such a text names, also one with another offset than `Z`; the epoch for a text that names none.
std::chrono::system_clock::time_point time_of(const std::string& timestamp);

}  // namespace awm::text
