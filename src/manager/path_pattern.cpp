#include "manager/path_pattern.hpp"

#include "manager/wildcard.hpp"

#include <algorithm>

namespace awm::manager {
namespace {

std::vector<std::string_view> components_of(std::string_view path) {
  std::vector<std::string_view> found;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    if (end > 0) found.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return found;
}

std::string normalised(std::string_view absolute) {
  std::vector<std::string_view> kept;
  for (const auto component : components_of(absolute)) {
    if (component == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (component != ".") {
      kept.push_back(component);
    }
  }
  std::string path;
  for (const auto component : kept) path.append("/").append(component);
  return path.empty() ? "/" : path;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r\n\v\f";
  const auto begin = std::min(text.find_first_not_of(space), text.size());
  const auto end = text.find_last_not_of(space);
  return text.substr(begin, end == std::string_view::npos ? 0 : end + 1 - begin);
}

bool has_wildcard(std::string_view component) {
  return component.find_first_of("*?[") != std::string_view::npos;
}

}  // namespace

std::optional<path_target> resolve(std::string_view name, const rule_context& context) {
  path_target target;
  const auto path = trimmed(name);
  target.is_doubtful = path.size() != name.size() || path.empty() ||
                       std::any_of(path.begin(), path.end(), [](char letter) { return letter >= 0 && letter < ' '; });
  std::string absolute(path);
  if (path == "~" || path.starts_with("~/")) {
    if (!context.home.is_absolute()) return std::nullopt;
    absolute = context.home.string() + "/" + std::string(path.substr(1));
  } else if (!path.starts_with('/')) {
    if (!context.cwd.is_absolute()) return std::nullopt;
    target.is_doubtful = target.is_doubtful || path.starts_with('~');
    absolute = context.cwd.string() + "/" + std::string(path);
  }
  target.path = normalised(absolute);
  return target;
}

std::optional<path_pattern> path_pattern::parse(std::string_view text, std::string& problem) {
  path_pattern pattern;
  const bool directory_only = text.ends_with('/') && text.size() > 1;
  bool anchored = true;
  if (text.starts_with('!')) {
    problem = "a pattern cannot be negated; put what it excepts into another list";
    return std::nullopt;
  }
  if (text.starts_with("//")) {
    pattern.base_ = base::file_system;
  } else if (text == "~" || text.starts_with("~/")) {
    pattern.base_ = base::home;
    text.remove_prefix(1);
  } else if (text.starts_with("./")) {
    text.remove_prefix(1);
  } else if (!text.starts_with('/')) {
    anchored = text.substr(0, text.size() - (directory_only ? 1 : 0)).find('/') != std::string_view::npos;
  }
  if (!anchored) pattern.components_.emplace_back("**");
  for (const auto component : components_of(text)) {
    if (component == "..") {
      problem = "\"..\" is not understood in a pattern; write the absolute path behind //";
      return std::nullopt;
    }
    if (component != ".") pattern.components_.emplace_back(component);
  }
  if (directory_only) pattern.components_.emplace_back("**");
  if (pattern.components_.empty() && pattern.base_ == base::cwd) {
    problem = "the pattern is empty; write ./** for everything below the working directory, //** for everything";
    return std::nullopt;
  }
  return pattern;
}

bool path_pattern::matches(const path_target& target, const rule_context& context, reach how) const {
  if (how == reach::narrow && target.is_doubtful) return false;
  std::string root = "/";
  if (base_ != base::file_system) {
    const auto& directory = base_ == base::home ? context.home : context.cwd;
    if (!directory.is_absolute()) return false;
    root = normalised(directory.string());
  }
  std::string_view below = target.path;
  if (root != "/") {
    if (!below.starts_with(root) || (below.size() > root.size() && below[root.size()] != '/')) return false;
    below.remove_prefix(root.size());
  }
  const auto path = components_of(below);
  const auto size = components_.size();
  const bool names_directory = size == 0 || !has_wildcard(components_.back());
  if (matches_components(path, size, names_directory || how == reach::wide)) return true;
  return target.is_search && size > 0 && components_.back() == "**" && matches_components(path, size - 1, true);
}

/// True when the first `pattern_size` components of the pattern match the path or, `with_content`, a directory on the
/// way to it.
bool path_pattern::matches_components(const std::vector<std::string_view>& path, std::size_t pattern_size,
                                      bool with_content) const {
  // at[j]: the components so far match the first j of the path.
  std::vector<bool> at(path.size() + 1, false);
  at[0] = true;
  for (std::size_t i = 0; i < pattern_size; ++i) {
    std::vector<bool> next(path.size() + 1, false);
    const bool spans = components_[i] == "**";
    const bool is_last = i + 1 == components_.size();
    for (std::size_t j = 0; j <= path.size(); ++j) {
      if (spans) {
        const bool reached = j > 0 && (next[j - 1] || at[j - 1]);
        next[j] = reached || (at[j] && !is_last);  // at the end it stands for what is inside
      } else {
        next[j] = j > 0 && at[j - 1] && matches_name(components_[i], path[j - 1]);
      }
    }
    at = std::move(next);
  }
  return with_content ? std::find(at.begin(), at.end(), true) != at.end() : at[path.size()];
}

}  // namespace awm::manager
