// The process's only way to wait. Lines from stdin, one more descriptor, a due time and SIGINT all meet in one ppoll,
// so that whatever a script is doing, an interrupt on either way reaches it at once and no signal is lost between a
// check and a sleep: SIGINT stays blocked everywhere else.
#pragma once

#include <poll.h>

#include <string>
#include <string_view>
#include <vector>

namespace mock {

/// The monotonic clock, in milliseconds.
long long now_ms();
/// Writes one line to stderr.
void complain(std::string_view text);

class channel {
 public:
  /// Takes the signals over. Remembers what was blocked and ignored before, which a test may ask for.
  channel();

  /// Queues one line for stdout; it leaves at the next wait or when 64 KiB are together.
  void print(std::string_view line);
  /// Queues bytes without a line end.
  void put(std::string_view bytes);
  /// Writes everything queued. A closed stdout is remembered and further output dropped, as the real CLI lives on.
  void flush();

  struct woken {
    bool line = false;     ///< at least one whole line can be taken
    bool ready = false;    ///< the given descriptor is readable or hung up
    bool timeout = false;  ///< the time is over
  };
  /// Blocks until something happens. `fd` < 0: none; `timeout_ms` < 0: none. Lines already read are not waited for:
  /// take them first.
  woken wait(int fd = -1, int timeout_ms = -1);
  /// Makes every wait end also when one of `fds` is readable or hung up, or when the clock reaches `due_ms` (< 0:
  /// never).
  void also_wake_for(std::vector<int> fds, long long due_ms);

  /// Takes the next line from stdin. False when there is none yet.
  bool take(std::string& line);

  bool at_eof() const { return eof_; }
  bool interrupted() const { return interrupted_; }
  void ignore_signals();
  void stop_reading() { deaf_ = true; }

  const std::vector<int>& blocked_at_start() const { return blocked_; }
  const std::vector<int>& ignored_at_start() const { return ignored_; }

 private:
  void read_some();

  std::string out_;
  std::string in_;
  std::size_t taken_ = 0;    // how much of in_ has been handed out
  std::size_t scanned_ = 0;  // how much of in_ holds no line end
  bool eof_ = false;
  bool deaf_ = false;
  bool broken_ = false;
  bool interrupted_ = false;
  std::vector<int> also_;
  long long also_due_ = -1;
  std::vector<int> blocked_, ignored_;
};

}  // namespace mock
