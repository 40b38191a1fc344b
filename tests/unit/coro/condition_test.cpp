#include "coro/condition.hpp"

#include "world.hpp"

#include <memory>

namespace awm::coro {
namespace {

using test::world;

struct store {
  explicit store(world& here) : changed(here.executor()) {}
  condition changed;
  int goods = 0;
  int taken = 0;
};

asio::awaitable<void> take_one(store& from) {
  const auto has_goods = [&from] { return from.goods > 0; };
  const auto error = co_await from.changed.wait(has_goods);
  if (error) co_return;
  --from.goods;
  ++from.taken;
}

TEST(condition, does_not_wait_for_what_is_true_already) {
  world here;
  store shop(here);
  shop.goods = 1;
  here.start(take_one(shop));
  here.run();
  EXPECT_EQ(shop.taken, 1);
}

TEST(condition, notify_one_wakes_one_and_it_tests_again) {
  world here;
  store shop(here);
  for (int i = 0; i < 3; ++i) here.start(take_one(shop));
  here.run();
  shop.changed.notify_one();
  here.run();
  EXPECT_EQ(shop.taken, 0) << "woken, but there is nothing";
  shop.goods = 2;
  shop.changed.notify_one();
  here.run();
  EXPECT_EQ(shop.taken, 1);
  shop.changed.notify_all();
  here.run();
  EXPECT_EQ(shop.taken, 2);
  shop.goods = 1;
  shop.changed.notify_all();
  here.run();
  here.expect_all_ended();
}

TEST(condition, works_with_callbacks_in_order_and_destroying_it_ends_the_waits) {
  world here;
  auto changed = std::make_unique<condition>(here.executor());
  std::vector<int> order;
  for (int name = 1; name <= 3; ++name) {
    changed->async_wait([&order, name](std::error_code error) { order.push_back(error ? -name : name); });
  }
  changed->notify_one();
  changed.reset();
  here.run();
  EXPECT_EQ(order, (std::vector{1, -2, -3}));
}

asio::awaitable<void> supply(store& to, int count) {
  for (int i = 0; i < count; ++i) {
    ++to.goods;
    to.changed.notify_one();
    co_await asio::post(to.changed.get_executor(), asio::use_awaitable);
  }
}

TEST(condition, no_notification_is_lost_whoever_is_cancelled_when) {
  const auto set_up = [](world& here, store& shop) {
    for (int i = 0; i < 4; ++i) here.start(take_one(shop));
    here.start(supply(shop, 3));
  };
  const auto check = [](world& here, store& shop, std::size_t victim) {
    const bool supplier_was_cancelled = victim == 4;
    if (!supplier_was_cancelled) {
      EXPECT_TRUE(shop.taken == 3 && shop.goods == 0) << "goods lie there while somebody waits for them";
    }
    shop.goods = 10;
    shop.changed.notify_all();
    here.run();
    here.expect_all_ended();
  };
  EXPECT_GT(test::cancel_at_every_step<store>(set_up, check), 15U);
}

}  // namespace
}  // namespace awm::coro
