#pragma once

#include "outcome.hpp"
#include "sleep.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

namespace awm::coro {

/// How often and how patiently to try.
struct retry_policy {
  /// Attempts in all, the first one included; at least one.
  std::size_t attempts = 5;
  /// Between the first attempt and the second.
  clock::duration first_pause = std::chrono::milliseconds(100);
  /// How many times as long as the one before each further pause is.
  double factor = 2;
  /// No pause is longer.
  clock::duration longest = std::chrono::seconds(30);
  /// The part of each pause that is left to chance, 0 to 1, so that many that failed together do not come back
  /// together: with 0.5 a pause lasts between half of it and all of it.
  double jitter = 0.5;
  /// Numbers in [0, 1) for the jitter; a test puts its own in place. Null: seeded by the system.
  std::function<double()> random;

  /// The pause before the attempt after the `attempt`-th (from 1), for `chance` in [0, 1).
  clock::duration pause_after(std::size_t attempt, double chance) const {
    const double full =
        std::min(static_cast<double>(longest.count()),
                 static_cast<double>(first_pause.count()) * std::pow(factor, static_cast<double>(attempt) - 1));
    return clock::duration(static_cast<clock::duration::rep>(full * (1 - jitter * chance)));
  }
};

/// Takes any exception for a reason to try again, except `operation_aborted`.
struct any_failure {
  template <class T>
  bool operator()(const outcome<T>& ended) const {
    return !ended.has_value() && !ended.is_cancelled();
  }
};

/// Tries something again that has failed, with growing pauses between.
///
/// `attempt(number)`, from 1, makes the task of one attempt. `again(outcome)` says whether to try again after it, and
/// may look at a value as well as at an exception; without it, any exception but `operation_aborted` is tried again.
/// Both callables must outlive the call; they are not copied.
///
/// Returns the value of the last attempt, or throws its exception.
/// Cancellation: reaches the attempt or the pause; after it there is no further attempt. A pause that is cancelled
/// throws `operation_aborted`.
/// Cost: a frame a call and a `sleep` a pause; and one allocation for random numbers where the policy brings none.
template <class Attempt, class Again = any_failure>
auto retry(clock& clock, retry_policy policy, const Attempt& attempt, const Again& again = {})
    -> std::invoke_result_t<const Attempt&, std::size_t> {
  using task = std::invoke_result_t<const Attempt&, std::size_t>;
  using value = typename task::value_type;
  for (std::size_t number = 1;; ++number) {
    outcome<value> ended;
    try {
      if constexpr (std::is_void_v<value>) {
        co_await attempt(number);
        ended = outcome<value>(std::monostate());
      } else {
        ended = outcome<value>(co_await attempt(number));
      }
    } catch (...) {
      ended = outcome<value>(std::current_exception());
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    if (number >= policy.attempts || was_cancelled(state) || !again(std::as_const(ended))) {
      if constexpr (std::is_void_v<value>) {
        ended.value();
        co_return;
      } else {
        co_return std::move(ended).value();
      }
    }
    if (!policy.random) {
      policy.random = [engine = std::minstd_rand(std::random_device()()),
                       chance = std::uniform_real_distribution<double>()]() mutable { return chance(engine); };
    }
    const auto error = co_await sleep(clock, policy.pause_after(number, policy.random()));
    if (error) throw std::system_error(error);
  }
}

}  // namespace awm::coro
