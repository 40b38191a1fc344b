#pragma once
// Signals as coroutines see them: values that wait until somebody takes them.

#include "asio.hpp"
#include "event.hpp"

#include <asio/compose.hpp>
#include <asio/signal_set.hpp>

#include <algorithm>
#include <deque>
#include <initializer_list>
#include <list>
#include <memory>
#include <system_error>
#include <utility>

namespace awm::coro {

namespace detail {

/// One `next()` that waits, from its start to its completion.
struct signal_wait {
  explicit signal_wait(const asio::any_io_executor& executor) : is_over(executor) {}
  event is_over;
  int number = 0;  // the signal that it was given
};

/// What a listener and its operations share.
struct signal_state : std::enable_shared_from_this<signal_state> {
  explicit signal_state(const asio::any_io_executor& executor) : set(executor) {}

  void deliver(int number) {
    if (waits.empty()) return unclaimed.push_back(number);
    const auto wait = std::move(waits.front());
    waits.pop_front();
    wait->number = number;
    wait->is_over.set();
  }

  /// Listens while somebody waits, and only then: a listener alone does not keep the event loop running.
  void listen() {
    if (is_listening || waits.empty()) return;
    is_listening = true;
    set.async_wait([self = shared_from_this()](const std::error_code& error, int number) {
      self->is_listening = false;
      if (!error) self->deliver(number);
      self->listen();
    });
  }

  void leave(const std::shared_ptr<signal_wait>& wait) {
    waits.remove(wait);
    std::error_code ignored;
    if (waits.empty()) set.cancel(ignored);
  }

  void close() {
    std::error_code ignored;
    set.clear(ignored);  // and ends the wait for a signal
    for (const auto& wait : std::exchange(waits, {})) wait->is_over.set();
  }

  asio::signal_set set;
  std::deque<int> unclaimed;  // came when the last wait was just being cancelled
  std::list<std::shared_ptr<signal_wait>> waits;
  bool is_listening = false;
};

struct signal_step {
  std::shared_ptr<signal_state> state;
  std::shared_ptr<signal_wait> wait = nullptr;

  template <class Self>
  void operator()(Self& self, std::error_code error = {}) {
    if (wait) {
      if (wait->number != 0) return self.complete({}, wait->number);
      state->leave(wait);
      return self.complete(error ? error : asio::error::operation_aborted, 0);
    }
    self.reset_cancellation_state(asio::enable_total_cancellation());
    wait = std::make_shared<signal_wait>(state->set.get_executor());
    const auto kept_state = state;  // `self`, and this step within it, is moved away below
    const auto kept_wait = wait;
    kept_state->waits.push_back(kept_wait);
    kept_wait->is_over.async_wait(std::move(self));
    if (!kept_state->unclaimed.empty()) {
      const int number = kept_state->unclaimed.front();
      kept_state->unclaimed.pop_front();
      kept_state->deliver(number);
    }
    kept_state->listen();
  }
};

}  // namespace detail

/// Lets coroutines await SIGINT, SIGTERM and others.
///
/// Problem: `asio::signal_set` gives one signal to all operations that wait on it, and cancelling one of them cancels
/// all. Here a signal is a value in a queue: every one goes to exactly one `next()`, and one that comes while nobody
/// waits is kept, with its number and as often as it came. The kernel itself merges a standard signal with an equal one
/// that it has not delivered yet (signal(7)).
///
/// Fairness: a signal goes to the operation that has waited longest. Of different signals that came while nobody
/// waited, the lowest number comes first.
///
/// Cancellation: `operation_aborted`, and no signal is taken; one that was already given to the operation is still
/// delivered by it, without an error.
/// Destroying the listener completes its waits with `operation_aborted` and drops what nobody has taken; a number that
/// no other listener or `asio::signal_set` has gets its default action back.
///
/// Exceptions: the constructor's, and `std::bad_alloc`.
/// Cost: a signal is a `write` and a `read` of Asio's pipe; a wait allocates its handler, its place in the queue and
/// Asio's operation. The listener alone does not keep `io_context::run` going, a wait does.
class signal_listener {
 public:
  /// From now on the signals `numbers` have no other effect than to be told here. Throws `std::system_error` for a
  /// number that cannot be caught (sigaction(2)).
  signal_listener(const asio::any_io_executor& executor, std::initializer_list<int> numbers)
      : state_(std::make_shared<detail::signal_state>(executor)) {
    for (const int number : numbers) state_->set.add(number);
  }
  signal_listener(signal_listener&&) = default;
  signal_listener& operator=(signal_listener&&) = delete;
  ~signal_listener() {
    if (state_) state_->close();
  }

  asio::any_io_executor get_executor() { return state_->set.get_executor(); }

  /// Takes the next signal; the signature is `void(std::error_code, int number)`.
  template <class Token>
  auto async_next(Token&& token) {
    return asio::async_compose<Token, void(std::error_code, int)>(detail::signal_step{state_}, token, get_executor());
  }

  /// The same as a value: the number, or an error.
  asio::awaitable<std::pair<std::error_code, int>> next() {
    const auto [error, number] = co_await async_next(as_value);
    co_return std::pair{error, number};
  }

 private:
  std::shared_ptr<detail::signal_state> state_;
};

}  // namespace awm::coro
