#pragma once
// What `when_all` and its like have in common: a coroutine that starts others and goes on when all of them have ended.
// They differ in what they do about the end of one, and in what they return.

#include "event.hpp"
#include "spawn.hpp"

#include <cstddef>
#include <memory>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <vector>

namespace awm::coro {

template <class T>
struct is_awaitable : std::false_type {};
template <class T>
struct is_awaitable<asio::awaitable<T>> : std::true_type {};

/// A range of `asio::awaitable<T>` whose size is known: a vector of them, or a view that makes them one after the
/// other.
template <class Range>
concept task_range = std::ranges::input_range<Range> && std::ranges::sized_range<Range> &&
                     is_awaitable<std::remove_cvref_t<std::ranges::range_reference_t<Range>>>::value;
template <task_range Range>
using result_of_tasks = typename std::remove_cvref_t<std::ranges::range_reference_t<Range>>::value_type;

/// The children of one coroutine, which live no longer than the frame that it is in.
///
/// A child runs at once, in `start()`, up to where it first waits; its end is noted without another turn of the event
/// loop. So children that never wait cost no turn at all.
class children {
 public:
  /// At most `count` will be started, on `executor`.
  children(asio::any_io_executor executor, std::size_t count)
      : executor_(executor), all_ended_(std::move(executor)), members_(std::make_unique<member[]>(count)) {}
  children(const children&) = delete;
  children& operator=(const children&) = delete;

  /// Starts the next child. `ended(index, error)` is called when `into` has its outcome, with its exception or null,
  /// and must not throw. After `cancel()` the child is not started, as by `skip()`.
  template <class T, class Ended>
  void start(asio::awaitable<T> child, outcome<T>& into, Ended ended) {
    if (cancelled_) return skip(into, ended);
    const std::size_t index = started_++;
    ++running_;
    members_[index].is_running = true;
    spawn_into(executor_, std::move(child), into, members_[index].signal.slot(),
               [this, &into, index, ended = std::move(ended)]() mutable {
                 members_[index].is_running = false;
                 // Gives the signal's memory to the next child; not while `cancel()` may stand in it.
                 if (!cancelled_) members_[index].signal.slot().clear();
                 ended(index, into.error());
                 if (--running_ == 0) all_ended_.set();
               });
  }

  /// The next child is one that never begins: its outcome is `operation_aborted`.
  template <class T, class Ended>
  void skip(outcome<T>& into, Ended& ended) {
    into = outcome<T>(std::make_exception_ptr(std::system_error(asio::error::operation_aborted)));
    ended(started_++, into.error());
  }

  /// Sends `terminal` to all that run; none is started any more.
  void cancel() {
    cancelled_ = true;
    for (std::size_t index = 0; index < started_; ++index) {
      if (members_[index].is_running) members_[index].signal.emit(asio::cancellation_type::terminal);
    }
  }

  bool is_cancelled() const { return cancelled_; }

  /// Waits until all that were started have ended. Cancelling it cancels them, and goes on waiting.
  /// To be awaited with `throw_if_cancelled` off, since leaving early would leave children without their frame.
  asio::awaitable<void> join() {
    --running_;  // the parent's own hold
    if (running_ == 0) co_return;
    const auto state = co_await asio::this_coro::cancellation_state;
    if (was_cancelled(state)) cancel();
    auto outside = state.slot();
    if (outside.is_connected()) outside.assign([this](asio::cancellation_type) { cancel(); });
    co_await all_ended_.async_wait(as_value_until(asio::cancellation_slot()));
    if (outside.is_connected()) outside.clear();
  }

 private:
  struct member {
    asio::cancellation_signal signal;
    bool is_running = false;
  };

  asio::any_io_executor executor_;
  event all_ended_;
  std::unique_ptr<member[]> members_;
  std::size_t started_ = 0;
  std::size_t running_ = 1;  // with the parent, which lets go in `join()`
  bool cancelled_ = false;
};

/// Runs all tasks at the same time and returns how each ended, in their order. `policy(family, index, error)` is called
/// at the end of each, and may cancel the others. Cancelling it cancels the tasks, and all are awaited.
template <class Policy, class... Ts>
asio::awaitable<std::tuple<outcome<Ts>...>> settle(Policy& policy, asio::awaitable<Ts>... tasks) {
  children family(co_await asio::this_coro::executor, sizeof...(Ts));
  std::tuple<outcome<Ts>...> outcomes;
  const auto ended = [&](std::size_t index, const std::exception_ptr& error) { policy(family, index, error); };
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  std::apply([&](auto&... into) { (family.start(std::move(tasks), into, ended), ...); }, outcomes);
  co_await family.join();
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return outcomes;
}

/// The same for a range of tasks. A range that makes its tasks as it is walked (a `std::views::transform`) has each
/// made just before it begins, in memory that the one before has left if that has ended; what it throws is thrown when
/// those that have begun have ended.
template <class Policy, task_range Tasks>
asio::awaitable<std::vector<outcome<result_of_tasks<Tasks>>>> settle(Policy& policy, Tasks tasks) {
  const auto count = static_cast<std::size_t>(std::ranges::size(tasks));
  children family(co_await asio::this_coro::executor, count);
  std::vector<outcome<result_of_tasks<Tasks>>> outcomes(count);
  const auto ended = [&](std::size_t index, const std::exception_ptr& error) { policy(family, index, error); };
  std::exception_ptr unmade;
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  try {
    auto into = outcomes.begin();
    for (auto task = std::ranges::begin(tasks); into != outcomes.end(); ++task, ++into) {
      if (family.is_cancelled()) {
        family.skip(*into, ended);
      } else {
        family.start(std::move(*task), *into, ended);
      }
    }
  } catch (...) {
    unmade = std::current_exception();
    family.cancel();
  }
  co_await family.join();
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (unmade) std::rethrow_exception(unmade);
  co_return outcomes;
}

}  // namespace awm::coro
