#include "coro/clock.hpp"

#include "support/manual_clock.hpp"
#include "support/run.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace awm::coro {
namespace {

using namespace std::chrono_literals;
using test::run;
using test::settle;

asio::awaitable<void> wait_a_minute(event& happened, clock& clock, std::optional<bool>& result) {
  const bool in_time = co_await wait_until(happened, clock, clock.now() + 60s);
  result = in_time;
}

TEST(wait_until, tells_that_it_happened_before_the_deadline_and_disarms_its_timer) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    test::manual_clock clock;
    event happened(executor);
    std::optional<bool> result;
    asio::co_spawn(executor, wait_a_minute(happened, clock, result), asio::detached);
    co_await settle();
    EXPECT_EQ(clock.armed(), 1U);
    clock.advance(59s);
    co_await settle();
    EXPECT_FALSE(result);
    happened.set();
    co_await settle();
    EXPECT_EQ(result, true);
    EXPECT_EQ(clock.armed(), 0U);
  });
}

TEST(wait_until, gives_up_at_the_deadline) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    test::manual_clock clock;
    event happened(executor);
    std::optional<bool> result;
    asio::co_spawn(executor, wait_a_minute(happened, clock, result), asio::detached);
    co_await settle();
    clock.advance(60s);
    co_await settle();
    EXPECT_EQ(result, false);
  });
}

TEST(wait_until, is_ended_by_cancelling_the_coroutine_that_awaits_it) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    test::manual_clock clock;
    event happened(executor);
    std::optional<bool> result;
    asio::cancellation_signal cancel;
    asio::co_spawn(executor, wait_a_minute(happened, clock, result),
                   asio::bind_cancellation_slot(cancel.slot(), asio::detached));
    co_await settle();
    cancel.emit(asio::cancellation_type::terminal);
    co_await settle();
    EXPECT_EQ(result, false);
    EXPECT_EQ(clock.armed(), 0U);
  });
}

TEST(system_clock, a_timer_that_is_armed_anew_fires_once_and_one_that_is_disarmed_never) {
  asio::io_context context;
  system_clock clock(context.get_executor());
  int fired = 0;
  const auto armed_anew = clock.make_timer();
  armed_anew->arm(clock.now(), [&] { fired += 100; });
  armed_anew->arm(clock.now(), [&] { ++fired; });
  const auto disarmed = clock.make_timer();
  disarmed->arm(clock.now(), [&] { fired += 1000; });
  disarmed->disarm();
  {
    const auto destroyed = clock.make_timer();
    destroyed->arm(clock.now(), [&] { fired += 1000; });
  }
  context.run();
  EXPECT_EQ(fired, 1);
}

}  // namespace
}  // namespace awm::coro
