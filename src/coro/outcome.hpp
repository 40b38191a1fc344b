#pragma once

#include "asio.hpp"

#include <exception>
#include <system_error>
#include <utility>
#include <variant>

namespace awm::coro {

/// `T`, or `std::monostate` for `void`: what can be kept.
template <class T>
using kept = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// Whether an exception says that an operation was cancelled (`operation_aborted`).
bool is_abort(const std::exception_ptr& error);

/// How a coroutine ended, as a value: with what it returned, or with the exception that left it.
///
/// `settle_all` and `when_any` return one for each task, and `retry` shows one to whoever decides on another attempt.
/// The value of a task that returns nothing is a `std::monostate`. An outcome tests true when it has a value.
template <class T>
class outcome {
 public:
  /// Not ended yet: neither value nor error.
  outcome() = default;
  /// Ended with a value.
  explicit outcome(kept<T> value) : state_(std::in_place_index<1>, std::move(value)) {}
  /// Ended by an exception.
  explicit outcome(std::exception_ptr error) : state_(std::in_place_index<0>, std::move(error)) {}

  bool has_ended() const { return has_value() || std::get<0>(state_) != nullptr; }
  bool has_value() const { return state_.index() == 1; }
  explicit operator bool() const { return has_value(); }

  /// The exception; null when there is none.
  std::exception_ptr error() const { return has_value() ? nullptr : std::get<0>(state_); }

  /// Whether it ended by being cancelled: with `operation_aborted`. A coroutine that was cancelled and returned a value
  /// all the same has that value.
  bool is_cancelled() const { return is_abort(error()); }

  /// What it returned; rethrows the exception when there is one. Not to be asked of a task that has not ended:
  /// `std::bad_variant_access`.
  kept<T>& value() & {
    rethrow();
    return std::get<1>(state_);
  }
  const kept<T>& value() const& {
    rethrow();
    return std::get<1>(state_);
  }
  kept<T>&& value() && {
    rethrow();
    return std::get<1>(std::move(state_));
  }

 private:
  void rethrow() const {
    if (state_.index() == 0 && std::get<0>(state_) != nullptr) std::rethrow_exception(std::get<0>(state_));
  }

  std::variant<std::exception_ptr, kept<T>> state_;
};

}  // namespace awm::coro
