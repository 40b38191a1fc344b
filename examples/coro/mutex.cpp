// Two transfers write their lines to one journal. Each awaits between its lines, and the mutex keeps them together.

#include <awm/coro/mutex.hpp>
#include <awm/coro/when_all.hpp>

#include <cstdio>

namespace coro = awm::coro;

static asio::awaitable<void> write_line(const char* who, const char* what) {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);  // the disk takes its time
  std::printf("%s: %s\n", who, what);
}

static asio::awaitable<void> transfer(coro::mutex& journal, const char* who) {
  const auto held = co_await journal.lock();
  if (!held) co_return;  // cancelled while it waited: nothing is locked
  co_await write_line(who, "begin");
  co_await write_line(who, "move 100");
  co_await write_line(who, "commit");
}  // unlocked here, to whoever has waited longest

static asio::awaitable<void> read_if_free(coro::mutex& journal) {
  coro::mutex::guard held;
  if (journal.try_lock()) held = coro::mutex::guard(journal);
  std::printf("carla: %s\n", held ? "reads" : "somebody is writing, later");
  co_return;
}

static asio::awaitable<void> show() {
  coro::mutex journal(co_await asio::this_coro::executor);
  co_await coro::when_all(transfer(journal, "anna"), transfer(journal, "bert"), read_if_free(journal));
  co_await read_if_free(journal);
}

int main() {
  asio::io_context loop;
  asio::co_spawn(loop, show(), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  loop.run();
}
