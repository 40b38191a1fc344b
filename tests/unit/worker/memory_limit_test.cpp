#include "worker/memory_limit.hpp"

#include "support/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <vector>

namespace awm::worker {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(sizes, are_numbers_with_a_unit_of_1024) {
  EXPECT_EQ(size_from("1073741824"), 1ULL << 30U);
  EXPECT_EQ(size_from("512M"), 512ULL << 20U);
  EXPECT_EQ(size_from("2 GiB"), 2ULL << 30U);
  EXPECT_EQ(size_from("3gb"), 3ULL << 30U);
  EXPECT_EQ(size_from("1T"), 1ULL << 40U);
  EXPECT_EQ(size_from("10B"), 10U);
  for (const auto* const wrong :
       {"", "0", "G", "-1", "1.5G", "1X", "1GG", "1iB", "99999999T", "18446744073709551616"}) {
    EXPECT_FALSE(size_from(wrong)) << wrong;
  }
}

TEST(sizes, are_said_in_the_largest_unit_that_fits) {
  EXPECT_EQ(size_in_words(1ULL << 30U), "1 GiB");
  EXPECT_EQ(size_in_words(1536ULL << 20U), "1536 MiB");
  EXPECT_EQ(size_in_words(1000), "1000 bytes");
}

constexpr auto mounts =
    "24 1 0:22 / / rw - ext4 /dev/a rw\n"
    "30 24 0:26 / /sys/fs/c\\040group rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(cgroups, the_place_of_this_process_is_read_from_proc) {
  const auto place = cgroup_from(mounts, "1:name=systemd:/x\n0::/user.slice/app.slice/run-1.scope\n");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->mount, "/sys/fs/c group");
  EXPECT_EQ(place->group, "user.slice/app.slice/run-1.scope");
  EXPECT_EQ(cgroup_from(mounts, "0::/\n")->group, "");
  EXPECT_FALSE(cgroup_from(mounts, "4:memory:/x\n")) << "version 1";
  EXPECT_FALSE(cgroup_from("24 1 0:22 / / rw - ext4 /dev/a rw\n", "0::/x\n")) << "not mounted";
  EXPECT_FALSE(cgroup_from(mounts, "0::/../outside\n")) << "above what this namespace sees";
}

/// Files instead of the kernel: what is written there, and where.
class groups : public testing::Test {
 protected:
  void put(const fs::path& below, const std::string& text) {
    fs::create_directories((root_ / below).parent_path());
    std::ofstream(root_ / below) << text;
  }

  /// The group that is found, and the traces of the search removed: the kernel's files go with their group.
  fs::path found(const fs::path& place) const {
    const auto group = writable_group({root_, place});
    std::vector<fs::path> probes;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (entry.path().filename().string().starts_with("awm-probe-")) probes.push_back(entry.path());
    }
    for (const auto& probe : probes) fs::remove_all(probe);
    return group;
  }

  test::temporary_directory temporary_;
  const fs::path root_ = temporary_.path();
};

TEST_F(groups, the_nearest_one_that_limits_memory_is_taken) {
  put("cgroup.subtree_control", "cpu memory pids\n");
  put("cgroup.procs", "");
  put("user/cgroup.subtree_control", "memory\n");
  put("user/cgroup.procs", "");
  put("user/scope/cgroup.subtree_control", "cpu memory_other\n");
  put("user/scope/cgroup.procs", "");
  EXPECT_EQ(found("user/scope"), root_ / "user");
  EXPECT_EQ(found(""), root_);
  put("user/cgroup.subtree_control", "cpu\n");
  EXPECT_EQ(found("user/scope"), root_);
  put("cgroup.subtree_control", "\n");
  EXPECT_EQ(found("user/scope"), "");
}

TEST_F(groups, a_child_gets_its_own_with_the_limit) {
  std::error_code error;
  const auto group = memory_group::make({3U << 20U, root_}, "one", error);
  ASSERT_TRUE(group) << error.message();
  EXPECT_EQ(text_of(root_ / "awm-one" / "memory.max"), "3145728");
  EXPECT_EQ(text_of(root_ / "awm-one" / "memory.oom.group"), "1");
  EXPECT_EQ(group->entrance(), root_ / "awm-one" / "cgroup.procs");
  EXPECT_FALSE(memory_group::make({1, root_}, "one", error)) << "it is there";
  EXPECT_TRUE(error);
  EXPECT_FALSE(group->ran_out());
  put("awm-one/memory.events", "low 0\nmax 17\noom 1\noom_kill 0\n");
  EXPECT_FALSE(group->ran_out());
  put("awm-one/memory.events", "low 0\nmax 17\noom 1\noom_kill 2\n");
  EXPECT_TRUE(group->ran_out());
}

TEST_F(groups, what_a_killed_manager_left_is_removed_when_it_is_empty) {
  fs::create_directories(root_ / "awm-left");
  put("awm-used/cgroup.procs", "17\n");
  fs::create_directories(root_ / "others");
  remove_empty_groups(root_);
  EXPECT_FALSE(fs::exists(root_ / "awm-left"));
  EXPECT_TRUE(fs::exists(root_ / "awm-used") && fs::exists(root_ / "others"));
}

TEST(memory_hints, name_the_option_where_the_limit_is_the_reason) {
  const memory_limit by_group{1ULL << 30U, "/sys/fs/cgroup/x"};
  const memory_limit by_process{1ULL << 30U, ""};
  EXPECT_NE(memory_hint(by_group, true, -SIGKILL, "").find("--worker-memory allows 1 GiB to a worker"),
            std::string::npos);
  EXPECT_EQ(memory_hint(by_group, false, -SIGKILL, "out of memory"), "") << "the kernel would have said so";
  EXPECT_NE(memory_hint(by_process, false, -SIGABRT, "").find("--worker-memory"), std::string::npos);
  EXPECT_NE(memory_hint(by_process, false, 1, "FATAL: JavaScript heap out of memory").find("--worker-memory"),
            std::string::npos);
  EXPECT_EQ(memory_hint(by_process, false, 1, "no such file"), "");
  EXPECT_EQ(memory_hint(by_process, false, -SIGTERM, ""), "");
}

}  // namespace
}  // namespace awm::worker
