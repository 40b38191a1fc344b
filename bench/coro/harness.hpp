#pragma once
// One loop for all sides of a row: a benchmark is a coroutine template over the world it lives in (Asio's, or the bare
// one of floor.hpp) and the primitive that it uses, so that only the primitive differs.
//
// Names: `row/awm: how`, `row/asio: how`, `row/floor`. bench/coro/run.py knows the rows.

#include "floor.hpp"
#include <awm/coro/asio.hpp>

#include <benchmark/benchmark.h>

namespace bench {

namespace coro = awm::coro;

/// Calls of the global `operator new` since the program began.
std::size_t allocations();

/// Counts from its construction on and reports at its end, before the objects that are declared ahead of it go.
class tally {
 public:
  /// `operations`: how many an iteration has; figures are for one.
  tally(benchmark::State& state, std::size_t operations)
      : state_(state), operations_(static_cast<double>(operations)), before_(allocations()) {}
  tally(const tally&) = delete;
  tally& operator=(const tally&) = delete;
  ~tally() {
    const auto all = static_cast<double>(allocations() - before_);
    state_.counters["operations"] = operations_;
    state_.counters["allocations"] = all / operations_ / static_cast<double>(state_.iterations());
  }

 private:
  benchmark::State& state_;
  double operations_;
  std::size_t before_;
};

/// One thread, no locks: for both sides that use Asio.
struct asio_world {
  using task = asio::awaitable<void>;
  asio::io_context loop = asio::io_context(ASIO_CONCURRENCY_HINT_UNSAFE);

  asio::any_io_executor executor() { return loop.get_executor(); }
  void start(task begun) {
    asio::co_spawn(loop, std::move(begun), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);
    });
  }
  void run() { loop.run(); }
  static auto turn() { return asio::post(asio::use_awaitable); }
};

struct bare_world {
  using task = bare::task<>;
  bare::run_queue queue;
  std::vector<task> tasks;

  void start(task begun) {
    tasks.push_back(std::move(begun));
    tasks.back().start();
  }
  void run() { queue.run(); }
  auto turn() { return queue.turn(); }
};

/// A benchmark that is one coroutine.
template <class World, typename World::task (*body)(benchmark::State&, World&)>
void alone(benchmark::State& state) {
  World world;
  world.start(body(state, world));
  world.run();
}

}  // namespace bench
