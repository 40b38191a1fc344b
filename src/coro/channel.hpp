#pragma once

#include "wait_list.hpp"

#include <cstddef>
#include <deque>
#include <limits>
#include <optional>

namespace awm::coro {

/// Passes values from coroutines to coroutines, in the order in which they were sent: many producers, many consumers.
///
/// `asio::experimental::channel` loses what is buffered when it is closed, and fails to send after a receive was
/// cancelled. This one loses nothing: a value is either received or still its sender's.
///
/// Capacity: so many values are buffered, then senders wait (`unbounded`: never). With 0 each send waits for its
/// receiver (rendezvous).
/// Closing: what is buffered is still received; senders that wait get their value back, those that come later are
/// refused, and receivers are told of the end once the buffer is empty.
/// Fair: senders and receivers are served in the order in which they came.
/// Cancellation: a cancelled send leaves the value with the sender, a cancelled receive takes none. A receive whose
/// value was on the way already completes with it all the same.
/// Destroying a channel completes its waiters with `operation_aborted`; what is buffered is destroyed with it.
/// Cost: while neither side waits, the call and a move; else one recycled block and one post.
template <class T>
class channel {
 public:
  static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

  /// `executor` runs the handlers of waiters that bring no executor of their own. `capacity`: how many values are
  /// buffered at most, from 0 (rendezvous) to `unbounded`.
  channel(const asio::any_io_executor& executor, std::size_t capacity)
      : capacity_(capacity), receivers_(executor), senders_(executor) {}

  std::size_t capacity() const { return capacity_; }
  /// How many values are buffered.
  std::size_t size() const { return buffer_.size(); }
  bool is_closed() const { return closed_; }

  /// No more values come. Closing twice is closing once.
  void close() {
    closed_ = true;
    senders_.complete_all(asio::error::broken_pipe);
    // A receiver waits only while the buffer is empty.
    receivers_.complete_all(asio::error::eof);
  }

  /// Sends `value` if it can be received or buffered at once; returns whether it was. If not, it is as before.
  bool try_send(T& value) {
    if (closed_) return false;
    if (!receivers_.empty()) {
      receivers_.complete_one({}, std::optional<T>(std::move(value)));
      return true;
    }
    if (buffer_.size() >= capacity_) return false;
    buffer_.push_back(std::move(value));
    return true;
  }
  bool try_send(T&& value) { return try_send(value); }

  /// Receives a value that is there already, also from a closed channel.
  std::optional<T> try_receive() {
    if (buffer_.empty()) return take_from_sender();
    std::optional<T> value(std::move(buffer_.front()));
    buffer_.pop_front();
    if (auto next = take_from_sender()) buffer_.push_back(std::move(*next));
    return value;
  }

  /// Completes when `value` was received or buffered, with `void(std::error_code)`. It must stay where it is until
  /// then, and is moved from exactly when there is no error.
  /// Errors: `broken_pipe` when the channel is or becomes closed; `operation_aborted` when the operation is cancelled
  /// or the channel destroyed.
  template <class Token>
  auto async_send(T& value, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        [this, &value](auto handler) {
          const bool must_wait = !senders_.empty();
          senders_.append(std::move(handler), &value);
          if (must_wait) return;
          if (closed_) {
            senders_.complete_one(asio::error::broken_pipe);
          } else if (try_send(value)) {
            senders_.complete_one();
          }
        },
        token);
  }

  /// Completes with the next value, with `void(std::error_code, std::optional<T>)`.
  /// Errors: `eof` when the channel is closed and empty; `operation_aborted` when the operation is cancelled or the
  /// channel destroyed. There is no value then.
  template <class Token>
  auto async_receive(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code, std::optional<T>)>(
        [this](auto handler) {
          receivers_.append(std::move(handler), {});
          // Those that wait already do so since nothing is there.
          if (receivers_.size() > 1) return;
          if (auto value = try_receive()) {
            receivers_.complete_one({}, std::move(value));
          } else if (closed_) {
            receivers_.complete_all(asio::error::eof);
          }
        },
        token);
  }

  /// Sends from a coroutine, at once when there is room. `value` is moved from exactly when there is no error; the
  /// errors are those of `async_send`.
  [[nodiscard]] asio::awaitable<std::error_code> send(T& value) {
    if (senders_.empty() && try_send(value)) co_return std::error_code{};
    if (closed_) co_return asio::error::broken_pipe;
    const auto state = co_await asio::this_coro::cancellation_state;
    if (was_cancelled(state)) co_return asio::error::operation_aborted;
    const auto [error] = co_await async_send(value, as_value);
    co_return error;
  }
  [[nodiscard]] asio::awaitable<std::error_code> send(T&& value) { return send(value); }

  /// The next value for a coroutine, at once when there is one. Nothing when the channel is closed and empty, was
  /// destroyed, or the wait was cancelled.
  [[nodiscard]] asio::awaitable<std::optional<T>> receive() {
    if (auto value = try_receive()) co_return value;
    if (closed_) co_return std::nullopt;
    const auto state = co_await asio::this_coro::cancellation_state;
    if (was_cancelled(state)) co_return std::nullopt;
    auto [error, value] = co_await async_receive(as_value);
    co_return std::move(value);
  }

  const asio::any_io_executor& get_executor() const { return receivers_.get_executor(); }

 private:
  std::optional<T> take_from_sender() {
    if (senders_.empty()) return std::nullopt;
    std::optional<T> value(std::move(*senders_.front()));
    senders_.complete_one();
    return value;
  }

  std::size_t capacity_;
  std::deque<T> buffer_;
  bool closed_ = false;
  basic_wait_list<nothing, std::optional<T>> receivers_;
  basic_wait_list<T*> senders_;
};

}  // namespace awm::coro
