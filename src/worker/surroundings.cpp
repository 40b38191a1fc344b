#include "worker/surroundings.hpp"

#include "worker/environment.hpp"

#include <array>
#include <filesystem>
#include <string_view>
#include <utility>

namespace awm::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> in_configuration{"CLAUDE.md", "settings.json", "settings.local.json"};
constexpr std::array<std::string_view, 5> folders_of_texts{"agents", "commands", "skills", "rules", "output-styles"};
constexpr std::array<std::string_view, 2> memory_files{"CLAUDE.md", "CLAUDE.local.md"};
constexpr std::array<std::string_view, 3> in_git{"HEAD", "index", "logs/HEAD"};
constexpr std::string_view managed_settings = "/etc/claude-code/managed-settings.json";

class survey {
 public:
  explicit survey(const files& disk) : disk_(disk) {}

  void look_at(const fs::path& path) { seen_ += disk_.stamp(path) + ";"; }

  void look_at_configuration(const fs::path& folder) {
    for (const auto name : in_configuration) look_at(folder / name);
    for (const auto name : folders_of_texts) {
      look_at(folder / name);
      for (const auto& text : disk_.find(folder / name, ".md")) look_at(text);
    }
  }

  /// The folder and those above it, each of which may have a memory of its own; the nearest repository.
  void look_upwards(fs::path folder) {
    bool has_repository = false;
    for (;; folder = folder.parent_path()) {
      for (const auto name : memory_files) look_at(folder / name);
      look_at_configuration(folder / ".claude");
      if (!has_repository) has_repository = look_at_repository(folder / ".git");
      if (folder == folder.parent_path()) return;
    }
  }

  std::string seen() && { return std::move(seen_); }

 private:
  bool look_at_repository(fs::path git) {
    constexpr std::string_view link = "gitdir: ";
    if (!disk_.is_directory(git)) {
      auto text = disk_.read(git).value_or("");
      if (!text.starts_with(link)) return false;
      text.erase(0, link.size());
      text.erase(text.find_last_not_of("\r\n") + 1);
      git = git.parent_path() / text;  // an absolute path replaces what stands before it
    }
    for (const auto name : in_git) look_at(git / name);
    return true;
  }

  const files& disk_;
  std::string seen_;
};

}  // namespace

std::string surroundings_of(const launch_spec& launch, const files& disk) {
  const auto variables = environment_from(launch.environment);
  fs::path configuration{value_of(variables, "CLAUDE_CONFIG_DIR")};
  if (configuration.empty()) configuration = fs::path{value_of(variables, "HOME")} / ".claude";
  survey all(disk);
  all.look_at(launch.program);
  all.look_at(managed_settings);
  all.look_at_configuration(configuration);
  all.look_at(configuration / "plugins/installed_plugins.json");
  all.look_upwards(launch.working_directory);
  return std::move(all).seen();
}

}  // namespace awm::worker
