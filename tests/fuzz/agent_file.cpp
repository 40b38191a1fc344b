// An agent file of a repository that nobody vouches for: `agent_type` on the first line, the file behind it. Whatever
// it holds, its name can be no flag, and what is told to the CLI is JSON.
#include "memory_files.hpp"
#include "targets.hpp"
#include "text/json_text.hpp"
#include "worker/agents.hpp"
#include "worker/launch_plan.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace awm::fuzz {
namespace {

using nlohmann::json;

bool is_word(std::string_view text) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !text.empty() && text.front() != '-' && text.find_first_not_of(letters) == std::string_view::npos;
}

void check_definition(const worker::agent_definition& agent) {
  require(is_word(agent.name), "an agent's name is one word and no flag", agent.name);
  require(json::accept(text::json_text(worker::to_initialize_agents(agent))), "the CLI is told JSON");
}

void check_parsed(std::string_view file) {
  const auto parsed = worker::parse_agent_file("/repo/.claude/agents/a.md", file);
  if (const auto* const error = std::get_if<worker::option_error>(&parsed)) {
    require(json::accept(text::json_text(to_string(*error))), "an error is text");
    return;
  }
  auto agent = std::get<worker::agent_definition>(parsed);
  if (agent.name.empty()) agent.name = "unnamed";
  check_definition(agent);
}

void check_resolved(const worker::resolved_agent& agent) {
  if (agent.definition) check_definition(*agent.definition);
  if (!agent.name) return;
  // A plugin's agent has colons between its words.
  for (std::string_view rest = *agent.name; !rest.empty();) {
    const auto colon = rest.find(':');
    require(is_word(rest.substr(0, colon)), "the value of --agent is no flag", *agent.name);
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
}

}  // namespace

void agent_file(std::string_view input) {
  const std::string agent_type(take_line(input));
  check_parsed(input);
  memory_files disk;
  disk.contents["/repo/.claude/agents/a.md"] = input;
  disk.contents["/home/user/.claude/agents/b.md"] = input;
  disk.contents["/repo/sub/c.md"] = input;
  for (const auto& wanted : {agent_type, std::string("a"), std::string("c.md")}) {
    const auto resolved = worker::resolve_agent(wanted, {"/repo/sub", "/home/user/.claude", "/home/user"}, disk);
    if (const auto* const agent = std::get_if<worker::resolved_agent>(&resolved)) check_resolved(*agent);
    worker::launch_request request;
    request.session_id = "00000000-0000-4000-8000-000000000000";
    request.agent_type = wanted;
    request.cli = {2, 1, 329};
    request.cwd = "/repo/sub";
    const auto plan = plan_launch(request, {}, {{"HOME", "/home/user"}}, disk);
    if (!plan.errors.empty()) continue;
    const auto flag = std::find(plan.arguments.begin(), plan.arguments.end(), "--agent");
    if (flag == plan.arguments.end()) continue;
    require(flag + 1 != plan.arguments.end() && !(flag + 1)->starts_with('-'), "--agent has a value");
    const auto model = std::find(plan.arguments.begin(), plan.arguments.end(), "--model");
    require(!(model + 1)->starts_with('-'), "the model that a file names is no flag", *(model + 1));
  }
}

}  // namespace awm::fuzz
