#include "worker/last_watch.hpp"

#include "support/processes.hpp"
#include "support/temporary_directory.hpp"
#include "worker/files.hpp"
#include "worker/launcher.hpp"
#include "worker/ledger.hpp"
#include "worker/uuid.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace awm::worker {
namespace {

using namespace std::chrono_literals;
using test::announcements;
using test::process_handle;

class last_watch : public ::testing::Test {
 protected:
  /// A server that starts one child with this script, and ends, leaving a watch behind, once it is told to.
  pid_t start_server(const std::string& script, std::chrono::milliseconds patience) {
    const pid_t server = ::fork();
    if (server != 0) return server;
    asio::io_context context;
    ledger book(folder_.path(), random_uuid());
    local_launcher launcher(context.get_executor(), &book);
    std::error_code error;
    const auto lock = files_.try_lock(folder_.path() / ".owners", 1, error);
    const auto child = launcher.start({"/bin/sh", {"-c", script}, {"PATH=/usr/bin:/bin"}, ""}, error);
    char character = 0;
    (void)!::read(::open((folder_.path() / "gate").c_str(), O_RDONLY | O_CLOEXEC), &character, 1);
    keep_last_watch(launcher.running(), book, patience);
    ::_exit(0);
  }

  void end_server(pid_t server) {
    const int gate = ::open((folder_.path() / "gate").c_str(), O_WRONLY | O_CLOEXEC);
    ::close(gate);
    ::waitpid(server, nullptr, 0);
  }

  bool has_ledger() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      if (entry.path().filename().string().starts_with(".manager-")) return true;
    }
    return false;
  }

  /// A tool in a session of its own, which announces itself.
  std::string tool(const std::string& environment = "") const {
    return environment + " setsid sh -c 'echo $$ > " + announced_.path() + "; read nothing < " + announced_.path() +
           ".never' & ";
  }

  test::temporary_directory folder_;
  announcements announced_{folder_.path() / "pids"};
  system_files files_;
  const int made_gate_ = ::mkfifo((folder_.path() / "gate").c_str(), 0600);
};

TEST_F(last_watch, ends_the_tools_of_a_child_that_does_not_want_to_end) {
  const auto server = start_server("trap '' INT; " + tool() + tool("env -i PATH=/usr/bin:/bin") + "echo $$ > " +
                                       announced_.path() + "; while :; do wait; done",
                                   1ms);
  std::vector<process_handle> left;
  for (int i = 0; i < 3; ++i) left.emplace_back(announced_.next());
  EXPECT_TRUE(has_ledger());
  end_server(server);
  for (const auto& process : left) EXPECT_TRUE(process.ends());
}

TEST_F(last_watch, ends_the_tools_of_a_child_that_ends_by_itself_and_removes_the_ledger) {
  // The server's death interrupts the child; its tools ignore that, as would those of a CLI that is killed.
  const auto server = start_server("trap '' INT; " + tool() + tool("env -i PATH=/usr/bin:/bin") +
                                       "trap 'exit 0' INT; echo $$ > " + announced_.path() + "; while :; do wait; done",
                                   10min);
  std::vector<process_handle> left;
  for (int i = 0; i < 3; ++i) left.emplace_back(announced_.next());
  end_server(server);
  for (const auto& process : left) EXPECT_TRUE(process.ends());
  while (has_ledger()) ::sched_yield();
}

TEST_F(last_watch, holds_no_lock_of_the_server) {
  const auto server = start_server(
      "trap '' INT; echo $$ > " + announced_.path() + "; read nothing < " + announced_.path() + ".never", 10min);
  const process_handle child(announced_.next());
  std::error_code error;
  EXPECT_FALSE(files_.try_lock(folder_.path() / ".owners", 1, error));
  end_server(server);
  EXPECT_FALSE(child.has_ended());
  // The watch lives as long as the child does, but it may not have come to closing its copies yet.
  while (!files_.try_lock(folder_.path() / ".owners", 1, error)) ::sched_yield();
  EXPECT_FALSE(child.has_ended());
}

}  // namespace
}  // namespace awm::worker
