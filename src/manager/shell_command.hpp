#pragma once
// A rule such as `Bash(npm test:*)` speaks of one command, but a shell line runs any number of them. Whoever allows
// must know every command that the line runs; whoever denies wants to find the command wherever it hides. So a line is
// read in two ways: strictly, giving up at the first thing that is not plain, and suspiciously, taking everything that
// looks like a command for one.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace awm::manager {

/// The texts by which one command may be known: as written, without redirections that write no file, without a wrapper
/// (`timeout 30`, `nohup` …). Blanks between words are one space.
using command_readings = std::vector<std::string>;

/// The commands of a line that is joined by `&&`, `||`, `;`, `|`, `|&`, `&` and newlines, or nothing when it holds what
/// cannot be told from the text alone: expansions and substitutions (`$`, backquotes), brackets and braces, heredocs,
/// redirections other than to `/dev/null` or another descriptor, comments, keywords, line continuations, control
/// characters, quotes that are not closed. Source: Shell Command Language, POSIX.1-2017, 2.2 to 2.10.
std::optional<std::vector<command_readings>> certain_commands(std::string_view line);

/// Everything in the line that may be run: the commands with and without quotes, behind assignments, keywords and
/// programs that run another (`sudo`, `env`, `xargs` …); where the line is not plain, also what stands in quotes,
/// brackets, substitutions and heredocs. Never misses a command that is written out; may name what is none.
std::vector<std::string> suspected_commands(std::string_view line);

}  // namespace awm::manager
