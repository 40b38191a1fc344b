#include "coro/outcome.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace awm::coro {
namespace {

TEST(outcome, has_a_value_or_an_exception_or_has_not_ended) {
  const outcome<int> open;
  EXPECT_FALSE(open.has_ended());
  EXPECT_FALSE(open);
  const outcome<int> value(3);
  EXPECT_TRUE(value.has_ended());
  EXPECT_EQ(value.value(), 3);
  EXPECT_EQ(value.error(), nullptr);
  const outcome<int> failed(std::make_exception_ptr(std::runtime_error("no")));
  EXPECT_TRUE(failed.has_ended());
  EXPECT_FALSE(failed.has_value());
  EXPECT_THROW(failed.value(), std::runtime_error);
  EXPECT_FALSE(failed.is_cancelled());
}

TEST(outcome, knows_a_cancellation) {
  EXPECT_TRUE(outcome<void>(std::make_exception_ptr(std::system_error(asio::error::operation_aborted))).is_cancelled());
  EXPECT_FALSE(outcome<void>(std::make_exception_ptr(std::system_error(asio::error::eof))).is_cancelled());
  EXPECT_FALSE(outcome<void>(std::make_exception_ptr(3)).is_cancelled());
  EXPECT_FALSE(outcome<void>(std::monostate()).is_cancelled());
  EXPECT_FALSE(outcome<void>().is_cancelled());
}

TEST(outcome, gives_away_what_can_only_be_moved) {
  outcome<std::unique_ptr<std::string>> held(std::make_unique<std::string>("here"));
  const auto taken = std::move(held).value();
  EXPECT_EQ(*taken, "here");
}

}  // namespace
}  // namespace awm::coro
