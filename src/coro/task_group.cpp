#include "task_group.hpp"

#include <utility>

namespace awm::coro {

task_group::task_group(asio::any_io_executor executor, std::size_t at_once)
    : executor_(executor), at_once_(at_once), empty_(std::move(executor)) {
  empty_.set();
}

task_group::~task_group() {
  if (size() > 0 && is_running(executor_)) std::terminate();  // a task group must be joined before it is destroyed
}

void task_group::spawn(asio::awaitable<void> task) {
  if (cancelled_) return;
  empty_.reset();
  if (waiting_.empty() && members_.size() < at_once_) return start(std::move(task));
  waiting_.push_back(std::move(task));
}

void task_group::start_next() {
  // A task that ends at once makes room for the next within this loop, and not on a stack that grows with each.
  if (std::exchange(starting_, true)) return;
  while (!waiting_.empty() && members_.size() < at_once_) {
    auto task = std::move(waiting_.front());
    waiting_.pop_front();
    start(std::move(task));
  }
  starting_ = false;
  if (size() == 0) empty_.set();
}

void task_group::start(asio::awaitable<void> task) {
  const auto member = members_.emplace(members_.end());
  spawn_into(executor_, std::move(task), member->ended, member->signal.slot(), [this, member] { ended(member); });
}

void task_group::ended(members::iterator member) {
  const auto error = member->ended.error();
  members_.erase(member);
  if (error && !first_error_ && !(cancelled_ && is_abort(error))) {
    first_error_ = error;
    cancel();
  }
  start_next();
}

void task_group::cancel() {
  cancelled_ = size() > 0;
  waiting_.clear();
  // A member that ends at once erases itself, so the next one is looked up before.
  for (auto member = members_.begin(); member != members_.end();) {
    (member++)->signal.emit(asio::cancellation_type::terminal);
  }
}

asio::awaitable<void> task_group::join() {
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  while (size() > 0) {
    const auto error = co_await empty_.wait();
    if (!error) continue;
    cancel();
    co_await empty_.async_wait(as_value_until(asio::cancellation_slot()));
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  cancelled_ = false;
  if (first_error_) std::rethrow_exception(std::exchange(first_error_, nullptr));
}

}  // namespace awm::coro
