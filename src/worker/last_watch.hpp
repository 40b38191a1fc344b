#pragma once

#include <sys/types.h>

#include <chrono>
#include <span>

namespace awm::worker {

/// A child that still runs: its pid, which is also its process group, and a pidfd of it.
struct watched_child {
  pid_t pid = 0;
  int descriptor = -1;
};

/// Leaves a process behind that outlives this one: it waits until the children have ended, and after `patience` kills
/// the process groups of those that have not. It holds none of the standard streams.
///
/// A client gives its server half a second to end, and a worker that was told to end may need longer; without this one
/// of the two would have to be cut off.
void keep_last_watch(std::span<const watched_child> children, std::chrono::milliseconds patience);

}  // namespace awm::worker
