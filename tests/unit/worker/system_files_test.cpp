#include "fake_files.hpp"
#include "support/temporary_directory.hpp"
#include "worker/files.hpp"
#include "worker/uuid.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <string>

namespace awm::worker {
namespace {

class file_locks : public ::testing::Test {
 protected:
  bool is_free(std::uint64_t key) {
    std::error_code error;
    const auto lock = files_.try_lock(path_, key, error);
    EXPECT_FALSE(error) << error.message();
    return lock != nullptr;
  }

  test::temporary_directory folder_;
  std::filesystem::path path_ = folder_.path() / ".owners";
  system_files files_;
};

TEST_F(file_locks, one_holds_a_key_and_others_may_hold_others) {
  std::error_code error;
  const auto lock = files_.try_lock(path_, 5, error);
  ASSERT_TRUE(lock);
  EXPECT_FALSE(is_free(5));
  EXPECT_TRUE(is_free(4));
  EXPECT_TRUE(is_free(6));
  EXPECT_TRUE(is_free((std::uint64_t{1} << 62U) - 1));
}

TEST_F(file_locks, a_lock_is_released_by_its_destruction_and_the_file_stays_for_its_owner_alone) {
  std::error_code error;
  auto lock = files_.try_lock(path_, 5, error);
  lock.reset();
  EXPECT_TRUE(is_free(5));
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(status.st_size, 0);
}

TEST_F(file_locks, two_processes_cannot_hold_the_same_and_death_releases_it) {
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    std::error_code error;
    const auto lock = files_.try_lock(path_, 5, error);
    const char holds = lock ? 'y' : 'n';
    (void)!::write(ready[1], &holds, 1);
    for (;;) ::pause();
  }
  char holds = 0;
  ASSERT_EQ(::read(ready[0], &holds, 1), 1);
  EXPECT_EQ(holds, 'y');
  EXPECT_FALSE(is_free(5));
  EXPECT_TRUE(is_free(6));
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  EXPECT_TRUE(is_free(5));
  for (const int end : ready) ::close(end);
}

TEST_F(file_locks, a_program_that_is_executed_does_not_inherit_a_lock) {
  std::error_code error;
  auto lock = files_.try_lock(path_, 5, error);
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    ::dup2(ready[1], 1);
    ::execl("/bin/sh", "sh", "-c", "echo; exec tail -f /dev/null", nullptr);
    ::_exit(127);
  }
  char executed = 0;
  EXPECT_EQ(::read(ready[0], &executed, 1), 1);
  lock.reset();
  EXPECT_TRUE(is_free(5));
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  for (const int end : ready) ::close(end);
}

TEST_F(file_locks, what_cannot_be_tried_is_an_error) {
  std::error_code error;
  EXPECT_FALSE(files_.try_lock(folder_.path() / "missing" / ".owners", 1, error));
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
  std::filesystem::create_symlink(path_, folder_.path() / "link");
  EXPECT_FALSE(files_.try_lock(folder_.path() / "link", 1, error));
  EXPECT_EQ(error, std::errc::too_many_symbolic_link_levels);
}

TEST_F(file_locks, in_memory_they_behave_the_same) {
  testing::fake_files files;
  std::error_code error;
  auto lock = files.try_lock(path_, 5, error);
  EXPECT_TRUE(lock);
  EXPECT_FALSE(files.try_lock(path_, 5, error));
  EXPECT_FALSE(error);
  lock.reset();
  EXPECT_TRUE(files.try_lock(path_, 5, error));
  files.lock_elsewhere(path_, 5);
  EXPECT_FALSE(files.try_lock(path_, 5, error));
  files.unlock_elsewhere(path_, 5);
  files.lock_failure = std::make_error_code(std::errc::permission_denied);
  EXPECT_FALSE(files.try_lock(path_, 5, error));
  EXPECT_EQ(error, std::errc::permission_denied);
}

/// A folder in which somebody else has been.
class shared_folder : public ::testing::Test {
 protected:
  std::filesystem::path put(const char* name, const std::string& content, mode_t mode = 0600) {
    const auto path = folder_.path() / name;
    std::ofstream(path) << content;
    std::filesystem::permissions(path, std::filesystem::perms(mode));
    return path;
  }
  std::string content_of(const std::filesystem::path& path) { return files_.read(path).value_or("(none)"); }
  std::error_code view_own(const std::filesystem::path& path) {
    std::error_code error;
    const bool is_there = files_.view_own(path, error) != nullptr;
    EXPECT_NE(is_there, static_cast<bool>(error)) << path;
    return error;
  }
  std::error_code write_into(const std::filesystem::path& path) {
    std::error_code error;
    if (const auto file = files_.create(path, error)) return file->append("ours");
    return error;
  }
  std::error_code append_to(const std::filesystem::path& path) {
    std::error_code error;
    if (const auto file = files_.open_append(path, error)) return file->append("ours");
    return error;
  }

  test::temporary_directory folder_;
  system_files files_;
};

TEST_F(shared_folder, what_is_ones_own_is_read) {
  const auto path = put("own", "text");
  std::error_code error;
  const auto file = files_.view_own(path, error);
  ASSERT_TRUE(file) << error.message();
  EXPECT_EQ(file->bytes(), "text");
  EXPECT_FALSE(view_own(put("readable", "", 0644)));
  EXPECT_EQ(view_own(folder_.path() / "missing"), std::errc::no_such_file_or_directory);
}

TEST_F(shared_folder, a_link_is_neither_read_nor_written_through) {
  const auto target = put("target", "theirs");
  const auto link = folder_.path() / "link";
  std::filesystem::create_symlink(target, link);
  EXPECT_EQ(view_own(link), std::errc::too_many_symbolic_link_levels);
  EXPECT_EQ(append_to(link), std::errc::too_many_symbolic_link_levels);
  std::error_code error;
  EXPECT_EQ(files_.create(folder_.path() / "copy", error)->append_from(link, 0, 3),
            std::errc::too_many_symbolic_link_levels);
  EXPECT_FALSE(write_into(link));
  EXPECT_FALSE(std::filesystem::is_symlink(link)) << "it is replaced";
  EXPECT_EQ(content_of(link), "ours");
  EXPECT_EQ(content_of(target), "theirs");
}

TEST_F(shared_folder, what_others_may_write_is_not_taken_for_ones_own) {
  EXPECT_EQ(view_own(put("group", "", 0620)), std::errc::operation_not_permitted);
  EXPECT_EQ(view_own(put("all", "", 0602)), std::errc::operation_not_permitted);
  EXPECT_EQ(view_own(folder_.path()), std::errc::operation_not_permitted);
  const auto path = put("journal", "theirs", 0666);
  EXPECT_EQ(append_to(path), std::errc::operation_not_permitted);
  EXPECT_EQ(content_of(path), "theirs");
}

TEST_F(shared_folder, a_second_name_of_a_file_is_replaced_and_the_file_is_left_alone) {
  const auto victim = put("victim", "theirs");
  const auto name = folder_.path() / "name";
  std::filesystem::create_hard_link(victim, name);
  EXPECT_EQ(append_to(name), std::errc::operation_not_permitted);
  EXPECT_FALSE(write_into(name));
  EXPECT_EQ(content_of(victim), "theirs");
  EXPECT_EQ(content_of(name), "ours");
}

TEST_F(shared_folder, a_file_that_is_there_is_emptied_and_closed_to_others) {
  const auto path = put("readable", "before", 0644);
  EXPECT_FALSE(write_into(path));
  EXPECT_EQ(content_of(path), "ours");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(shared_folder, another_users_file_is_not_read_and_is_replaced_where_one_is_written) {
  constexpr uid_t nobody = 65534;
  const auto path = put("planted", "theirs");
  if (::chown(path.c_str(), nobody, static_cast<gid_t>(-1)) != 0) GTEST_SKIP() << "only root can give a file away";
  EXPECT_EQ(view_own(path), std::errc::operation_not_permitted);
  EXPECT_EQ(append_to(path), std::errc::operation_not_permitted);
  EXPECT_EQ(content_of(path), "theirs");
  EXPECT_FALSE(write_into(path));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, ::geteuid());
}

TEST(lock_key, every_digit_of_the_uuid_counts_and_its_case_does_not) {
  const std::string id = "01234567-89ab-4def-8123-456789abcdef";
  for (std::size_t at = 0; at < id.size(); ++at) {
    if (id[at] == '-') continue;
    auto other = id;
    other[at] = other[at] == '5' ? '6' : '5';
    EXPECT_NE(lock_key(id), lock_key(other)) << "at " << at;
  }
  EXPECT_EQ(lock_key(id), lock_key("01234567-89AB-4DEF-8123-456789ABCDEF"));
  for (int number = 0; number < 100; ++number) EXPECT_LT(lock_key(random_uuid()), std::uint64_t{1} << 62U);
}

}  // namespace
}  // namespace awm::worker
