#include "manager/written_files.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace awm::manager {
namespace {

using names = std::vector<std::string>;

TEST(written_files, has_what_the_file_tools_wrote_in_order_and_each_once) {
  written_files files("/repo");
  files.used("1", "Write", "/repo/b");
  files.used("2", "Edit", "a");
  files.used("3", "MultiEdit", "/other/c");
  files.used("4", "NotebookEdit", "d.ipynb");
  files.used("5", "Edit", "/repo/b");
  EXPECT_EQ(files.files(), names{});
  for (const char* id : {"1", "2", "3", "4"}) files.answered(id, false);
  EXPECT_EQ(files.answered("5", false), "/repo/b");
  EXPECT_EQ(files.files(), (names{"/repo/b", "/repo/a", "/other/c", "/repo/d.ipynb"}));
}

TEST(written_files, leaves_out_what_failed_what_was_never_answered_and_what_only_reads) {
  written_files files("/repo");
  files.used("1", "Write", "/repo/failed");
  files.used("2", "Write", "/repo/open");
  files.used("3", "Read", "/repo/read");
  files.used("4", "Write", "");
  EXPECT_EQ(files.answered("1", true), "");
  EXPECT_EQ(files.answered("1", false), "") << "a call has one answer";
  files.answered("3", false);
  files.answered("4", false);
  files.answered("unknown", false);
  EXPECT_EQ(files.files(), names{});
}

TEST(written_files, knows_a_file_by_one_name) {
  written_files files("/repo/sub");
  int id = 0;
  for (const char* path : {"../x", "/repo/x", "./../x", "/repo//sub/../x", "//repo/x", "/repo/x/"}) {
    files.used(std::to_string(++id), "Write", path);
    EXPECT_EQ(files.answered(std::to_string(id), false), "/repo/x") << path;
  }
  EXPECT_EQ(files.files(), names{"/repo/x"});
}

TEST(written_files, counts_what_is_too_much) {
  written_files files("/repo");
  for (std::size_t number = 0; number < written_files::most_files + 5; ++number) {
    const auto name = std::to_string(number);
    files.used(name, "Write", name);
    files.answered(name, false);
  }
  files.used("again", "Write", "0");
  files.answered("again", false);
  EXPECT_EQ(files.files().size(), written_files::most_files);
  EXPECT_EQ(files.more(), 5U);
}

TEST(written_files, forgets_the_oldest_of_too_many_calls_without_an_answer) {
  written_files files("/repo");
  for (std::size_t number = 0; number <= written_files::most_calls; ++number) {
    files.used(std::to_string(number), "Write", std::to_string(number));
  }
  files.answered("0", false);
  files.answered("1", false);
  EXPECT_EQ(files.files(), names{"/repo/1"});
}

TEST(written_files, paths_that_cannot_be_are_left_out) {
  written_files files("/repo");
  files.used("1", "Write", std::string(written_files::longest_path + 1, 'x'));
  files.used("2", "Write", std::string("a\0b", 3));
  files.answered("1", false);
  files.answered("2", false);
  EXPECT_EQ(files.files(), names{});
}

TEST(write_conflicts, tell_each_worker_who_else_wrote_its_files) {
  write_conflicts fleet;
  fleet.describe("a", "the parser");
  fleet.describe("b", "the tests");
  fleet.wrote("a", "/x");
  fleet.wrote("a", "/y");
  fleet.wrote("b", "/z");
  EXPECT_EQ(fleet.conflicts_of("a"), std::vector<conflict>{});
  fleet.wrote("b", "/y");
  fleet.wrote("b", "/y");
  EXPECT_EQ(fleet.conflicts_of("a"), (std::vector<conflict>{{"/y", "b", "the tests"}}));
  EXPECT_EQ(fleet.conflicts_of("b"), (std::vector<conflict>{{"/y", "a", "the parser"}}));
  EXPECT_EQ(fleet.conflicts_of("nobody"), std::vector<conflict>{});
}

TEST(write_conflicts, a_forgotten_worker_is_in_nobodys_conflicts) {
  write_conflicts fleet;
  fleet.wrote("a", "/x");
  fleet.wrote("b", "/x");
  fleet.forget("a");
  fleet.forget("a");
  EXPECT_EQ(fleet.conflicts_of("b"), std::vector<conflict>{});
  EXPECT_EQ(fleet.conflicts_of("a"), std::vector<conflict>{});
  fleet.wrote("a", "/x");
  EXPECT_EQ(fleet.conflicts_of("b").size(), 1U);
}

TEST(write_conflicts, forget_the_paths_written_longest_ago) {
  write_conflicts fleet(2);
  fleet.wrote("a", "/1");
  fleet.wrote("b", "/1");
  fleet.wrote("a", "/2");
  fleet.wrote("b", "/2");
  fleet.wrote("a", "/1");  // newer than /2 now
  fleet.wrote("a", "/3");
  EXPECT_EQ(fleet.conflicts_of("b"), (std::vector<conflict>{{"/1", "a", ""}}));
}

TEST(write_conflicts, are_bounded_in_writers_and_in_answers) {
  write_conflicts fleet;
  for (int path = 0; path < 20; ++path) {
    for (int worker = 0; worker < 50; ++worker) fleet.wrote(std::to_string(worker), "/" + std::to_string(path));
  }
  EXPECT_EQ(fleet.conflicts_of("0").size(), write_conflicts::most_conflicts);
  EXPECT_EQ(fleet.conflicts_of("0").front().other_worker_id, "1");
  EXPECT_TRUE(fleet.conflicts_of("49").empty());
}

}  // namespace
}  // namespace awm::manager
