#include "coro/when_all.hpp"

#include "tasks.hpp"

#include <ranges>

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
using test::value_or_minus;
using test::world;
using tasks = std::vector<asio::awaitable<int>>;

TEST(when_all, returns_the_values_in_the_order_of_the_tasks_and_not_of_their_ends) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    auto [first, second, third] = co_await when_all(value_after(here.clock, 3s, 1, living),
                                                    nothing_after(here.clock, 1s, living), value_at_once(3));
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, std::monostate());
    EXPECT_EQ(third, 3);
    EXPECT_EQ(here.clock.now().time_since_epoch(), 3s) << "at the same time, not one after the other";
  };
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(when_all, of_ranges_of_any_size) {
  world here;
  int living = 0;
  for (const int size : {0, 1, 2, 1000}) {
    const auto body = [&]() -> asio::awaitable<void> {
      tasks all;
      for (int i = 0; i < size; ++i) all.push_back(value_after(here.clock, std::chrono::seconds(size - i), i, living));
      const auto values = co_await when_all(std::move(all));
      EXPECT_EQ(values.size(), static_cast<std::size_t>(size));
      for (int i = 0; i < size; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
    };
    EXPECT_EQ(thrown_by(here, body()), "");
  }
}

TEST(when_all, of_nothing_and_of_tasks_that_return_nothing) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    co_await when_all();
    co_await when_all(std::vector<asio::awaitable<void>>());
    co_await when_all(nothing_after(here.clock, 1s, living));
    std::vector<asio::awaitable<void>> two;
    two.push_back(nothing_after(here.clock, 1s, living));
    two.push_back(nothing_after(here.clock, 2s, living));
    co_await when_all(std::move(two));
    EXPECT_EQ(here.clock.now().time_since_epoch(), 3s);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
}

TEST(when_all, tasks_that_never_wait_take_no_turn_of_the_event_loop) {
  world here;
  const auto body = []() -> asio::awaitable<void> {
    auto [one, two] = co_await when_all(value_at_once(1), value_at_once(2));
    EXPECT_EQ(one + two, 3);
  };
  bool ended = false;
  asio::co_spawn(here.context, body(), [&](const std::exception_ptr&) { ended = true; });
  EXPECT_EQ(here.context.poll_one(), 1U);
  here.context.poll_one();  // the test's own handler
  EXPECT_TRUE(ended);
}

TEST(when_all, carries_values_without_a_default) {
  struct number {
    explicit number(int given) : value(given) {}
    int value;
  };
  world here;
  const auto make = [](int value) -> asio::awaitable<number> { co_return number(value); };
  const auto fail = []() -> asio::awaitable<number> {
    throw std::runtime_error("no number");
    co_return number(0);
  };
  const auto body = [&]() -> asio::awaitable<void> {
    auto [one, two] = co_await when_all(make(1), make(2));
    EXPECT_EQ(one.value + two.value, 3);
    co_await when_all(make(1), fail());
  };
  EXPECT_EQ(thrown_by(here, body()), "no number");
}

TEST(when_all, a_view_makes_each_task_just_before_it_begins_and_none_behind_a_failure) {
  world here;
  int made = 0;
  int living = 0;
  const auto make = [&](int number) {
    ++made;
    if (number == 3) return fail_at_once("third");
    return value_after(here.clock, 1s, number, living);
  };
  const auto body = [&]() -> asio::awaitable<void> {
    const auto values = co_await when_all(std::views::iota(0, 3) | std::views::transform(make));
    EXPECT_EQ(values, (std::vector{0, 1, 2}));
    EXPECT_EQ(made, 3);
    co_await when_all(std::views::iota(0, 100) | std::views::transform(make));
  };
  EXPECT_EQ(thrown_by(here, body()), "third");
  EXPECT_EQ(made, 3 + 4);
  EXPECT_EQ(living, 0);
}

TEST(when_all, what_a_view_throws_is_thrown_when_those_that_have_begun_have_ended) {
  world here;
  int living = 0;
  const auto make = [&](int number) {
    if (number == 2) throw std::runtime_error("cannot be made");
    return slow_to_end(here.clock, 5s, living);
  };
  const auto body = [&]() -> asio::awaitable<void> {
    co_await when_all(std::views::iota(0, 100) | std::views::transform(make));
  };
  EXPECT_EQ(thrown_by(here, body()), "cannot be made");
  EXPECT_EQ(living, 0);
  EXPECT_EQ(here.clock.now().time_since_epoch(), 5s);
}

TEST(when_all, the_first_error_cancels_the_others_and_is_thrown_when_all_have_ended) {
  world here;
  int living = 0;
  const auto body = [&]() -> asio::awaitable<void> {
    co_await when_all(slow_to_end(here.clock, 5s, living), fail_after(here.clock, 2s, "first", living),
                      fail_after(here.clock, 3s, "second", living));
  };
  EXPECT_EQ(thrown_by(here, body()), "first");
  EXPECT_EQ(here.clock.now().time_since_epoch(), 7s) << "the one that takes its time is waited for";
  EXPECT_EQ(living, 0);
}

TEST(when_all, an_error_at_once_keeps_those_behind_it_from_beginning) {
  world here;
  int begun = 0;
  const auto begin = [&]() -> asio::awaitable<int> {
    ++begun;
    co_return 0;
  };
  const auto body = [&]() -> asio::awaitable<void> { co_await when_all(begin(), fail_at_once("early"), begin()); };
  EXPECT_EQ(thrown_by(here, body()), "early");
  EXPECT_EQ(begun, 1);
}

TEST(when_all, a_real_error_during_the_cancelling_is_not_taken_for_the_first) {
  world here;
  int living = 0;
  const auto fails_when_cancelled = [&]() -> asio::awaitable<int> {
    co_await sleep(here.clock, 1h);
    throw std::runtime_error("in consequence");
  };
  const auto body = [&]() -> asio::awaitable<void> {
    co_await when_all(fails_when_cancelled(), fail_after(here.clock, 1s, "cause", living));
  };
  EXPECT_EQ(thrown_by(here, body()), "cause");
}

TEST(when_all, all_that_fail_give_one_error) {
  world here;
  const auto body = []() -> asio::awaitable<void> {
    tasks all;
    for (int i = 0; i < 3; ++i) all.push_back(fail_at_once("number " + std::to_string(i)));
    co_await when_all(std::move(all));
  };
  EXPECT_EQ(thrown_by(here, body()), "number 0");
}

TEST(when_all, an_abort_of_a_task_s_own_making_is_an_error) {
  world here;
  int living = 0;
  const auto aborts = []() -> asio::awaitable<int> {
    throw std::system_error(asio::error::operation_aborted);
    co_return 0;
  };
  const auto body = [&]() -> asio::awaitable<void> {
    co_await when_all(value_after(here.clock, 1h, 1, living), aborts());
  };
  EXPECT_EQ(thrown_by(here, body()), "aborted");
  EXPECT_EQ(living, 0);
}

struct trio {
  explicit trio(world&) {}
  int living = 0;
  int living_behind = -1;
  std::string words;
  bool has_values = false;
};

asio::awaitable<void> join_three(world& here, trio& all) {
  try {
    auto values =
        co_await when_all(value_after(here.clock, 2s, 1, all.living), value_or_minus(here.clock, 1s, 2, all.living),
                          slow_to_end(here.clock, 1s, all.living));
    (void)values;
    all.has_values = true;
  } catch (...) {
    all.words = test::words_of(std::current_exception());
  }
  all.living_behind = all.living;
}

TEST(when_all, whenever_it_is_cancelled_it_waits_for_all) {
  const auto set_up = [](world& here, trio& all) { here.start(join_three(here, all)); };
  const auto check = [](world& here, trio& all, std::size_t) {
    here.expect_all_ended();
    EXPECT_FALSE(all.has_values);
    EXPECT_EQ(all.living, 0);
    EXPECT_LE(all.living_behind, 0) << "a task outlived its join";
  };
  EXPECT_GT(test::cancel_at_every_step<trio>(set_up, check), 6U);
}

TEST(when_all, is_an_operation_for_other_tokens_by_way_of_co_spawn) {
  world here;
  int living = 0;
  int sum = 0;
  tasks all;
  all.push_back(value_after(here.clock, 1s, 1, living));
  all.push_back(value_at_once(2));
  asio::co_spawn(here.context, when_all(std::move(all)),
                 [&](const std::exception_ptr&, const std::vector<int>& values) { sum = values.at(0) + values.at(1); });
  here.run();
  EXPECT_EQ(sum, 3);
}

TEST(when_all, a_loop_that_is_destroyed_takes_its_tasks_along) {
  int living = 0;
  {
    virtual_clock clock;
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    const auto body = [&]() -> asio::awaitable<void> {
      co_await when_all(value_after(clock, 1h, 1, living), slow_to_end(clock, 1h, living));
    };
    asio::co_spawn(context, body(), [](const std::exception_ptr&) {});
    context.poll();
    EXPECT_EQ(living, 2);
  }
  EXPECT_EQ(living, 0);
}

}  // namespace
}  // namespace awm::coro
