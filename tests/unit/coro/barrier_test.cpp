#include "coro/barrier.hpp"

#include "world.hpp"

#include <memory>

namespace awm::coro {
namespace {

using test::world;

asio::awaitable<void> take_part(barrier& phase, int rounds, std::vector<int>& order) {
  for (int round = 1; round <= rounds; ++round) {
    const auto error = co_await phase.arrive_and_wait();
    if (error) co_return;
    order.push_back(round);
  }
}

TEST(barrier, lets_all_go_on_together_phase_after_phase) {
  world here;
  barrier phase(here.executor(), 3);
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) here.start(take_part(phase, 3, order));
  here.run();
  EXPECT_EQ(order, (std::vector{1, 1, 1, 2, 2, 2, 3, 3, 3}));
  EXPECT_EQ(phase.arrived(), 0U);
  here.expect_all_ended();
}

TEST(barrier, of_one_holds_up_nobody) {
  world here;
  barrier phase(here.executor(), 1);
  std::vector<int> order;
  here.start(take_part(phase, 5, order));
  here.run();
  EXPECT_EQ(order.size(), 5U);
}

TEST(barrier, a_cancelled_wait_takes_its_arrival_back) {
  world here;
  barrier phase(here.executor(), 2);
  std::vector<int> order;
  const auto first = here.start(take_part(phase, 1, order));
  EXPECT_TRUE(here.step());
  EXPECT_EQ(phase.arrived(), 1U);
  here.cancel(first);
  here.run();
  EXPECT_EQ(phase.arrived(), 0U);
  here.start(take_part(phase, 1, order));
  here.run();
  EXPECT_TRUE(order.empty());
  here.start(take_part(phase, 1, order));
  here.run();
  EXPECT_EQ(order, (std::vector{1, 1}));
}

TEST(barrier, who_drops_out_ends_the_phase_if_it_was_the_last_that_was_missing) {
  world here;
  barrier phase(here.executor(), 3);
  std::vector<int> order;
  here.start(take_part(phase, 2, order));
  here.start(take_part(phase, 2, order));
  here.run();
  EXPECT_TRUE(order.empty());
  phase.arrive_and_drop();
  here.run();
  EXPECT_EQ(order, (std::vector{1, 1, 2, 2}));
  EXPECT_EQ(phase.expected(), 2U);
}

TEST(barrier, works_with_callbacks_and_destroying_it_ends_the_waits) {
  world here;
  auto phase = std::make_unique<barrier>(here.executor(), 2);
  std::error_code told;
  phase->async_arrive_and_wait([&](std::error_code error) { told = error; });
  phase.reset();
  here.run();
  EXPECT_EQ(told, asio::error::operation_aborted);
}

struct party {
  explicit party(world& here) : phase(here.executor(), 3) {}
  barrier phase;
  std::vector<int> order;
};

TEST(barrier, whoever_is_cancelled_when_the_others_go_on_once_it_is_known) {
  const auto set_up = [](world& here, party& all) {
    for (int i = 0; i < 3; ++i) here.start(take_part(all.phase, 2, all.order));
  };
  const auto check = [](world& here, party& all, std::size_t victim) {
    if (here.has_ended(victim) && all.order.size() < 6) all.phase.arrive_and_drop();
    here.run();
    here.expect_all_ended();
    EXPECT_GE(all.order.size(), 4U);
  };
  EXPECT_GT(test::cancel_at_every_step<party>(set_up, check), 9U);
}

}  // namespace
}  // namespace awm::coro
