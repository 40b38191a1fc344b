#include "mcp/client_requests.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include <optional>
#include <system_error>
#include <vector>

namespace awm::mcp {
namespace {

using nlohmann::json;

struct world {
  // Before the context: whatever is still suspended when a test ends refers to it.
  asio::cancellation_signal stop;
  std::optional<rpc_outcome> outcome;
  std::exception_ptr failure;
  asio::io_context context{1};
  std::vector<json> sent;
  std::optional<client_requests> requests{std::in_place, [this](const std::string& text) {
                                            sent.push_back(json::parse(text));
                                            if (on_send) on_send();
                                          }};
  std::function<void()> on_send;

  void ask() {
    auto done = [this](const std::exception_ptr& thrown, rpc_outcome got) {
      failure = thrown;
      if (!thrown) outcome = std::move(got);
    };
    asio::co_spawn(context, answer(requests->ask(context.get_executor(), "m", {{"a", 1}})),
                   asio::bind_cancellation_slot(stop.slot(), std::move(done)));
    settle();
  }
  static asio::awaitable<rpc_outcome> answer(awaited_answers::ticket ticket) {
    rpc_outcome got = co_await ticket.wait();
    co_return got;
  }
  void settle() {
    context.restart();
    context.poll();
  }
  int error_code() const {
    const auto* const error = outcome ? std::get_if<rpc_error>(&*outcome) : nullptr;
    return error == nullptr ? 0 : error->code;
  }
};

TEST(client_requests, gives_the_result_to_whoever_asked) {
  world w;
  w.ask();
  ASSERT_EQ(w.sent.size(), 1U);
  EXPECT_EQ(w.sent[0].at("method"), "m");
  EXPECT_EQ(w.sent[0].at("params"), json({{"a", 1}}));
  w.requests->answered({w.sent[0].at("id"), json{{"b", 2}}});
  EXPECT_FALSE(w.outcome);  // never inside the call that answers
  w.settle();
  ASSERT_TRUE(w.outcome);
  EXPECT_EQ(std::get<json>(*w.outcome), json({{"b", 2}}));
}

TEST(client_requests, may_be_destroyed_while_somebody_waits) {
  world w;
  w.ask();
  w.requests.reset();
  w.settle();
  EXPECT_EQ(w.error_code(), rpc_code::connection_closed);
}

TEST(client_requests, cancelled_after_it_was_destroyed_sends_nothing) {
  world w;
  w.ask();
  w.requests.reset();
  w.stop.emit(asio::cancellation_type::terminal);
  w.settle();
  EXPECT_TRUE(w.outcome);
  EXPECT_EQ(w.sent.size(), 1U);
}

TEST(client_requests, destroyed_right_after_a_cancellation_sends_nothing) {
  world w;
  w.ask();
  w.stop.emit(asio::cancellation_type::terminal);
  w.requests.reset();
  w.settle();
  EXPECT_TRUE(w.failure);
  EXPECT_EQ(w.sent.size(), 1U);
}

TEST(client_requests, an_answer_that_meets_the_cancellation_is_ignored_and_nothing_sent) {
  world w;
  w.ask();
  w.stop.emit(asio::cancellation_type::terminal);
  w.requests->answered({w.sent[0].at("id"), json::object()});
  w.settle();
  EXPECT_TRUE(w.failure);
  EXPECT_EQ(w.sent.size(), 1U);
}

TEST(client_requests, closed_asks_nothing_and_names_the_reason_of_the_first_close) {
  world w;
  w.requests->close("the first");
  w.requests->close("the second");
  w.ask();
  EXPECT_TRUE(w.sent.empty());
  ASSERT_EQ(w.error_code(), rpc_code::connection_closed);
  EXPECT_NE(std::get<rpc_error>(*w.outcome).message.find("the first"), std::string::npos);
}

TEST(client_requests, may_be_closed_by_what_sends) {
  world w;
  w.on_send = [&w] { w.requests->close("nobody reads"); };
  w.ask();
  EXPECT_EQ(w.error_code(), rpc_code::connection_closed);
}

}  // namespace
}  // namespace awm::mcp
