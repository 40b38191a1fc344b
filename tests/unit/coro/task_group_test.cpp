#include "coro/task_group.hpp"

#include "support/run.hpp"
#include "tasks.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

namespace awm::coro {
namespace {

using test::run;
using test::settle;

asio::awaitable<void> wait_for(event& event, int& finished) {
  const auto [error] = co_await event.async_wait(as_value);
  if (!error) ++finished;
}

asio::awaitable<void> fail() {
  throw std::runtime_error("first");
  co_return;
}

TEST(task_group, join_returns_when_the_last_member_has_ended) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    event go(executor);
    task_group group(executor);
    int finished = 0;
    for (int member = 0; member < 3; ++member) group.spawn(wait_for(go, finished));
    EXPECT_EQ(group.size(), 3U);
    co_await settle();
    go.set();
    co_await group.join();
    EXPECT_EQ(finished, 3);
    EXPECT_EQ(group.size(), 0U);
  });
}

TEST(task_group, joining_an_empty_group_returns) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    task_group group(executor);
    co_await group.join();
  });
}

TEST(task_group, cancel_ends_every_member) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    event never(executor);
    task_group group(executor);
    int finished = 0;
    for (int member = 0; member < 3; ++member) group.spawn(wait_for(never, finished));
    co_await settle();
    group.cancel();
    co_await group.join();
    EXPECT_EQ(finished, 0);
  });
}

TEST(task_group, the_first_exception_cancels_the_others_and_is_rethrown_by_join) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    event never(executor);
    task_group group(executor);
    int finished = 0;
    group.spawn(wait_for(never, finished));
    group.spawn(fail());
    std::string what;
    try {
      co_await group.join();
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    EXPECT_EQ(what, "first");
    EXPECT_EQ(group.size(), 0U);
  });
}

TEST(task_group, a_cancelled_join_cancels_the_members_and_still_waits_for_them) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    event never(executor);
    event joined(executor);
    task_group group(executor);
    int finished = 0;
    group.spawn(wait_for(never, finished));
    asio::cancellation_signal cancel;
    const auto join = [](task_group& members, event& done) -> asio::awaitable<void> {
      co_await members.join();
      done.set();
    };
    asio::co_spawn(executor, join(group, joined), asio::bind_cancellation_slot(cancel.slot(), asio::detached));
    co_await settle();
    cancel.emit(asio::cancellation_type::terminal);
    co_await joined.async_wait(as_value);
    EXPECT_EQ(group.size(), 0U);
  });
}

TEST(task_group, members_may_spawn_further_ones_and_a_join_waits_for_all) {
  test::world here;
  task_group group(here.executor());
  int ended = 0;
  const std::function<asio::awaitable<void>(int)> grow = [&](int depth) -> asio::awaitable<void> {
    co_await sleep(here.clock, std::chrono::seconds(1));
    if (depth > 0) {
      group.spawn(grow(depth - 1));
      group.spawn(grow(depth - 1));
    }
    ++ended;
  };
  const auto body = [&]() -> asio::awaitable<void> {
    group.spawn(grow(3));
    co_await group.join();
    EXPECT_EQ(ended, 15);
  };
  EXPECT_EQ(test::thrown_by(here, body()), "");
}

TEST(task_group, no_more_than_its_limit_run_at_once_and_the_others_in_order) {
  test::world here;
  task_group group(here.executor(), 2);
  int running = 0;
  int most = 0;
  std::vector<int> begun;
  const auto work = [&](int name) -> asio::awaitable<void> {
    begun.push_back(name);
    most = std::max(most, ++running);
    co_await sleep(here.clock, std::chrono::seconds(1));
    --running;
  };
  const auto body = [&]() -> asio::awaitable<void> {
    for (int name = 0; name < 6; ++name) group.spawn(work(name));
    EXPECT_EQ(group.size(), 6U);
    EXPECT_EQ(begun.size(), 2U);
    co_await group.join();
  };
  EXPECT_EQ(test::thrown_by(here, body()), "");
  EXPECT_EQ(most, 2);
  EXPECT_EQ(begun, (std::vector{0, 1, 2, 3, 4, 5}));
}

TEST(task_group, a_long_queue_of_tasks_that_end_at_once_does_not_grow_the_stack) {
  test::world here;
  task_group group(here.executor(), 1);
  int ended = 0;
  const auto first = [&]() -> asio::awaitable<void> { co_await sleep(here.clock, std::chrono::seconds(1)); };
  const auto quick = [&]() -> asio::awaitable<void> {
    ++ended;
    co_return;
  };
  const auto body = [&]() -> asio::awaitable<void> {
    group.spawn(first());
    for (int i = 0; i < 100'000; ++i) group.spawn(quick());
    co_await group.join();
  };
  EXPECT_EQ(test::thrown_by(here, body()), "");
  EXPECT_EQ(ended, 100'000);
}

TEST(task_group, cancelling_drops_what_waits_for_a_place_and_the_group_can_be_used_again) {
  test::world here;
  task_group group(here.executor(), 1);
  int living = 0;
  int begun = 0;
  const auto count = [&]() -> asio::awaitable<void> {
    ++begun;
    co_return;
  };
  const auto body = [&]() -> asio::awaitable<void> {
    group.spawn(test::nothing_after(here.clock, std::chrono::hours(1), living));
    group.spawn(count());
    group.cancel();
    group.spawn(count());
    co_await group.join();
    EXPECT_EQ(begun, 0);
    group.spawn(count());
    co_await group.join();
    EXPECT_EQ(begun, 1);
  };
  EXPECT_EQ(test::thrown_by(here, body()), "");
  EXPECT_EQ(living, 0);
}

TEST(task_group_death, destroying_one_that_has_members_ends_the_program) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto leave_one = [] {
    test::world here;
    int living = 0;
    const auto body = [&]() -> asio::awaitable<void> {
      task_group group(here.executor());
      group.spawn(test::nothing_after(here.clock, std::chrono::hours(1), living));
      co_return;
    };
    here.start(body());
    here.run();
  };
  EXPECT_DEATH(leave_one(), "");
}

struct nursery {
  explicit nursery(test::world& here) : group(here.executor(), 2) {}
  task_group group;
  int living = 0;
  int living_behind = -1;
};

asio::awaitable<void> run_nursery(test::world& here, nursery& all) {
  for (int i = 1; i <= 4; ++i) all.group.spawn(test::nothing_after(here.clock, std::chrono::seconds(i), all.living));
  co_await all.group.join();
  all.living_behind = all.living;
}

TEST(task_group, whenever_its_join_is_cancelled_no_member_outlives_it) {
  const auto set_up = [](test::world& here, nursery& all) { here.start(run_nursery(here, all)); };
  const auto check = [](test::world& here, nursery& all, std::size_t) {
    here.expect_all_ended();
    EXPECT_EQ(all.living, 0);
    EXPECT_LE(all.living_behind, 0);
    EXPECT_EQ(all.group.size(), 0U);
  };
  EXPECT_GT(test::cancel_at_every_step<nursery>(set_up, check), 8U);
}

}  // namespace
}  // namespace awm::coro
