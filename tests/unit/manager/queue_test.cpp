#include "manager/queue.hpp"

#include "support/manual_clock.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace awm::manager {
namespace {

using namespace std::chrono_literals;

class queue_of_turns : public testing::Test {
 protected:
  void push(queue& waiting, const std::string& id) {
    waiting.push(id, [this, id] { begun_.push_back(id); });
  }
  using ids = std::vector<std::string>;

  test::manual_clock clock_;
  ids begun_;
};

TEST_F(queue_of_turns, starts_in_the_order_of_arrival_as_slots_become_free) {
  queue waiting(clock_, 2, 2);
  for (const auto* id : {"a", "b", "c", "d"}) push(waiting, id);
  EXPECT_EQ(begun_, (ids{"a", "b"}));
  EXPECT_EQ(waiting.waiting(), 2U);
  EXPECT_FALSE(waiting.has_free_slot());
  waiting.started();
  waiting.started();
  EXPECT_EQ(begun_.size(), 2U) << "a child that is up still has its slot";
  waiting.release();
  EXPECT_EQ(begun_, (ids{"a", "b", "c"}));
  waiting.release();
  EXPECT_EQ(begun_, (ids{"a", "b", "c", "d"}));
}

TEST_F(queue_of_turns, starts_no_more_at_once_than_the_machine_can_take) {
  queue waiting(clock_, 10, 1);
  for (const auto* id : {"a", "b", "c"}) push(waiting, id);
  EXPECT_EQ(begun_, ids{"a"});
  EXPECT_FALSE(waiting.has_free_slot());
  waiting.started();
  EXPECT_EQ(begun_, (ids{"a", "b"}));
  waiting.release();
  EXPECT_EQ(begun_, (ids{"a", "b"})) << "the second one is still starting";
  waiting.started();
  EXPECT_EQ(begun_, (ids{"a", "b", "c"}));
}

TEST_F(queue_of_turns, tells_positions_and_lets_go_who_waits) {
  queue waiting(clock_, 1, 1);
  for (const auto* id : {"a", "b", "c", "d"}) push(waiting, id);
  EXPECT_EQ(waiting.position("a"), std::nullopt);
  EXPECT_EQ(waiting.position("b"), 1U);
  EXPECT_EQ(waiting.position("d"), 3U);
  EXPECT_TRUE(waiting.remove("b"));
  EXPECT_FALSE(waiting.remove("b"));
  EXPECT_FALSE(waiting.remove("a"));
  EXPECT_EQ(waiting.position("d"), 2U);
  waiting.started();
  waiting.release();
  EXPECT_EQ(begun_, (ids{"a", "c"}));
}

TEST_F(queue_of_turns, is_held_until_the_latest_moment_that_was_named) {
  queue waiting(clock_, 2, 2);
  waiting.hold_until(clock_.now() + 60s);
  waiting.hold_until(clock_.now() + 30s);
  push(waiting, "a");
  EXPECT_FALSE(waiting.has_free_slot());
  EXPECT_EQ(waiting.held_until(), clock_.now() + 60s);
  clock_.advance(59s);
  EXPECT_TRUE(begun_.empty());
  waiting.hold_until(clock_.now() + 11s);
  clock_.advance(10s);
  EXPECT_TRUE(begun_.empty());
  clock_.advance(1s);
  EXPECT_EQ(begun_, ids{"a"});
  EXPECT_EQ(waiting.held_until(), std::nullopt);
}

TEST_F(queue_of_turns, that_is_halted_starts_nothing_until_it_is_reopened) {
  queue waiting(clock_, 2, 2);
  push(waiting, "a");
  waiting.halt("the key was refused");
  EXPECT_EQ(waiting.halted(), "the key was refused");
  push(waiting, "b");
  waiting.started();
  waiting.release();
  EXPECT_EQ(begun_, ids{"a"});
  waiting.reopen();
  EXPECT_TRUE(waiting.halted().empty());
  EXPECT_EQ(begun_, (ids{"a", "b"}));
}

TEST_F(queue_of_turns, that_is_cleared_starts_nobody) {
  queue waiting(clock_, 1, 1);
  waiting.hold_until(clock_.now() + 1s);
  push(waiting, "a");
  waiting.clear();
  clock_.advance(1s);
  EXPECT_TRUE(begun_.empty());
  EXPECT_EQ(waiting.waiting(), 0U);
}

}  // namespace
}  // namespace awm::manager
