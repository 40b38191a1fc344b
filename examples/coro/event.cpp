// Requests wait until the configuration is loaded, and one client does not wait that long. An editor saves by an
// `auto_reset_event`: once for all the changes since the last time.

#include <awm/coro/event.hpp>
#include <awm/coro/when_all.hpp>

#include <cstdio>

namespace coro = awm::coro;

static asio::awaitable<void> serve(coro::event& loaded, const char* client) {
  const std::error_code error = co_await loaded.wait();
  std::printf("%s %s\n", client, error ? "gives up" : "is served");
}

static asio::awaitable<void> load_configuration(coro::event& loaded) {
  asio::cancellation_signal hang_up;
  const auto tell = [](std::error_code error) { std::printf("carla hangs up: %s\n", error.message().c_str()); };
  loaded.async_wait(asio::bind_cancellation_slot(hang_up.slot(), tell));  // any completion token will do
  hang_up.emit(asio::cancellation_type::total);
  co_await asio::post(loaded.get_executor(), asio::use_awaitable);
  std::printf("the configuration is loaded\n");
  loaded.set();
}

static asio::awaitable<void> edit(coro::auto_reset_event& changed) {
  for (const char* change : {"a title", "a word", "a picture"}) {
    std::printf("changed: %s\n", change);
    changed.set();
  }
  co_return;
}

static asio::awaitable<void> save(coro::auto_reset_event& changed) {
  const std::error_code error = co_await changed.wait();
  if (error) co_return;
  std::printf("saved, %s\n", changed.is_set() ? "and there is more to save" : "and nothing is left to save");
}

static asio::awaitable<void> show() {
  const auto executor = co_await asio::this_coro::executor;
  coro::event loaded(executor);
  co_await coro::when_all(serve(loaded, "anna"), serve(loaded, "bert"), load_configuration(loaded));
  co_await serve(loaded, "dora");  // goes on at once: the event stays set
  coro::auto_reset_event changed(executor);
  co_await coro::when_all(edit(changed), save(changed));
}

int main() {
  asio::io_context loop;
  asio::co_spawn(loop, show(), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  loop.run();
}
