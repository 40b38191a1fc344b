#include "coro/deadline.hpp"

#include "coro/channel.hpp"
#include "tasks.hpp"

namespace awm::coro {
namespace {

using namespace std::chrono_literals;
using test::fail_after;
using test::nothing_after;
using test::slow_to_end;
using test::thrown_by;
using test::value_after;
using test::world;

TEST(with_timeout, an_operation_that_completes_in_time_disarms_the_timer) {
  world here;
  channel<int> values(here.executor(), 1);
  const auto receive = [&](auto token) { return values.async_receive(token); };
  const auto body = [&]() -> asio::awaitable<void> {
    const auto [error, value] = co_await with_timeout(here.clock, 10s, receive);
    EXPECT_FALSE(error);
    EXPECT_EQ(value, 5);
    EXPECT_EQ(here.clock.armed(), 0U);
  };
  EXPECT_TRUE(values.try_send(5));
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(with_timeout, an_operation_that_does_not_is_ended_and_says_timed_out) {
  world here;
  event never(here.executor());
  const auto wait = [&](auto token) { return never.async_wait(token); };
  const auto body = [&]() -> asio::awaitable<void> {
    const auto [error] = co_await with_timeout(here.clock, 10s, wait);
    EXPECT_EQ(error, asio::error::timed_out);
    EXPECT_EQ(here.clock.now().time_since_epoch(), 10s);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(with_timeout, a_coroutine_that_was_cancelled_before_does_not_wait_for_its_deadline) {
  world here;
  event never(here.executor());
  const auto wait = [&](auto token) { return never.async_wait(token); };
  std::error_code told;
  const auto body = [&]() -> asio::awaitable<void> {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await sleep(here.clock, 1h);
    const auto [error] = co_await with_timeout(here.clock, 10s, wait);
    told = error;
  };
  const auto victim = here.start(body());
  EXPECT_TRUE(here.step());
  here.cancel(victim);
  here.run();
  EXPECT_EQ(told, asio::error::operation_aborted);
  EXPECT_EQ(here.clock.now().time_since_epoch(), 0s);
}

TEST(with_timeout, a_task_gives_its_value_or_nothing_when_its_time_is_over) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    const auto in_time = co_await with_timeout(here.clock, 2s, value_after(here.clock, 1s, 7, living));
    EXPECT_EQ(in_time, 7);
    const auto too_late = co_await with_timeout(here.clock, 2s, value_after(here.clock, 1h, 7, living));
    EXPECT_FALSE(too_late);
    const bool done = co_await with_timeout(here.clock, 2s, nothing_after(here.clock, 1s, living));
    EXPECT_TRUE(done);
    const bool not_done = co_await with_timeout(here.clock, 2s, nothing_after(here.clock, 1h, living));
    EXPECT_FALSE(not_done);
    EXPECT_EQ(here.clock.now().time_since_epoch(), 1s + 2s + 1s + 2s);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
  EXPECT_EQ(here.clock.armed(), 0U);
}

TEST(with_timeout, a_task_that_takes_its_time_to_end_is_waited_for) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    const auto ended = co_await with_timeout(here.clock, 2s, slow_to_end(here.clock, 3s, living));
    EXPECT_FALSE(ended);
    EXPECT_EQ(living, 0);
    EXPECT_EQ(here.clock.now().time_since_epoch(), 5s);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(with_timeout, a_value_that_came_with_the_deadline_is_kept_and_an_error_thrown) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    const auto kept = co_await with_timeout(here.clock, 2s, test::value_or_minus(here.clock, 1h, 1, living));
    EXPECT_EQ(kept, -1);
    co_await with_timeout(here.clock, 2s, fail_after(here.clock, 1s, "failed", living));
  };
  EXPECT_EQ(thrown_by(here, body()), "failed");
}

struct limited {
  explicit limited(world& here) : values(here.executor(), 0) {}
  channel<int> values;
  int living = 0;
  int sent = 0;
  int received = 0;
};

asio::awaitable<void> receive_in_time(world& here, limited& all) {
  const auto receive = [&](auto token) { return all.values.async_receive(token); };
  for (int i = 0; i < 3; ++i) {
    const auto [error, value] = co_await with_timeout(here.clock, 1s, receive);
    if (value) ++all.received;
    const bool done = co_await with_timeout(here.clock, 1s, nothing_after(here.clock, 1s, all.living));
    (void)done;
  }
}

asio::awaitable<void> send_now_and_then(world& here, limited& all) {
  for (int i = 0; i < 3; ++i) {
    const auto error = co_await all.values.send(int(i));
    if (error) co_return;
    ++all.sent;
    const auto cancelled = co_await sleep(here.clock, 1s);
    if (cancelled) co_return;
  }
}

TEST(with_timeout, loses_nothing_whoever_is_cancelled_when) {
  const auto set_up = [](world& here, limited& all) {
    here.start(receive_in_time(here, all));
    here.start(send_now_and_then(here, all));
  };
  const auto check = [](world& here, limited& all, std::size_t) {
    all.values.close();
    here.run();
    here.expect_all_ended();
    EXPECT_EQ(all.sent, all.received);
    EXPECT_EQ(all.living, 0);
    EXPECT_EQ(here.clock.armed(), 0U);
  };
  EXPECT_GT(test::cancel_at_every_step<limited>(set_up, check), 12U);
}

}  // namespace
}  // namespace awm::coro
