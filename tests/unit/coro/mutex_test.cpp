#include "coro/mutex.hpp"

#include "world.hpp"

#include <memory>

namespace awm::coro {
namespace {

using test::world;

asio::awaitable<void> append_in_turn(mutex& gate, std::vector<int>& order, int name) {
  const auto held = co_await gate.lock();
  if (!held) co_return;
  order.push_back(name);
  co_await asio::post(gate.get_executor(), asio::use_awaitable);
  order.push_back(name);
}

TEST(mutex, goes_from_one_holder_to_the_next_in_the_order_in_which_they_came) {
  world here;
  mutex gate(here.executor());
  std::vector<int> order;
  for (int name = 1; name <= 3; ++name) here.start(append_in_turn(gate, order, name));
  here.run();
  EXPECT_EQ(order, (std::vector{1, 1, 2, 2, 3, 3}));
  EXPECT_FALSE(gate.is_locked());
  here.expect_all_ended();
}

TEST(mutex, a_free_mutex_is_taken_without_a_turn_of_the_event_loop) {
  world here;
  mutex gate(here.executor());
  EXPECT_TRUE(gate.try_lock());
  EXPECT_FALSE(gate.try_lock());
  gate.unlock();
  EXPECT_TRUE(gate.try_lock());
  gate.unlock();
}

TEST(mutex, is_not_taken_by_somebody_who_comes_by_while_others_wait) {
  world here;
  mutex gate(here.executor());
  EXPECT_TRUE(gate.try_lock());
  bool has_lock = false;
  gate.async_lock([&](std::error_code error) { has_lock = !error; });
  gate.unlock();
  EXPECT_FALSE(gate.try_lock()) << "it is on its way to the one that waits";
  here.run();
  EXPECT_TRUE(has_lock);
  gate.unlock();
}

TEST(mutex, a_guard_that_is_moved_from_gives_nothing_back) {
  world here;
  mutex gate(here.executor());
  EXPECT_TRUE(gate.try_lock());
  mutex::guard first(gate);
  mutex::guard second(std::move(first));
  EXPECT_FALSE(first);
  first.unlock();
  EXPECT_TRUE(gate.is_locked());
  second = mutex::guard();
  EXPECT_FALSE(gate.is_locked());
}

TEST(mutex, destroying_it_ends_the_waits_of_others) {
  world here;
  auto gate = std::make_unique<mutex>(here.executor());
  EXPECT_TRUE(gate->try_lock());
  std::error_code told;
  gate->async_lock([&](std::error_code error) { told = error; });
  gate.reset();
  here.run();
  EXPECT_EQ(told, asio::error::operation_aborted);
}

struct counted_section {
  explicit counted_section(world& here) : gate(here.executor()) {}
  mutex gate;
  int inside = 0;
  int most = 0;
  int passed = 0;
};

asio::awaitable<void> pass(counted_section& section) {
  const auto held = co_await section.gate.lock();
  if (!held) co_return;
  section.most = std::max(section.most, ++section.inside);
  // Who is cancelled in here leaves by an exception.
  const auto leave = [](counted_section* from) { --from->inside; };
  const std::unique_ptr<counted_section, decltype(leave)> at_end(&section, leave);
  ++section.passed;
  co_await asio::post(section.gate.get_executor(), asio::use_awaitable);
}

TEST(mutex, is_never_lost_or_given_twice_whoever_is_cancelled_when) {
  const auto set_up = [](world& here, counted_section& section) {
    for (int i = 0; i < 4; ++i) here.start(pass(section));
  };
  const auto check = [](world& here, counted_section& section, std::size_t) {
    here.expect_all_ended();
    EXPECT_EQ(section.most, 1);
    EXPECT_GE(section.passed, 3);
    EXPECT_FALSE(section.gate.is_locked());
  };
  const auto worlds = test::cancel_at_every_step<counted_section>(set_up, check);
  EXPECT_GT(worlds, 20U);
}

TEST(mutex, survives_random_cancellations) {
  const auto set_up = [](world& here, counted_section& section) {
    for (int i = 0; i < 10; ++i) here.start(pass(section));
  };
  test::cancel_at_random<counted_section>(200, set_up, [](world& here, counted_section& section, const auto&) {
    here.expect_all_ended();
    EXPECT_EQ(section.most, 1);
    EXPECT_FALSE(section.gate.is_locked());
  });
}

}  // namespace
}  // namespace awm::coro
