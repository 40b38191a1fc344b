#pragma once
// Cancels an operation at each of its suspension points in turn.

#include "coro/asio.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace awm::test {

/// One run: the event loop goes on handler by handler, and the operation is cancelled after `step` of them.
class stepped_run {
 public:
  explicit stepped_run(int step) : step_(step) {}

  asio::io_context& context() { return context_; }

  /// Starts an operation, `start(token)`, and runs it to its end; returns what its handler got, as a `Result`.
  template <class Result, class Start>
  Result run(Start&& start) {
    std::optional<Result> result;
    asio::cancellation_signal cancel;
    start(asio::bind_cancellation_slot(cancel.slot(), [&](auto... values) { result = Result{values...}; }));
    EXPECT_FALSE(result) << "completed inside its initiation";
    for (int done = 0; !result; ++done) {
      if (done == step_) break;
      go_on(done);
    }
    was_cancelled_ = !result;
    cancel.emit(asio::cancellation_type::terminal);
    context_.restart();
    context_.run();
    EXPECT_TRUE(result) << "it hangs when it is cancelled after " << step_ << " handlers";
    return std::move(*result);
  }

  /// What the world does meanwhile; called before each step with its number. Returns whether the step waits for
  /// something to happen; otherwise it runs a handler only if one is ready.
  std::function<bool(int)> meanwhile = [](int) { return true; };

  bool was_cancelled() const { return was_cancelled_; }

 private:
  void go_on(int done) {
    const bool waits = meanwhile(done);
    context_.restart();
    if (waits) context_.run_one();
    if (!waits) context_.poll_one();
  }

  asio::io_context context_{ASIO_CONCURRENCY_HINT_UNSAFE};
  int step_;
  bool was_cancelled_ = false;
};

/// Calls `scenario(stepped_run&)` with a cancellation after 0, 1, 2 … handlers until it came too late.
template <class Scenario>
void cancel_at_every_step(Scenario&& scenario) {
  for (int step = 0;; ++step) {
    SCOPED_TRACE("cancelled after " + std::to_string(step) + " handlers");
    stepped_run run(step);
    scenario(run);
    constexpr int most_steps = 1000;
    ASSERT_LT(step, most_steps) << "never ends by itself";
    if (!run.was_cancelled() || ::testing::Test::HasFailure()) return;
  }
}

/// The same for an operation that may never end by itself: `steps` times.
template <class Scenario>
void cancel_at_each_of(int steps, Scenario&& scenario) {
  for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
    SCOPED_TRACE("cancelled after " + std::to_string(step) + " handlers");
    stepped_run run(step);
    scenario(run);
  }
}

}  // namespace awm::test
