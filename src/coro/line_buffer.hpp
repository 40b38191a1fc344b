#pragma once
// Lines out of a byte stream that arrives in pieces, without copying them: a line that came whole is handed out where
// it lies in the reader's buffer, and only an unfinished tail is kept.

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace awm::coro {

/// Cuts a byte stream into lines, and outlives one that is too long: it is reported once, when it passes the limit, and
/// skipped up to its newline. Memory never exceeds the limit. Entirely passive: its owner reads, and feeds what it
/// read.
class line_buffer {
 public:
  /// Bytes that are readable behind every line that is handed out, so that a SIMD parser may read past its end.
  static constexpr std::size_t padding = 64;

  /// `limit`: the longest line in bytes, without its newline.
  explicit line_buffer(std::size_t limit) : limit_(limit) {}

  /// Calls `on_line(std::string_view)` for each line that `bytes` completes, without its newline, and `on_too_long()`.
  /// The view is valid during the call. `bytes` must be followed by `padding` readable bytes if the callee reads past a
  /// line's end.
  template <class OnLine, class OnTooLong>
  void feed(std::string_view bytes, OnLine&& on_line, OnTooLong&& on_too_long) {
    feed(bytes, on_line, on_too_long, [](std::string_view, bool) {});
  }

  /// The same, for one who has to know what was in a line that is too long: calls `on_skipped(std::string_view piece,
  /// bool is_last)` with one piece of it after the other, from its beginning.
  template <class OnLine, class OnTooLong, class OnSkipped>
  void feed(std::string_view bytes, OnLine&& on_line, OnTooLong&& on_too_long, OnSkipped&& on_skipped) {
    while (!bytes.empty()) {
      const auto newline = bytes.find('\n');
      const auto piece = bytes.substr(0, newline);
      if (!skipping_ && tail_.size() + piece.size() > limit_) {
        skipping_ = true;
        const std::string begun = std::exchange(tail_, {});
        on_too_long();
        on_skipped(std::string_view(begun), false);
      }
      const bool is_whole = newline != std::string_view::npos;
      if (skipping_) {
        skipping_ = !is_whole;
        on_skipped(piece, is_whole);
      } else if (is_whole) {
        finish_line(piece, on_line);
      } else {
        tail_ += piece;
      }
      if (!is_whole) return;
      bytes.remove_prefix(newline + 1);
    }
  }

  /// The stream is at its end: hands out what came after the last newline, if anything did.
  template <class OnLine>
  void finish(OnLine&& on_line) {
    if (!tail_.empty()) finish_line({}, on_line);
  }

 private:
  // A giant line's memory is given back, an ordinary one's is used again.
  static constexpr std::size_t ordinary = std::size_t{16} * 1024;

  template <class OnLine>
  void finish_line(std::string_view piece, OnLine& on_line) {
    if (tail_.empty()) return on_line(piece);
    tail_ += piece;
    tail_.reserve(tail_.size() + padding);
    auto line = std::exchange(tail_, {});  // taken out first: the callee may end its owner's use of this buffer
    on_line(std::string_view(line));
    if (line.capacity() > ordinary) return;
    line.clear();
    tail_.swap(line);
  }

  std::size_t limit_;
  std::string tail_;
  bool skipping_ = false;
};

}  // namespace awm::coro
