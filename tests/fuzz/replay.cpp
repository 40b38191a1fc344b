// Runs targets on stored inputs, without libFuzzer: `fuzz_corpora TARGET FILE-OR-FOLDER…`. The name of each file is
// printed before it is run, so that the last one is the culprit.
#include "targets.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace {

using target = void (*)(std::string_view);

const std::map<std::string, target> targets{{"mcp_input", awm::fuzz::mcp_input},
                                            {"worker_stream", awm::fuzz::worker_stream},
                                            {"launch_options", awm::fuzz::launch_options},
                                            {"agent_file", awm::fuzz::agent_file},
                                            {"config_file", awm::fuzz::config_file},
                                            {"transcript", awm::fuzz::transcript},
                                            {"permission_rules", awm::fuzz::permission_rules},
                                            {"shell_line", awm::fuzz::shell_line}};

std::vector<std::filesystem::path> files_at(const std::filesystem::path& where) {
  if (!std::filesystem::is_directory(where)) return {where};
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(where)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  const auto chosen = argc > 2 ? targets.find(argv[1]) : targets.end();
  if (chosen == targets.end()) {
    std::cerr << "usage: fuzz_corpora TARGET FILE-OR-FOLDER…\n";
    return 2;
  }
  std::size_t count = 0;
  for (int at = 2; at < argc; ++at) {
    for (const auto& path : files_at(argv[at])) {
      std::cout << path.string() << std::endl;
      std::ifstream file(path, std::ios::binary);
      if (!file) {
        std::cerr << path << " cannot be read\n";
        return 1;
      }
      const std::string input{std::istreambuf_iterator<char>(file), {}};
      chosen->second(input);
      ++count;
    }
  }
  std::cout << count << " inputs\n";
  return count == 0 ? 1 : 0;
}
