#pragma once

#include "children.hpp"

namespace awm::coro {

// Of several children, cancels the others when one fails, and remembers why. An `operation_aborted` that comes after
// that is a consequence of the cancelling and no error.
class fail_together {
 public:
  void operator()(children& family, std::size_t, const std::exception_ptr& error) {
    if (error == nullptr) return;
    if (first_error_ == nullptr && !(family.is_cancelled() && is_abort(error))) first_error_ = error;
    if (!family.is_cancelled()) family.cancel();
  }

  void rethrow() const {
    if (first_error_ != nullptr) std::rethrow_exception(first_error_);
  }

 private:
  std::exception_ptr first_error_;
};

/// Runs tasks at the same time and returns all their values, in the order of the tasks; the first that fails cancels
/// the others.
///
/// Asio's `a && b` reports the abort of its own cancelled sibling as a second error. Here the error is the first that
/// was not caused by the cancelling, and it is thrown when all tasks have ended: none outlives the call.
///
/// Of no tasks there are no values. A task that returns nothing stands as `std::monostate` among others that return
/// something; of tasks that all return nothing the result is `void`. Tasks begin in their order, each running up to
/// where it first waits before the next begins; once one has failed, those that have not begun never do.
///
/// Cancellation: cancels all tasks, waits for them, and throws `operation_aborted` unless all returned values.
/// Exceptions: the first error of a task.
/// Cost: about one `co_spawn` a task; tasks that never wait cost no turn of the event loop.
template <class... Ts>
  requires(!(std::is_void_v<Ts> && ...))
asio::awaitable<std::tuple<kept<Ts>...>> when_all(asio::awaitable<Ts>... tasks) {
  fail_together policy;
  auto outcomes = co_await settle(policy, std::move(tasks)...);
  policy.rethrow();
  co_return std::apply([](auto&... each) { return std::tuple<kept<Ts>...>(std::move(each).value()...); }, outcomes);
}

/// The same for tasks that all return nothing.
template <class... Ts>
  requires(std::is_void_v<Ts> && ...)
asio::awaitable<void> when_all(asio::awaitable<Ts>... tasks) {
  fail_together policy;
  const auto outcomes = co_await settle(policy, std::move(tasks)...);
  policy.rethrow();
  std::apply([](const auto&... each) { (each.value(), ...); }, outcomes);
}

/// The same for a range of tasks of one type: a vector, or a view that makes each just before it begins
/// (`std::views::transform`), which takes less memory and stops at the first failure.
template <task_range Tasks>
  requires(!std::is_void_v<result_of_tasks<Tasks>>)
asio::awaitable<std::vector<result_of_tasks<Tasks>>> when_all(Tasks tasks) {
  fail_together policy;
  auto outcomes = co_await settle(policy, std::move(tasks));
  policy.rethrow();
  std::vector<result_of_tasks<Tasks>> values;
  values.reserve(outcomes.size());
  for (auto& each : outcomes) values.push_back(std::move(each).value());
  co_return values;
}

/// The same for a range of tasks that return nothing.
template <task_range Tasks>
  requires(std::is_void_v<result_of_tasks<Tasks>>)
asio::awaitable<void> when_all(Tasks tasks) {
  fail_together policy;
  const auto outcomes = co_await settle(policy, std::move(tasks));
  policy.rethrow();
  for (const auto& each : outcomes) each.value();
}

}  // namespace awm::coro
