#include "coro/virtual_clock.hpp"

#include "tasks.hpp"

namespace awm::coro {
namespace {

using namespace std::chrono_literals;

asio::awaitable<void> tick(clock& clock, std::vector<int>& ticks, int name, clock::duration every, int count) {
  for (int i = 0; i < count; ++i) {
    co_await sleep(clock, every);
    ticks.push_back(name);
  }
}

TEST(virtual_clock, turns_the_loop_and_the_time_in_step) {
  asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
  virtual_clock clock;
  std::vector<int> ticks;
  asio::co_spawn(context, tick(clock, ticks, 1, 2h, 3), [](const std::exception_ptr&) {});
  asio::co_spawn(context, tick(clock, ticks, 2, 3h, 2), [](const std::exception_ptr&) {});
  EXPECT_GT(clock.run(context), 5U);
  EXPECT_EQ(ticks, (std::vector{1, 2, 1, 2, 1}));
  EXPECT_EQ(clock.now().time_since_epoch(), 6h);
}

TEST(virtual_clock, stops_at_its_limit) {
  asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
  virtual_clock clock;
  std::vector<int> ticks;
  asio::co_spawn(context, tick(clock, ticks, 1, 1h, 10), [](const std::exception_ptr&) {});
  clock.run(context, clock.now() + 150min);
  EXPECT_EQ(ticks.size(), 2U);
  EXPECT_EQ(clock.armed(), 1U);
  EXPECT_EQ(clock.now().time_since_epoch(), 150min);
}

}  // namespace
}  // namespace awm::coro
