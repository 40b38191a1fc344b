#include "json.hpp"
#include "session.hpp"

#include <dirent.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>

extern char** environ;

namespace mock {
namespace {

using json::quote;

std::string numbers(const std::vector<int>& values) {
  std::string out = "[";
  for (int const value : values) out += (out.size() > 1 ? "," : "") + std::to_string(value);
  return out + "]";
}

std::string descriptors() {
  std::string out = "{";
  DIR* const folder = opendir("/proc/self/fd");
  while (folder != nullptr) {
    const dirent* const entry = readdir(folder);
    if (entry == nullptr) break;
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == dirfd(folder)) continue;
    char target[4096];
    ssize_t const n = readlinkat(dirfd(folder), entry->d_name, target, sizeof target);
    out += (out.size() > 1 ? "," : "") + quote(entry->d_name) + ":" +
           quote(std::string_view(target, n > 0 ? static_cast<std::size_t>(n) : 0));
  }
  if (folder != nullptr) closedir(folder);
  return out + "}";
}

std::string environment() {
  std::string out = "{";
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view const pair = *entry;
    std::size_t const equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    out += (out.size() > 1 ? "," : "") + quote(pair.substr(0, equals)) + ":" + quote(pair.substr(equals + 1));
  }
  return out + "}";
}

}  // namespace

std::string describe(const options& given, const channel& io, const identity& who, std::string_view initialize_request,
                     std::string_view prompt_line) {
  std::string argv;
  for (const std::string& word : given.argv) argv += (argv.empty() ? "" : ",") + quote(word);
  char cwd[4096];
  int death_signal = 0;
  prctl(PR_GET_PDEATHSIG, &death_signal);
  std::string out = "{\"argv\":[" + argv + "],\"env\":" + environment();
  out += ",\"cwd\":" + quote(getcwd(cwd, sizeof cwd) != nullptr ? cwd : "");
  out += ",\"session_id\":" + quote(who.session_id) + ",\"model\":" + quote(who.model) +
         ",\"permission_mode\":" + quote(who.permission_mode);
  out += ",\"initialize\":" + std::string(initialize_request.empty() ? "null" : initialize_request);
  out += ",\"message\":" + std::string(prompt_line.empty() ? "null" : prompt_line);
  out += ",\"pid\":" + std::to_string(getpid()) + ",\"ppid\":" + std::to_string(getppid());
  out += ",\"pgid\":" + std::to_string(getpgid(0)) + ",\"sid\":" + std::to_string(getsid(0));
  out += ",\"death_signal\":" + std::to_string(death_signal);
  out += ",\"blocked_signals\":" + numbers(io.blocked_at_start());
  out += ",\"ignored_signals\":" + numbers(io.ignored_at_start());
  return out + ",\"descriptors\":" + descriptors() + "}";
}

}  // namespace mock
