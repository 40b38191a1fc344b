#include "manager/wildcard.hpp"

#include <cstddef>

namespace awm::manager {
namespace {

/// Takes one element of `pattern` off its front; true when it stands for `letter`.
using step = bool (*)(std::string_view& pattern, char letter);

/// Matches with one place to come back to, the latest star: an earlier one never needs to give way.
bool matches(std::string_view pattern, std::string_view text, step take) {
  std::string_view after_star;
  std::string_view retry;
  bool starred = false;
  while (!text.empty() || !pattern.empty()) {
    if (!pattern.empty() && pattern.front() == '*') {
      pattern.remove_prefix(1);
      after_star = pattern;
      retry = text;
      starred = true;
      continue;
    }
    if (!text.empty() && !pattern.empty() && take(pattern, text.front())) {
      text.remove_prefix(1);
      continue;
    }
    if (!starred || retry.empty()) return false;
    retry.remove_prefix(1);
    pattern = after_star;
    text = retry;
  }
  return true;
}

bool take_letter(std::string_view& pattern, char letter) {
  const bool same = pattern.front() == letter;
  pattern.remove_prefix(1);
  return same;
}

/// `pattern` begins behind the bracket. Takes the set off when it is closed.
bool take_set(std::string_view& pattern, char letter) {
  std::size_t at = 0;
  const bool negated = pattern.starts_with('!') || pattern.starts_with('^');
  if (negated) ++at;
  bool found = false;
  for (bool first = true; at < pattern.size() && (first || pattern[at] != ']'); first = false) {
    const char low = pattern[at];
    const bool range = at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']';
    const char high = range ? pattern[at + 2] : low;
    found = found || (low <= letter && letter <= high);
    at += range ? 3 : 1;
  }
  if (at >= pattern.size()) return letter == '[';  // never closed: the bracket stands for itself
  pattern.remove_prefix(at + 1);
  return found != negated;
}

bool take_element(std::string_view& pattern, char letter) {
  const char element = pattern.front();
  pattern.remove_prefix(1);
  if (element == '?') return true;
  if (element == '[') return take_set(pattern, letter);
  if (element == '\\' && !pattern.empty()) return take_letter(pattern, letter);
  return element == letter;
}

}  // namespace

bool matches_stars(std::string_view pattern, std::string_view text) {
  return matches(pattern, text, take_letter);
}

bool matches_name(std::string_view pattern, std::string_view name) {
  return matches(pattern, name, take_element);
}

}  // namespace awm::manager
