#pragma once
// The ways of working with many workers, for people to pick: `/mcp__…__sweep` in Claude Code.

#include "mcp/prompt.hpp"

#include <vector>

namespace awm::tools {

/// `parallel`, `sweep`, `review` and `pipeline`.
std::vector<mcp::prompt> make_prompts();

}  // namespace awm::tools
