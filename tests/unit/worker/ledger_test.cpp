#include "worker/ledger.hpp"

#include "coro/clock.hpp"
#include "coro/process_tree.hpp"
#include "support/manual_clock.hpp"
#include "support/processes.hpp"
#include "support/run.hpp"
#include "support/temporary_directory.hpp"
#include "worker/launcher.hpp"
#include "worker/marker.hpp"
#include "worker/uuid.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sys/prctl.h>

#include <fstream>
#include <iterator>

namespace awm::worker {
namespace {

using nlohmann::json;
using test::announcements;
using test::process_handle;
namespace fs = std::filesystem;

// Marks are looked for on the whole machine, where other tests run too.
const std::string id = random_uuid();

std::string boot_id() {
  std::string text;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> text;
  return text;
}

class ledger_test : public ::testing::Test {
 protected:
  ~ledger_test() override { test::reap_everything(); }

  std::size_t end_leftovers() {
    std::size_t count = 0;
    test::run([&](asio::any_io_executor executor) -> asio::awaitable<void> {
      coro::system_clock clock(executor);
      count = co_await worker::end_leftovers(folder_.path(), clock);
    });
    return count;
  }

  fs::path path_of(const std::string& manager_id) const {
    return folder_.path() / (".manager-" + manager_id + ".ndjson");
  }

  /// A manager that has started, and noted, one child, which runs the script; its pid.
  pid_t start_manager(const std::string& script) {
    const announcements noted(folder_.path() / "noted");
    const pid_t manager = ::fork();
    if (manager != 0) {
      noted.next();
      return manager;
    }
    asio::io_context context;
    ledger book(folder_.path(), id);
    local_launcher launcher(context.get_executor(), &book);
    std::error_code error;
    const auto child = launcher.start({"/bin/sh", {"-c", script}, {"PATH=/usr/bin:/bin"}, "", "some worker"}, error);
    std::ofstream(noted.path()) << ::getpid() << std::endl;
    context.run();
    ::_exit(0);
  }

  void kill_manager(pid_t manager) {
    ::kill(manager, SIGKILL);
    ::waitpid(manager, nullptr, 0);
  }

  std::string announce() const { return "echo $$ > " + announced_.path() + "; "; }

  /// A process of this user, with or without the mark.
  pid_t start_process(bool is_marked) {
    const pid_t pid = ::fork();
    if (pid != 0) return announced_.next();
    const auto environment =
        is_marked ? with_mark({"PATH=/usr/bin:/bin"}, id, 1) : std::vector<std::string>{"PATH=/usr/bin:/bin"};
    std::vector<char*> variables;
    for (const auto& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
    variables.push_back(nullptr);
    const auto script = announce() + "read nothing < " + announced_.path() + ".never";
    ::execle("/bin/sh", "sh", "-c", script.c_str(), nullptr, variables.data());
    ::_exit(127);
  }

  /// A ledger as a manager that is dead would have left it.
  void write_ledger(const std::string& lines, const std::string& boot = boot_id()) {
    const json first = {{"pid", 4194304}, {"start_time", 1}, {"boot_id", boot}};
    std::ofstream(path_of(id)) << first.dump() << "\n" << lines;
  }

  static std::string line_of(pid_t pid, std::uint64_t start_time) {
    const json line = {{"pid", pid}, {"start_time", start_time}, {"worker_id", "w"}};
    return line.dump() + "\n";
  }

  test::temporary_directory folder_;
  announcements announced_{folder_.path() / "pids"};
};

coro::process_identity parent() {
  return {::getppid(), coro::facts_of(::getppid())->start_time};
}

TEST_F(ledger_test, names_the_manager_and_its_children) {
  {
    ledger book(folder_.path(), id);
    EXPECT_FALSE(fs::exists(path_of(id))) << "nothing is written before there is a child";
    book.note(parent(), "some worker");
    std::ifstream file(path_of(id));
    std::string first;
    std::string second;
    std::getline(file, first);
    std::getline(file, second);
    const auto manager = json::parse(first);
    EXPECT_EQ(manager["pid"], ::getpid());
    EXPECT_EQ(manager["start_time"], coro::facts_of(::getpid())->start_time);
    EXPECT_EQ(manager["boot_id"], boot_id());
    const auto child = json::parse(second);
    EXPECT_EQ(child["pid"], ::getppid());
    EXPECT_EQ(child["start_time"], coro::facts_of(::getppid())->start_time);
    EXPECT_EQ(child["worker_id"], "some worker");
    EXPECT_EQ(fs::status(path_of(id)).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_EQ(end_leftovers(), 0U);
    EXPECT_TRUE(fs::exists(path_of(id))) << "it is held";
    book.remove();
  }
  EXPECT_FALSE(fs::exists(path_of(id)));
}

TEST_F(ledger_test, keeps_its_lines_until_there_is_a_folder) {
  const auto folder = folder_.path() / "later";
  ledger book(folder, id);
  book.note(parent(), "first");
  EXPECT_FALSE(fs::exists(folder));
  fs::create_directory(folder);
  book.note(parent(), "second");
  std::ifstream file(book.path());
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_LT(text.find("first"), text.find("second"));
}

TEST_F(ledger_test, what_a_killed_manager_left_behind_is_ended_with_its_tools) {
  const auto tool =
      "setsid sh -c 'echo $$ > " + announced_.path() + "; read nothing < " + announced_.path() + ".never' & ";
  const pid_t manager = start_manager("trap '' INT TERM; " + tool + announce() + "while :; do wait; done");
  const process_handle first(announced_.next());
  const process_handle second(announced_.next());
  EXPECT_EQ(end_leftovers(), 0U) << "the manager lives";
  kill_manager(manager);
  asio::io_context context;
  test::manual_clock clock;
  std::size_t count = 0;
  asio::co_spawn(context, worker::end_leftovers(folder_.path(), clock),
                 [&](std::exception_ptr, std::size_t ended) { count = ended; });
  context.poll();
  EXPECT_FALSE(first.has_ended()) << "they ignore SIGINT";
  EXPECT_FALSE(second.has_ended());
  clock.advance(std::chrono::seconds(2));
  context.restart();
  context.run();
  EXPECT_EQ(count, 2U);
  EXPECT_TRUE(first.ends());
  EXPECT_TRUE(second.ends());
  EXPECT_FALSE(fs::exists(path_of(id)));
}

TEST_F(ledger_test, a_tool_is_ended_whose_worker_has_ended_already) {
  const auto tool = "trap '' INT; setsid sh -c 'echo $$ > " + announced_.path() + "; read nothing < " +
                    announced_.path() + ".never' & ";
  const pid_t manager =
      start_manager(tool + "trap - INT; " + announce() + "read nothing < " + announced_.path() + ".never");
  const process_handle first(announced_.next());
  const process_handle second(announced_.next());
  kill_manager(manager);  // its child gets SIGINT
  EXPECT_GT(end_leftovers(), 0U);
  EXPECT_TRUE(first.ends());
  EXPECT_TRUE(second.ends());
}

TEST_F(ledger_test, a_worker_is_interrupted_before_it_is_killed) {
  const pid_t child = start_process(true);
  const process_handle handle(child);
  // Marked and listed, and it ends by itself on SIGINT: no clock is needed for it.
  write_ledger(line_of(child, coro::facts_of(child)->start_time));
  test::run([&](asio::any_io_executor) -> asio::awaitable<void> {
    test::manual_clock clock;  // stands still: only the worker's own end lets this go on
    const auto count = co_await worker::end_leftovers(folder_.path(), clock);
    EXPECT_EQ(count, 1U);
  });
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

TEST_F(ledger_test, spares_a_pid_that_was_used_again_and_a_process_without_the_mark) {
  const pid_t unmarked = start_process(false);
  const process_handle handle(unmarked);
  const auto start_time = coro::facts_of(unmarked)->start_time;
  write_ledger(line_of(unmarked, start_time) + line_of(unmarked, start_time - 1));
  EXPECT_EQ(end_leftovers(), 0U);
  EXPECT_FALSE(handle.has_ended());
  EXPECT_FALSE(fs::exists(path_of(id)));
}

TEST_F(ledger_test, a_ledger_of_another_boot_is_only_removed) {
  const pid_t marked = start_process(true);
  const process_handle handle(marked);
  write_ledger(line_of(marked, coro::facts_of(marked)->start_time), "another boot");
  EXPECT_EQ(end_leftovers(), 0U);
  EXPECT_FALSE(handle.has_ended());
  EXPECT_FALSE(fs::exists(path_of(id)));
}

TEST_F(ledger_test, a_copy_of_the_ledger_of_a_manager_that_lives_ends_nobody) {
  const pid_t marked = start_process(true);
  const process_handle handle(marked);
  const json first = {
      {"pid", ::getpid()}, {"start_time", coro::facts_of(::getpid())->start_time}, {"boot_id", boot_id()}};
  std::ofstream(path_of(id)) << first.dump() << "\n" << line_of(marked, coro::facts_of(marked)->start_time);
  EXPECT_EQ(end_leftovers(), 0U);
  EXPECT_FALSE(handle.has_ended());
  EXPECT_TRUE(fs::exists(path_of(id)));
}

TEST_F(ledger_test, a_hostile_ledger_harms_nobody) {
  const pid_t unmarked = start_process(false);
  const process_handle handle(unmarked);
  const auto own = coro::facts_of(::getpid())->start_time;
  const std::vector<std::string> lines{
      line_of(1, coro::facts_of(1)->start_time),
      line_of(::getpid(), own),
      line_of(::getppid(), coro::facts_of(::getppid())->start_time),
      line_of(-1, 0),
      line_of(0, 0),
      line_of(-unmarked, coro::facts_of(unmarked)->start_time),
      R"({"pid":18446744073709551615,"start_time":1})"
      "\n",
      R"({"pid":"2","start_time":[1]})"
      "\n",
      R"({"pid":1e300,"start_time":1.5})"
      "\n",
      "[[[[[[[[\n",
      "null\n\n\n\0\xff\xfe not JSON at all\n",
      std::string(100'000, '['),
      std::string(std::size_t{6} * 1024 * 1024, 'x'),
  };
  std::string all;
  for (const auto& line : lines) {
    write_ledger(line);
    EXPECT_EQ(end_leftovers(), 0U) << line.substr(0, 100);
    EXPECT_FALSE(fs::exists(path_of(id)));
    all += line;
  }
  write_ledger(all);
  EXPECT_EQ(end_leftovers(), 0U);
  EXPECT_FALSE(handle.has_ended());
}

TEST_F(ledger_test, what_is_no_ledger_is_left_alone) {
  const auto elsewhere = folder_.path() / "precious";
  std::ofstream(elsewhere) << "kept";
  fs::create_symlink(elsewhere, path_of(id));
  fs::create_directory(path_of("22222222-2222-4222-8222-222222222222"));
  std::ofstream(path_of("no-uuid")) << "kept";
  EXPECT_EQ(end_leftovers(), 0U);
  EXPECT_TRUE(fs::exists(elsewhere));
  EXPECT_TRUE(fs::is_symlink(path_of(id)));
  EXPECT_TRUE(fs::exists(path_of("22222222-2222-4222-8222-222222222222")));
  EXPECT_TRUE(fs::exists(path_of("no-uuid")));
}

TEST_F(ledger_test, a_broken_ledger_is_removed) {
  for (const std::string text : {"", "{", "[]\n", "\0\0\0\n", "{\"boot_id\":7}\n"}) {
    std::ofstream(path_of(id)) << text;
    EXPECT_EQ(end_leftovers(), 0U);
    EXPECT_FALSE(fs::exists(path_of(id))) << text;
  }
}

TEST_F(ledger_test, no_folder_is_no_error) {
  fs::remove_all(folder_.path());
  EXPECT_EQ(end_leftovers(), 0U);
}

TEST_F(ledger_test, a_cancelled_search_kills_at_once) {
  const pid_t manager =
      start_manager("trap '' INT TERM; " + announce() + "read nothing < " + announced_.path() + ".never");
  const process_handle left(announced_.next());
  kill_manager(manager);
  asio::io_context context;
  test::manual_clock clock;  // stands still: its patience would never be over
  asio::cancellation_signal cancel;
  bool has_ended = false;
  asio::co_spawn(context, worker::end_leftovers(folder_.path(), clock),
                 asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr error, std::size_t count) {
                   EXPECT_FALSE(error);
                   EXPECT_EQ(count, 1U);
                   has_ended = true;
                 }));
  context.poll();
  EXPECT_FALSE(left.has_ended());
  cancel.emit(asio::cancellation_type::terminal);
  context.run();
  EXPECT_TRUE(has_ended);
  EXPECT_TRUE(left.ends());
}

}  // namespace
}  // namespace awm::worker
