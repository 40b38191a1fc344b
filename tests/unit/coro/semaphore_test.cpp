#include "coro/semaphore.hpp"

#include "world.hpp"

#include <memory>

namespace awm::coro {
namespace {

using test::world;
using namespace std::chrono_literals;

asio::awaitable<void> take(semaphore& permits, std::size_t count, std::vector<int>& order, int name) {
  auto held = co_await permits.acquire(count);
  order.push_back(held ? name : -name);
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
}

TEST(semaphore, a_heavy_waiter_is_not_overtaken_by_light_ones) {
  world here;
  semaphore permits(here.executor(), 3);
  auto two = permits.try_acquire(2);
  std::vector<int> order;
  here.start(take(permits, 3, order, 1));
  here.start(take(permits, 1, order, 2));
  here.run();
  EXPECT_TRUE(order.empty()) << "one permit is left, but the one that came first wants three";
  EXPECT_FALSE(permits.try_acquire(1));
  two.release();
  here.run();
  EXPECT_EQ(order, (std::vector{1, 2}));
  EXPECT_EQ(permits.available(), 3U);
  here.expect_all_ended();
}

TEST(semaphore, the_others_go_on_when_the_one_that_held_them_up_is_cancelled) {
  world here;
  semaphore permits(here.executor(), 1);
  std::vector<int> order;
  const auto heavy = here.start(take(permits, 2, order, 1));
  here.start(take(permits, 1, order, 2));
  here.run();
  EXPECT_TRUE(order.empty());
  here.cancel(heavy);
  here.run();
  EXPECT_EQ(order, (std::vector{-1, 2}));
  EXPECT_EQ(permits.available(), 1U);
}

asio::awaitable<void> take_in_time(semaphore& permits, clock& clock, bool& had_it) {
  auto held = co_await permits.acquire_until(clock, clock.now() + 10s);
  had_it = static_cast<bool>(held);
}

TEST(semaphore, a_timed_acquire_gives_up_at_its_deadline_and_takes_nothing) {
  world here;
  semaphore permits(here.executor(), 1);
  auto held = permits.try_acquire();
  bool had_it = true;
  here.start(take_in_time(permits, here.clock, had_it));
  here.run();
  EXPECT_FALSE(had_it);
  EXPECT_EQ(here.clock.now().time_since_epoch(), 10s);
  held.release();
  EXPECT_EQ(permits.available(), 1U);
  here.start(take_in_time(permits, here.clock, had_it));
  here.run();
  EXPECT_TRUE(had_it);
  EXPECT_EQ(here.clock.armed(), 0U);
}

TEST(semaphore, works_with_a_callback_and_lets_more_in_when_permits_are_added) {
  world here;
  semaphore permits(here.executor(), 0);
  int let_in = 0;
  for (int i = 0; i < 3; ++i) permits.async_acquire(1, [&](std::error_code error) { let_in += error ? 0 : 1; });
  EXPECT_EQ(permits.waiting(), 3U);
  permits.release(2);
  here.run();
  EXPECT_EQ(let_in, 2);
}

TEST(semaphore, destroying_it_ends_the_waits) {
  world here;
  auto permits = std::make_unique<semaphore>(here.executor(), 0);
  std::vector<int> order;
  here.start(take(*permits, 1, order, 1));
  here.run();
  permits.reset();
  here.run();
  EXPECT_EQ(order, std::vector{-1});
}

struct counted_section {
  explicit counted_section(world& here) : permits(here.executor(), 3) {}
  semaphore permits;
  std::size_t inside = 0;
  std::size_t most = 0;
};

asio::awaitable<void> pass(counted_section& section, std::size_t weight) {
  const auto held = co_await section.permits.acquire(weight);
  if (!held) co_return;
  section.inside += weight;
  section.most = std::max(section.most, section.inside);
  // Who is cancelled in here leaves by an exception.
  const auto leave = [weight](counted_section* from) { from->inside -= weight; };
  const std::unique_ptr<counted_section, decltype(leave)> at_end(&section, leave);
  co_await asio::post(section.permits.get_executor(), asio::use_awaitable);
}

void start_all(world& here, counted_section& section) {
  for (const std::size_t weight : {2U, 3U, 1U, 1U, 2U}) here.start(pass(section, weight));
}

TEST(semaphore, no_permit_is_lost_or_made_whoever_is_cancelled_when) {
  const auto check = [](world& here, counted_section& section, std::size_t) {
    here.expect_all_ended();
    EXPECT_LE(section.most, 3U);
    EXPECT_EQ(section.permits.available(), 3U);
  };
  EXPECT_GT(test::cancel_at_every_step<counted_section>(start_all, check), 20U);
}

TEST(semaphore, survives_random_cancellations) {
  test::cancel_at_random<counted_section>(200, start_all, [](world& here, counted_section& section, const auto&) {
    here.expect_all_ended();
    EXPECT_LE(section.most, 3U);
    EXPECT_EQ(section.permits.available(), 3U);
  });
}

}  // namespace
}  // namespace awm::coro
