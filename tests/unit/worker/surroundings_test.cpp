#include "worker/surroundings.hpp"

#include "fake_files.hpp"

#include <gtest/gtest.h>

#include <set>

namespace awm::worker {
namespace {

using testing::fake_files;

const launch_spec launch{"/bin/claude", {}, {"HOME=/home/me"}, "/src/project/part", ""};

TEST(surroundings, tell_of_everything_that_a_child_reads_at_its_start) {
  fake_files disk;
  disk.contents = {{"/bin/claude", "program"}, {"/src/project/.git/HEAD", "ref"}};
  disk.directories = {"/src/project/.git", "/src/project/part/.claude", "/home/me/.claude", "/src/.claude"};
  std::set<std::string> seen{surroundings_of(launch, disk)};
  std::size_t changes = 1;
  for (const auto* const path :
       {"/bin/claude", "/src/project/part/CLAUDE.md", "/src/CLAUDE.local.md", "/src/project/part/.claude/settings.json",
        "/src/.claude/rules/one.md", "/home/me/.claude/CLAUDE.md", "/home/me/.claude/agents/deep/one.md",
        "/src/project/.git/HEAD", "/src/project/.git/index", "/src/project/.git/logs/HEAD"}) {
    disk.contents[path] += "changed";
    seen.insert(surroundings_of(launch, disk));
    EXPECT_EQ(seen.size(), ++changes) << path;
    EXPECT_EQ(surroundings_of(launch, disk), surroundings_of(launch, disk));
  }
  disk.contents["/src/project/part/main.cpp"] = "text";
  seen.insert(surroundings_of(launch, disk));
  EXPECT_EQ(seen.size(), changes) << "nobody reads that at the start";
}

TEST(surroundings, are_not_changed_by_the_folders_that_a_start_makes) {
  fake_files disk;
  const auto before = surroundings_of(launch, disk);
  disk.directories = {"/home/me/.claude", "/home/me/.claude/projects"};
  EXPECT_EQ(surroundings_of(launch, disk), before);
}

TEST(surroundings, follow_the_environment_and_the_link_of_a_worktree) {
  fake_files disk;
  auto elsewhere = launch;
  elsewhere.environment = {"HOME=/home/me", "CLAUDE_CONFIG_DIR=/etc/mine"};
  disk.directories = {"/etc/mine"};
  disk.contents["/src/project/.git"] = "gitdir: /src/main/.git/worktrees/project\n";
  const auto before = surroundings_of(elsewhere, disk);
  disk.contents["/src/main/.git/worktrees/project/HEAD"] = "ref";
  const auto after = surroundings_of(elsewhere, disk);
  EXPECT_NE(before, after);
  disk.contents["/etc/mine/settings.json"] = "{}";
  EXPECT_NE(after, surroundings_of(elsewhere, disk));
}

}  // namespace
}  // namespace awm::worker
