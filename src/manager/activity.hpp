#pragma once

#include "coro/clock.hpp"
#include "worker/protocol.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace awm::manager {

/// What a worker is doing, as somebody sees it who looks now and then: the tool that runs, and the last lines of what
/// it did and said.
class activity {
 public:
  /// Takes a message at `now`.
  void note(const worker::message_line& message, coro::clock::time_point now);

  /// A turn begins, or ends: nothing runs.
  void reset(coro::clock::time_point now);

  /// The tool that runs, with what it works on; empty: none, the model is thinking or nothing happens.
  const std::string& current() const { return current_; }
  /// Since when that has been so.
  coro::clock::time_point since() const { return since_; }
  /// When the worker last said anything.
  coro::clock::time_point last() const { return last_; }

  /// The last lines, oldest first.
  std::vector<std::string> lines() const;

 private:
  void add_line(std::string_view what, std::string_view text);
  void enter(std::string what, coro::clock::time_point now);

  std::string current_;
  std::string current_id_;
  coro::clock::time_point since_{};
  coro::clock::time_point last_{};
  std::vector<std::string> lines_;
  std::size_t oldest_ = 0;  // of them, once there are as many as are kept
};

}  // namespace awm::manager
