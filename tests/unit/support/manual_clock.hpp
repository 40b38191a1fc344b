#pragma once

#include "coro/virtual_clock.hpp"

namespace awm::test {

/// Stands still until it is told to go on.
using manual_clock = coro::virtual_clock;

}  // namespace awm::test
