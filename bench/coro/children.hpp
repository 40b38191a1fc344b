#pragma once
// What is joined and raced: the same children for joins of a range and of a pack, and what the floor makes of both.

#include "harness.hpp"
#include <awm/coro/event.hpp>

#include <asio/steady_timer.hpp>

namespace bench {

using benchmark::State;
using coro::as_value;
using task = asio::awaitable<void>;

// --- For joins -----------------------------------------------------------------------------------------------------

struct ready {
  task operator()() const { co_return; }
};
struct suspends_once {
  task operator()() const { co_await asio::post(asio::use_awaitable); }
};

struct bare_ready {
  bare::task<> operator()(bare_world&) const { co_return; }
};
struct bare_suspends_once {
  bare::task<> operator()(bare_world& world) const { co_await world.turn(); }
};

template <class Child, std::size_t number>
bare::task<> with_floor(State& state, bare_world& world) {
  const Child child;
  const tally count(state, number);
  for (auto iteration : state) {
    (void)iteration;
    std::vector<bare::task<>> all;
    all.reserve(number);
    for (std::size_t left = number; left > 0; --left) all.push_back(child(world));
    bare::join joined(all);
    co_await joined;
  }
}

// --- The first of several ------------------------------------------------------------------------------------------
// The first child ends after a turn of the event loop, when all others wait for what will never come.

inline task waits_returning(coro::event& never) {
  co_await never.wait();
}
inline task waits_throwing(coro::event& never) {
  co_await never.async_wait(asio::use_awaitable);
}
inline task rests_returning() {
  asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  co_await never.async_wait(as_value);
}
inline task rests_throwing() {
  asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  co_await never.async_wait(asio::use_awaitable);
}

inline bare::task<> bare_waits(bare::event& never, bare::waiter*& slot) {
  co_await never.wait(&slot);
}
inline bare::task<> bare_wins(bare_world& world, bare::event& never, std::vector<bare::waiter*>& losers) {
  co_await world.turn();
  for (auto* each : losers) never.cancel(*each);
}
template <std::size_t number>
bare::task<> first_on_the_floor(State& state, bare_world& world) {
  bare::event never(world.queue);
  const tally count(state, number);
  for (auto iteration : state) {
    (void)iteration;
    std::vector<bare::waiter*> losers(number - 1);
    std::vector<bare::task<>> all;
    all.reserve(number);
    all.push_back(bare_wins(world, never, losers));
    for (auto& each : losers) all.push_back(bare_waits(never, each));
    bare::join joined(all);
    co_await joined;
  }
}

}  // namespace bench
