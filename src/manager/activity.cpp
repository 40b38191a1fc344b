#include "manager/activity.hpp"

#include "text/words.hpp"

#include <algorithm>
#include <utility>

namespace awm::manager {
namespace {

constexpr std::size_t most_lines = 12;
constexpr std::size_t longest_line = 160;

}  // namespace

void activity::note(const worker::message_line& message, coro::clock::time_point now) {
  last_ = now;
  if (message.role == "assistant" && !message.text.empty()) add_line("said: ", message.text);
  for (const auto& use : message.tool_uses) {
    auto what = use.summary.empty() ? use.name : use.name + ": " + use.summary;
    add_line("", what);
    current_id_ = use.id;
    enter(std::move(what), now);
  }
  for (const auto& end : message.tool_ends) {
    if (end.is_error) add_line("failed: ", end.id == current_id_ ? current_ : "a tool call");
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

/// Most lines are never looked at, so this does no more than to keep the beginning, in the room of one that goes.
void activity::add_line(std::string_view what, std::string_view text) {
  const auto shown = text::beginning(text, longest_line - what.size());
  std::size_t place = lines_.size();
  if (place < most_lines) {
    lines_.emplace_back();
  } else {
    place = std::exchange(oldest_, (oldest_ + 1) % most_lines);
  }
  auto& line = lines_[place];
  line.assign(what).append(shown);
  if (shown.size() < text.size()) line += "…";
}

std::vector<std::string> activity::lines() const {
  auto lines = lines_;
  std::rotate(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(oldest_), lines.end());
  for (auto& line : lines) {
    std::replace_if(
        line.begin(), line.end(), [](char one) { return one == '\n' || one == '\r' || one == '\t'; }, ' ');
  }
  return lines;
}

}  // namespace awm::manager
