#include "manager/join.hpp"

#include "support/manual_clock.hpp"
#include "support/run.hpp"

#include <asio/detached.hpp>
#include <gtest/gtest.h>

#include <map>

namespace awm::manager {
namespace {

using namespace std::chrono_literals;
using test::settle;
using names = std::vector<std::string>;

struct waiting {
  bool over = false;
  join::loan loan;

  names finished() const {
    names ids;
    for (const auto& turn : loan.result.finished) ids.push_back(turn.worker_id);
    return ids;
  }
};

/// A join whose workers are names.
struct stage {
  explicit stage(const asio::any_io_executor& on)
      : executor(on),
        turns(on, clock,
              {[this](const selection& which) { return outstanding(which); }, [this] { return interrupts; },
               [this](const auto& told, bool delivered) {
                 for (const auto& turn : told) deliveries.push_back((delivered ? "+" : "-") + turn.worker_id);
               }}) {}

  outstanding_turns outstanding(const selection& which) const {
    outstanding_turns some;
    for (const auto& id : running) some.running += which.contains(id) ? 1 : 0;
    return some;
  }
  void finish(const std::string& id) {
    running.erase(id);
    finished_turn turn;
    turn.worker_id = id;
    turns.add(std::move(turn));
  }
  std::shared_ptr<waiting> wait(wait_request request = {}) {
    auto begun = std::make_shared<waiting>();
    asio::co_spawn(executor, run_wait(turns, std::move(request), begun), asio::detached);
    return begun;
  }
  std::shared_ptr<waiting> wait_for(const names& ids, bool any = false) {
    wait_request request;
    request.workers = selection(ids);
    request.any = any;
    return wait(std::move(request));
  }

  asio::any_io_executor executor;
  test::manual_clock clock;
  std::set<std::string> running;
  bool interrupts = false;
  names deliveries;
  join turns;

 private:
  static asio::awaitable<void> run_wait(join& turns, wait_request request, std::shared_ptr<waiting> begun) {
    const join::progress report = [](std::size_t, const outstanding_turns&) {};
    begun->loan = co_await turns.wait(std::move(request), report);
    begun->over = true;
  }
};

template <class Body>
void run(Body body) {
  test::run([&body](asio::any_io_executor executor) -> asio::awaitable<void> {
    stage stage(executor);
    co_await body(stage);
  });
}

TEST(join, of_some_waits_for_these_and_takes_only_theirs) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.running = {"a", "b", "c"};
    const auto some = stage.wait_for({"a", "b"});
    stage.finish("c");
    stage.finish("a");
    co_await settle();
    EXPECT_FALSE(some->over);
    stage.finish("b");
    co_await settle();
    EXPECT_EQ(some->finished(), (names{"a", "b"}));
    some->loan.settle(true);
    const auto rest = stage.wait();
    co_await settle();
    EXPECT_EQ(rest->finished(), names{"c"});
    rest->loan.settle(true);
    EXPECT_EQ(stage.deliveries, (names{"+a", "+b", "+c"}));
  });
}

TEST(join, of_any_returns_with_the_first_and_whatever_else_is_there) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.running = {"a", "b", "c"};
    wait_request request;
    request.any = true;
    const auto first = stage.wait(request);
    co_await settle();
    EXPECT_FALSE(first->over);
    stage.finish("b");
    stage.finish("c");
    co_await settle();
    EXPECT_EQ(first->finished(), (names{"b", "c"}));
    first->loan.settle(true);
    const auto next = stage.wait_for({"a", "b"}, true);
    co_await settle();
    EXPECT_FALSE(next->over) << "b was delivered";
    stage.finish("a");
    co_await settle();
    EXPECT_EQ(next->finished(), names{"a"});
    next->loan.settle(true);
  });
}

TEST(join, a_timeout_returns_what_has_finished_and_says_so) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.running = {"a", "b"};
    wait_request request;
    request.timeout = 30s;
    const auto timed = stage.wait(request);
    co_await settle();
    stage.finish("a");
    stage.clock.advance(29s);
    co_await settle();
    EXPECT_FALSE(timed->over);
    stage.clock.advance(1s);
    co_await settle();
    EXPECT_TRUE(timed->over);
    EXPECT_TRUE(timed->loan.result.timed_out);
    EXPECT_EQ(timed->finished(), names{"a"});
    timed->loan.settle(true);
    request.timeout = 0s;
    const auto at_once = stage.wait(request);
    co_await settle();
    EXPECT_TRUE(at_once->loan.result.timed_out);
    EXPECT_TRUE(at_once->finished().empty());
    at_once->loan.settle(true);
    stage.finish("b");
    const auto in_time = stage.wait(request);
    co_await settle();
    EXPECT_FALSE(in_time->loan.result.timed_out) << "all had ended";
    in_time->loan.settle(true);
  });
}

TEST(join, an_interruption_cuts_every_wait_short) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.running = {"a", "b"};
    const auto all = stage.wait();
    const auto some = stage.wait_for({"a"});
    stage.finish("b");
    co_await settle();
    stage.interrupts = true;
    stage.turns.changed();
    co_await settle();
    EXPECT_EQ(all->finished(), names{"b"});
    EXPECT_TRUE(some->over);
    EXPECT_TRUE(some->finished().empty());
    all->loan.settle(true);
    some->loan.settle(true);
  });
}

TEST(join, what_does_not_fit_into_an_answer_goes_back_in_its_place) {
  run([](stage& stage) -> asio::awaitable<void> {
    for (const auto* id : {"a", "b", "c"}) stage.finish(id);
    const auto first = stage.wait();
    co_await settle();
    first->loan.keep(1);
    EXPECT_TRUE(stage.turns.holds("b"));
    first->loan.settle(true);
    EXPECT_EQ(stage.deliveries, names{"+a"});
    EXPECT_FALSE(stage.turns.holds("a"));
    stage.finish("d");
    const auto second = stage.wait();
    co_await settle();
    EXPECT_EQ(second->finished(), (names{"b", "c", "d"}));
    second->loan.settle(true);
  });
}

TEST(join, a_lost_answer_brings_back_what_was_kept_in_front_of_the_rest) {
  run([](stage& stage) -> asio::awaitable<void> {
    for (const auto* id : {"a", "b", "c"}) stage.finish(id);
    const auto lost = stage.wait();
    co_await settle();
    lost->loan.keep(2);
    lost->loan.settle(false);
    EXPECT_TRUE(stage.deliveries.empty());
    const auto next = stage.wait();
    co_await settle();
    EXPECT_EQ(next->finished(), (names{"a", "b", "c"}));
    next->loan.settle(true);
  });
}

TEST(join, an_answer_that_is_thrown_away_before_anybody_waits_again_counts_as_lost) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.finish("a");
    const auto lost = stage.wait();
    co_await settle();
    lost->loan.settle(true);
    EXPECT_FALSE(stage.turns.holds("a"));
    lost->loan.settle(false);
    EXPECT_TRUE(stage.turns.holds("a"));
    EXPECT_EQ(stage.deliveries, (names{"+a", "-a"}));
    const auto next = stage.wait();
    co_await settle();
    EXPECT_EQ(next->finished(), names{"a"});
    next->loan.settle(true);
  });
}

TEST(join, who_waits_again_has_read_the_answer) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.finish("a");
    const auto read = stage.wait();
    co_await settle();
    read->loan.settle(true);
    stage.running = {"b"};
    const auto later = stage.wait();
    co_await settle();
    read->loan.settle(false);
    EXPECT_EQ(stage.deliveries, names{"+a"});
    stage.finish("b");
    co_await settle();
    EXPECT_EQ(later->finished(), names{"b"});
    later->loan.settle(true);
  });
}

TEST(join, a_loan_concerns_those_who_wait_for_the_same_worker_and_nobody_else) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.running = {"a", "b"};
    const auto of_a = stage.wait_for({"a"});
    const auto of_both = stage.wait_for({"a", "b"});
    const auto of_b = stage.wait_for({"b"});
    co_await settle();
    stage.finish("a");
    co_await settle();
    EXPECT_EQ(of_a->finished(), names{"a"});
    EXPECT_FALSE(of_both->over);
    of_a->loan.settle(true);
    stage.finish("b");
    co_await settle();
    EXPECT_EQ(of_both->finished(), names{"b"});
    EXPECT_EQ(of_both->loan.result.delivered_elsewhere, names{"a"});
    EXPECT_FALSE(of_b->over) << "the loan may yet come back";
    of_both->loan.settle(true);
    co_await settle();
    EXPECT_TRUE(of_b->finished().empty());
    EXPECT_EQ(of_b->loan.result.delivered_elsewhere, names{"b"});
  });
}

TEST(join, has_something_for_a_selection_only_when_it_concerns_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    const selection a({"a"});
    const selection b({"b"});
    EXPECT_FALSE(stage.turns.has_anything({}));
    stage.finish("a");
    EXPECT_TRUE(stage.turns.has_anything({}));
    EXPECT_TRUE(stage.turns.has_anything(a));
    EXPECT_FALSE(stage.turns.has_anything(b));
    const auto loan = stage.wait();
    co_await settle();
    EXPECT_TRUE(stage.turns.has_anything(a)) << "it is on loan";
    EXPECT_FALSE(stage.turns.has_anything(b));
    loan->loan.settle(true);
    EXPECT_FALSE(stage.turns.has_anything(a));
    stage.running = {"b"};
    EXPECT_TRUE(stage.turns.has_anything(b));
    EXPECT_FALSE(stage.turns.has_anything(a));
    stage.interrupts = true;
    EXPECT_TRUE(stage.turns.has_anything(a));
  });
}

}  // namespace
}  // namespace awm::manager
