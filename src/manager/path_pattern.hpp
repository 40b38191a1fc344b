#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace awm::manager {

/// What the paths of a worker are relative to. Both absolute; an empty home matches nothing.
struct rule_context {
  std::filesystem::path cwd;
  std::filesystem::path home;
};

/// A path that a tool names, made absolute.
struct path_target {
  std::string path;
  /// A search that reads everything below the path.
  bool is_search = false;
  /// The tool may read the name in another way than we do; no rule may allow it.
  bool is_doubtful = false;
};

/// `name` against `context.cwd`, `~` expanded, without `.`, `..` and double slashes. Lexically, as the CLI does: the
/// file system is not asked, and a symbolic link stays what it is called. Nothing when there is no absolute path.
std::optional<path_target> resolve(std::string_view name, const rule_context& context);

/// Where the path patterns of Claude Code's rules begin (its documentation, "Read and Edit" under permissions).
/// `//x` is absolute, `~/x` below the home directory, `/x` below the root of the settings, which is the worker's
/// working directory here, `./x` and `x` below the working directory. The rest is gitignore(5): `*` and `?` stay within
/// a component, `**` spans components, a name without a slash matches at any depth, a directory covers what is in it.
class path_pattern {
 public:
  /// How much a pattern is taken to say. `narrow`, for what allows: a last component with a wildcard stands for the
  /// entries of one directory. `wide`, for what denies: also for everything below them, as gitignore has it.
  enum class reach { narrow, wide };

  /// Nothing, and the reason in `problem`, for a pattern that can match nothing or not what it seems to.
  static std::optional<path_pattern> parse(std::string_view text, std::string& problem);

  bool matches(const path_target& target, const rule_context& context, reach how) const;

 private:
  enum class base { file_system, home, cwd };

  bool matches_components(const std::vector<std::string_view>& path, std::size_t pattern_size, bool with_content) const;

  base base_ = base::cwd;
  std::vector<std::string> components_;
};

}  // namespace awm::manager
