// The file of --config: it is read to its end or refused in words, and every number that is taken is one that is
// allowed.
#include "cli/config.hpp"
#include "targets.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <sstream>
#include <string>

namespace awm::fuzz {
namespace {

/// A file that has a path and is gone with its owner.
class unnamed_file {
 public:
  explicit unnamed_file(std::string_view content) : descriptor_(::memfd_create("config", MFD_CLOEXEC)) {
    require(descriptor_ >= 0, "there is memory for a file");
    require(::write(descriptor_, content.data(), content.size()) == static_cast<ssize_t>(content.size()),
            "it is written");
  }
  unnamed_file(const unnamed_file&) = delete;
  unnamed_file& operator=(const unnamed_file&) = delete;
  ~unnamed_file() { ::close(descriptor_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// What is printed to std::cerr meanwhile.
class captured_errors {
 public:
  captured_errors() : before_(std::cerr.rdbuf(text_.rdbuf())) {}
  captured_errors(const captured_errors&) = delete;
  captured_errors& operator=(const captured_errors&) = delete;
  ~captured_errors() { std::cerr.rdbuf(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

}  // namespace

void config_file(std::string_view input) {
  const unnamed_file file(input);
  std::string program = "async-worker-manager";
  std::string flag = "--config";
  std::string path = file.path();
  std::array<char*, 4> arguments{program.data(), flag.data(), path.data(), nullptr};
  int exit_code = 0;
  std::string said;
  const auto read = [&] {
    const captured_errors errors;
    auto got = cli::read_config(3, arguments.data(), exit_code);
    said = errors.text();
    return got;
  };
  const auto got = read();
  require(exit_code == -1 || exit_code == 2, "it goes on, or ends with a usage error");
  require((exit_code == 2) == !said.empty(), "it ends where something is said, and not without", said);
  if (exit_code == 2) return;
  require(!got.claude.empty() && !got.log_dir.empty() && !got.default_model.empty(), "nothing that is needed is empty");
  require(got.max_workers <= 100'000 && got.max_depth >= 1 && got.max_depth <= 10, "numbers are in their ranges");
  require(got.keep_warm_s >= 0 && got.keep_warm_s <= 86'400 && got.max_warm <= 10'000, "numbers are in their ranges");
  require(got.prewarm <= 1'000 && got.rate_limit_retries >= 0 && got.rate_limit_retries <= 1'000, "and these");
  require(got.rate_limit_pause_s >= 1 && got.rate_limit_pause_s <= 3'600, "and this");
  require(std::isfinite(got.budget_usd) && got.budget_usd >= 0, "a budget is an amount");
  require(got.ask == "auto" || got.ask == "human" || got.ask == "model", "it is known who answers", got.ask);
}

}  // namespace awm::fuzz
