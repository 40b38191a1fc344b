#pragma once

#include <sys/types.h>

#include <chrono>
#include <span>

namespace awm::worker {

class ledger;

/// A child that still runs: its pid, which is also its process group, and a pidfd of it.
struct watched_child {
  pid_t pid = 0;
  int descriptor = -1;
};

/// Leaves a process behind that outlives this one: it waits until the children have ended, and kills after `patience`
/// those that have not. Then it kills what descended from the children before this process ends, and what carries the
/// mark of the ledger's manager, and removes the ledger. It keeps nothing open but the pidfds and the ledger, whose
/// lock tells the next manager that these children are taken care of.
///
/// A client gives its server half a second to end, and a worker that was told to end may need longer; without this one
/// of the two would have to be cut off.
void keep_last_watch(std::span<const watched_child> children, const ledger& ledger, std::chrono::milliseconds patience);

}  // namespace awm::worker
