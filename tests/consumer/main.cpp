// A program of somebody else: templates of the headers, and code of the library.

#include <awm/coro/event.hpp>
#include <awm/coro/process_tree.hpp>
#include <awm/coro/task_group.hpp>

#include <unistd.h>

#include <cstdio>

namespace {

namespace coro = awm::coro;

asio::awaitable<void> count(coro::event& go, int& passed) {
  co_await go.async_wait(asio::use_awaitable);
  ++passed;
}

asio::awaitable<void> run(int& passed) {
  const auto executor = co_await asio::this_coro::executor;
  coro::event go(executor);
  coro::task_group group(executor);
  for (int i = 0; i < 3; ++i) group.spawn(count(go, passed));
  go.set();
  co_await group.join();
}

}  // namespace

int main() {
  int passed = 0;
  asio::io_context context;
  asio::co_spawn(context, run(passed), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  context.run();
  std::printf("passed %d, alive %d\n", passed, coro::facts_of(::getpid()).has_value());
}
