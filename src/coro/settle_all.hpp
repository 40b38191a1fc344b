#pragma once

#include "children.hpp"

namespace awm::coro {

/// Runs tasks at the same time and returns how each ended: a failure is a value like any other, and ends nobody else.
///
/// Asio's `a && b` gives up with the first error, and reports the abort of its own cancelled sibling as a second one.
/// Where every result counts, whatever became of the others, this is the join to take.
///
/// The outcomes stand in the order of the tasks, which may be of different types; of no tasks there are none. Tasks
/// begin in their order, each running up to where it first waits before the next begins.
///
/// Cancellation: cancels all tasks and waits for them; the outcomes tell what each made of it.
/// Exceptions: none of the tasks'.
/// Cost: about one `co_spawn` a task; tasks that never wait cost no turn of the event loop.
template <class... Ts>
asio::awaitable<std::tuple<outcome<Ts>...>> settle_all(asio::awaitable<Ts>... tasks) {
  auto go_on = [](children&, std::size_t, const std::exception_ptr&) {};
  co_return co_await settle(go_on, std::move(tasks)...);
}

/// The same for a range of tasks of one type: a vector, or a view that makes each just before it begins
/// (`std::views::transform`), which takes less memory.
template <task_range Tasks>
asio::awaitable<std::vector<outcome<result_of_tasks<Tasks>>>> settle_all(Tasks tasks) {
  auto go_on = [](children&, std::size_t, const std::exception_ptr&) {};
  co_return co_await settle(go_on, std::move(tasks));
}

}  // namespace awm::coro
