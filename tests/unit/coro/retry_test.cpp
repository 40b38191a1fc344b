#include "coro/retry.hpp"

#include "tasks.hpp"

namespace awm::coro {
namespace {

using namespace std::chrono_literals;
using test::thrown_by;
using test::world;

retry_policy without_chance() {
  retry_policy policy;
  policy.attempts = 4;
  policy.first_pause = 1s;
  policy.jitter = 0;
  return policy;
}

TEST(retry, tries_again_after_growing_pauses_until_it_succeeds) {
  world here;
  std::vector<clock::duration> begun;
  const auto attempt = [&](std::size_t number) -> asio::awaitable<int> {
    begun.push_back(here.clock.now().time_since_epoch());
    if (number < 4) throw std::runtime_error("not yet");
    co_return 42;
  };
  const auto body = [&]() -> asio::awaitable<void> {
    const int value = co_await retry(here.clock, without_chance(), attempt);
    EXPECT_EQ(value, 42);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
  EXPECT_EQ(begun, (std::vector<clock::duration>{0s, 1s, 3s, 7s}));
}

TEST(retry, throws_the_last_failure_when_the_attempts_are_used_up) {
  world here;
  const auto attempt = [](std::size_t number) -> asio::awaitable<void> {
    throw std::runtime_error("attempt " + std::to_string(number));
    co_return;
  };
  EXPECT_EQ(thrown_by(here, retry(here.clock, without_chance(), attempt)), "attempt 4");
}

TEST(retry, the_caller_says_what_is_worth_another_attempt) {
  world here;
  std::size_t attempts = 0;
  const auto attempt = [&](std::size_t number) -> asio::awaitable<int> {
    attempts = number;
    co_return static_cast<int>(number) * 10;
  };
  const auto again = [](const outcome<int>& ended) { return ended.value() < 20; };
  const auto body = [&]() -> asio::awaitable<void> {
    const int value = co_await retry(here.clock, without_chance(), attempt, again);
    EXPECT_EQ(value, 20);
  };
  EXPECT_EQ(thrown_by(here, body()), "");
  EXPECT_EQ(attempts, 2U);
}

TEST(retry, pauses_are_bounded_and_shortened_by_chance) {
  retry_policy policy;
  policy.first_pause = 1s;
  policy.longest = 10s;
  policy.jitter = 0.5;
  EXPECT_EQ(policy.pause_after(1, 0), 1s);
  EXPECT_EQ(policy.pause_after(4, 0), 8s);
  EXPECT_EQ(policy.pause_after(5, 0), 10s);
  EXPECT_EQ(policy.pause_after(1000, 0), 10s);
  EXPECT_EQ(policy.pause_after(2, 0.5), 1500ms);
}

struct tries {
  explicit tries(world&) {}
  int begun = 0;
  bool had_value = false;
};

asio::awaitable<void> try_often(world& here, tries& all) {
  const auto attempt = [&](std::size_t number) -> asio::awaitable<int> {
    ++all.begun;
    const auto error = co_await sleep(here.clock, 1s);
    if (error || number < 3) throw std::runtime_error("failed");
    co_return 1;
  };
  const int value = co_await retry(here.clock, without_chance(), attempt);
  all.had_value = value == 1;
}

TEST(retry, after_a_cancellation_there_is_no_further_attempt) {
  std::size_t cut_short = 0;
  const auto set_up = [](world& here, tries& all) { here.start(try_often(here, all)); };
  const auto check = [&](world& here, tries& all, std::size_t) {
    EXPECT_TRUE(here.has_ended(0));
    EXPECT_EQ(here.clock.armed(), 0U);
    if (!all.had_value) ++cut_short;
  };
  const auto worlds = test::cancel_at_every_step<tries>(set_up, check);
  EXPECT_GT(worlds, 6U);
  EXPECT_GT(cut_short, 4U);
}

}  // namespace
}  // namespace awm::coro
