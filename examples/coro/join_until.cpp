// Somebody waits for a backup of three folders, at most an hour at a time, and is called when the backup has a
// question. Leaving the wait does not end the backup.

#include <awm/coro/join_until.hpp>
#include <awm/coro/sleep.hpp>
#include <awm/coro/task_group.hpp>
#include <awm/coro/virtual_clock.hpp>

#include <cstdio>

namespace coro = awm::coro;
using namespace std::chrono_literals;

static asio::awaitable<void> copy(coro::clock& clock, const char* folder, std::chrono::minutes needed) {
  co_await coro::sleep(clock, needed);
  std::printf("copied: %s\n", folder);
}

static asio::awaitable<void> copy_letters(coro::clock& clock, coro::event& question, coro::event& answer) {
  co_await coro::sleep(clock, 30min);
  question.set();
  const std::error_code error = co_await answer.wait();
  if (!error) std::printf("copied: letters\n");
}

static asio::awaitable<void> show(coro::clock& clock) {
  const auto executor = co_await asio::this_coro::executor;
  coro::event question(executor);
  coro::event answer(executor);
  coro::task_group backup(executor);
  backup.spawn(copy(clock, "music", 10min));
  backup.spawn(copy(clock, "photos", 100min));
  backup.spawn(copy_letters(clock, question, answer));
  auto end = coro::join_end::interrupted;
  while (end != coro::join_end::joined && end != coro::join_end::cancelled) {
    end = co_await coro::join_until(backup.empty(), question, clock, clock.now() + 1h);
    if (end == coro::join_end::timed_out) std::printf("an hour has gone by, %zu still at work\n", backup.size());
    if (end == coro::join_end::interrupted) {
      std::printf("the backup asks: letters too? Yes.\n");
      question.reset();
      answer.set();
    }
  }
  co_await backup.join();
  std::printf("the backup is complete\n");
}

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);
}
