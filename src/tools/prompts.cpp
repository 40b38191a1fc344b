#include "tools/prompts.hpp"

#include <string>
#include <utility>

namespace awm::tools {
namespace {

using arguments = std::map<std::string, std::string>;

std::string value_of(const arguments& given, const char* name, const char* otherwise) {
  const auto found = given.find(name);
  return found == given.end() || found->second.empty() ? otherwise : found->second;
}

/// Claude Code fills in one word for each argument, so what somebody typed may have lost its end.
constexpr auto about_the_task =
    " If this is only the beginning of what the user wants, take the rest from the conversation, or ask.";

std::string task_of(const arguments& given, const char* name) {
  return value_of(given, name, "what the user asked for last") + "." + about_the_task;
}

std::string parallel(const arguments& given) {
  return "Do this with workers that run side by side: " + task_of(given, "task") + "\n\nDivide it into " +
         value_of(given, "parts", "as many independent parts as it has") +
         ", so that no two workers change the same file (where they must, give each options.isolation \"worktree\"). "
         "Call spawn_worker once for each part, all calls in one reply; every prompt stands on its own: paths, "
         "constraints, what to report. Then call wait once. Answer pending permissions with approve_permission and "
         "wait again. When all have finished: check what they report against each other, name conflicts and failures, "
         "and "
         "summarise for the user.";
}

std::string sweep(const arguments& given) {
  return "Run the same prompt at several temperatures and compare: " + task_of(given, "task") +
         "\n\nTemperatures: " + value_of(given, "temperatures", "0.2,0.6,1.0") +
         ". Call spawn_worker once for each, all calls in one reply, with the same prompt and options.temperature set; "
         "name the temperature in the description. Then call wait once. Show the user the answers side by side: what "
         "they share, where they differ, which you would take and why. A `warnings` entry says when a model was chosen "
         "that takes sampling.";
}

std::string review(const arguments& given) {
  return "Review with one worker for each point of view: " +
         value_of(given, "target", "the uncommitted changes of this repository (git diff HEAD)") +
         "\n\nPoints of view: " + value_of(given, "aspects", "correctness,security,tests,readability") +
         ". Call spawn_worker once for each, all calls in one reply, with options.permission_mode \"plan\" or "
         "allowed_tools for reading only: reviewers change nothing. Ask each for findings with file, line, severity "
         "and evidence. Then call wait once; drop duplicates, verify each remaining finding yourself against the code, "
         "and "
         "report them to the user, the most severe first.";
}

std::string pipeline(const arguments& given) {
  return "Do this in stages, each by a worker of its own: " + task_of(given, "task") +
         "\n\nStages: " + value_of(given, "stages", "plan,implement,test,review") +
         ". Call spawn_worker for every stage now, all calls one after the other: from the second on with after: "
         "[the worker_id of the stage before], so that it starts by itself when that one has completed and is told "
         "where its result is. Then call wait once. If a stage fails, the later ones fail with it: read its "
         "error_hint, continue it with resume_worker, and start the later stages again.";
}

mcp::completer one_of(std::vector<std::string> values) {
  return [values = std::move(values)](const std::string& typed, const arguments&) {
    std::vector<std::string> fitting;
    for (const auto& each : values) {
      if (each.starts_with(typed)) fitting.push_back(each);
    }
    return fitting;
  };
}

mcp::prompt make(const char* name, const char* title, const char* description, std::vector<mcp::prompt_argument> takes,
                 std::string (*text)(const arguments&)) {
  mcp::prompt one;
  one.name = name;
  one.title = title;
  one.description = description;
  one.arguments = std::move(takes);
  one.handler = [text](arguments given, mcp::request_context&) -> asio::awaitable<mcp::prompt_result> {
    mcp::prompt_result made;
    made.messages.push_back(mcp::prompt_result::message("user", mcp::text_block(text(given))));
    co_return made;
  };
  return one;
}

}  // namespace

std::vector<mcp::prompt> make_prompts() {
  const mcp::prompt_argument task{"task", "What is to be done.", false, {}};
  const auto aspects = one_of({"correctness", "security", "performance", "tests", "readability", "documentation",
                               "correctness,security", "correctness,security,tests,readability"});
  std::vector<mcp::prompt> prompts;
  prompts.push_back(make("parallel", "Work in parallel", "Divides a task among workers that run side by side.",
                         {task, {"parts", "Into how many.", false, one_of({"2", "3", "4", "5", "8", "10", "20"})}},
                         parallel));
  prompts.push_back(make("sweep", "Temperature sweep", "The same prompt at several temperatures, compared.",
                         {task,
                          {"temperatures", "Joined by commas.", false,
                           one_of({"0.2,0.6,1.0", "0,0.5,1", "0,0.25,0.5,0.75,1", "0.7,1.0"})}},
                         sweep));
  prompts.push_back(make("review", "Review from several sides", "One reviewer for each point of view.",
                         {{"target", "A path, a commit, a range or a pull request. Default: the uncommitted changes.",
                           false, one_of({"HEAD", "HEAD~1..HEAD", "main...HEAD", "origin/main...HEAD"})},
                          {"aspects", "Joined by commas.", false, aspects}},
                         review));
  prompts.push_back(make("pipeline", "Work in stages", "Stages that hand their results on, without you in between.",
                         {task,
                          {"stages", "Joined by commas.", false,
                           one_of({"plan,implement,test,review", "plan,implement,review", "research,write,edit",
                                   "reproduce,fix,verify"})}},
                         pipeline));
  return prompts;
}

}  // namespace awm::tools
