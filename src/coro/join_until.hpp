#pragma once

#include "clock.hpp"
#include "event.hpp"

#include <optional>

namespace awm::coro {

/// Why a `join_until` ended: `done` was set, `interrupt` was set, the deadline has come, or the wait was cancelled.
enum class join_end { joined, interrupted, timed_out, cancelled };

namespace detail {

inline asio::awaitable<join_end> join_until(event& done, event* interrupt, clock& clock, clock::time_point deadline) {
  if (done.is_set()) co_return join_end::joined;
  if (interrupt != nullptr && interrupt->is_set()) co_return join_end::interrupted;
  const auto state = co_await asio::this_coro::cancellation_state;
  if (was_cancelled(state)) co_return join_end::cancelled;
  event woken(co_await asio::this_coro::executor);
  const watch finish(done, woken);
  std::optional<watch> question;
  if (interrupt != nullptr) question.emplace(*interrupt, woken);
  bool timed_out = false;
  timer limit(clock);
  if (deadline != clock::time_point::max()) {
    limit.arm(deadline, [&] {
      timed_out = true;
      woken.set();
    });
  }
  co_await woken.async_wait(as_value);
  if (finish.has_seen()) co_return join_end::joined;
  if (question && question->has_seen()) co_return join_end::interrupted;
  co_return timed_out ? join_end::timed_out : join_end::cancelled;
}

}  // namespace detail

/// Waits until work is done, or something cuts the waiting short: the work goes on.
///
/// `when_all` owns what it waits for, so leaving it means ending that. Here the tasks belong to somebody else, a
/// `task_group` (`group.empty()`), a `latch` (`latch.opened()`) or whoever sets `done`, and this only waits: until
/// `done` is set, or `interrupt` is (a question that somebody has to answer first, say), or the deadline has come
/// (`clock::time_point::max()`: there is none). It can be called again, as often as it takes.
///
/// When several have come at the same time, the first of `done`, `interrupt`, deadline and cancellation is told.
/// Cancellation: ends the wait, as a value.
/// Destroying `done` or `interrupt` during the wait ends it as `cancelled`.
/// Cost: a recycled block and a post, however many it waits for; when `done` or `interrupt` is set, the call.
inline asio::awaitable<join_end> join_until(event& done, event& interrupt, clock& clock,
                                            clock::time_point deadline = clock::time_point::max()) {
  return detail::join_until(done, &interrupt, clock, deadline);
}

/// The same without an interruption.
inline asio::awaitable<join_end> join_until(event& done, clock& clock, clock::time_point deadline) {
  return detail::join_until(done, nullptr, clock, deadline);
}

}  // namespace awm::coro
