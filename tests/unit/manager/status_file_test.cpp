// The two files that tell how things stand: for tools that look while the program runs, and for the manager that comes
// next.

#include "manager/status_file.hpp"

#include "manager/deliveries.hpp"
#include "support/manual_clock.hpp"
#include "support/temporary_directory.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <optional>
#include <string>

namespace awm::manager {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class status : public testing::Test {
 protected:
  status()
      : file_(files_, clock_, path_, [this] {
          ++descriptions_;
          return json{{"n", value_}}.dump();
        }) {}
  /// What stands in the file; -1 without one.
  int written() {
    const auto text = files_.read(path_);
    return text ? json::parse(*text).at("n").get<int>() : -1;
  }
  void change_to(int value) {
    value_ = value;
    file_.changed();
  }

  test::temporary_directory directory_;
  std::filesystem::path path_ = directory_.path() / "current-session.json";
  worker::system_files files_;
  test::manual_clock clock_;
  int value_ = 0;
  int descriptions_ = 0;
  status_file file_;
};

TEST_F(status, is_written_at_the_first_change_and_not_before) {
  clock_.advance(1h);
  EXPECT_EQ(written(), -1);
  change_to(1);
  clock_.advance(0s);
  EXPECT_EQ(written(), 1);
}

TEST_F(status, many_changes_are_one_write_a_moment_later) {
  clock_.advance(1h);
  change_to(1);
  clock_.advance(0s);
  for (int value = 2; value < 100; ++value) change_to(value);
  clock_.advance(199ms);
  EXPECT_EQ(written(), 1);
  clock_.advance(1ms);
  EXPECT_EQ(written(), 99);
  EXPECT_EQ(descriptions_, 2);
  clock_.advance(1h);
  EXPECT_EQ(descriptions_, 2) << "nothing changed";
}

TEST_F(status, that_is_closed_holds_the_last_word) {
  change_to(1);
  file_.close();
  EXPECT_EQ(written(), 1);
  change_to(2);
  clock_.advance(1h);
  EXPECT_EQ(written(), 1);
  EXPECT_EQ(clock_.armed(), 0U);
}

TEST_F(status, that_never_changed_leaves_nothing_behind) {
  file_.close();
  EXPECT_EQ(written(), -1);
}

TEST_F(status, leaves_no_half_file_and_goes_on_when_the_disk_does_not_take_it) {
  std::filesystem::create_directory(path_.string() + ".tmp");  // in its way
  change_to(1);
  clock_.advance(1s);
  EXPECT_EQ(written(), -1);
  std::filesystem::remove(path_.string() + ".tmp");
  change_to(2);
  clock_.advance(1s);
  EXPECT_EQ(written(), 2);
  EXPECT_FALSE(std::filesystem::exists(path_.string() + ".tmp"));
}

class delivery_journal : public testing::Test {
 protected:
  bool knows(const std::string& worker_id, std::size_t turn) {
    deliveries remembered(files_, path_);
    remembered.load();
    return remembered.contains(worker_id, turn);
  }

  test::temporary_directory directory_;
  std::filesystem::path path_ = directory_.path() / ".delivered.ndjson";
  worker::system_files files_;
};

TEST_F(delivery_journal, remembers_over_managers_each_turn_that_was_delivered) {
  EXPECT_FALSE(knows("a", 1));
  EXPECT_FALSE(files_.is_regular_file(path_));
  {
    deliveries first(files_, path_);
    EXPECT_FALSE(first.note("a", 1, true));
    EXPECT_FALSE(first.note("b", 3, true));
    EXPECT_FALSE(first.note("a", 2, true));
    EXPECT_TRUE(first.contains("a", 2));
  }
  EXPECT_TRUE(knows("a", 1));
  EXPECT_TRUE(knows("a", 2));
  EXPECT_TRUE(knows("b", 3));
  EXPECT_FALSE(knows("b", 2)) << "a later turn says nothing of those before it";
}

TEST_F(delivery_journal, turns_that_were_taken_back_are_all_to_be_delivered_again) {
  deliveries remembered(files_, path_);
  for (const bool delivered : {true, false}) {
    EXPECT_FALSE(remembered.note("a", 1, delivered));
    EXPECT_FALSE(remembered.note("a", 2, delivered));
  }
  EXPECT_FALSE(knows("a", 1));
  EXPECT_FALSE(knows("a", 2));
}

TEST_F(delivery_journal, lines_that_are_damaged_are_left_out_and_the_others_count) {
  std::ofstream(path_) << "{\"worker_id\":\"a\",\"turn\":1}\n"
                       << "garbage\n[]\n{\"worker_id\":5,\"turn\":1}\n{\"worker_id\":\"b\",\"turn\":-1}\n"
                       << "{\"worker_id\":\"b\"}\n{\"worker_id\":\"b\",\"turn\":\"2\"}\n\n"
                       << "{\"worker_id\":\"c\",\"turn\":4}\n{\"worker_id\":\"a\",\"turn\":9";
  EXPECT_TRUE(knows("a", 1));
  EXPECT_FALSE(knows("a", 9)) << "the last line was cut short";
  EXPECT_FALSE(knows("b", 2));
  EXPECT_TRUE(knows("c", 4));
}

TEST_F(delivery_journal, a_line_that_was_cut_short_does_not_spoil_the_next_one) {
  std::ofstream(path_) << R"({"worker_id":"a","tu)";
  deliveries remembered(files_, path_);
  remembered.load();
  EXPECT_FALSE(remembered.note("b", 1, true));
  EXPECT_TRUE(knows("b", 1));
}

TEST_F(delivery_journal, a_disk_that_does_not_take_it_is_told_and_the_turn_counts_as_delivered) {
  deliveries remembered(files_, directory_.path() / "nowhere" / "file");
  EXPECT_TRUE(remembered.note("a", 1, true));
  EXPECT_TRUE(remembered.contains("a", 1));
}

}  // namespace
}  // namespace awm::manager
