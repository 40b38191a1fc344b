#include "coro/clock.hpp"

#include "coro/virtual_clock.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace awm::coro {
namespace {

using namespace std::chrono_literals;

TEST(system_clock, calls_what_expires_and_not_what_was_disarmed_or_destroyed_or_replaced) {
  asio::io_context context;
  system_clock clock(context.get_executor());
  std::vector<int> called;
  timer replaced(clock);
  replaced.arm(clock.now(), [&] { called.push_back(1); });
  replaced.arm(clock.now() + 1ms, [&] { called.push_back(2); });
  timer disarmed(clock);
  disarmed.arm(clock.now(), [&] { called.push_back(3); });
  disarmed.disarm();
  {
    timer destroyed(clock);
    destroyed.arm(clock.now(), [&] { called.push_back(4); });
  }
  context.run();
  EXPECT_EQ(called, std::vector{2});
}

TEST(system_clock, keeps_the_loop_running_for_an_armed_timer_and_for_no_other) {
  asio::io_context context;
  system_clock clock(context.get_executor());
  timer far(clock);
  far.arm(clock.now() + 1h, [] { FAIL(); });
  timer near(clock);
  bool called = false;
  near.arm(clock.now() + 1ms, [&] {
    called = true;
    far.disarm();
  });
  context.run();  // would take an hour if it waited for what was disarmed
  EXPECT_TRUE(called);
}

TEST(system_clock, a_timer_may_arm_itself_again_from_its_call) {
  asio::io_context context;
  system_clock clock(context.get_executor());
  int calls = 0;
  timer again(clock);
  const std::function<void()> call = [&] {
    if (++calls < 3) again.arm(clock.now(), call);
  };
  again.arm(clock.now(), call);
  context.run();
  EXPECT_EQ(calls, 3);
}

TEST(system_clock, an_earlier_deadline_that_is_armed_later_is_not_late) {
  asio::io_context context;
  system_clock clock(context.get_executor());
  std::vector<int> called;
  timer late(clock);
  timer early(clock);
  late.arm(clock.now() + 20ms, [&] { called.push_back(2); });
  early.arm(clock.now() + 1ms, [&] { called.push_back(1); });
  context.run();
  EXPECT_EQ(called, (std::vector{1, 2}));
}

TEST(clock, that_is_destroyed_disarms_its_timers) {
  auto clock = std::make_unique<virtual_clock>();
  timer left(*clock);
  left.arm(clock->now() + 1s, [] {});
  clock.reset();
  EXPECT_FALSE(left.is_armed());
}

TEST(virtual_clock, calls_in_the_order_of_the_deadlines_with_the_time_set_to_each) {
  virtual_clock clock;
  std::vector<coro::clock::duration> called;
  timer second(clock);
  timer first(clock);
  timer same(clock);
  const auto note = [&] { called.push_back(clock.now().time_since_epoch()); };
  second.arm(clock.now() + 2s, note);
  first.arm(clock.now() + 1s, note);
  same.arm(clock.now() + 2s, note);
  const auto began = clock.utc_now();
  clock.advance(90s);
  EXPECT_EQ(called, (std::vector<coro::clock::duration>{1s, 2s, 2s}));
  EXPECT_EQ(clock.utc_now() - began, 90s);
  EXPECT_FALSE(clock.advance_to_next());
}

TEST(virtual_clock, a_timer_that_arms_itself_again_is_called_as_often_as_the_time_allows) {
  virtual_clock clock;
  int calls = 0;
  timer every_second(clock);
  const std::function<void()> call = [&] {
    ++calls;
    every_second.arm(clock.now() + 1s, call);
  };
  every_second.arm(clock.now() + 1s, call);
  clock.advance(1h);
  EXPECT_EQ(calls, 3600);
}

TEST(virtual_clock, agrees_with_a_sorted_list_whatever_is_armed_and_disarmed) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  virtual_clock clock;
  constexpr std::size_t count = 50;
  std::vector<std::unique_ptr<timer>> timers;
  for (std::size_t i = 0; i < count; ++i) timers.push_back(std::make_unique<timer>(clock));
  std::map<std::pair<coro::clock::time_point, int>, std::size_t> model;  // by deadline, then by when it was armed
  std::vector<std::size_t> expected;
  std::vector<std::size_t> called;
  int armings = 0;
  const auto forget = [&](std::size_t which) {
    std::erase_if(model, [&](const auto& each) { return each.second == which; });
  };
  for (int step = 0; step < 2000; ++step) {
    const std::size_t which = random() % count;
    switch (random() % 4) {
      case 0:
        timers[which]->disarm();
        forget(which);
        break;
      case 1: {
        const auto by = std::chrono::milliseconds(random() % 30);
        const auto until = clock.now() + by;
        while (!model.empty() && model.begin()->first.first <= until) {
          expected.push_back(model.begin()->second);
          model.erase(model.begin());
        }
        clock.advance(by);
        break;
      }
      default: {
        const auto deadline = clock.now() + std::chrono::milliseconds(random() % 100);
        timers[which]->arm(deadline, [&called, which] { called.push_back(which); });
        forget(which);
        model[{deadline, ++armings}] = which;
      }
    }
    ASSERT_EQ(clock.armed(), model.size());
    ASSERT_EQ(called, expected);
  }
  EXPECT_GT(called.size(), 100U);
}

}  // namespace
}  // namespace awm::coro
