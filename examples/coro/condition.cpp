// Bicycles are put together as soon as there are enough parts: two wheels and a frame. Who waits says for what, whoever
// delivers need not know.

#include <awm/coro/condition.hpp>
#include <awm/coro/when_all.hpp>

#include <cstdio>

namespace coro = awm::coro;

struct store {
  explicit store(const asio::any_io_executor& executor) : changed(executor) {}
  int wheels = 0;
  int frames = 0;
  coro::condition changed;
};

static asio::awaitable<void> assemble(store& parts, const char* who) {
  const auto is_enough = [&parts] { return parts.wheels >= 2 && parts.frames >= 1; };
  const std::error_code error = co_await parts.changed.wait(is_enough);
  if (error) co_return;  // cancelled before there was enough
  parts.wheels -= 2;
  parts.frames -= 1;
  std::printf("%s has a bicycle\n", who);
}

static asio::awaitable<void> deliver(store& parts) {
  for (const bool is_frame : {true, false, false, false, true, false}) {
    (is_frame ? parts.frames : parts.wheels) += 1;
    std::printf("delivered: a %s\n", is_frame ? "frame" : "wheel");
    parts.changed.notify_all();
    co_await asio::post(parts.changed.get_executor(), asio::use_awaitable);
  }
}

static asio::awaitable<void> show() {
  store parts(co_await asio::this_coro::executor);
  co_await coro::when_all(assemble(parts, "anna"), assemble(parts, "bert"), deliver(parts));
}

int main() {
  asio::io_context loop;
  asio::co_spawn(loop, show(), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  loop.run();
}
