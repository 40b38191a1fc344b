#pragma once

#include <string_view>

namespace awm::manager {

/// True when `text` is `pattern` with every `*` replaced by some text, also none. Everything else stands for itself.
bool matches_stars(std::string_view pattern, std::string_view text);

/// True when one component of a path matches one component of a gitignore pattern: `*`, `?`, `[a-z]`, `[!a]` and `\`
/// before a character that stands for itself (gitignore(5), fnmatch(3)).
bool matches_name(std::string_view pattern, std::string_view name);

}  // namespace awm::manager
