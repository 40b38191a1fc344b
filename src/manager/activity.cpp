#include "manager/activity.hpp"

#include "text/words.hpp"

#include <utility>

namespace awm::manager {
namespace {

constexpr std::size_t most_lines = 12;
constexpr std::size_t longest_line = 160;

}  // namespace

void activity::note(const worker::message_line& message, coro::clock::time_point now) {
  last_ = now;
  if (message.role == "assistant" && !message.text.empty()) {
    // More than fits, so that it is shortened, and not all of it, which would be copied and searched.
    add_line("said: " + std::string(text::beginning(message.text, 2 * longest_line)));
  }
  for (const auto& use : message.tool_uses) {
    auto what = use.summary.empty() ? use.name : use.name + ": " + use.summary;
    add_line(what);
    current_id_ = use.id;
    enter(std::move(what), now);
  }
  for (const auto& end : message.tool_ends) {
    if (end.is_error) add_line("failed: " + (end.id == current_id_ ? current_ : std::string("a tool call")));
    if (end.id == current_id_) enter({}, now);
  }
}

void activity::reset(coro::clock::time_point now) {
  last_ = now;
  enter({}, now);
}

void activity::enter(std::string what, coro::clock::time_point now) {
  current_ = std::move(what);
  since_ = now;
}

void activity::add_line(std::string line) {
  for (auto& character : line) {
    if (character == '\n' || character == '\r' || character == '\t') character = ' ';
  }
  lines_.push_back(text::shortened(line, longest_line));
  if (lines_.size() > most_lines) lines_.pop_front();
}

}  // namespace awm::manager
