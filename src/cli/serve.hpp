#pragma once

#include "cli/config.hpp"

namespace awm::cli {

/// Serves MCP on stdin and stdout until the client closes stdin or stdout, or SIGINT or SIGTERM comes. Then the workers
/// are told, their transcripts are put in order, and it returns the exit status within 90 ms, with hundreds of workers
/// a little later (what still runs is watched by a process that is left behind).
int serve(const config& settings);

}  // namespace awm::cli
