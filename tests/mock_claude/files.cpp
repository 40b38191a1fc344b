// The two tools that really do something: Write and Edit change the file when they run, as a test may look at it.

#include "json.hpp"
#include "session.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mock {
namespace {

using json::quote;
using wire::verdict;

std::string absolute(const std::string& path) {
  char cwd[4096];
  if (path.empty() || path[0] == '/' || getcwd(cwd, sizeof cwd) == nullptr) return path;
  return std::string(cwd) + "/" + path;
}

/// The content of a file, or null when it cannot be read. Sets errno.
bool read_all(const std::string& path, std::string& out) {
  int const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char buffer[16 * 1024];
  for (ssize_t n = 1; n > 0;) {
    n = read(fd, buffer, sizeof buffer);
    if (n > 0) out.append(buffer, static_cast<std::size_t>(n));
  }
  close(fd);
  return true;
}

/// What went wrong in the words of the real CLI, or nothing.
std::string write_all(const std::string& path, const std::string& text) {
  int const fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool const written = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  std::string const error =
      written ? "" : std::string(strerrorname_np(errno)) + ": " + std::strerror(errno) + ", open '" + path + "'";
  if (fd >= 0) close(fd);
  return error;
}

}  // namespace

/// Runs Write and Edit; false for any other tool, or when the input is none of theirs.
bool session::run_file_tool(const question& asked, std::string_view input, verdict how) {
  std::string const path = json::text_of(input, "file_path");
  bool const is_edit = asked.tool == "Edit";
  if (path.empty() || (!is_edit && asked.tool != "Write")) return false;
  std::string before;
  bool const existed = read_all(path, before);
  std::string after = json::text_of(input, "content"), error;
  if (is_edit) {
    std::string const old_text = json::text_of(input, "old_string");
    std::size_t const at = before.find(old_text);
    after = before;
    if (!existed)
      error = "File does not exist.";
    else if (at == std::string::npos)
      error = "String to replace not found in file.\nString: " + old_text;
    else
      after.replace(at, old_text.size(), json::text_of(input, "new_string"));
  }
  if (error.empty()) error = write_all(path, after);
  if (!error.empty()) {
    tool_done(wire::tool_result(who_, asked.tool_use, quote("<tool_use_error>" + error + "</tool_use_error>"),
                                quote("Error: " + error), verdict::broke, false),
              error);
    return true;
  }
  std::string const fresh = " (file state is current in your context — no need to Read it back)";
  std::string const said = existed ? "The file " + path + " has been updated successfully." + fresh
                                   : "File created successfully at: " + path + fresh;
  std::string structured = "{\"filePath\":" + quote(path);
  if (is_edit)
    structured += ",\"oldString\":" + quote(json::text_of(input, "old_string")) +
                  ",\"newString\":" + quote(json::text_of(input, "new_string")) + ",\"replaceAll\":false";
  else
    structured += std::string(",\"type\":") + (existed ? "\"update\"" : "\"create\"") + ",\"content\":" + quote(after);
  structured +=
      ",\"structuredPatch\":[],\"originalFile\":" + (existed ? quote(before) : "null") + ",\"userModified\":false}";
  tool_done(wire::tool_result(who_, asked.tool_use, quote(said), structured, how, false), said);
  return true;
}

bool session::do_write(directive& d) {
  std::string const path = absolute(d.take_word());
  ask("Write", "{\"file_path\":" + quote(path) + ",\"content\":" + quote(d.rest.empty() ? "written" : d.text()) + "}");
  return await_answers();
}

bool session::do_write_fails(directive& d) {
  std::string const path = absolute(d.take_word());
  question const used = use_tool(
      "Write", "{\"file_path\":" + quote(path) + ",\"content\":" + quote(d.rest.empty() ? "x" : d.text()) + "}");
  std::string const error = "EACCES: permission denied, open '" + path + "'";
  tool_done(wire::tool_result(who_, used.tool_use, quote(error), quote("Error: " + error), verdict::broke, false),
            error);
  return stop_ == stop::none;
}

}  // namespace mock
