#include "coro/settle_all.hpp"

#include "tasks.hpp"

namespace awm::coro {
namespace {

using namespace std::chrono_literals;
using test::fail_after;
using test::fail_at_once;
using test::nothing_after;
using test::slow_to_end;
using test::thrown_by;
using test::value_after;
using test::value_at_once;
using test::world;

TEST(settle_all, tells_of_each_how_it_ended_and_ends_nobody) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    const auto [early, late, failed, nothing] =
        co_await settle_all(value_at_once(1), value_after(here.clock, 9s, 2, living), fail_at_once("no"),
                            nothing_after(here.clock, 1s, living));
    EXPECT_EQ(early.value(), 1);
    EXPECT_EQ(late.value(), 2);
    EXPECT_FALSE(failed.has_value());
    EXPECT_EQ(test::words_of(failed.error()), "no");
    EXPECT_THROW(failed.value(), std::runtime_error);
    EXPECT_TRUE(nothing.has_value());
    EXPECT_EQ(nothing.error(), nullptr);
    EXPECT_EQ(here.clock.now().time_since_epoch(), 9s);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(settle_all, of_nothing_of_one_and_of_many) {
  world here;
  int living = 0;
  for (const int size : {0, 1, 100}) {
    const auto body = [&]() -> asio::awaitable<void> {
      std::vector<asio::awaitable<int>> all;
      for (int i = 0; i < size; ++i) {
        if (i % 2 == 0) all.push_back(value_after(here.clock, 1s, i, living));
        if (i % 2 == 1) all.push_back(fail_after(here.clock, 1s, std::to_string(i), living));
      }
      const auto outcomes = co_await settle_all(std::move(all));
      EXPECT_EQ(outcomes.size(), static_cast<std::size_t>(size));
      for (int i = 0; i < size; ++i) EXPECT_EQ(outcomes[static_cast<std::size_t>(i)].has_value(), i % 2 == 0);
    };
    EXPECT_EQ(thrown_by(here, body()), "");
  }
  const auto none = []() -> asio::awaitable<void> {
    const auto outcomes = co_await settle_all();
    EXPECT_EQ(outcomes, std::tuple<>());
  };
  EXPECT_EQ(thrown_by(here, none()), "");
}

struct pair_of_tasks {
  explicit pair_of_tasks(world&) {}
  int living = 0;
  int living_behind = -1;
  bool first_has_value = false;
  bool second_is_cancelled = false;
};

asio::awaitable<void> settle_two(world& here, pair_of_tasks& all) {
  const auto [first, second] =
      co_await settle_all(test::value_or_minus(here.clock, 2s, 1, all.living), slow_to_end(here.clock, 3s, all.living));
  all.living_behind = all.living;
  all.first_has_value = first.has_value();
  all.second_is_cancelled = second.is_cancelled();
}

TEST(settle_all, whenever_it_is_cancelled_all_are_cancelled_and_their_ends_told) {
  const auto set_up = [](world& here, pair_of_tasks& all) { here.start(settle_two(here, all)); };
  const auto check = [](world& here, pair_of_tasks& all, std::size_t) {
    here.expect_all_ended();
    EXPECT_EQ(all.living, 0);
    if (all.living_behind < 0) return;  // cancelled before it began
    EXPECT_EQ(all.living_behind, 0);
    EXPECT_TRUE(all.first_has_value);
    EXPECT_TRUE(all.second_is_cancelled);
  };
  EXPECT_GT(test::cancel_at_every_step<pair_of_tasks>(set_up, check), 6U);
}

}  // namespace
}  // namespace awm::coro
