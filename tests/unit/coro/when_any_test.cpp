#include "coro/when_any.hpp"

#include "coro/channel.hpp"
#include "tasks.hpp"

namespace awm::coro {
namespace {

using namespace std::chrono_literals;
using test::fail_after;
using test::fail_at_once;
using test::slow_to_end;
using test::thrown_by;
using test::value_after;
using test::value_at_once;
using test::world;
using tasks = std::vector<asio::awaitable<int>>;

TEST(when_any, the_first_end_decides_and_the_others_are_cancelled_and_awaited) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    const auto first = co_await when_any(first_done, value_after(here.clock, 1h, 1, living),
                                         value_after(here.clock, 2s, 2, living), slow_to_end(here.clock, 3s, living));
    EXPECT_EQ(living, 0);
    EXPECT_EQ(first.index, 1U);
    EXPECT_EQ(std::get<1>(first.outcomes).value(), 2);
    EXPECT_TRUE(std::get<0>(first.outcomes).is_cancelled());
    EXPECT_TRUE(std::get<2>(first.outcomes).is_cancelled());
    EXPECT_EQ(here.clock.now().time_since_epoch(), 5s);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(when_any, a_failure_decides_first_done_and_not_first_success) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    const auto done = co_await when_any(first_done, value_after(here.clock, 9s, 1, living),
                                        fail_after(here.clock, 1s, "failed", living));
    EXPECT_EQ(done.index, 1U);
    EXPECT_EQ(test::words_of(std::get<1>(done.outcomes).error()), "failed");
    const auto success = co_await when_any(first_success, value_after(here.clock, 9s, 1, living),
                                           fail_after(here.clock, 1s, "failed", living));
    EXPECT_EQ(success.index, 0U);
    EXPECT_EQ(std::get<0>(success.outcomes).value(), 1);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(when_any, when_all_fail_nobody_has_the_first_success_and_it_ends) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    tasks all;
    all.push_back(fail_at_once("a"));
    all.push_back(fail_after(here.clock, 1s, "b", living));
    const auto first = co_await when_any(first_success, std::move(all));
    EXPECT_FALSE(first.has_winner());
    EXPECT_EQ(test::words_of(first.outcomes.at(0).error()), "a");
    EXPECT_EQ(test::words_of(first.outcomes.at(1).error()), "b");
  };
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(when_any, of_nothing_nobody_wins_and_of_one_it_does) {
  world here;
  const auto body = []() -> asio::awaitable<void> {
    const auto none = co_await when_any(first_done, tasks());
    EXPECT_FALSE(none.has_winner());
    tasks lone;
    lone.push_back(value_at_once(7));
    const auto one = co_await when_any(first_done, std::move(lone));
    EXPECT_EQ(one.outcomes.at(one.index).value(), 7);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(when_any, one_that_ends_at_once_keeps_those_behind_it_from_beginning) {
  world here;
  int begun = 0;
  const auto begin = [&]() -> asio::awaitable<int> {
    ++begun;
    co_return 0;
  };
  const auto body = [&]() -> asio::awaitable<void> {
    const auto first = co_await when_any(first_done, value_at_once(1), begin());
    EXPECT_EQ(first.index, 0U);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
  EXPECT_EQ(begun, 0);
}

asio::awaitable<std::optional<int>> receive_from(channel<int>& source) {
  co_return co_await source.receive();
}

TEST(when_any, a_loser_that_had_received_something_already_does_not_lose_it) {
  world here;
  channel<int> left(here.executor(), 1);
  channel<int> right(here.executor(), 1);
  std::vector<int> received;
  const auto body = [&]() -> asio::awaitable<void> {
    const auto first = co_await when_any(first_done, receive_from(left), receive_from(right));
    EXPECT_EQ(first.index, 0U);
    if (std::get<0>(first.outcomes).value()) received.push_back(*std::get<0>(first.outcomes).value());
    if (std::get<1>(first.outcomes).value()) received.push_back(*std::get<1>(first.outcomes).value());
  };
  asio::co_spawn(here.context, body(), [](const std::exception_ptr&) {});
  here.run();
  EXPECT_TRUE(left.try_send(1));
  EXPECT_TRUE(right.try_send(2));  // both are on their way when the first is told
  here.run();
  EXPECT_EQ(received, (std::vector{1, 2}));
}

struct race {
  explicit race(world&) {}
  int living = 0;
  int living_behind = -1;
  bool had_winner = false;
};

asio::awaitable<void> run_race(world& here, race& all) {
  const auto first =
      co_await when_any(first_success, value_after(here.clock, 3s, 1, all.living),
                        fail_after(here.clock, 1s, "failed", all.living), slow_to_end(here.clock, 2s, all.living));
  all.living_behind = all.living;
  all.had_winner = first.has_winner();
}

TEST(when_any, whenever_it_is_cancelled_it_waits_for_all) {
  std::size_t wins = 0;
  const auto set_up = [](world& here, race& all) { here.start(run_race(here, all)); };
  const auto check = [&](world& here, race& all, std::size_t) {
    here.expect_all_ended();
    EXPECT_EQ(all.living, 0);
    EXPECT_LE(all.living_behind, 0);
    wins += all.had_winner ? 1 : 0;
  };
  const auto worlds = test::cancel_at_every_step<race>(set_up, check);
  EXPECT_GT(worlds, 8U);
  EXPECT_GT(wins, 0U);
  EXPECT_LT(wins, worlds);
}

}  // namespace
}  // namespace awm::coro
