#pragma once
// What a child reads when it starts, and never again: its own program, memory files (CLAUDE.md), settings, agents, and
// where git stands. A child that waits for its first prompt must not have read what has changed since.

#include "worker/files.hpp"
#include "worker/launcher.hpp"

#include <string>

namespace awm::worker {

/// Equal to an earlier one as long as none of what a child started by `launch` reads was changed, added or removed.
/// Not seen are changes of the working tree that git does not know of yet. It costs some tens of stat(2), and no file
/// is read but `.git` of a worktree. Measured with 2.1.197 and 2.1.329: memory, settings and git's branch, commits and
/// status reach the model as they were at the start.
std::string surroundings_of(const launch_spec& launch, const files& disk);

}  // namespace awm::worker
