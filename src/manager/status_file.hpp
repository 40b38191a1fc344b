#pragma once

#include "coro/clock.hpp"
#include "worker/files.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace awm::manager {

/// A file that says how things stand, for any tool that looks while the program runs. It is replaced as a whole, so
/// that a reader never sees half of it.
class status_file {
 public:
  /// `describe` is asked for the text; `written` is called whenever it was written, or could not be. Nothing is
  /// written before the first change.
  status_file(
      worker::files& files, coro::clock& clock, std::filesystem::path path, std::function<std::string()> describe,
      std::function<void()> written = [] {});

  /// The content may have changed. It is written at once, or a moment later when it was just written: a hundred workers
  /// change more often than anybody reads.
  void changed();

  /// Writes what is not written yet.
  void flush();

  /// The last word: what changes later is not written.
  void close();

 private:
  void write();

  worker::files& files_;
  coro::clock& clock_;
  std::filesystem::path path_;
  std::function<std::string()> describe_;
  std::function<void()> written_;
  coro::timer soon_;
  bool is_stale_ = false;
  bool is_closed_ = false;
  coro::clock::time_point written_at_{};
  coro::clock::duration took_{};
};

}  // namespace awm::manager
