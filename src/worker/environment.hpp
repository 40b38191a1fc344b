#pragma once
// A worker inherits the manager's environment, and the manager is itself a child of a Claude Code session. What that
// session told its children about itself (its id, its sockets, its tokens) would make a worker take itself for a part
// of it; what signs in and what configures Claude Code must get through.

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace awm::worker {

/// Name to value.
using environment = std::map<std::string, std::string, std::less<>>;

/// How many managers stand above a process: a worker has one more than the manager that started it.
inline constexpr std::string_view depth_variable = "AWM_DEPTH";

/// How many there may be.
inline constexpr std::string_view max_depth_variable = "AWM_MAX_DEPTH";

/// From `NAME=value` strings, as `environ` has them. Strings without a name or `=` are left out; of two with one name
/// the first counts, as with getenv.
environment environment_from(std::span<const std::string> assignments);

/// `NAME=value` strings in the order of the names, as execve takes them.
std::vector<std::string> to_assignments(const environment& variables);

/// True for a variable by which a Claude Code session describes itself to what it starts. Credentials
/// (`ANTHROPIC_*`, `CLAUDE_CODE_OAUTH_TOKEN`) and settings (`CLAUDE_CONFIG_DIR`, `CLAUDE_CODE_USE_BEDROCK`, …) are not.
/// Source: the variables that Claude Code 2.1.197 and 2.1.329 set for MCP servers, hooks and tools, and those which
/// 2.1.329 itself takes out of what it starts.
bool describes_calling_session(std::string_view name);

/// What a worker inherits: `base` without the caller's session, with the depth one more than that of `base`.
environment inherited_environment(const environment& base);

/// The value of `name`, or nothing.
std::string_view value_of(const environment& variables, std::string_view name);

}  // namespace awm::worker
