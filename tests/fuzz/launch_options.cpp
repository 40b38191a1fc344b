// Options of a turn, from a client or out of a transcript: a line of choices (r: resumed, o: an older CLI, s: as root),
// a line `agent_type`, then the options as JSON. What comes of them is a command line in which nothing that somebody
// gave stands where a flag is read, or a list of what is wrong.
#include "mcp/schema.hpp"
#include "memory_files.hpp"
#include "targets.hpp"
#include "text/json_text.hpp"
#include "worker/launch_plan.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace awm::fuzz {
namespace {

using nlohmann::json;

constexpr std::string_view secret = "5ecret-5ecret-5ecret";
constexpr std::string_view prompt = "5ystem-5ystem-5ystem";

enum class takes { nothing, one, several };

/// The flags that the program uses, and how many words the CLI reads behind each.
const std::map<std::string_view, takes> flags{
    {"-p", takes::nothing},
    {"--input-format", takes::one},
    {"--output-format", takes::one},
    {"--verbose", takes::nothing},
    {"--permission-prompt-tool", takes::one},
    {"--resume", takes::one},
    {"--session-id", takes::one},
    {"--model", takes::one},
    {"--system-prompt-snapshot", takes::one},
    {"--strict-mcp-config", takes::nothing},
    {"--mcp-config", takes::one},
    {"--agent", takes::one},
    {"--permission-mode", takes::one},
    {"--settings", takes::one},
    {"--max-turns", takes::one},
    {"--max-budget-usd", takes::one},
    {"--effort", takes::one},
    {"--fallback-model", takes::one},
    {"--add-dir", takes::several},
    {"--allowedTools", takes::several},
    {"--disallowedTools", takes::several},
};

/// Reads the command line as the CLI does.
void check_arguments(const std::vector<std::string>& arguments) {
  std::set<std::string_view> seen;
  auto left = takes::nothing;
  for (const std::string& word : arguments) {
    require(word.find('\0') == std::string::npos, "no argument is cut by a zero byte", word);
    require(word.find(secret) == std::string::npos && word.find(prompt) == std::string::npos,
            "neither secrets nor prompts stand in the command line", word);
    const auto flag = flags.find(word);
    if (left == takes::one) {
      require(!word.starts_with('-'), "a value looks like no flag", word);
      left = takes::nothing;
    } else if (word.starts_with('-')) {
      require(flag != flags.end(), "every flag is one of ours", word);
      require(seen.insert(flag->first).second, "and stands there once", word);
      left = flag->second;
    } else {
      require(left == takes::several, "a word without a flag is not there", word);
    }
  }
  require(left != takes::one, "the last flag has its value");
}

void check_environment(const std::vector<std::string>& environment, const worker::options& wanted) {
  std::set<std::string> names;
  for (const std::string& variable : environment) {
    const auto equals = variable.find('=');
    require(equals != std::string::npos && equals > 0, "a variable has a name", variable);
    require(variable.find('\0') == std::string::npos, "no variable is cut by a zero byte", variable);
    const auto name = variable.substr(0, equals);
    require(names.insert(name).second, "a variable is there once", name);
    const bool was_asked_for = wanted.env && wanted.env->contains(name);
    require(was_asked_for || !worker::describes_calling_session(name), "the caller's session is not passed on", name);
  }
}

void plan_and_check(std::string_view choices, const std::string& agent_type, const worker::options& wanted) {
  const auto chosen = [choices](char choice) { return choices.find(choice) != std::string_view::npos; };
  memory_files disk;
  worker::launch_request request;
  request.session_id = "00000000-0000-4000-8000-000000000000";
  request.resume = chosen('r');
  request.session_cwd = chosen('r') ? "/work" : "";
  request.wanted = wanted;
  request.agent_type = agent_type;
  request.cli = chosen('o') ? worker::cli_version{2, 1, 197} : worker::cli_version{2, 1, 329};
  request.cwd = "/work";
  request.as_root = chosen('s');
  request.mcp_config_path = "/logs/mcp.json";
  const worker::environment base{{"HOME", "/home/user"},
                                 {"CLAUDE_CODE_SSE_PORT", "1"},
                                 {"CLAUDE_CODE_SESSION_ID", "x"},
                                 {"CLAUDE_CODE_MESSAGING_SOCKET", "/run/x"}};
  const auto plan = plan_launch(request, {}, worker::inherited_environment(base), disk);
  for (const auto& error : plan.errors) require(json::accept(text::json_text(to_string(error))), "an error is text");
  for (const auto& warning : plan.warnings) require(!warning.empty(), "a warning is a sentence");
  if (!plan.errors.empty()) return;
  check_arguments(plan.arguments);
  check_environment(plan.environment, wanted);
  require(json::accept(text::json_text(plan.initialize)), "initialize is JSON");
  require(!plan.mcp_config || json::accept(*plan.mcp_config), "the MCP configuration is JSON");
  require(plan.cwd.starts_with('/'), "the directory is absolute", plan.cwd);
}

}  // namespace

void launch_options(std::string_view input) {
  const auto choices = take_line(input);
  const std::string agent_type(take_line(input));
  auto given = json::parse(input, nullptr, false);
  if (!given.is_object()) return;
  // Compiled once: it is the same for all inputs.
  static const mcp::schema published(worker::options_schema());
  static const mcp::schema published_for_resume(worker::resume_options_schema());
  const bool is_valid = !published.violation(given) && !published_for_resume.violation(given);
  worker::options wanted;
  try {
    wanted = worker::merge_options({}, given);
  } catch (const json::exception& refused) {
    require(!is_valid, "what the schema takes is taken", refused.what());
    return;
  }
  const auto written = worker::options_to_json(wanted);
  require(!is_valid || !published.violation(written), "what is kept is valid by the same schema",
          text::json_text(written));
  require(worker::options_from_json(written) == wanted, "options survive the transcript", text::json_text(written));
  if (!wanted.env) wanted.env.emplace();
  wanted.env->insert_or_assign("MY_API_KEY", std::string(secret));
  if (wanted.system) *wanted.system += prompt;
  plan_and_check(choices, agent_type, wanted);
}

}  // namespace awm::fuzz
