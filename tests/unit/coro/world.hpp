#pragma once
// Cancels a scenario at every suspension point in turn: once before its first step, once after each, until a run ends
// before its turn has come. One handler of the event loop is one step, so no point between two waits is missed.

#include "coro/outcome.hpp"
#include "coro/virtual_clock.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace awm::test {

/// A world of its own for one run: an event loop, a virtual clock, and coroutines that can be cancelled.
class world {
 public:
  asio::io_context context{ASIO_CONCURRENCY_HINT_UNSAFE};
  coro::virtual_clock clock;

  asio::any_io_executor executor() { return context.get_executor(); }

  /// Starts a coroutine that `cancel(index)` reaches; returns its index.
  std::size_t start(asio::awaitable<void> body) {
    auto& one = tasks_.emplace_back(std::make_unique<task>());
    auto ended = [&one = *one](const std::exception_ptr& error) {
      one.has_ended = true;
      if (error && !coro::is_abort(error)) one.error = error;
    };
    asio::co_spawn(context, std::move(body), asio::bind_cancellation_slot(one->signal.slot(), std::move(ended)));
    return tasks_.size() - 1;
  }

  void cancel(std::size_t index) { tasks_.at(index)->signal.emit(asio::cancellation_type::terminal); }
  bool has_ended(std::size_t index) const { return tasks_.at(index)->has_ended; }
  std::size_t count() const { return tasks_.size(); }

  /// Runs one handler, or lets the time pass to the next deadline; returns whether there was anything to do.
  bool step() {
    context.restart();
    return context.poll_one() > 0 || clock.advance_to_next();
  }
  void run() {
    while (step()) {
    }
  }

  /// Everything that was started has ended, without an error of its own.
  void expect_all_ended() const {
    for (std::size_t index = 0; index < tasks_.size(); ++index) {
      EXPECT_TRUE(tasks_[index]->has_ended) << "coroutine " << index << " waits for ever";
      EXPECT_EQ(tasks_[index]->error, nullptr) << "coroutine " << index << " failed";
    }
  }

 private:
  struct task {
    asio::cancellation_signal signal;
    bool has_ended = false;
    std::exception_ptr error;
  };

  std::vector<std::unique_ptr<task>> tasks_;
};

/// For each victim among the coroutines that `set_up(world)` starts, and for each k: a fresh world, k steps, the victim
/// is cancelled, the world runs to its end, `check(world, victim)` looks at it. Returns in how many worlds it did.
template <class State, class SetUp, class Check>
std::size_t cancel_at_every_step(SetUp&& set_up, Check&& check) {
  std::size_t worlds = 0;
  for (std::size_t victim = 0, victims = 1; victim < victims; ++victim) {
    for (std::size_t steps = 0;; ++steps) {
      SCOPED_TRACE("victim " + std::to_string(victim) + ", cancelled after step " + std::to_string(steps));
      world here;
      State state(here);
      set_up(here, state);
      victims = here.count();
      std::size_t done = 0;
      while (done < steps && here.step()) ++done;
      const bool came_in_time = done == steps;
      if (came_in_time) here.cancel(victim);
      here.run();
      check(here, state, victim);
      ++worlds;
      if (!came_in_time || ::testing::Test::HasFatalFailure() || steps > 10'000) break;
    }
  }
  return worlds;
}

/// The same with random coroutines cancelled at random steps. The seed is printed when something fails.
template <class State, class SetUp, class Check>
void cancel_at_random(std::size_t rounds, SetUp&& set_up, Check&& check) {
  const auto first_seed = std::random_device()();
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto seed = first_seed + static_cast<unsigned>(round);
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    world here;
    State state(here);
    set_up(here, state);
    std::vector<bool> cancelled(here.count(), false);
    while (here.step()) {
      if (random() % 8 != 0) continue;
      const auto victim = random() % here.count();
      cancelled[victim] = true;
      here.cancel(victim);
    }
    check(here, state, cancelled);
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace awm::test
