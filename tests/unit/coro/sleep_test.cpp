#include "coro/sleep.hpp"

#include "tasks.hpp"

namespace awm::coro {
namespace {

using namespace std::chrono_literals;
using test::world;

asio::awaitable<void> rest(world& here, clock::duration pause, std::error_code& told, clock::time_point& until) {
  told = co_await sleep(here.clock, pause);
  until = here.clock.now();
}

TEST(sleep, lasts_as_long_as_it_was_told) {
  world here;
  std::error_code told = asio::error::eof;
  clock::time_point until;
  here.start(rest(here, 1h, told, until));
  here.run();
  EXPECT_FALSE(told);
  EXPECT_EQ(until.time_since_epoch(), 1h);
}

TEST(sleep, of_nothing_or_less_takes_no_turn_of_the_event_loop) {
  world here;
  std::error_code told = asio::error::eof;
  clock::time_point until;
  here.start(rest(here, 0s, told, until));
  EXPECT_TRUE(here.step());
  EXPECT_FALSE(told);
  here.start(rest(here, -1s, told, until));
  here.run();
  EXPECT_EQ(until.time_since_epoch(), 0s);
  here.expect_all_ended();
}

TEST(sleep, is_ended_by_cancelling_it) {
  world here;
  std::error_code told;
  clock::time_point until;
  const auto sleeper = here.start(rest(here, 1h, told, until));
  EXPECT_TRUE(here.step());
  here.cancel(sleeper);
  EXPECT_TRUE(here.step());
  EXPECT_EQ(told, asio::error::operation_aborted);
  EXPECT_EQ(here.clock.armed(), 0U);
}

TEST(sleep, works_with_callbacks_and_their_cancellation) {
  world here;
  std::vector<std::string> told;
  asio::cancellation_signal stop;
  async_sleep(here.executor(), here.clock, 2s, [&](std::error_code error) { told.push_back(error ? "?" : "two"); });
  async_sleep(here.executor(), here.clock, 1s, [&](std::error_code error) { told.push_back(error ? "?" : "one"); });
  async_sleep(here.executor(), here.clock, 1h, asio::bind_cancellation_slot(stop.slot(), [&](std::error_code error) {
                told.push_back(error == asio::error::operation_aborted ? "stopped" : "?");
              }));
  stop.emit(asio::cancellation_type::terminal);
  here.run();
  EXPECT_EQ(told, (std::vector<std::string>{"stopped", "one", "two"}));
}

TEST(sleep, a_loop_that_is_destroyed_takes_the_sleepers_along) {
  virtual_clock clock;
  {
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    async_sleep(context.get_executor(), clock, 1h, [](std::error_code) {});
    asio::co_spawn(context, sleep(clock, 1h), [](const std::exception_ptr&, std::error_code) {});
    context.poll();
    EXPECT_EQ(clock.armed(), 2U);
  }
  EXPECT_EQ(clock.armed(), 0U);
}

}  // namespace
}  // namespace awm::coro
