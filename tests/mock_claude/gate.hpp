// A path that something opens. Another process decides when a wait is over, and no sleep is needed on either side.
#pragma once

#include <string>

namespace mock {

/// A FIFO opens when its last writer is gone (that wakes any number of readers at once) or when something is written
/// to it; any other path opens when it is there.
class gate {
 public:
  explicit gate(std::string path);
  ~gate();
  gate(gate&& other) noexcept;
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;
  gate& operator=(gate&&) = delete;

  /// Whether it is open. Once open it stays open.
  bool open();
  /// Becomes readable, or hangs up, when `open` is worth asking again; -1 when it is open.
  int fd() const { return open_ ? -1 : fd_; }

 private:
  std::string path_;
  int fd_ = -1;
  bool fifo_ = false;
  bool open_ = false;
};

}  // namespace mock
