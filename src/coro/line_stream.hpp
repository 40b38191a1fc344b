#pragma once
// Lines from any Asio stream, many streams over one buffer.

#include "asio.hpp"
#include "line_buffer.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/buffer.hpp>
#include <asio/compose.hpp>

#include <cassert>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace awm::coro {

/// What the line streams of one thread read into, one after the other. It must outlive them. 64 KiB beat larger buffers
/// by 2 to 3 times: they stay in the cache.
class read_buffer {
 public:
  static constexpr std::size_t default_size = std::size_t{64} * 1024;

  explicit read_buffer(std::size_t size = default_size)
      : size_(size), bytes_(std::make_unique<char[]>(size + line_buffer::padding)) {}

  /// `line_buffer::padding` readable bytes lie behind it.
  asio::mutable_buffer space() { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

/// What came out of a stream.
struct stream_line {
  enum class kind {
    line,      ///< `text` is a line, without its newline
    too_long,  ///< a line beyond the limit is skipped up to its newline; told once, when it passes the limit
    end,       ///< the stream is at its end, and stays so
    error,     ///< `error` says what happened; `operation_aborted` for a cancelled call
  };
  kind what = kind::end;
  std::string_view text = {};
  std::error_code error = {};
};

/// A stream that tells when there is something to read, and then gives it without waiting.
template <class Stream>
concept pollable_stream =
    requires(Stream& stream, asio::mutable_buffer space, std::error_code& error, void (*handler)(std::error_code)) {
      stream.async_wait(Stream::wait_read, handler);
      stream.read_some(space, error);
      stream.non_blocking(true, error);
    };

namespace detail {

/// What a line stream and its operation share.
template <class Stream>
struct line_state {
  line_state(Stream& source, read_buffer& buffer, std::size_t limit) : stream(source), shared(buffer), lines(limit) {}

  /// Something can be told without reading.
  bool is_ready() const { return next_piece < pieces.size() || final; }

  template <class Sink>
  void feed(std::string_view bytes, Sink& sink) {
    lines.feed(
        bytes,
        [&](std::string_view line) {
          give({stream_line::kind::line, line}, sink);
        },
        [&] { give({stream_line::kind::too_long}, sink); });
  }

  template <class Sink>
  void give(const stream_line& line, Sink& sink) {
    if (!is_gone) sink(line);
  }

  /// Nothing more comes.
  template <class Sink>
  void end(std::error_code error, Sink& sink) {
    final = error;
    if (error == asio::error::eof)
      lines.finish([&](std::string_view line) { give({stream_line::kind::line, line}, sink); });
  }

  /// Keeps a line for a later `pop`.
  void keep(const stream_line& line) {
    text += line.text;
    pieces.push_back(line.what == stream_line::kind::line ? line.text.size() : too_long);
  }

  stream_line pop() {
    if (next_piece == pieces.size()) {
      if (final == asio::error::eof) return {stream_line::kind::end};
      return {stream_line::kind::error, {}, final};
    }
    const auto size = pieces[next_piece++];
    if (size == too_long) return {stream_line::kind::too_long};
    const auto line = std::string_view(text).substr(at, size);
    at += size;
    return {stream_line::kind::line, line};
  }

  /// What was popped is not needed any more. An idle stream holds on to an ordinary line's memory, no more.
  void forget_popped() {
    if (next_piece < pieces.size()) return;
    if (text.capacity() > most_kept) text = {};
    if (pieces.capacity() > most_kept / sizeof(std::size_t)) pieces = {};
    text.clear();
    pieces.clear();
    next_piece = 0;
    at = 0;
  }

  static constexpr std::size_t too_long = ~std::size_t{0};
  static constexpr std::size_t most_kept = std::size_t{16} * 1024;
  static constexpr std::size_t own_size = std::size_t{4} * 1024;

  Stream& stream;
  read_buffer& shared;
  line_buffer lines;
  std::error_code final;            // after it nothing more comes
  std::unique_ptr<char[]> own;      // of a stream that cannot be polled
  std::string text;                 // lines that were read and not yet popped, one behind the other, and padding
  std::vector<std::size_t> pieces;  // their sizes
  std::size_t next_piece = 0;
  std::size_t at = 0;              // where in `text` the next piece begins
  asio::cancellation_signal stop;  // of the call in progress
  bool is_reading = false;
  bool is_gone = false;  // the line stream was destroyed
};

/// Hands out all lines of a read, as they lie in the buffer.
template <class OnLine>
struct hand_out {
  static constexpr int most_reads = 16;  // so that a stream that babbles does not silence the others
  OnLine on_line;
  bool has_given = false;

  template <class State>
  auto sink(State&) {
    return [this](const stream_line& line) {
      has_given = true;
      on_line(line);
    };
  }
  template <class State, class Self>
  void complete(State& state, Self& self, std::error_code error) {
    auto give = sink(state);
    while (state.next_piece < state.pieces.size() && !state.is_gone) give(state.pop());
    if (state.is_gone) error = asio::error::operation_aborted;
    self.complete(error ? error : state.final);
  }
};

/// Gives one line, and keeps the others.
struct give_one {
  static constexpr int most_reads = 1;
  bool has_given = false;

  template <class State>
  auto sink(State& state) {
    return [this, &state](const stream_line& line) {
      has_given = true;
      state.keep(line);
    };
  }
  template <class State, class Self>
  void complete(State& state, Self& self, std::error_code error) {
    if (has_given) state.text.append(line_buffer::padding, '\0');
    if (error) return self.complete(stream_line{stream_line::kind::error, {}, error});
    self.complete(state.pop());
  }
};

template <class Stream, class Consumer>
struct line_step {
  std::shared_ptr<line_state<Stream>> state;
  Consumer consumer;
  bool has_begun = false;

  template <class Self>
  void operator()(Self& self, std::error_code error = {}, std::size_t size = 0) {
    const auto kept = state;  // `self`, and this step within it, is moved away below
    if (!std::exchange(has_begun, true)) {
      assert(!kept->is_reading && "one call at a time");
      kept->is_reading = true;
      kept->forget_popped();
      self.reset_cancellation_state(asio::enable_total_cancellation());
      if (kept->is_ready()) return asio::post(kept->stream.get_executor(), std::move(self));
      return wait(kept, self);
    }
    if (!kept->is_gone && !kept->is_ready()) {
      take(*kept, error, size);
      if (!error && !consumer.has_given && !kept->final) {
        // Half a line. A cancellation that came while this handler was queued has found nothing to cancel.
        if (self.get_cancellation_state().cancelled() == asio::cancellation_type::none) return wait(kept, self);
        error = asio::error::operation_aborted;
      }
    }
    if (consumer.has_given) error = {};
    if (kept->is_gone) error = asio::error::operation_aborted;
    kept->is_reading = false;
    consumer.complete(*kept, self, error);
  }

  template <class Self>
  static void wait(const std::shared_ptr<line_state<Stream>>& shared, Self& self) {
    auto& state = *shared;
    // Two may end the wait: who cancels the call, and who destroys the line stream.
    auto outside = self.get_cancellation_state().slot();
    if (outside.is_connected()) {
      outside.assign([shared](asio::cancellation_type type) { shared->stop.emit(type); });
    }
    auto step = asio::bind_cancellation_slot(state.stop.slot(), std::move(self));
    if constexpr (pollable_stream<Stream>) {
      std::error_code unusable;  // told by the read
      if (!state.stream.non_blocking()) state.stream.non_blocking(true, unusable);
      state.stream.async_wait(Stream::wait_read, std::move(step));
    } else {
      if (!state.own) state.own = std::make_unique<char[]>(state.own_size + line_buffer::padding);
      state.stream.async_read_some(asio::buffer(state.own.get(), state.own_size), std::move(step));
    }
  }

  /// Reads what is there. `error` remains set when it does not end the stream.
  void take(line_state<Stream>& from, std::error_code& error, std::size_t size) {
    auto sink = consumer.sink(from);
    if constexpr (pollable_stream<Stream>) {
      if (error) return;
      const auto space = from.shared.space();
      for (int reads = 0; reads < Consumer::most_reads; ++reads) {
        size = from.stream.read_some(space, error);
        if (error) break;
        from.feed({static_cast<const char*>(space.data()), size}, sink);
        if (size < space.size() || from.is_gone) return;
      }
      if (error == asio::error::would_block || error == asio::error::try_again) error = {};
    } else {
      from.feed({from.own.get(), size}, sink);
    }
    if (error && error != asio::error::operation_aborted && !from.is_gone) from.end(std::exchange(error, {}), sink);
  }
};

}  // namespace detail

/// Lines from any Asio stream (AsyncReadStream), in place where that is possible.
///
/// Problem: `asio::async_read_until` needs a buffer for each stream, so five hundred idle ones cost 32 MiB and fall out
/// of the cache, and it knows no line that is too long. One buffer for all would do, as nobody reads while another
/// does. But `async_read_some` on two streams fills it for both before either handler runs.
///
/// Idea: wait until the stream is readable, then read without waiting and cut at once. So nothing lies in the shared
/// buffer across a suspension, and only the unfinished tail of a read is copied into the stream (line_buffer.hpp).
/// What to do with the other lines of the same read is the caller's choice:
///  - `read_lines(on_line)` hands all of them to a callback, where they lie: nothing is copied or allocated. It reads
///    up to 16 buffers before others get their turn;
///  - `next()` returns one and copies the others of that one read into the stream, at most a buffer's size.
///
/// They may be mixed: what `next()` kept comes first.
///
/// A stream that cannot be polled (`asio::ssl::stream`, a pipe of `asio::readable_pipe`) is read into 4 KiB of its own.
/// One that can is made non-blocking. Regular files cannot be polled, and Asio reports `operation_not_supported`.
///
/// One call at a time, which is asserted. The end of the stream gives what came after the last newline as a line, and
/// then `end`, as often as it is asked; another error of the stream is final too.
///
/// Cancellation (any type): nothing is consumed but half a line, which is kept; the next call goes on where this one
/// ended. A call that has lines to give when it is cancelled gives them.
/// Destroying it completes a call in progress with `operation_aborted`; the bytes of an unfinished line are lost. The
/// stream and the buffer must live until then, and are not closed.
///
/// Views: `padding` readable bytes lie behind each line. One that a callback gets is valid during the callback, one of
/// `next()` until the next call or the end of the line stream.
///
/// Exceptions: what a callback throws leaves `io_context::run`; otherwise `std::bad_alloc` only.
/// Cost: a call that waits is an `epoll_ctl`, a share of an `epoll_wait`, and a `read` for each buffer that is full; it
/// allocates its handler.
template <class Stream>
class line_stream {
 public:
  static constexpr std::size_t padding = line_buffer::padding;

  /// `limit`: the longest line in bytes, without its newline. No more than that, and a buffer's size, is ever held.
  line_stream(Stream& stream, read_buffer& buffer, std::size_t limit)
      : state_(std::make_shared<detail::line_state<Stream>>(stream, buffer, limit)) {}
  line_stream(line_stream&&) = default;
  line_stream& operator=(line_stream&&) = delete;
  ~line_stream() {
    if (!state_) return;
    state_->is_gone = true;
    state_->stop.emit(asio::cancellation_type::terminal);
  }

  auto get_executor() { return state_->stream.get_executor(); }

  /// Calls `on_line(const stream_line&)` for each line, and each `too_long`, of what there is to read, and for at least
  /// one; from the event loop, never inside this call. `on_line` may destroy the line stream, and gets nothing more
  /// then. The signature is `void(std::error_code)`, with `asio::error::eof` once everything was handed out, perhaps by
  /// this call.
  template <class OnLine, class Token>
  auto async_read_lines(OnLine on_line, Token&& token) {
    using step = detail::line_step<Stream, detail::hand_out<OnLine>>;
    return asio::async_compose<Token, void(std::error_code)>(step{state_, {std::move(on_line)}}, token, get_executor());
  }

  /// The same as a value. (g++ 12 destroys a callback twice that is written out within the `co_await`: name it before.)
  template <class OnLine>
  asio::awaitable<std::error_code> read_lines(OnLine on_line) {
    auto operation = async_read_lines(std::move(on_line), as_value);
    const auto [error] = co_await std::move(operation);
    co_return error;
  }

  /// Gives the next line; the signature is `void(stream_line)`.
  template <class Token>
  auto async_next(Token&& token) {
    using step = detail::line_step<Stream, detail::give_one>;
    return asio::async_compose<Token, void(stream_line)>(step{state_, {}}, token, get_executor());
  }

  /// The same as a value; does not suspend while there are lines of an earlier read.
  asio::awaitable<stream_line> next() {
    const auto state = state_;
    assert(!state->is_reading && "one call at a time");
    state->forget_popped();
    if (state->is_ready()) co_return state->pop();
    const auto [line] = co_await async_next(as_value);
    co_return line;
  }

 private:
  std::shared_ptr<detail::line_state<Stream>> state_;
};

}  // namespace awm::coro
