#pragma once
// What every layer needs to say something helpful: most of our messages are read by a model that acts on them.

#include <span>
#include <string>
#include <string_view>

namespace awm::text {

/// The candidate that `word` was most likely meant to be: the one with the smallest edit distance (insert, delete,
/// replace, swap two neighbours; letter case counts nothing). Empty when even that one differs in more than a third of
/// the word, so that nothing absurd is suggested. Of equals the first.
std::string nearest(std::string_view word, std::span<const std::string> candidates);
std::string nearest(std::string_view word, std::span<const std::string_view> candidates);

/// "a, b, c"
std::string joined(std::span<const std::string> words, std::string_view separator = ", ");

/// The longest beginning of at most `bytes` bytes that ends with a whole UTF-8 character.
std::string_view beginning(std::string_view text, std::size_t bytes);

/// `text`, or its `beginning` and "…".
std::string shortened(std::string_view text, std::size_t bytes);

}  // namespace awm::text
