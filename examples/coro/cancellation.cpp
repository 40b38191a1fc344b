// The code of docs/coro/cancellation.md: a connection that is cancelled says goodbye before it ends.

#include <awm/coro/deadline.hpp>
#include <awm/coro/event.hpp>
#include <awm/coro/task_group.hpp>
#include <awm/coro/virtual_clock.hpp>

#include <asio/buffer.hpp>
#include <asio/local/connect_pair.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

#include <array>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

namespace {

namespace coro = awm::coro;
using namespace std::chrono_literals;
using socket = asio::local::stream_protocol::socket;

// [as_value]
asio::awaitable<void> talk(socket& peer, coro::event& is_talking) {
  std::array<char, 64> bytes;
  is_talking.set();
  while (true) {
    const auto [error, size] = co_await peer.async_read_some(asio::buffer(bytes), coro::as_value);
    if (error) co_return;  // cancelled, closed or broken
    std::printf("received %zu bytes\n", size);
  }
}
// [/as_value]

asio::awaitable<void> say_goodbye(socket& peer) {
  constexpr std::string_view goodbye = "goodbye\n";
  co_await asio::async_write(peer, asio::buffer(goodbye), asio::use_awaitable);
}

// [cleanup]
asio::awaitable<void> serve(socket& peer, coro::event& is_talking, coro::clock& clock) {
  std::exception_ptr failure;
  try {
    co_await talk(peer, is_talking);
  } catch (...) {
    failure = std::current_exception();  // a handler cannot await
  }
  // From here on as if nothing had been cancelled; a second signal ends it, and so does the limit.
  co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
  co_await coro::with_timeout(clock, 1s, say_goodbye(peer));
  if (failure) std::rethrow_exception(failure);
}
// [/cleanup]

// [total]
asio::awaitable<void> listen_to_all(coro::event& never) {
  co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
  const std::error_code error = co_await never.wait();
  std::printf("the wait: %s\n", error ? "cancelled" : "over");
}
// [/total]

asio::awaitable<void> show(coro::clock& clock) {
  const auto executor = co_await asio::this_coro::executor;
  socket here(executor);
  socket there(executor);
  asio::local::connect_pair(here, there);
  coro::event is_talking(executor);
  coro::event never(executor);
  coro::task_group group(executor);
  group.spawn(serve(here, is_talking, clock));
  group.spawn(listen_to_all(never));
  co_await is_talking.wait();
  co_await asio::post(executor, asio::use_awaitable);  // now it reads
  group.cancel();
  co_await group.join();
  std::string farewell(8, '\0');
  co_await asio::async_read(there, asio::buffer(farewell), asio::use_awaitable);
  std::printf("the peer was told: %s", farewell.c_str());
}

}  // namespace

int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, show(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);
}
