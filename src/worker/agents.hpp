#pragma once
// `agent_type` is one text that can mean five things: a built-in, an agent file by name, a plugin's agent, a file, a
// role. Claude Code takes an unknown `--agent` for its default agent without a word, and gives a built-in agent that
// runs as the main one neither its prompt nor all of its limits. Both are made good here, before the start.

#include "worker/files.hpp"
#include "worker/options.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace awm::worker {

/// An agent as its file describes it, in the format of Claude Code's agent files
/// (https://code.claude.com/docs/en/sub-agents).
struct agent_definition {
  std::string name;
  std::string description;
  std::string prompt;
  /// Nothing: every tool.
  std::optional<std::vector<std::string>> tools;
  std::vector<std::string> disallowed_tools;
  /// Nothing also where the file says `inherit`.
  std::optional<std::string> model;
  /// Keys of the front matter that are none of the above, `color` left out.
  std::vector<std::string> other_keys;

  bool operator==(const agent_definition&) const = default;
};

/// Reads an agent file: front matter between two lines `---`, then the prompt. Without front matter all of it is the
/// prompt. A name or description that the file does not give stays empty. Values that are no strict YAML but plain text
/// with a colon are taken as text, as Claude Code does. The error names the file and the line.
std::variant<agent_definition, option_error> parse_agent_file(const std::filesystem::path& path, std::string_view text);

/// What `agent_type` comes to.
struct resolved_agent {
  /// The value of `--agent`; nothing for a role. The CLI's reply to `initialize` must list it: one that it does not
  /// know is silently its default agent.
  std::optional<std::string> name;
  /// To be told to the CLI in `initialize`; nothing when the CLI knows the agent itself.
  std::optional<agent_definition> definition;
  /// Added to the system prompt. Empty: nothing.
  std::string append_prompt;
  std::vector<std::string> disallowed_tools;
  /// The model that the agent's file names.
  std::optional<std::string> model;
  /// True when the agent's own prompt is lost if the caller replaces the system prompt.
  bool has_own_prompt = false;
  /// True when a model that the agent may name is not known here.
  bool model_unknown = false;
  std::vector<std::string> warnings;
};

/// Where agent files are looked for.
struct agent_places {
  /// The worker's; its `.claude/agents` and those of its parents count, the nearest first.
  std::filesystem::path cwd;
  /// `$CLAUDE_CONFIG_DIR`, else `$HOME/.claude`; empty when there is neither. Its `agents` counts after the project's.
  std::filesystem::path config_dir;
  /// `$HOME`, for paths that begin with `~/`.
  std::filesystem::path home;
};

/// Takes `agent_type` for, in this order:
/// 1. the path of a file, when it ends in `.md`, or holds `/` and no white space: relative to `places.cwd`;
/// 2. a plugin's agent, when it has the form `plugin:name`;
/// 3. an agent file of the project or the user with that `name`;
/// 4. a built-in of this table: general-purpose, Explore, Plan, statusline-setup, output-style-setup, claude;
/// 5. a role description, with a warning when it looks like a name.
/// An error: a file that is not there or cannot be read, broken front matter in the file that is meant.
std::variant<resolved_agent, option_error> resolve_agent(std::string_view agent_type, const agent_places& places,
                                                         const files& disk);

/// The entry for `initialize.agents`, an object with the agent's name as its only key.
nlohmann::json to_initialize_agents(const agent_definition& agent);

}  // namespace awm::worker
