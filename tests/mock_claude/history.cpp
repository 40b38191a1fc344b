#include "history.hpp"

#include "json.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace mock {
namespace {

std::string config_folder() {
  if (const char* folder = std::getenv("CLAUDE_CONFIG_DIR")) return folder;
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "/nonexistent") + "/.claude";
}

std::string current_folder_name() {
  char buffer[4096];
  std::string name = getcwd(buffer, sizeof buffer) != nullptr ? buffer : "-";
  for (char& c : name)
    if (c == '/') c = '-';
  return name;
}

bool is_file(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

void make_folders(const std::string& path) {
  for (std::size_t i = 1; i <= path.size(); ++i)
    if (i == path.size() || path[i] == '/') mkdir(path.substr(0, i).c_str(), 0700);
}

std::string search(const std::string& projects, const std::string& name) {
  DIR* const folder = opendir(projects.c_str());
  std::string found;
  while (folder != nullptr && found.empty()) {
    const dirent* const entry = readdir(folder);
    if (entry == nullptr) break;
    std::string const path = projects + "/" + entry->d_name + "/" + name;
    if (entry->d_name[0] != '.' && is_file(path)) found = path;
  }
  if (folder != nullptr) closedir(folder);
  return found;
}

}  // namespace

history::history(const options& given, std::string session_id) : on_(!given.has("--no-session-persistence")) {
  std::string const projects = config_folder() + "/projects";
  std::string const name = session_id + ".jsonl";
  folder_ = projects + "/" + current_folder_name();
  file_ = folder_ + "/" + name;
  if (is_file(file_))
    found_ = file_;
  else if (given.newer && given.has("--resume"))
    found_ = search(projects, name);
  if (!found_.empty()) file_ = found_;
}

void history::append(std::string_view line) {
  if (!on_) return;
  int const flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  int fd = open(file_.c_str(), flags, 0600);
  if (fd < 0) {
    make_folders(folder_);
    fd = open(file_.c_str(), flags, 0600);
  }
  if (fd < 0) return;
  std::string const whole = std::string(line) + "\n";
  if (write(fd, whole.data(), whole.size()) < 0) on_ = false;
  close(fd);
}

void history::add(std::string_view role, std::string_view text) {
  append("{\"role\":" + json::quote(role) + ",\"text\":" + json::quote(text) + "}");
}

void history::save_cost(const spend& total) {
  append("{\"cost\":" + wire::number(total.usd) + ",\"calls\":" + std::to_string(total.calls) +
         ",\"input\":" + std::to_string(total.input) + ",\"output\":" + std::to_string(total.output) + "}");
}

std::string history::read() const {
  std::string all;
  int const fd = open(file_.c_str(), O_RDONLY | O_CLOEXEC);
  char buffer[16 * 1024];
  for (ssize_t n = 1; fd >= 0 && n > 0;) {
    n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) all.append(buffer, static_cast<std::size_t>(n));
  }
  if (fd >= 0) close(fd);
  return all;
}

std::vector<std::string> history::prompts() const {
  std::vector<std::string> out;
  std::string const all = read();
  for (std::size_t from = 0, end = 0; (end = all.find('\n', from)) != std::string::npos; from = end + 1) {
    std::string_view const line = std::string_view(all).substr(from, end - from);
    if (json::text_of(line, "role") == "user") out.push_back(json::text_of(line, "text"));
  }
  return out;
}

spend history::saved_cost() const {
  std::string const all = read();
  std::size_t const from = all.rfind("\n{\"cost\":");
  if (from == std::string::npos || all.find('\n', from + 1) + 1 != all.size()) return {};
  std::string const line = all.substr(from + 1);
  auto const count = [&](const char* key) { return std::atol(std::string(json::member(line, key)).c_str()); };
  return {count("calls"), count("input"), count("output"), std::atof(std::string(json::member(line, "cost")).c_str())};
}

}  // namespace mock
