#include "coro/task_group.hpp"

#include "support/run.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace awm::coro
