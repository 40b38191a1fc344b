#pragma once

#include "children.hpp"

namespace awm::coro {

// Which end of a task decides a `when_any`.
struct first_done_t {
  static bool decides(const std::exception_ptr&) { return true; }
};
struct first_success_t {
  static bool decides(const std::exception_ptr& error) { return error == nullptr; }
};
/// The first end of a task decides, be it by a value or by a failure.
inline constexpr first_done_t first_done;
/// The first value decides; when every task fails, nobody wins.
inline constexpr first_success_t first_success;

/// What became of a `when_any`: who was first, and how every task ended. The losers' outcomes stand beside the
/// winner's, so that nothing is lost when a loser had finished, or had received something, before its cancellation
/// reached it.
template <class Outcomes>
struct any_result {
  static constexpr std::size_t nobody = static_cast<std::size_t>(-1);

  /// The task that decided it, from 0; `nobody` when none did.
  std::size_t index = nobody;
  /// As from `settle_all`. Losers that ended by their cancellation have `operation_aborted`.
  Outcomes outcomes;

  bool has_winner() const { return index != nobody; }
};

template <class Mode>
class win_alone {
 public:
  void operator()(children& family, std::size_t index, const std::exception_ptr& error) {
    // Once cancelled, from outside or by the winner, an end by `operation_aborted` decides nothing.
    if (winner != any_result<int>::nobody || !Mode::decides(error)) return;
    if (family.is_cancelled() && is_abort(error)) return;
    winner = index;
    family.cancel();
  }

  std::size_t winner = any_result<int>::nobody;
};

/// Runs tasks at the same time until one decides; the others are cancelled and awaited.
///
/// Asio's `a || b` swallows a branch that fails and goes on waiting for the other. Here the caller says what counts:
/// `first_done`, the first end, be it a failure; or `first_success`, the first value, whatever fails before it.
///
/// Of no tasks nobody wins. Tasks begin in their order, each running up to where it first waits before the next begins;
/// once one has decided, those that have not begun never do.
///
/// Returns the winner's index and the outcome of every task: a tuple of them (`std::get<0>(result.outcomes).value()`),
/// or of a range a vector (`result.outcomes[result.index].value()`).
/// Cancellation: cancels all tasks and waits for them; nobody wins unless one ended otherwise than by it.
/// Exceptions: none of the tasks'; they are in the outcomes.
/// Cost: about one `co_spawn` a task, and for each loser what its cancelled operation costs: some 3 µs more where that
/// is thrown through its frames and not returned as a value.
template <class Mode, class... Ts>
asio::awaitable<any_result<std::tuple<outcome<Ts>...>>> when_any(Mode, asio::awaitable<Ts>... tasks) {
  win_alone<Mode> policy;
  auto outcomes = co_await settle(policy, std::move(tasks)...);
  any_result<std::tuple<outcome<Ts>...>> result{policy.winner, std::move(outcomes)};
  co_return result;
}

/// The same for a range of tasks of one type, as of `settle_all`; a view makes no task any more once one has decided.
template <class Mode, task_range Tasks>
asio::awaitable<any_result<std::vector<outcome<result_of_tasks<Tasks>>>>> when_any(Mode, Tasks tasks) {
  win_alone<Mode> policy;
  auto outcomes = co_await settle(policy, std::move(tasks));
  any_result<std::vector<outcome<result_of_tasks<Tasks>>>> result{policy.winner, std::move(outcomes)};
  co_return result;
}

}  // namespace awm::coro
