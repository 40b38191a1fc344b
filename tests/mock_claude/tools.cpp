// Tool uses: who may run unasked, what a question looks like, and what its answer does.

#include "json.hpp"
#include "session.hpp"

#include <algorithm>
#include <cstdlib>

namespace mock {
namespace {

using json::quote;
using wire::verdict;

bool rule_covers(const std::vector<std::string>& rules, const std::string& tool, const std::string& input) {
  for (const std::string& rule : rules) {
    std::size_t const open = rule.find('(');
    if (rule.substr(0, open) != tool) continue;
    if (open == std::string::npos) return true;
    std::string const pattern = rule.substr(open + 1, rule.size() - open - 2);
    std::string const fixed = pattern.substr(0, pattern.find_first_of("*:"));
    if (json::text_of(input, "command").rfind(fixed, 0) == 0) return true;
  }
  return false;
}

std::string answers_in_words(std::string_view input, bool newer) {
  std::string_view const answers = json::member(input, "answers");
  std::string_view const notes = json::member(input, "annotations");
  std::string list;
  json::each_member(answers, [&](std::string_view question, std::string_view raw) {
    list += (list.empty() ? "\"" : ", \"") + std::string(question) + "\"=\"" + json::text(raw) + "\"";
    std::string const note = json::text_of(json::member(notes, question), "notes");
    if (!note.empty()) list += " notes: " + note;
  });
  if (list.empty()) return "The user did not answer the questions.";
  if (newer && !notes.empty()) return "The user answered: " + list + ".";
  return "Your questions have been answered: " + list + ". You can now continue with these answers in mind.";
}

/// The last `echo` of a command is all that a mock shell can do.
std::string shell_output(const std::string& command) {
  std::size_t const at = command.rfind("echo ");
  if (at == std::string::npos) return {};
  std::string out = command.substr(at + 5, command.find(';', at) - at - 5);
  if (out.size() > 1 && (out[0] == '"' || out[0] == '\'')) out = out.substr(1, out.size() - 2);
  return out;
}

}  // namespace

void session::tool_done(const std::string& line, std::string_view output) {
  io_.print(line);
  tool_outputs_.emplace_back(output);
  message_id_.clear();
  ++user_lines_;
  if (urgent_after_tool_)
    stop_ = stop::urgent;
  else
    fold_what_came();
}

session::question session::use_tool(const std::string& tool, const std::string& input) {
  question used{{}, wire::tool_use_id(), tool, json::valid(input) ? input : "{}", "none is awaited"};
  block("{\"type\":\"tool_use\",\"id\":" + quote(used.tool_use) + ",\"name\":" + quote(tool) +
        ",\"input\":" + used.input + "}");
  return used;
}

void session::run_tool(const question& asked, std::string_view input, verdict how) {
  if (run_file_tool(asked, input, how)) return;
  std::string output, structured;
  bool is_shell = false;
  if (asked.tool == "Bash") {
    is_shell = true;
    std::string const printed = shell_output(json::text_of(input, "command"));
    output = printed.empty() ? "(Bash completed with no output)" : printed;
    structured = wire::shell_result(printed);
  } else if (asked.tool == "AskUserQuestion") {
    output = answers_in_words(input, given_.newer);
    std::string_view const questions = json::member(input, "questions"), answers = json::member(input, "answers");
    structured = "{\"questions\":" + std::string(questions.empty() ? "[]" : questions) +
                 ",\"answers\":" + std::string(answers.empty() ? "{}" : answers) + "}";
  } else if (asked.tool == "ExitPlanMode") {
    who_.permission_mode = "default";
    io_.print(wire::status(who_));
    // The real one reads the plan's file when only its path comes back.
    bool const names_file = json::member(input, "plan").empty() && !json::member(input, "planFilePath").empty();
    std::string_view const plan = json::member(names_file ? std::string_view(asked.input) : input, "plan");
    output = plan.empty()
                 ? "User has approved exiting plan mode. You can now proceed."
                 : "User has approved your plan. You can now start coding.\n\n## Approved Plan:\n" + json::text(plan);
    structured = "{\"plan\":" + std::string(plan.empty() ? "null" : plan) +
                 ",\"isAgent\":false,\"filePath\":\"/plans/mock.md\"}";
  } else {
    output = asked.tool + " ran with " + std::string(input);
    structured = "{\"output\":" + quote(output) + "}";
  }
  tool_done(wire::tool_result(who_, asked.tool_use, quote(output), structured, how, is_shell), output);
}

void session::deny(const question& asked) {
  denials_.push_back("{\"tool_name\":" + quote(asked.tool) + ",\"tool_use_id\":" + quote(asked.tool_use) +
                     ",\"tool_input\":" + asked.input + "}");
}

void session::refuse(const question& asked, std::string_view text, verdict how) {
  deny(asked);
  tool_done(wire::tool_result(who_, asked.tool_use, quote(text), quote("Error: " + std::string(text)), how, false),
            text);
}

void session::ask(const std::string& tool, const std::string& input) {
  question asked{wire::uuid(), wire::tool_use_id(), tool, json::valid(input) ? input : "{}", {}};
  block("{\"type\":\"tool_use\",\"id\":" + quote(asked.tool_use) + ",\"name\":" + quote(tool) +
        ",\"input\":" + asked.input + "}");
  bool const for_a_human = tool == "AskUserQuestion" || tool == "ExitPlanMode";
  const std::string& mode = who_.permission_mode;
  bool const free = !for_a_human && (mode == "bypassPermissions" || given_.has("--dangerously-skip-permissions") ||
                                     (mode == "acceptEdits" && (tool == "Write" || tool == "Edit")) ||
                                     rule_covers(given_.words("--allowedTools"), tool, asked.input) ||
                                     rule_covers(granted_, tool, asked.input));
  if (rule_covers(given_.words("--disallowedTools"), tool, asked.input)) {
    refuse(asked,
           "No such tool available: " + tool + ". " + tool +
               " is disabled for this session, in subagents as well as here.",
           verdict::denied);
  } else if (free) {
    run_tool(asked, asked.input, verdict::ran);
  } else if (mode == "dontAsk") {
    io_.print(wire::permission_denied(who_, tool, asked.tool_use));
    refuse(asked, "Permission to use " + tool + " has been denied because Claude Code is running in don't ask mode.",
           verdict::denied);
  } else if (given_.value("--permission-prompt-tool") != "stdio") {
    refuse(asked, "Claude requested permissions to use " + tool + ", but you haven't granted it yet.", verdict::denied);
  } else {
    io_.print(wire::can_use_tool(who_, asked.request_id, tool, asked.input, asked.tool_use, extra_request_members_));
    open_.push_back(std::move(asked));
  }
}

bool session::await_answers() {
  auto const answered = [](const question& asked) { return !asked.answer.empty(); };
  while (!open_.empty()) {
    bool const go_on = wait_until([&] { return io_.at_eof() || std::any_of(open_.begin(), open_.end(), answered); });
    if (!go_on) return false;
    auto const it = std::find_if(open_.begin(), open_.end(), answered);
    if (it != open_.end()) {
      question const asked = *it;
      open_.erase(it);
      settle(asked);
      if (stop_ != stop::none) return false;
    } else {
      question const asked = open_.front();
      open_.erase(open_.begin());
      refuse(asked,
             given_.newer
                 ? "Tool permission request failed: AbortError: Tool permission stream closed before response received"
                 : "Tool permission request failed: Error: Tool permission stream closed before response received",
             verdict::failed);
    }
  }
  return true;
}

void session::settle(const question& asked) {
  std::string_view const response = json::member(asked.answer, "response");
  std::string const behavior = json::text_of(response, "behavior");
  std::string_view const message = json::member(response, "message");
  std::string_view const updated = json::member(response, "updatedInput");
  if (json::text_of(asked.answer, "subtype") == "error") {
    refuse(asked, "Tool permission request failed: Error: " + json::text_of(asked.answer, "error"), verdict::failed);
  } else if (behavior == "allow" && (updated.empty() ? given_.newer : updated[0] == '{')) {
    allow(asked, updated);
  } else if (behavior == "deny" && !message.empty() && message[0] == '"') {
    if (json::member(response, "interrupt") == "true") {
      open_.insert(open_.begin(), asked);  // rejected with the rest when the turn ends
      stop_ = stop::interrupt;
    } else {
      refuse(asked, json::text(message), verdict::denied);
    }
  } else {
    refuse(asked,
           given_.newer
               ? "Tool permission request failed: The canUseTool callback returned an invalid permission result. "
                 "Expected {behavior: 'allow', updatedInput?: object} or {behavior: 'deny', message: string}."
               : "Tool permission request failed: ZodError: [{\"code\": \"invalid_union\"}]",
           verdict::failed);
  }
}

/// An answer may allow more than what was asked for, from then on: only what a supervisor grants, not all that exists.
void session::grant(std::string_view permission) {
  std::string const type = json::text_of(permission, "type");
  if (type == "setMode") {
    who_.permission_mode = json::text_of(permission, "mode");
    io_.print(wire::status(who_));
  } else if (type == "addRules" && json::text_of(permission, "behavior") == "allow") {
    json::each_element(json::member(permission, "rules"), [&](std::string_view rule) {
      std::string const content = json::text_of(rule, "ruleContent");
      granted_.push_back(json::text_of(rule, "toolName") + (content.empty() ? "" : "(" + content + ")"));
    });
  }
}

void session::allow(const question& asked, std::string_view updated) {
  json::each_element(json::member(json::member(asked.answer, "response"), "updatedPermissions"),
                     [&](std::string_view one) { grant(one); });
  bool empty = true;
  json::each_member(updated, [&](std::string_view, std::string_view) { empty = false; });
  run_tool(asked, empty ? std::string_view(asked.input) : updated, verdict::accepted);
}

bool session::do_request(directive& d) {
  std::string const tool = d.take_word();
  ask(tool, d.rest);
  return true;
}

bool session::do_permission(directive& d) {
  return do_request(d) && await_answers();
}

bool session::do_answers(directive&) {
  return await_answers();
}

bool session::do_with(directive& d) {
  extra_request_members_.clear();
  json::each_member(d.rest, [&](std::string_view key, std::string_view raw) {
    extra_request_members_ += "," + quote(key) + ":" + std::string(raw);
  });
  return true;
}

bool session::do_withdraw(directive&) {
  for (const question& asked : open_) io_.print(wire::control_cancel(asked.request_id));
  std::vector<question> const withdrawn = std::move(open_);
  open_.clear();
  for (const question& asked : withdrawn) refuse(asked, "The permission request was withdrawn.", verdict::failed);
  return true;
}

bool session::do_ask(directive& d) {
  if (!d.rest.empty() && d.rest[0] == '{') {
    ask("AskUserQuestion", d.rest);
    return await_answers();
  }
  std::string const asked = d.take_word();
  std::string choices;
  while (!d.rest.empty())
    choices +=
        std::string(choices.empty() ? "" : ",") + "{\"label\":" + quote(d.take_word()) + ",\"description\":\"\"}";
  ask("AskUserQuestion", "{\"questions\":[{\"question\":" + quote(asked) + ",\"header\":\"Mock\",\"options\":[" +
                             choices + "],\"multiSelect\":false}]}");
  return await_answers();
}

bool session::do_plan(directive& d) {
  const char* const home = std::getenv("HOME");
  std::string const file = std::string(home != nullptr ? home : "/root") + "/.claude/plans/mock.md";
  ask("ExitPlanMode",
      d.rest.empty() ? "{}" : "{\"plan\":" + quote(d.text()) + ",\"planFilePath\":" + quote(file) + "}");
  return await_answers();
}

bool session::do_tool(directive& d) {
  std::string const tool = d.take_word(), input = d.take_word(), output = d.text();
  question const used = use_tool(tool, input);
  if (output.empty())
    run_tool(used, used.input, verdict::ran);
  else
    tool_done(wire::tool_result(who_, used.tool_use, quote(output),
                                tool == "Bash" ? wire::shell_result(output) : "{\"output\":" + quote(output) + "}",
                                verdict::ran, tool == "Bash"),
              output);
  return true;
}

}  // namespace mock
