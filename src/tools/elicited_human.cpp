#include "tools/elicited_human.hpp"

#include "text/json_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <utility>

namespace awm::tools {
namespace {

using manager::answer_scope;
using manager::human_answer;
using manager::pending_permission;
using nlohmann::json;

struct choice {
  const char* words;
  bool allow;
  answer_scope scope;
};

constexpr std::array<choice, 4> choices{{
    {"Allow once", true, answer_scope::once},
    {"Allow for this worker", true, answer_scope::worker},
    {"Allow for all workers", true, answer_scope::all},
    {"Deny", false, answer_scope::once},
}};

std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  return text;
}

struct form {
  std::string words;
  json schema;
};

/// "Worker "build it" (0123abcd)"
std::string name_of(const pending_permission& pending) {
  return "Worker \"" + one_line(pending.description) + "\" (" + pending.worker_id.substr(0, 8) + ")";
}

/// What the worker wants to do, in one line: the command of a shell, the path of a file, else the whole input.
std::string essence_of(const json& input) {
  for (const char* const key : {"command", "file_path", "url"}) {
    const auto found = input.is_object() ? input.find(key) : input.end();
    if (found != input.end() && found->is_string()) return one_line(found->get<std::string>());
  }
  return one_line(text::json_text(input));
}

// Claude Code's dialog shows three lines of the words, each cut at the width of the terminal, and no way to the rest
// (2.1.329). What decides stands in these; the whole input follows for clients that show more.
form permission_form(const pending_permission& pending) {
  const auto& question = pending.question;
  const auto input = json::parse(question.input, nullptr, false);
  auto words = name_of(pending) + " wants to use " + question.tool + ":\n" + essence_of(input);
  std::string why;
  if (!question.blocked_path.empty()) why += "Path: " + one_line(question.blocked_path) + ". ";
  if (!question.reason.empty()) why += "Asked because: " + one_line(question.reason);
  if (!why.empty()) words += "\n" + why;
  words += "\nInput:\n" + input.dump(2, ' ', false, json::error_handler_t::replace);
  auto names = json::array();
  for (const auto& one : choices) names.push_back(one.words);
  json decision = {{"type", "string"}, {"title", "Decision"}, {"enum", std::move(names)}};
  json reason = {
      {"type", "string"}, {"title", "Reason"}, {"description", "With Deny: what the worker is told. May stay empty."}};
  json schema = {{"type", "object"},
                 {"properties", {{"decision", std::move(decision)}, {"reason", std::move(reason)}}},
                 {"required", {"decision"}}};
  return {std::move(words), std::move(schema)};
}

std::string field_name(std::size_t index) {
  return "answer_" + std::to_string(index + 1);
}

/// The questions of an AskUserQuestion as a form: one field each. What cannot be read is left out.
form question_form(const pending_permission& pending, const json& questions) {
  form shown;
  shown.words = name_of(pending) + " asks:";
  auto properties = json::object();
  auto required = json::array();
  for (std::size_t index = 0; index < questions.size(); ++index) {
    const auto& question = questions[index];
    json field = {{"type", "string"}, {"title", question.value("question", "?")}};
    auto labels = json::array();
    std::string described;
    for (const auto& option : question.value("options", json::array())) {
      labels.push_back(option.value("label", ""));
      const auto text = option.value("description", "");
      described += (described.empty() ? "" : "; ") + option.value("label", "") + (text.empty() ? "" : ": " + text);
    }
    if (!described.empty()) field["description"] = described;
    // Several labels of one question travel as one text, joined by ", ".
    if (!labels.empty() && !question.value("multiSelect", false)) field["enum"] = std::move(labels);
    shown.words += "\n- " + one_line(question.value("question", "?"));
    required.push_back(field_name(index));
    properties[field_name(index)] = std::move(field);
  }
  shown.schema = {{"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}};
  return shown;
}

human_answer decided(bool allow, std::string reason, answer_scope scope = answer_scope::once) {
  human_answer answer;
  answer.what = human_answer::kind::decided;
  answer.answer.allow = allow;
  answer.answer.reason = std::move(reason);
  answer.answer.scope = scope;
  return answer;
}

human_answer permission_answer(const json& content) {
  const auto words = content.value("decision", "");
  for (const auto& one : choices) {
    if (words == one.words) return decided(one.allow, content.value("reason", ""), one.scope);
  }
  return {human_answer::kind::dismissed, {}};
}

human_answer question_answer(const json& questions, const json& content) {
  auto answers = json::object();
  for (std::size_t index = 0; index < questions.size(); ++index) {
    answers[questions[index].value("question", "?")] = content.value(field_name(index), "");
  }
  auto answer = decided(true, {});
  answer.answer.updated_input = {{"answers", std::move(answers)}};
  return answer;
}

/// Empty when it is no AskUserQuestion, or one that no form can be made of.
json questions_of(const pending_permission& pending) {
  if (pending.question.tool != "AskUserQuestion") return json::array();
  const auto input = json::parse(pending.question.input, nullptr, false);
  const auto questions = input.is_object() ? input.value("questions", json::array()) : json::array();
  for (const auto& question : questions) {
    if (!question.is_object()) return json::array();
  }
  return questions;
}

}  // namespace

asio::awaitable<human_answer> elicited_human::ask(pending_permission question) {
  try {
    const auto questions = questions_of(question);
    auto shown = questions.empty() ? permission_form(question) : question_form(question, questions);
    const auto answer = co_await client_.elicit(std::move(shown.words), std::move(shown.schema));
    switch (answer.what) {
      case mcp::elicitation::action::accept:
        co_return questions.empty() ? permission_answer(answer.content) : question_answer(questions, answer.content);
      case mcp::elicitation::action::decline:
        co_return decided(false, "The user declined.");
      case mcp::elicitation::action::cancel:
        co_return human_answer{human_answer::kind::dismissed, {}};
      case mcp::elicitation::action::unavailable:
        break;
    }
  } catch (const json::exception&) {
    // A question, or an answer, of a shape that is none: the model may understand it.
  }
  co_return human_answer{};
}

}  // namespace awm::tools
