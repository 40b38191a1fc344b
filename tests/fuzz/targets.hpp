#pragma once
// What the fuzzers run. Each function takes bytes that nobody vouches for, gives them to one way into the program, and
// checks what must hold of the outcome, whatever they are. It keeps nothing from one call to the next.

#include <cstdlib>
#include <iostream>
#include <string_view>

namespace awm::fuzz {

/// @name The targets, each in the file of its name.
/// @{
void mcp_input(std::string_view input);         ///< what a client writes
void worker_stream(std::string_view input);     ///< what a child prints
void launch_options(std::string_view input);    ///< options, as they come from a client or a transcript
void agent_file(std::string_view input);        ///< what a repository may hold
void config_file(std::string_view input);       ///< the TOML file of --config
void transcript(std::string_view input);        ///< what a killed server, or somebody else, left in the log folder
void permission_rules(std::string_view input);  ///< rules, and the calls that they decide on
void shell_line(std::string_view input);        ///< what a worker wants to run with Bash
/// @}

/// Ends the process, saying what does not hold, when `holds` is false: that is how a fuzzer learns of it.
inline void require(bool holds, std::string_view what, std::string_view evidence = {}) {
  if (holds) return;
  std::cerr << "does not hold: " << what << (evidence.empty() ? "" : ": ") << evidence << std::endl;
  std::abort();
}

/// Takes the first line, without its newline, off `text`.
inline std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// A number that depends on all of `text`: where a target needs a choice that the input does not make.
inline std::size_t hash_of(std::string_view text) {
  std::size_t hash = 14695981039346656037U;  // FNV-1a
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211U;
  return hash;
}

}  // namespace awm::fuzz
