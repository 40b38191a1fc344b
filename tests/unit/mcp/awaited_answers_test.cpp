#include "mcp/awaited_answers.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

namespace awm::mcp {
namespace {

using nlohmann::json;

struct world {
  std::shared_ptr<asio::cancellation_signal> stop;  // of the last one that waits
  std::vector<rpc_outcome> outcomes;
  std::vector<std::string> withdrawn;
  asio::io_context context{1};
  std::optional<awaited_answers> answers{std::in_place, [this](const std::string& key) { withdrawn.push_back(key); }};

  asio::awaitable<void> wait_for(awaited_answers::ticket ticket) {
    rpc_outcome got = co_await ticket.wait();
    outcomes.push_back(std::move(got));
  }
  void expect(const std::string& key) {
    stop = std::make_shared<asio::cancellation_signal>();
    asio::co_spawn(context, wait_for(answers->expect(context.get_executor(), key)),
                   asio::bind_cancellation_slot(stop->slot(), [own = stop](const std::exception_ptr&) {}));
    settle();
  }
  void settle() {
    context.restart();
    context.poll();
  }
};

TEST(awaited_answers, each_goes_to_whoever_waits_for_it_in_any_order) {
  world w;
  w.expect("a");
  w.expect("b");
  EXPECT_TRUE(w.answers->awaits("a"));
  EXPECT_TRUE(w.answers->answer("b", json("of b")));
  w.settle();
  EXPECT_TRUE(w.answers->answer("a", json("of a")));
  w.settle();
  ASSERT_EQ(w.outcomes.size(), 2U);
  EXPECT_EQ(std::get<json>(w.outcomes[0]), "of b");
  EXPECT_EQ(std::get<json>(w.outcomes[1]), "of a");
  EXPECT_TRUE(w.withdrawn.empty());
}

TEST(awaited_answers, the_second_answer_and_that_to_an_unknown_key_are_nobodys) {
  world w;
  w.expect("a");
  EXPECT_FALSE(w.answers->answer("b", json()));
  EXPECT_TRUE(w.answers->answer("a", json(1)));
  EXPECT_FALSE(w.answers->answer("a", json(2)));
  EXPECT_FALSE(w.answers->awaits("a"));
}

TEST(awaited_answers, a_ticket_dropped_without_its_answer_is_withdrawn_once) {
  world w;
  { const auto ticket = w.answers->expect(w.context.get_executor(), "a"); }
  EXPECT_EQ(w.withdrawn, std::vector<std::string>{"a"});
  EXPECT_FALSE(w.answers->awaits("a"));
  w.expect("b");
  w.stop->emit(asio::cancellation_type::terminal);
  w.settle();
  EXPECT_EQ(w.withdrawn, (std::vector<std::string>{"a", "b"}));
}

TEST(awaited_answers, a_ticket_that_moves_is_withdrawn_by_the_last_holder_only) {
  world w;
  {
    auto first = w.answers->expect(w.context.get_executor(), "a");
    { const auto second = std::move(first); }
    EXPECT_EQ(w.withdrawn.size(), 1U);
  }
  EXPECT_EQ(w.withdrawn.size(), 1U);
}

TEST(awaited_answers, a_ticket_may_outlive_its_owner) {
  world w;
  auto ticket = w.answers->expect(w.context.get_executor(), "a");
  w.answers.reset();
  asio::co_spawn(w.context, w.wait_for(std::move(ticket)), asio::detached);
  w.settle();
  ASSERT_EQ(w.outcomes.size(), 1U);
  EXPECT_EQ(std::get<rpc_error>(w.outcomes[0]).code, rpc_code::connection_closed);
  EXPECT_TRUE(w.withdrawn.empty());
}

TEST(awaited_answers, what_is_expected_after_the_close_is_answered_at_once) {
  world w;
  w.answers->close("the end");
  w.expect("a");
  ASSERT_EQ(w.outcomes.size(), 1U);
  EXPECT_NE(std::get<rpc_error>(w.outcomes[0]).message.find("the end"), std::string::npos);
}

}  // namespace
}  // namespace awm::mcp
