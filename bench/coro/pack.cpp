// Several at once, as many as the program names: what Asio has operators and groups for. (Groups of a range came
// with 1.26.)

#include "children.hpp"
#include <awm/coro/when_all.hpp>
#include <awm/coro/when_any.hpp>

#include <asio/experimental/awaitable_operators.hpp>
#include <asio/experimental/deferred.hpp>
#include <asio/experimental/parallel_group.hpp>

#include <utility>

namespace bench {
namespace {

using namespace asio::experimental::awaitable_operators;
using asio::use_awaitable;
using asio::experimental::deferred;
using asio::experimental::make_parallel_group;

constexpr std::size_t few = 10;
constexpr std::size_t either =
    4;  // for `||`: the type of its result grows with each, and so does the time to compile it

// --- Joins of a pack -----------------------------------------------------------------------------------------------

template <class Make, std::size_t... numbers>
auto pack_of(const Make& make, std::index_sequence<numbers...>) {
  return make(std::integral_constant<std::size_t, numbers>()...);
}
template <std::size_t number = few, class Make>
auto pack(const Make& make) {
  return pack_of(make, std::make_index_sequence<number>());
}

template <class Child>
task when_all_of_pack(State& state, asio_world&) {
  const auto make = [](auto... numbers) { return coro::when_all((void(numbers), Child()())...); };
  const tally count(state, few);
  for (auto iteration : state) {
    (void)iteration;
    auto all = pack(make);
    co_await std::move(all);
  }
}

template <class Child>
task and_operator(State& state, asio_world&) {
  const auto make = [](auto... numbers) { return ((void(numbers), Child()()) && ...); };
  const tally count(state, few);
  for (auto iteration : state) {
    (void)iteration;
    auto all = pack(make);
    co_await std::move(all);
  }
}

template <class Child>
task parallel_group(State& state, asio_world& world) {
  const auto make = [&](auto... numbers) {
    return make_parallel_group((void(numbers), asio::co_spawn(world.loop, Child()(), deferred))...)
        .async_wait(asio::experimental::wait_for_all(), use_awaitable);
  };
  const tally count(state, few);
  for (auto iteration : state) {
    (void)iteration;
    auto all = pack(make);
    co_await std::move(all);
  }
}

BENCHMARK(alone<asio_world, when_all_of_pack<ready>>)->Name("join 10, ready/awm: when_all");
BENCHMARK(alone<asio_world, and_operator<ready>>)->Name("join 10, ready/asio: &&");
BENCHMARK(alone<asio_world, parallel_group<ready>>)->Name("join 10, ready/asio: parallel_group");
BENCHMARK(alone<bare_world, with_floor<bare_ready, few>>)->Name("join 10, ready/floor");
BENCHMARK(alone<asio_world, when_all_of_pack<suspends_once>>)->Name("join 10, suspend once/awm: when_all");
BENCHMARK(alone<asio_world, and_operator<suspends_once>>)->Name("join 10, suspend once/asio: &&");
BENCHMARK(alone<asio_world, parallel_group<suspends_once>>)->Name("join 10, suspend once/asio: parallel_group");
BENCHMARK(alone<bare_world, with_floor<bare_suspends_once, few>>)->Name("join 10, suspend once/floor");

// --- The first of several ------------------------------------------------------------------------------------------

template <task (*waits)(coro::event&)>
task when_any_of_pack(State& state, asio_world& world) {
  coro::event never(world.executor());
  const auto child = [&](std::size_t number) { return number == 0 ? suspends_once()() : waits(never); };
  const auto make = [&](auto... numbers) { return coro::when_any(coro::first_done, child(numbers)...); };
  const tally count(state, few);
  for (auto iteration : state) {
    (void)iteration;
    auto any = pack(make);
    const auto result = co_await std::move(any);
    if (result.index != 0) std::terminate();
  }
}

template <task (*waits)()>
task or_operator(State& state, asio_world&) {
  const auto child = [](std::size_t number) { return number == 0 ? suspends_once()() : waits(); };
  const auto make = [&](auto... numbers) { return (child(numbers) || ...); };
  const tally count(state, either);
  for (auto iteration : state) {
    (void)iteration;
    auto any = pack<either>(make);
    co_await std::move(any);
  }
}

template <task (*waits)()>
task first_of_parallel_group(State& state, asio_world& world) {
  const auto child = [](std::size_t number) { return number == 0 ? suspends_once()() : waits(); };
  const auto make = [&](auto... numbers) {
    return make_parallel_group(asio::co_spawn(world.loop, child(numbers), deferred)...)
        .async_wait(asio::experimental::wait_for_one(), use_awaitable);
  };
  const tally count(state, few);
  for (auto iteration : state) {
    (void)iteration;
    auto any = pack(make);
    co_await std::move(any);
  }
}

/// Without coroutines as children: the timers' own operations.
task first_of_timers(State& state, asio_world& world) {
  std::vector<asio::steady_timer> timers;
  for (std::size_t number = 0; number < few; ++number) {
    timers.emplace_back(world.loop, asio::steady_timer::time_point::max());
  }
  const auto make = [&](auto... numbers) {
    return make_parallel_group(timers[numbers].async_wait(deferred)...)
        .async_wait(asio::experimental::wait_for_one(), use_awaitable);
  };
  const tally count(state, few);
  for (auto iteration : state) {
    (void)iteration;
    timers[0].expires_at(asio::steady_timer::time_point::min());
    auto any = pack(make);
    co_await std::move(any);
  }
}

BENCHMARK(alone<asio_world, when_any_of_pack<waits_returning>>)->Name("first of 10, as value/awm: when_any");
BENCHMARK(alone<asio_world, or_operator<rests_returning>>)->Name("first of 10, as value/asio: || (of 4)");
BENCHMARK(alone<asio_world, first_of_parallel_group<rests_returning>>)
    ->Name("first of 10, as value/asio: parallel_group");
BENCHMARK(alone<asio_world, first_of_timers>)->Name("first of 10, as value/asio: parallel_group of timers only");
BENCHMARK(alone<bare_world, first_on_the_floor<few>>)->Name("first of 10, as value/floor");
BENCHMARK(alone<asio_world, when_any_of_pack<waits_throwing>>)->Name("first of 10, thrown/awm: when_any");
BENCHMARK(alone<asio_world, or_operator<rests_throwing>>)->Name("first of 10, thrown/asio: || (of 4)");
BENCHMARK(alone<asio_world, first_of_parallel_group<rests_throwing>>)->Name("first of 10, thrown/asio: parallel_group");

}  // namespace
}  // namespace bench
