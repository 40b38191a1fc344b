#pragma once
// Little tasks that the tests of joins run.

#include "coro/sleep.hpp"
#include "world.hpp"

#include <stdexcept>
#include <string>

namespace awm::test {

/// Notes how many are alive: one that outlives its join is found, also by ASan.
class alive {
 public:
  explicit alive(int& count) : count_(count) { ++count_; }
  alive(const alive&) = delete;
  alive& operator=(const alive&) = delete;
  ~alive() { --count_; }

 private:
  int& count_;
};

inline asio::awaitable<int> value_at_once(int value) {
  co_return value;
}

/// Ends by `operation_aborted` when it is cancelled.
inline asio::awaitable<int> value_after(coro::clock& clock, coro::clock::duration pause, int value, int& living) {
  const alive here(living);
  const auto error = co_await coro::sleep(clock, pause);
  if (error) throw std::system_error(error);
  co_return value;
}

/// Returns -1 when it is cancelled.
inline asio::awaitable<int> value_or_minus(coro::clock& clock, coro::clock::duration pause, int value, int& living) {
  const alive here(living);
  const auto error = co_await coro::sleep(clock, pause);
  co_return error ? -1 : value;
}

/// Takes its time to end when it is cancelled.
inline asio::awaitable<int> slow_to_end(coro::clock& clock, coro::clock::duration cleanup, int& living) {
  const alive here(living);
  co_await coro::sleep(clock, std::chrono::hours(1));
  co_await asio::this_coro::reset_cancellation_state();
  co_await coro::sleep(clock, cleanup);
  throw std::system_error(asio::error::operation_aborted);
}

inline asio::awaitable<int> fail_at_once(std::string words) {
  throw std::runtime_error(words);
  co_return 0;
}

inline asio::awaitable<int> fail_after(coro::clock& clock, coro::clock::duration pause, std::string words,
                                       int& living) {
  const alive here(living);
  const auto error = co_await coro::sleep(clock, pause);
  if (error) throw std::system_error(error);
  throw std::runtime_error(words);
}

inline asio::awaitable<void> nothing_after(coro::clock& clock, coro::clock::duration pause, int& living) {
  const alive here(living);
  const auto error = co_await coro::sleep(clock, pause);
  if (error) throw std::system_error(error);
}

/// The words of the exception that a task ends with, `aborted` for `operation_aborted`, nothing for none.
inline std::string words_of(const std::exception_ptr& error) {
  if (error == nullptr) return {};
  if (coro::is_abort(error)) return "aborted";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& thrown) {
    return thrown.what();
  }
}

/// Runs a coroutine in a world and returns the words of what it threw.
inline std::string thrown_by(world& here, asio::awaitable<void> task) {
  std::string words = "it did not end";
  asio::co_spawn(here.context, std::move(task), [&](const std::exception_ptr& error) { words = words_of(error); });
  here.run();
  return words;
}

}  // namespace awm::test
