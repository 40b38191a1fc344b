#include "coro/latch.hpp"

#include "world.hpp"

#include <memory>

namespace awm::coro {
namespace {

using test::world;

asio::awaitable<void> note(latch& gate, std::vector<int>& order, int name) {
  const auto error = co_await gate.wait();
  order.push_back(error ? -name : name);
}

TEST(latch, opens_with_the_last_count_and_wakes_in_order) {
  world here;
  latch gate(here.executor(), 3);
  std::vector<int> order;
  here.start(note(gate, order, 1));
  here.start(note(gate, order, 2));
  gate.count_down(2);
  here.run();
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(gate.count(), 1U);
  gate.count_down();
  here.run();
  EXPECT_EQ(order, (std::vector{1, 2}));
  EXPECT_TRUE(gate.is_open());
}

TEST(latch, of_zero_is_open_from_the_start) {
  world here;
  latch gate(here.executor(), 0);
  std::vector<int> order;
  here.start(note(gate, order, 1));
  here.run();
  EXPECT_EQ(order, std::vector{1});
}

asio::awaitable<void> arrive(latch& gate, int& together) {
  const auto error = co_await gate.arrive_and_wait();
  if (!error) ++together;
}

TEST(latch, arrive_and_wait_counts_whoever_comes) {
  world here;
  latch gate(here.executor(), 3);
  int together = 0;
  for (int i = 0; i < 3; ++i) here.start(arrive(gate, together));
  here.run();
  EXPECT_EQ(together, 3);
  here.expect_all_ended();
}

TEST(latch, destroying_it_ends_the_waits) {
  world here;
  auto gate = std::make_unique<latch>(here.executor(), 1);
  std::vector<int> order;
  here.start(note(*gate, order, 1));
  here.run();
  gate.reset();
  here.run();
  EXPECT_EQ(order, std::vector{-1});
}

struct three {
  explicit three(world& here) : gate(here.executor(), 3) {}
  latch gate;
  int together = 0;
};

TEST(latch, who_is_cancelled_has_counted_all_the_same_and_holds_up_nobody) {
  const auto set_up = [](world& here, three& all) {
    for (int i = 0; i < 3; ++i) here.start(arrive(all.gate, all.together));
  };
  const auto check = [](world& here, three& all, std::size_t) {
    if (all.gate.count() > 0) {  // cancelled before it could arrive
      EXPECT_EQ(all.gate.count(), 1U);
      all.gate.count_down();
      here.run();
    }
    here.expect_all_ended();
    EXPECT_GE(all.together, 2);
  };
  EXPECT_GT(test::cancel_at_every_step<three>(set_up, check), 9U);
}

}  // namespace
}  // namespace awm::coro
