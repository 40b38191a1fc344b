#include "worker/models.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>
#include <vector>

namespace awm::worker {
namespace {

// Sampling from public migration guides and trackers of the Messages API; thinking, effort and replacement as Claude
// Code 2.1.197 and 2.1.329 sent them. Rows of a family stand before those of all; within each the newest first.
struct cutoff {
  std::string_view family;  ///< Empty: every family.
  model_version from;
  model_version to;  ///< Inclusive.
  model_traits traits;
};
constexpr int any = 99;
constexpr model_traits newest_models{.known = true};
constexpr model_traits budget_models{.sampling = sampling_support::one,
                                     .thinking = thinking_support::budget,
                                     .off = thinking_off::disabled,
                                     .takes_effort = false,
                                     .known = true};

constexpr model_traits with_both(model_traits traits) {
  traits.sampling = sampling_support::both;
  return traits;
}

constexpr model_traits replaced(model_traits traits) {
  traits.replaced_by_newest = true;
  return traits;
}

constexpr model_traits with_effort(model_traits traits) {
  traits.takes_effort = true;
  return traits;
}

constexpr std::array<cutoff, 11> cutoffs{{
    {"fable", {0, 0}, {any, any}, newest_models},
    {"mythos", {0, 0}, {any, any}, newest_models},
    {"opus", {4, 0}, {4, 0}, replaced(with_both(budget_models))},
    {"opus", {4, 1}, {4, 1}, replaced(budget_models)},
    {"opus", {4, 5}, {4, 5}, with_effort(budget_models)},
    {"", {5, 5}, {any, any}, newest_models},
    {"",
     {4, 7},
     {5, 4},
     {.sampling = sampling_support::none,
      .thinking = thinking_support::adaptive,
      .off = thinking_off::disabled,
      .known = true}},
    {"",
     {4, 6},
     {4, 6},
     {.sampling = sampling_support::one_without_thinking,
      .thinking = thinking_support::adaptive_or_budget,
      .off = thinking_off::disabled,
      .known = true}},
    {"", {4, 1}, {4, 5}, budget_models},
    {"", {4, 0}, {4, 0}, with_both(budget_models)},
    {"",
     {0, 0},
     {3, any},
     {.sampling = sampling_support::both,
      .thinking = thinking_support::none,
      .off = thinking_off::disabled,
      .takes_effort = false,
      .known = true}},
}};

constexpr std::array<std::string_view, 5> known_families{"opus", "sonnet", "haiku", "fable", "mythos"};
constexpr std::size_t longest_version_part = 2;  // more digits are a date

std::string lower(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return std::ranges::all_of(pattern.substr(p), [](char c) { return c == '*'; });
}

const sampling_support* find_override(const sampling_table& overrides, std::string_view model, std::string_view alias) {
  const std::string name = lower(model);
  const std::string other_name = lower(alias);
  const sampling_support* found = nullptr;
  std::size_t longest = 0;
  for (const auto& [pattern, support] : overrides) {
    const std::string wanted = lower(pattern);
    const bool fits = matches(wanted, name) || (!alias.empty() && matches(wanted, other_name));
    if (!fits || pattern.size() < longest) continue;
    longest = pattern.size();
    found = &support;
  }
  return found;
}

bool is_number(std::string_view word) {
  return !word.empty() && std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c) != 0; });
}

bool is_word(std::string_view word) {
  return !word.empty() && std::ranges::all_of(word, [](unsigned char c) { return std::isalpha(c) != 0; });
}

std::vector<std::string_view> words_of(std::string_view name) {
  std::vector<std::string_view> words;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find_first_of("-."), name.size());
    words.push_back(name.substr(0, end));
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return words;
}

model_traits by_name(const model_name& name) {
  const bool known_family =
      name.family.empty() || std::ranges::find(known_families, name.family) != known_families.end();
  model_traits traits = newest_models;
  if (name.version && known_family) {
    const auto covers = [&name](const cutoff& row) {
      return (row.family.empty() || row.family == name.family) && row.from <= *name.version && *name.version <= row.to;
    };
    const auto row = std::ranges::find_if(cutoffs, covers);
    if (row != cutoffs.end()) traits = row->traits;
  }
  traits.known = known_family;
  return traits;
}

}  // namespace

std::optional<sampling_support> parse_sampling_support(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, sampling_support>, 4> words{{
      {"none", sampling_support::none},
      {"one_without_thinking", sampling_support::one_without_thinking},
      {"one", sampling_support::one},
      {"both", sampling_support::both},
  }};
  const auto found = std::ranges::find(words, word, [](const auto& entry) { return entry.first; });
  if (found == words.end()) return std::nullopt;
  return found->second;
}

std::optional<model_name> parse_model_name(std::string_view name) {
  constexpr std::string_view maker = "claude-";
  const std::string text = lower(name);
  const std::size_t start = text.rfind(maker);
  if (start == std::string::npos) return std::nullopt;
  std::string_view rest = std::string_view{text}.substr(start + maker.size());
  rest = rest.substr(0, rest.find_first_of("[@:"));
  model_name result;
  std::vector<int> numbers;
  for (const std::string_view word : words_of(rest)) {
    if (is_number(word) && word.size() <= longest_version_part && numbers.size() < 2) {
      std::from_chars(word.data(), word.data() + word.size(), numbers.emplace_back());
    } else if (is_word(word) && result.family.empty()) {
      result.family = word;
    } else {
      break;  // a date, `latest`, `v1`: the version is complete
    }
  }
  if (!numbers.empty()) result.version = model_version{numbers[0], numbers.size() > 1 ? numbers[1] : 0};
  return result;
}

model_traits traits_of(std::string_view model, const sampling_table& overrides, std::string_view alias) {
  const std::optional<model_name> name = parse_model_name(model);
  model_traits traits = name ? by_name(*name) : model_traits{};
  if (!model.starts_with("claude-")) traits.replaced_by_newest = false;  // other providers' names go out as they are
  if (const sampling_support* support = find_override(overrides, model, alias)) {
    traits.sampling = *support;
    traits.known = true;
  }
  return traits;
}

}  // namespace awm::worker
