// Several at once, any number of them: joins, and the first of many with the rest cancelled and awaited.

#include "children.hpp"
#include <awm/coro/settle_all.hpp>
#include <awm/coro/task_group.hpp>
#include <awm/coro/when_all.hpp>
#include <awm/coro/when_any.hpp>

#include <memory>
#include <ranges>
#include <utility>

namespace bench {
namespace {

constexpr std::size_t many = 100;

template <class Child>
std::vector<task> children(const Child& child, std::size_t count) {
  std::vector<task> made;
  made.reserve(count);
  for (std::size_t left = count; left > 0; --left) made.push_back(child());
  return made;
}

// --- Joins of a range ----------------------------------------------------------------------------------------------

/// Tasks that are made when they begin, as those of all other ways here.
template <class Child>
auto made_in_turn(const Child& child) {
  return std::views::iota(std::size_t{0}, many) | std::views::transform([&child](std::size_t) { return child(); });
}

template <class Child>
task with_when_all(State& state, asio_world&) {
  const Child child;
  const tally count(state, many);
  for (auto iteration : state) {
    (void)iteration;
    auto all = made_in_turn(child);
    co_await coro::when_all(std::move(all));
  }
}

template <class Child>
task with_when_all_of_vector(State& state, asio_world&) {
  const tally count(state, many);
  for (auto iteration : state) {
    (void)iteration;
    auto all = children(Child(), many);
    co_await coro::when_all(std::move(all));
  }
}

template <class Child>
task with_settle_all(State& state, asio_world&) {
  const Child child;
  const tally count(state, many);
  for (auto iteration : state) {
    (void)iteration;
    auto all = made_in_turn(child);
    auto outcomes = co_await coro::settle_all(std::move(all));
    benchmark::DoNotOptimize(outcomes);
  }
}

template <class Child>
task with_task_group(State& state, asio_world& world) {
  coro::task_group group(world.executor());
  const Child child;
  const tally count(state, many);
  for (auto iteration : state) {
    (void)iteration;
    for (std::size_t left = many; left > 0; --left) group.spawn(child());
    co_await group.join();
  }
}

/// What Asio leaves to its users: spawn each, count the ends, and have a timer that never expires tell of the last.
template <class Child>
task with_spawn_and_count(State& state, asio_world& world) {
  const Child child;
  asio::steady_timer all_ended(world.loop);
  std::exception_ptr first_error;
  const tally count(state, many);
  for (auto iteration : state) {
    (void)iteration;
    all_ended.expires_at(asio::steady_timer::time_point::max());
    std::size_t left = many;
    for (std::size_t number = 0; number < many; ++number) {
      asio::co_spawn(world.loop, child(), [&](const std::exception_ptr& error) {
        if (error && !first_error) first_error = error;
        if (--left == 0) all_ended.cancel();
      });
    }
    if (left > 0) co_await all_ended.async_wait(as_value);
  }
}

BENCHMARK(alone<asio_world, with_when_all<ready>>)->Name("join 100, ready/awm: when_all");
BENCHMARK(alone<asio_world, with_when_all_of_vector<ready>>)->Name("join 100, ready/awm: when_all of a vector");
BENCHMARK(alone<asio_world, with_settle_all<ready>>)->Name("join 100, ready/awm: settle_all");
BENCHMARK(alone<asio_world, with_task_group<ready>>)->Name("join 100, ready/awm: task_group");
BENCHMARK(alone<asio_world, with_spawn_and_count<ready>>)->Name("join 100, ready/asio: spawn and count");
BENCHMARK(alone<bare_world, with_floor<bare_ready, many>>)->Name("join 100, ready/floor");
BENCHMARK(alone<asio_world, with_when_all<suspends_once>>)->Name("join 100, suspend once/awm: when_all");
BENCHMARK(alone<asio_world, with_when_all_of_vector<suspends_once>>)
    ->Name("join 100, suspend once/awm: when_all of a vector");
BENCHMARK(alone<asio_world, with_settle_all<suspends_once>>)->Name("join 100, suspend once/awm: settle_all");
BENCHMARK(alone<asio_world, with_task_group<suspends_once>>)->Name("join 100, suspend once/awm: task_group");
BENCHMARK(alone<asio_world, with_spawn_and_count<suspends_once>>)->Name("join 100, suspend once/asio: spawn and count");
BENCHMARK(alone<bare_world, with_floor<bare_suspends_once, many>>)->Name("join 100, suspend once/floor");

// --- The first of many ---------------------------------------------------------------------------------------------

template <task (*waits)(coro::event&)>
task with_when_any(State& state, asio_world& world) {
  coro::event never(world.executor());
  const tally count(state, many);
  for (auto iteration : state) {
    (void)iteration;
    std::vector<task> all;
    all.reserve(many);
    all.push_back(suspends_once()());
    while (all.size() < many) all.push_back(waits(never));
    const auto result = co_await coro::when_any(coro::first_done, std::move(all));
    if (result.index != 0) std::terminate();
  }
}

/// By hand: a signal a child, and the count of the ends, by a timer.
template <task (*waits)()>
task with_signals_and_count(State& state, asio_world& world) {
  asio::steady_timer all_ended(world.loop);
  const tally count(state, many);
  for (auto iteration : state) {
    (void)iteration;
    all_ended.expires_at(asio::steady_timer::time_point::max());
    std::size_t left = many;
    const auto signals = std::make_unique<asio::cancellation_signal[]>(many);
    for (std::size_t number = 0; number < many; ++number) {
      auto ended = [&](const std::exception_ptr&) {
        if (left-- == many) {
          for (std::size_t each = 1; each < many; ++each) signals[each].emit(asio::cancellation_type::terminal);
        }
        if (left == 0) all_ended.cancel();
      };
      auto listening = asio::bind_cancellation_slot(signals[number].slot(), std::move(ended));
      if (number == 0) {
        asio::co_spawn(world.loop, suspends_once()(), std::move(listening));
      } else {
        asio::co_spawn(world.loop, waits(), std::move(listening));
      }
    }
    co_await all_ended.async_wait(as_value);
  }
}

BENCHMARK(alone<asio_world, with_when_any<waits_returning>>)->Name("first of 100, as value/awm: when_any");
BENCHMARK(alone<asio_world, with_signals_and_count<rests_returning>>)
    ->Name("first of 100, as value/asio: signals and count");
BENCHMARK(alone<bare_world, first_on_the_floor<many>>)->Name("first of 100, as value/floor");
BENCHMARK(alone<asio_world, with_when_any<waits_throwing>>)->Name("first of 100, thrown/awm: when_any");
BENCHMARK(alone<asio_world, with_signals_and_count<rests_throwing>>)
    ->Name("first of 100, thrown/asio: signals and count");

}  // namespace
}  // namespace bench
