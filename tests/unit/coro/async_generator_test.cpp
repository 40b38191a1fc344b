#include "coro/async_generator.hpp"

#include "tasks.hpp"

namespace awm::coro {
namespace {

using namespace std::chrono_literals;
using test::thrown_by;
using test::world;

async_generator<int> count(int last) {
  for (int number = 1; number <= last; ++number) co_yield number;
}

async_generator<int> count_slowly(clock& clock, int last, int& living) {
  const test::alive here(living);
  for (int number = 1; number <= last; ++number) {
    const auto error = co_await sleep(clock, 1s);
    if (error) throw std::system_error(error);
    co_yield number;
  }
}

asio::awaitable<void> collect(async_generator<int> numbers, std::vector<int>& into) {
  for (;;) {
    const auto number = co_await numbers.next();
    if (!number) co_return;
    into.push_back(*number);
  }
}

TEST(async_generator, gives_its_values_one_after_the_other_and_then_nothing) {
  world here;
  std::vector<int> numbers;
  here.start(collect(count(3), numbers));
  here.run();
  EXPECT_EQ(numbers, (std::vector{1, 2, 3}));
  here.expect_all_ended();
}

TEST(async_generator, values_that_are_there_take_no_turn_of_the_event_loop) {
  world here;
  std::vector<int> numbers;
  here.start(collect(count(1000), numbers));
  EXPECT_EQ(here.context.poll_one(), 1U);
  EXPECT_EQ(numbers.size(), 1000U);
}

TEST(async_generator, waits_between_values) {
  world here;
  int living = 0;
  std::vector<int> numbers;
  here.start(collect(count_slowly(here.clock, 3, living), numbers));
  here.run();
  EXPECT_EQ(numbers, (std::vector{1, 2, 3}));
  EXPECT_EQ(here.clock.now().time_since_epoch(), 3s);
  EXPECT_EQ(living, 0);
}

TEST(async_generator, runs_only_while_somebody_waits_for_a_value) {
  world here;
  int living = 0;
  {
    auto numbers = count_slowly(here.clock, 3, living);
    EXPECT_EQ(living, 0) << "not begun before the first value is asked for";
    const auto body = [&]() -> asio::awaitable<void> {
      const auto first = co_await numbers.next();
      EXPECT_EQ(first, 1);
    };
    EXPECT_EQ(thrown_by(here, body()), "");
    EXPECT_EQ(living, 1);
    EXPECT_EQ(here.clock.now().time_since_epoch(), 1s);
  }
  EXPECT_EQ(living, 0) << "destroyed with what stands in its frame";
}

TEST(async_generator, an_exception_reaches_the_consumer_and_ends_it) {
  world here;
  const auto make = []() -> async_generator<std::string> {
    co_yield "first";
    throw std::runtime_error("broken");
  };
  auto words = make();
  const auto body = [&]() -> asio::awaitable<void> {
    const auto word = co_await words.next();
    EXPECT_EQ(word, "first");
    co_await words.next();
  };
  EXPECT_EQ(thrown_by(here, body()), "broken");
  const auto after = [&]() -> asio::awaitable<void> {
    const auto word = co_await words.next();
    EXPECT_FALSE(word);
  };
  EXPECT_EQ(thrown_by(here, after()), "");
}

TEST(async_generator, that_yields_nothing_ends) {
  world here;
  std::vector<int> numbers;
  here.start(collect(count(0), numbers));
  here.run();
  EXPECT_TRUE(numbers.empty());
  here.expect_all_ended();
}

TEST(async_generator, knows_its_consumer_s_executor_and_awaits_without_growing_the_stack) {
  world here;
  const auto make = []() -> async_generator<int> {
    const auto executor = co_await asio::this_coro::executor;
    for (int i = 0; i < 2000; ++i) {
      const int value = co_await test::value_at_once(i);
      if (value % 1000 == 0) co_await asio::post(executor, asio::use_awaitable);
    }
    co_yield 1;
  };
  auto numbers = make();
  std::optional<int> told;
  numbers.async_next(here.executor(), [&](const std::exception_ptr&, std::optional<int> number) { told = number; });
  here.run();
  EXPECT_EQ(told, 1);
}

struct consumer {
  explicit consumer(world&) {}
  int living = 0;
  std::vector<int> numbers;
};

TEST(async_generator, a_consumer_that_is_cancelled_at_any_step_ends_it_and_leaves_nothing) {
  const auto set_up = [](world& here, consumer& all) {
    here.start(collect(count_slowly(here.clock, 3, all.living), all.numbers));
  };
  const auto check = [](world& here, consumer& all, std::size_t) {
    here.expect_all_ended();
    EXPECT_EQ(all.living, 0);
    EXPECT_EQ(here.clock.armed(), 0U);
    for (std::size_t i = 0; i < all.numbers.size(); ++i) EXPECT_EQ(all.numbers[i], static_cast<int>(i) + 1);
  };
  EXPECT_GT(test::cancel_at_every_step<consumer>(set_up, check), 5U);
}

TEST(async_generator, a_loop_that_is_destroyed_takes_it_along) {
  int living = 0;
  std::vector<int> numbers;
  {
    virtual_clock clock;
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    asio::co_spawn(context, collect(count_slowly(clock, 3, living), numbers), [](const std::exception_ptr&) {});
    context.poll();
    EXPECT_EQ(living, 1);
  }
  EXPECT_EQ(living, 0);
}

}  // namespace
}  // namespace awm::coro
