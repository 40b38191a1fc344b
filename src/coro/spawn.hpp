#pragma once
// The one place that starts a coroutine of its own.

#include "outcome.hpp"

#include <type_traits>
#include <utility>

namespace awm::coro {

/// What `co_spawn` calls at the end. `Returned`: what the spawned coroutine returns; one that returns nothing though
/// the task has a value has put it in its place already.
template <class Returned, class T, class Ended>
struct spawn_completion {
  using executor_type = inline_executor;
  using cancellation_slot_type = asio::cancellation_slot;

  inline_executor executor;
  asio::cancellation_slot slot;
  outcome<T>& into;
  Ended ended;

  executor_type get_executor() const noexcept { return executor; }
  cancellation_slot_type get_cancellation_slot() const noexcept { return slot; }

  void operator()(const std::exception_ptr& error) {
    if (error) {
      into = outcome<T>(error);
    } else if constexpr (std::is_void_v<T>) {
      into = outcome<T>(std::monostate());
    }
    ended();
  }
  void operator()(const std::exception_ptr& error, kept<Returned> value)
    requires(!std::is_void_v<Returned>)
  {
    into = error ? outcome<T>(error) : outcome<T>(std::move(value));
    ended();
  }
};

template <class T>
asio::awaitable<void> keep_in(outcome<T>& into, asio::awaitable<T> task) {
  into = outcome<T>(co_await std::move(task));
}

/// Starts `task` on `executor`; it listens to `slot`. Within the event loop it runs at once, up to where it first
/// waits. At its end `into` has its outcome and `ended()` is called, from within the task's last step: it must not
/// throw, and should do no more than take note.
template <class T, class Ended>
void spawn_into(const asio::any_io_executor& executor, asio::awaitable<T> task, outcome<T>& into,
                asio::cancellation_slot slot, Ended ended) {
  const inline_executor at_once(context_of(executor));
  if constexpr (std::is_void_v<T> || std::is_default_constructible_v<T>) {
    asio::co_spawn(executor, std::move(task), spawn_completion<T, T, Ended>{at_once, slot, into, std::move(ended)});
  } else {
    // `co_spawn` reports a failure beside a default value of the result's type, which this one has not.
    asio::co_spawn(executor, keep_in(into, std::move(task)),
                   spawn_completion<void, T, Ended>{at_once, slot, into, std::move(ended)});
  }
}

/// Starts a task that nobody waits for or cancels: one that owns what it uses, and ends when that does. It must not
/// throw; an exception leaves through the event loop's `run()`. What somebody is to wait for belongs into a
/// `task_group`.
void spawn_detached(const asio::any_io_executor& executor, asio::awaitable<void> task);

/// Starts a task and calls `ended(std::exception_ptr)` at its end, with null when nothing was thrown; it listens to
/// `slot`, whose signal must outlive it. `ended` is dropped, and not called, when the event loop is destroyed before.
template <class Ended>
void spawn(const asio::any_io_executor& executor, asio::awaitable<void> task, asio::cancellation_slot slot,
           Ended ended) {
  asio::co_spawn(executor, std::move(task), asio::bind_cancellation_slot(slot, std::move(ended)));
}

}  // namespace awm::coro
