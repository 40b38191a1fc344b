// What the primitives promise to allocate, counted: an allocation more per operation is a failure here, whatever the
// machine.

#include "coro/channel.hpp"
#include "coro/deadline.hpp"
#include "coro/mutex.hpp"
#include "coro/semaphore.hpp"
#include "coro/task_group.hpp"
#include "coro/virtual_clock.hpp"
#include "coro/when_all.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace awm::coro {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t rounds = 1000;

/// Allocations of one round, once those of the first rounds have filled Asio's caches.
template <class Round>
asio::awaitable<double> per_round(Round& round) {
  for (int i = 0; i < 10; ++i) co_await round();
  const auto before = allocations;
  for (std::size_t i = 0; i < rounds; ++i) co_await round();
  co_return static_cast<double>(allocations - before) / rounds;
}

template <class Body>
double measure(Body body) {
  asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
  double result = -1;
  asio::co_spawn(context, body(context.get_executor()), [&](const std::exception_ptr&, double told) { result = told; });
  context.run();
  return result;
}

TEST(allocations, what_need_not_wait_allocates_nothing) {
  const auto body = [](asio::any_io_executor executor) -> asio::awaitable<double> {
    event happened(executor);
    happened.set();
    mutex gate(executor);
    semaphore permits(executor, 2);
    channel<int> values(executor, 4);
    auto round = [&]() -> asio::awaitable<void> {
      const auto error = co_await happened.wait();
      const auto held = co_await gate.lock();
      const auto permit = co_await permits.acquire();
      EXPECT_TRUE(!error && held && permit);
    };
    co_return co_await per_round(round);
  };
  EXPECT_EQ(measure(body), 0);
}

TEST(allocations, a_message_through_a_buffer_allocates_only_the_buffer_s_blocks) {
  const auto body = [](asio::any_io_executor executor) -> asio::awaitable<double> {
    channel<int> values(executor, 4);
    auto round = [&]() -> asio::awaitable<void> {
      const auto error = co_await values.send(1);
      const auto value = co_await values.receive();
      EXPECT_TRUE(!error && value);
    };
    co_return co_await per_round(round);
  };
  EXPECT_LE(measure(body), 0.02);  // one block of a deque for 128 integers
}

TEST(allocations, a_wait_allocates_once) {
  const auto body = [](asio::any_io_executor executor) -> asio::awaitable<double> {
    auto_reset_event there(executor);
    auto round = [&]() -> asio::awaitable<void> {
      post_to(executor, [&] { there.set(); });
      const auto error = co_await there.wait();
      EXPECT_FALSE(error);
    };
    co_return co_await per_round(round);
  };
  EXPECT_LE(measure(body), 1);
}

TEST(allocations, a_deadline_that_is_armed_and_disarmed_allocates_nothing) {
  virtual_clock clock;
  timer earliest(clock);
  earliest.arm(clock.now() + 1s, [] {});
  timer often(clock);
  often.arm(clock.now() + 1h, [] {});
  int called = 0;
  const auto before = allocations;
  for (std::size_t i = 0; i < rounds; ++i) {
    often.arm(clock.now() + 2s, [&called] { ++called; });
    often.disarm();
  }
  EXPECT_EQ(allocations, before);
}

TEST(allocations, a_member_of_a_group_costs_its_frames_its_place_and_its_signal) {
  const auto body = [](asio::any_io_executor executor) -> asio::awaitable<double> {
    task_group group(executor);
    const auto nothing = []() -> asio::awaitable<void> { co_return; };
    auto round = [&]() -> asio::awaitable<void> {
      group.spawn(nothing());
      co_await group.join();
    };
    co_return co_await per_round(round);
  };
  EXPECT_LE(measure(body), 4);
}

TEST(allocations, a_child_of_a_join_costs_no_more_than_a_co_spawn) {
  const auto value = [](int given) -> asio::awaitable<int> { co_return given; };
  const auto ours = [&](asio::any_io_executor) -> asio::awaitable<double> {
    auto round = [&]() -> asio::awaitable<void> {
      std::vector<asio::awaitable<int>> tasks;
      tasks.reserve(100);
      for (int i = 0; i < 100; ++i) tasks.push_back(value(i));
      const auto values = co_await when_all(std::move(tasks));
      EXPECT_EQ(values.size(), 100U);
    };
    co_return co_await per_round(round);
  };
  const auto asio_s = [&](asio::any_io_executor executor) -> asio::awaitable<double> {
    auto round = [&]() -> asio::awaitable<void> {
      int left = 100;
      asio::cancellation_signal signals[100];
      event done(executor);
      for (int i = 0; i < 100; ++i) {
        auto ended = [&](const std::exception_ptr&, int) {
          if (--left == 0) done.set();
        };
        asio::co_spawn(executor, value(i), asio::bind_cancellation_slot(signals[i].slot(), ended));
      }
      const auto error = co_await done.wait();
      EXPECT_FALSE(error);
    };
    co_return co_await per_round(round);
  };
  EXPECT_LE(measure(ours), measure(asio_s));
}

}  // namespace
}  // namespace awm::coro
