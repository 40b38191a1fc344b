#include "worker/agents.hpp"

#include "text/words.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <span>
#include <sstream>

namespace awm::worker {
namespace {

using std::filesystem::path;

constexpr std::string_view agent_type_field = "agent_type";
constexpr std::string_view fence = "---";

// --- built-ins ------------------------------------------------------------------------------------------------------

struct builtin {
  std::string_view name;
  /// Nothing: Claude Code knows the agent, and runs it with its own default prompt.
  std::string_view description;
  std::string_view prompt;
  std::span<const std::string_view> tools;
  std::span<const std::string_view> disallowed_tools;
};

constexpr std::array<std::string_view, 3> writing_tools{"Write", "Edit", "NotebookEdit"};
constexpr std::array<std::string_view, 3> style_tools{"Read", "Write", "Edit"};

constexpr std::array<builtin, 6> builtins{{
    {.name = "general-purpose",
     .description = {},
     .prompt =
         "You are working on one task that another agent handed to you. Nobody reads along and nobody can add what "
         "the task leaves open: take the most sensible reading, carry the work through to its end, and check it "
         "before you stop. Do what was asked and nothing beside it. Your last message is all that the other agent "
         "gets: put into it what you did, what you found, the absolute paths that matter, and whatever remains "
         "open.",
     .tools = {},
     .disallowed_tools = {}},
    {.name = "Explore",
     .description = {},
     .prompt =
         "You explore a code base for another agent. You only read: you create, change, move and delete no file, "
         "neither with a tool nor through the shell (no redirection into files, no sed -i, no mkdir, rm, mv, cp, "
         "no package installation, no git command that changes anything). Search wide first (names, patterns, "
         "directory listings), then read the places that matter, several at once where they do not depend on each "
         "other. End with a report that answers the question: findings first, each with its absolute path and "
         "line, then what you looked for and did not find.",
     .tools = {},
     .disallowed_tools = writing_tools},
    {.name = "Plan",
     .description = {},
     .prompt =
         "You design how a change is to be made; another agent will make it. You only read: you create, change, "
         "move and delete no file, neither with a tool nor through the shell. Learn how the code does such things "
         "today and which parts the change touches, weigh the ways to make it, and choose one. End with a plan: "
         "the idea in a few sentences, the steps in their order with the absolute paths that each touches, what "
         "can go wrong, and how the result is to be tested.",
     .tools = {},
     .disallowed_tools = writing_tools},
    {.name = "statusline-setup",
     .description = {},
     .prompt =
         "You set up the user's Claude Code status line and do nothing else. The setting is `statusLine` in the "
         "settings.json of the Claude Code configuration directory ($CLAUDE_CONFIG_DIR, else ~/.claude): an object "
         "{\"type\": \"command\", \"command\": \"...\"} whose command gets a JSON object on its stdin (model, "
         "workspace, cost and more) and prints the line. Read the file first, keep every other setting as it is, "
         "and keep the command short enough to run many times a minute. End by saying what the line shows now and "
         "which files you changed.",
     .tools = {},
     .disallowed_tools = {}},
    {.name = "output-style-setup",
     .description = "Creates or changes an output style of Claude Code",
     .prompt =
         "You create and change output styles of Claude Code and do nothing else. An output style is a Markdown "
         "file in `output-styles` of the Claude Code configuration directory ($CLAUDE_CONFIG_DIR, else ~/.claude) "
         "for the user, or in `.claude/output-styles` of the project: front matter with `name` and `description`, "
         "then the instructions that shape Claude's answers, written to Claude in the second person. Read the "
         "styles that exist before you write one, change no other file, and write instructions that are concrete "
         "enough to follow. End with the path of the file, the style's name, and how to choose it.",
     .tools = style_tools,
     .disallowed_tools = {}},
    {.name = "claude", .description = {}, .prompt = {}, .tools = {}, .disallowed_tools = {}},
}};

const builtin* find_builtin(std::string_view name) {
  const auto found = std::ranges::find(builtins, name, &builtin::name);
  return found == builtins.end() ? nullptr : &*found;
}

std::vector<std::string> strings(std::span<const std::string_view> names) {
  return {names.begin(), names.end()};
}

resolved_agent from_builtin(const builtin& agent) {
  resolved_agent resolved;
  resolved.name = std::string{agent.name};
  resolved.disallowed_tools = strings(agent.disallowed_tools);
  if (agent.description.empty()) {
    resolved.append_prompt = agent.prompt;
    return resolved;
  }
  agent_definition& definition = resolved.definition.emplace();
  definition.name = agent.name;
  definition.description = agent.description;
  definition.prompt = agent.prompt;
  definition.tools = strings(agent.tools);
  resolved.has_own_prompt = true;
  return resolved;
}

// --- agent files ----------------------------------------------------------------------------------------------------

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t start = text.find_first_not_of(blanks);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(blanks) - start + 1);
}

/// Takes the first line, without its end, off `text`.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

struct sections {
  bool has_front_matter = false;
  bool closed = false;
  std::string front_matter;
  std::string_view body;
};

sections split(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  sections parts;
  parts.body = text;
  if (trim(take_line(text)) != fence) return parts;
  parts.has_front_matter = true;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.starts_with(fence) && trim(line) == fence) {
      parts.closed = true;
      break;
    }
    parts.front_matter.append(line).push_back('\n');
  }
  parts.body = text;
  return parts;
}

/// Puts quotes around plain one-line values, so that a colon in a description does not end the parse.
std::string quote_plain_values(std::string_view front_matter) {
  constexpr std::string_view starts_other_than_plain = "\"'[{|>&*!";
  std::string quoted;
  while (!front_matter.empty()) {
    const std::string_view line = take_line(front_matter);
    const std::size_t colon = line.find(": ");
    const std::string_view value = colon == std::string_view::npos ? std::string_view{} : trim(line.substr(colon + 2));
    const bool plain = !value.empty() && std::isalpha(static_cast<unsigned char>(line.front())) &&
                       starts_other_than_plain.find(value.front()) == std::string_view::npos;
    if (plain) {
      quoted.append(line.substr(0, colon)).append(": '");
      for (const char c : value) quoted.append(c == '\'' ? 2 : 1, c);
      quoted.append("'\n");
    } else {
      quoted.append(line).push_back('\n');
    }
  }
  return quoted;
}

option_error error_in(const path& file, int line, std::string_view what) {
  return {std::string{agent_type_field}, file.string(),
          "line " + std::to_string(line) + " of " + file.string() + ": " + std::string{what}};
}

constexpr int lines_before_front_matter = 1;

int line_of(const YAML::Mark& mark) {
  return std::max(mark.line, 0) + 1 + lines_before_front_matter;
}

std::variant<YAML::Node, option_error> parse_front_matter(const path& file, const std::string& front_matter) {
  try {
    return YAML::Load(front_matter);
  } catch (const YAML::Exception& first) {
    try {
      return YAML::Load(quote_plain_values(front_matter));
    } catch (const YAML::Exception&) {
      return error_in(file, line_of(first.mark), "the front matter is not YAML: " + first.msg);
    }
  }
}

/// `Read, Bash(git log, git diff)` at the commas outside of parentheses.
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  std::string item;
  int depth = 0;
  const auto finish = [&] {
    if (const std::string_view trimmed = trim(item); !trimmed.empty()) items.emplace_back(trimmed);
    item.clear();
  };
  for (const char c : text) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == ',' && depth == 0) {
      finish();
    } else {
      item.push_back(c);
    }
  }
  finish();
  return items;
}

/// The value of one key of the front matter, of the kind that the key has.
struct front_matter_reader {
  const path& file;
  std::optional<option_error> error;

  std::string text(std::string_view key, const YAML::Node& value) {
    if (value.IsNull()) return {};
    if (value.IsScalar()) return std::string{trim(value.Scalar())};
    error = error_in(file, line_of(value.Mark()), std::string{key} + " must be a text");
    return {};
  }

  std::vector<std::string> list(std::string_view key, const YAML::Node& value) {
    if (value.IsNull()) return {};
    if (value.IsScalar()) return split_list(value.Scalar());
    std::vector<std::string> items;
    if (value.IsSequence()) {
      for (const YAML::Node& item : value) items.push_back(text(key, item));
      return items;
    }
    error = error_in(file, line_of(value.Mark()), std::string{key} + " must be a list of names");
    return items;
  }
};

void read_key(front_matter_reader& reader, const std::string& key, const YAML::Node& value, agent_definition& agent) {
  if (key == "name") {
    agent.name = reader.text(key, value);
  } else if (key == "description") {
    agent.description = reader.text(key, value);
  } else if (key == "model") {
    const std::string model = reader.text(key, value);
    if (!model.empty() && model != "inherit") agent.model = model;
  } else if (key == "tools") {
    std::vector<std::string> tools = reader.list(key, value);
    const bool all = tools.empty() || std::ranges::find(tools, "*") != tools.end();
    if (!all) agent.tools = std::move(tools);
  } else if (key == "disallowedTools") {
    agent.disallowed_tools = reader.list(key, value);
  } else if (key != "color") {
    agent.other_keys.push_back(key);
  }
}

bool is_name_character(unsigned char c) {
  return std::isalnum(c) != 0 || c == '-' || c == '_';
}

/// A single word of letters, digits, `-` and `_` that cannot be taken for a flag.
bool looks_like_a_name(std::string_view text) {
  return !text.empty() && text.front() != '-' && std::ranges::all_of(text, is_name_character);
}

// --- places ---------------------------------------------------------------------------------------------------------

bool has_white_space(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return std::isspace(c) != 0; });
}

bool looks_like_a_path(std::string_view text) {
  return text.ends_with(".md") || (text.find('/') != std::string_view::npos && !has_white_space(text));
}

bool looks_like_a_plugin_agent(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const auto is_part = [](std::string_view part) { return looks_like_a_name(part); };
  std::string_view rest = text.substr(colon + 1);
  // A plugin may sort its agents into folders: plugin:folder:name.
  const std::size_t second = rest.find(':');
  const bool last = second == std::string_view::npos || is_part(rest.substr(second + 1));
  return is_part(text.substr(0, colon)) && is_part(rest.substr(0, second)) && last;
}

std::vector<path> agent_folders(const agent_places& places) {
  std::vector<path> folders;
  for (path folder = places.cwd; !folder.empty(); folder = folder.parent_path()) {
    folders.push_back(folder / ".claude" / "agents");
    if (folder == folder.parent_path()) break;
  }
  if (!places.config_dir.empty()) folders.push_back(places.config_dir / "agents");
  return folders;
}

struct found_agents {
  std::optional<agent_definition> wanted;
  /// The wanted one's own error: the file that bears its name is broken.
  std::optional<option_error> broken;
  std::vector<std::string> names;
};

found_agents find_agent(std::string_view name, const agent_places& places, const files& disk) {
  found_agents found;
  for (const path& folder : agent_folders(places)) {
    for (const path& file : disk.find(folder, ".md")) {
      const std::optional<std::string> text = disk.read(file);
      if (!text || !split(*text).has_front_matter) continue;  // a README among the agents
      auto parsed = parse_agent_file(file, *text);
      if (const auto* error = std::get_if<option_error>(&parsed)) {
        if (file.stem() == path{name} && !found.broken) found.broken = *error;
        continue;
      }
      auto& agent = std::get<agent_definition>(parsed);
      if (agent.name.empty() || agent.description.empty()) {
        const bool meant = agent.name == name || (agent.name.empty() && file.stem() == path{name});
        if (meant && !found.broken) found.broken = error_in(file, 1, "Claude Code needs a name and a description here");
        continue;
      }
      found.names.push_back(agent.name);
      if (agent.name == name && !found.wanted) found.wanted = std::move(agent);
    }
  }
  return found;
}

resolved_agent from_known_file(const agent_definition& agent) {
  resolved_agent resolved;
  resolved.name = agent.name;
  resolved.model = agent.model;
  resolved.has_own_prompt = true;
  return resolved;
}

/// The file's name without `.md`, made to fit `--agent`.
std::string name_from(const path& file) {
  std::string name = file.stem().string();
  std::ranges::replace_if(
      name, [](unsigned char c) { return !is_name_character(c); }, '-');
  return name.starts_with('-') ? "awm" + name : name;
}

// --- the five meanings ----------------------------------------------------------------------------------------------

using resolution = std::variant<resolved_agent, option_error>;

resolution from_path(std::string_view text, const agent_places& places, const files& disk) {
  const bool in_home = text.starts_with("~/") && !places.home.empty();
  const path file = (in_home ? places.home / text.substr(2) : places.cwd / path{text}).lexically_normal();
  const std::optional<std::string> content = disk.is_regular_file(file) ? disk.read(file) : std::nullopt;
  if (!content) {
    return option_error{
        std::string{agent_type_field}, std::string{text},
        "there is no readable file " + file.string() + "; give the path of an agent file, a name, or a role in words"};
  }
  auto parsed = parse_agent_file(file, *content);
  if (const auto* error = std::get_if<option_error>(&parsed)) return *error;
  auto& agent = std::get<agent_definition>(parsed);
  if (agent.prompt.empty()) return error_in(file, 1, "there is no prompt behind the front matter");
  if (agent.name.empty()) agent.name = name_from(file);
  // 2.1.197 takes its own agent of that name and not ours.
  if (find_builtin(agent.name) != nullptr) agent.name = "awm-" + agent.name;
  if (agent.description.empty()) agent.description = "The agent of " + file.string();
  resolved_agent resolved;
  if (!agent.other_keys.empty()) {
    resolved.warnings.push_back("agent_type: of the front matter of " + file.string() +
                                " these are not used: " + text::joined(agent.other_keys, ", ") +
                                " (name, description, tools, disallowedTools and model are).");
  }
  resolved.name = agent.name;
  resolved.model = agent.model;
  resolved.has_own_prompt = true;
  resolved.definition = std::move(agent);
  return resolved;
}

resolution from_plugin(std::string_view name) {
  resolved_agent resolved;
  resolved.name = std::string{name};
  resolved.has_own_prompt = true;
  resolved.model_unknown = true;
  return resolved;
}

resolution from_role(std::string_view role, const std::vector<std::string>& names_of_files) {
  resolved_agent resolved;
  resolved.append_prompt = role;
  if (!looks_like_a_name(role)) return resolved;
  std::vector<std::string> known;
  for (const builtin& agent : builtins) known.emplace_back(agent.name);
  std::set<std::string> unique{names_of_files.begin(), names_of_files.end()};
  known.insert(known.end(), unique.begin(), unique.end());
  const std::string nearest = text::nearest(role, known);
  resolved.warnings.push_back("agent_type: there is no agent \"" + std::string{role} +
                              "\", so the text was taken as a role description." +
                              (nearest.empty() ? "" : " Did you mean \"" + nearest + "\"?") +
                              " Known agents: " + text::joined(known, ", ") + ".");
  return resolved;
}

}  // namespace

std::variant<agent_definition, option_error> parse_agent_file(const path& file, std::string_view text) {
  const sections parts = split(text);
  if (parts.has_front_matter && !parts.closed) return error_in(file, 1, "the front matter has no closing line ---");
  agent_definition agent;
  agent.prompt = trim(parts.body);
  const auto parsed = parse_front_matter(file, parts.front_matter);
  if (const auto* error = std::get_if<option_error>(&parsed)) return *error;
  const auto& node = std::get<YAML::Node>(parsed);
  if (!node.IsNull() && !node.IsMap()) {
    return error_in(file, 1 + lines_before_front_matter, "the front matter must be lines of the form key: value");
  }
  front_matter_reader reader{file, std::nullopt};
  for (const auto& entry : node) {
    if (entry.first.IsScalar()) read_key(reader, entry.first.Scalar(), entry.second, agent);
    if (reader.error) return *reader.error;
  }
  if (!agent.name.empty() && !looks_like_a_name(agent.name)) {
    return error_in(file, 1, "the name \"" + agent.name + "\" must be one word of letters, digits, - and _");
  }
  return agent;
}

std::variant<resolved_agent, option_error> resolve_agent(std::string_view agent_type, const agent_places& places,
                                                         const files& disk) {
  const std::string_view text = trim(agent_type);
  if (text.empty()) return resolved_agent{};
  if (looks_like_a_path(text)) return from_path(text, places, disk);
  if (looks_like_a_plugin_agent(text)) return from_plugin(text);
  if (!looks_like_a_name(text)) return from_role(text, {});
  const found_agents found = find_agent(text, places, disk);
  if (found.wanted) return from_known_file(*found.wanted);
  if (found.broken) return *found.broken;
  if (const builtin* agent = find_builtin(text)) return from_builtin(*agent);
  return from_role(text, found.names);
}

nlohmann::json to_initialize_agents(const agent_definition& agent) {
  nlohmann::json entry{{"description", agent.description}, {"prompt", agent.prompt}};
  if (agent.tools) entry["tools"] = *agent.tools;
  if (!agent.disallowed_tools.empty()) entry["disallowedTools"] = agent.disallowed_tools;
  if (agent.model) entry["model"] = *agent.model;
  return {{agent.name, std::move(entry)}};
}

}  // namespace awm::worker
