#include "coro/join_until.hpp"

#include "coro/task_group.hpp"
#include "tasks.hpp"

#include <memory>

namespace awm::coro {
namespace {

using namespace std::chrono_literals;
using test::world;

struct waiting {
  explicit waiting(world& here) : done(here.executor()), question(here.executor()) {}
  event done;
  event question;
  std::vector<join_end> ends;
};

asio::awaitable<void> wait(world& here, waiting& all, clock::duration patience) {
  all.ends.push_back(co_await join_until(all.done, all.question, here.clock, here.clock.now() + patience));
}

TEST(join_until, ends_with_the_first_of_done_interrupt_and_deadline) {
  world here;
  waiting all(here);
  here.start(wait(here, all, 10s));
  EXPECT_TRUE(here.step());
  all.question.set();
  here.run();
  all.question.reset();
  here.start(wait(here, all, 10s));
  here.run();
  EXPECT_EQ(here.clock.now().time_since_epoch(), 10s);
  here.start(wait(here, all, 10s));
  EXPECT_TRUE(here.step());
  all.done.set();
  here.run();
  EXPECT_EQ(all.ends, (std::vector{join_end::interrupted, join_end::timed_out, join_end::joined}));
  EXPECT_EQ(here.clock.armed(), 0U);
}

TEST(join_until, what_is_done_goes_before_what_interrupts_also_when_both_come_at_once) {
  world here;
  waiting all(here);
  here.start(wait(here, all, 10s));
  EXPECT_TRUE(here.step());
  all.question.set();
  all.done.set();
  here.run();
  here.start(wait(here, all, 10s));
  here.run();
  EXPECT_EQ(all.ends, (std::vector{join_end::joined, join_end::joined}));
}

TEST(join_until, leaves_the_work_going_on_and_can_be_called_again) {
  world here;
  task_group work(here.executor());
  event question(here.executor());
  std::vector<join_end> ends;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    work.spawn(test::nothing_after(here.clock, 5s, living));
    timer asks(here.clock);
    asks.arm(here.clock.now() + 1s, [&] { question.set(); });
    ends.push_back(co_await join_until(work.empty(), question, here.clock));
    EXPECT_EQ(living, 1);
    question.reset();
    ends.push_back(co_await join_until(work.empty(), question, here.clock));
    EXPECT_EQ(here.clock.now().time_since_epoch(), 5s);
  };
  EXPECT_EQ(test::thrown_by(here, body()), "");
  EXPECT_EQ(ends, (std::vector{join_end::interrupted, join_end::joined}));
}

TEST(join_until, destroying_what_it_waits_for_ends_it) {
  world here;
  auto all = std::make_unique<waiting>(here);
  std::vector<join_end> ends;
  const auto body = [&]() -> asio::awaitable<void> {
    ends.push_back(co_await join_until(all->done, all->question, here.clock));
  };
  here.start(body());
  EXPECT_TRUE(here.step());
  all.reset();
  here.run();
  EXPECT_EQ(ends, std::vector{join_end::cancelled});
}

TEST(join_until, whenever_it_is_cancelled_it_ends_and_leaves_nothing_behind) {
  const auto set_up = [](world& here, waiting& all) { here.start(wait(here, all, 3s)); };
  const auto check = [](world& here, waiting& all, std::size_t) {
    here.expect_all_ended();
    EXPECT_EQ(here.clock.armed(), 0U);
    all.done.set();  // would reach into a frame that is gone
    all.question.set();
    here.run();
  };
  EXPECT_GT(test::cancel_at_every_step<waiting>(set_up, check), 3U);
}

}  // namespace
}  // namespace awm::coro
