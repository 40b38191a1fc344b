#include "options.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace mock {
namespace {

enum class arity { none, one, optional, many };

struct known {
  std::string_view name;
  arity takes;
  std::string_view placeholder = {};
  bool newer_only = false;
};

constexpr known table[] = {
    {"--add-dir", arity::many, "<directories...>"},
    {"--agent", arity::one, "<agent>"},
    {"--agents", arity::one, "<json>"},
    {"--allow-dangerously-skip-permissions", arity::none},
    {"--allowedTools", arity::many, "<tools...>"},
    {"--append-system-prompt", arity::one, "<prompt>"},
    {"--append-system-prompt-file", arity::one, "<file>"},
    {"--autocompact", arity::one, "<auto|tokens>", true},
    {"--await-initialize", arity::none, {}, true},
    {"--bare", arity::none},
    {"--betas", arity::many, "<betas...>"},
    {"--continue", arity::none},
    {"--dangerously-skip-permissions", arity::none},
    {"--debug", arity::optional},
    {"--debug-file", arity::one, "<path>"},
    {"--disable-slash-commands", arity::none},
    {"--disallowedTools", arity::many, "<tools...>"},
    {"--effort", arity::one, "<level>"},
    {"--exclude-dynamic-system-prompt-sections", arity::none},
    {"--fallback-model", arity::one, "<model>"},
    {"--fork-session", arity::none},
    {"--forward-subagent-text", arity::none, {}, true},
    {"--include-hook-events", arity::none},
    {"--include-partial-messages", arity::none},
    {"--input-format", arity::one, "<format>"},
    {"--json-schema", arity::one, "<schema>"},
    {"--max-budget-usd", arity::one, "<amount>"},
    {"--max-thinking-tokens", arity::one, "<tokens>"},
    {"--max-turns", arity::one, "<turns>"},
    {"--mcp-config", arity::many, "<configs...>"},
    {"--model", arity::one, "<model>"},
    {"--name", arity::one, "<name>"},
    {"--no-session-persistence", arity::none},
    {"--output-format", arity::one, "<format>"},
    {"--permission-mode", arity::one, "<mode>"},
    {"--permission-prompt-tool", arity::one, "<tool>"},
    {"--permission-prompts", arity::one, "<target>", true},
    {"--plugin-dir", arity::one, "<path>"},
    {"--print", arity::none},
    {"--replay-user-messages", arity::none},
    {"--restricted", arity::none, {}, true},
    {"--resume", arity::optional},
    {"--session-id", arity::one, "<uuid>"},
    {"--setting-sources", arity::one, "<sources>"},
    {"--settings", arity::one, "<file-or-json>"},
    {"--strict-mcp-config", arity::none},
    {"--system-prompt", arity::one, "<prompt>"},
    {"--system-prompt-file", arity::one, "<file>"},
    {"--system-prompt-snapshot", arity::one, "<on|off>", true},
    {"--task-budget", arity::one, "<tokens>"},
    {"--thinking", arity::one, "<mode>"},
    {"--tools", arity::many, "<tools...>"},
    {"--verbose", arity::none},
    {"--version", arity::none},
};

std::string_view long_name(std::string_view word) {
  if (word == "-p") return "--print";
  if (word == "-c") return "--continue";
  if (word == "-r") return "--resume";
  if (word == "-v") return "--version";
  if (word == "-n") return "--name";
  if (word == "-d") return "--debug";
  if (word == "--allowed-tools") return "--allowedTools";
  if (word == "--disallowed-tools") return "--disallowedTools";
  return word;
}

const known* find(std::string_view name, bool newer) {
  for (const known& option : table)
    if (option.name == name && (newer || !option.newer_only)) return &option;
  return nullptr;
}

bool is_newer(const std::string& version) {
  int major = 0, minor = 0, patch = 0;
  std::sscanf(version.c_str(), "%d.%d.%d", &major, &minor, &patch);
  if (major != 2) return major > 2;
  if (minor != 1) return minor > 1;
  return patch >= 329;
}

std::string check_mode(const options& o) {
  if (!o.has("--permission-mode")) return {};
  std::string const mode = o.value("--permission-mode");
  for (std::string_view ok : {"acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan"})
    if (mode == ok || (o.newer && mode == "manual")) return {};
  return "error: option '--permission-mode <mode>' argument '" + mode +
         "' is invalid. Allowed choices are acceptEdits, auto, bypassPermissions, " + (o.newer ? "manual" : "default") +
         ", dontAsk, plan.";
}

}  // namespace

std::string options::value(const std::string& name) const {
  auto const it = given.find(name);
  return it == given.end() || it->second.empty() ? std::string() : it->second.back();
}

std::vector<std::string> options::words(const std::string& name) const {
  std::vector<std::string> out;
  auto const it = given.find(name);
  if (it == given.end()) return out;
  for (const std::string& value : it->second) {
    std::string word;
    int parentheses = 0;  // Bash(touch *) is one rule
    for (char const c : value) {
      parentheses += c == '(' ? 1 : c == ')' ? -1 : 0;
      if ((c == ',' || c == ' ') && parentheses == 0) {
        if (!word.empty()) out.push_back(word);
        word.clear();
      } else {
        word += c;
      }
    }
    if (!word.empty()) out.push_back(word);
  }
  return out;
}

std::string parse(int argc, char** argv, options& out) {
  if (const char* version = std::getenv("MOCK_CLAUDE_VERSION")) out.version = version;
  out.newer = is_newer(out.version);
  out.argv.assign(argv, argv + argc);
  for (std::size_t i = 1; i < out.argv.size(); ++i) {
    std::string name(long_name(out.argv[i]));
    std::string joined;
    std::size_t const equals = name.find('=');
    bool const has_joined = name.rfind("--", 0) == 0 && equals != std::string::npos;
    if (has_joined) {
      joined = name.substr(equals + 1);
      name = std::string(long_name(name.substr(0, equals)));
    }
    if (name.empty() || name[0] != '-') continue;  // a prompt on the command line; not what this stands in for
    const known* const option = find(name, out.newer);
    if (option == nullptr) return "error: unknown option '" + name + "'";
    auto& values = out.given[name];
    auto const is_value = [&](std::size_t k) { return k < out.argv.size() && out.argv[k].rfind("-", 0) != 0; };
    if (has_joined) {
      values.push_back(joined);
    } else if (option->takes == arity::one) {
      if (i + 1 >= out.argv.size())
        return "error: option '" + name + " " + std::string(option->placeholder) + "' argument missing";
      values.push_back(out.argv[++i]);
    } else if (option->takes == arity::optional) {
      if (is_value(i + 1)) values.push_back(out.argv[++i]);
    } else if (option->takes == arity::many) {
      while (is_value(i + 1)) values.push_back(out.argv[++i]);
      if (values.empty())
        return "error: option '" + name + " " + std::string(option->placeholder) + "' argument missing";
    }
  }
  out.print_version = out.has("--version");
  return out.print_version ? std::string() : check_mode(out);
}

}  // namespace mock
