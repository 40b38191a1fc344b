#pragma once

#include "children.hpp"
#include "clock.hpp"

#include <optional>

namespace awm::coro {

/// Gives an operation, or a coroutine, until a deadline to end by itself, and cancels it then.
///
/// `operation || timer`, as Asio has it, starts two coroutines, arms a timer of the system, and forgets an error of the
/// operation. This arms a place in the clock's heap and starts the operation as the coroutine itself would.
///
/// `operation` is a callable that starts it with a completion token: `[&](auto token) { return socket.async_read_some(
/// buffer, token); }`. Returns what the operation completed with, `(error, values…)`; the error is
/// `asio::error::timed_out` when the deadline ended it. What it had completed with before that is never lost.
/// A deadline that has passed does not keep it from completing if it can do so at once.
///
/// Cancellation: passed on to the operation, which then completes as it does.
/// Cost: some 100 ns more than the operation, with an earlier deadline in the clock.
template <class Operation>
  requires(!is_awaitable<Operation>::value)
auto with_deadline(clock& clock, clock::time_point deadline, Operation operation)
    -> std::invoke_result_t<Operation&, decltype(as_value_until({}))> {
  asio::cancellation_signal give_up;
  const auto state = co_await asio::this_coro::cancellation_state;
  // The operation listens to `give_up` only, so the coroutine's own slot is free: it passes on what comes from outside.
  auto outside = state.slot();
  if (outside.is_connected()) outside.assign([&](asio::cancellation_type type) { give_up.emit(type); });
  bool timed_out = false;
  timer limit(clock);
  const bool too_late = was_cancelled(state);
  limit.arm(too_late ? clock::time_point::min() : deadline, [&] {
    timed_out = !too_late;
    give_up.emit(asio::cancellation_type::terminal);
  });
  auto result = co_await operation(as_value_until(give_up.slot()));
  if (outside.is_connected()) outside.clear();
  auto& error = std::get<0>(result);
  if (timed_out && error == asio::error::operation_aborted) error = asio::error::timed_out;
  co_return result;
}

/// The same for a task: a coroutine that is cancelled at the deadline, and awaited. Returns its value (`true` for
/// `void`), or nothing (`false`) when it ended by that cancellation; a value that it returns all the same is kept.
/// Cancellation: cancels the task, waits for it, and throws `operation_aborted` unless it returned a value.
/// Exceptions: those of the task.
/// Cost: a `co_spawn` more than the task.
template <class T>
asio::awaitable<std::conditional_t<std::is_void_v<T>, bool, std::optional<T>>> with_deadline(clock& clock,
                                                                                             clock::time_point deadline,
                                                                                             asio::awaitable<T> task) {
  children family(co_await asio::this_coro::executor, 1);
  outcome<T> result;
  bool timed_out = false;
  timer limit(clock);
  limit.arm(deadline, [&] {
    timed_out = true;
    family.cancel();
  });
  const auto ended = [](std::size_t, const std::exception_ptr&) {};
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  family.start(std::move(task), result, ended);
  co_await family.join();
  co_await asio::this_coro::throw_if_cancelled(throws);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (!result && timed_out && !was_cancelled(state) && result.is_cancelled()) {
    if constexpr (std::is_void_v<T>) {
      co_return false;
    } else {
      co_return std::nullopt;
    }
  }
  if constexpr (std::is_void_v<T>) {
    result.value();
    co_return true;
  } else {
    co_return std::move(result).value();
  }
}

/// `with_deadline`, `limit` from now; `work` is an operation or a task.
template <class Work>
auto with_timeout(clock& clock, clock::duration limit, Work work) {
  return with_deadline(clock, clock.now() + limit, std::move(work));
}

}  // namespace awm::coro
