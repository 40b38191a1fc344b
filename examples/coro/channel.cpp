// A thermometer sends readings, two workers store them. The channel holds two readings, so the thermometer cannot run
// ahead of the workers; closing it tells them when all has been stored.

#include <awm/coro/channel.hpp>
#include <awm/coro/when_all.hpp>

#include <cstdio>

namespace coro = awm::coro;

static asio::awaitable<void> measure(coro::channel<double>& readings) {
  for (double degrees : {20.5, 21.0, 21.5, 22.0, 22.5}) {
    const bool must_wait = readings.size() == readings.capacity();
    if (must_wait) std::printf("the thermometer waits for room\n");
    const std::error_code error = co_await readings.send(degrees);
    if (error) co_return;  // closed or cancelled: this reading was not sent
  }
  std::printf("the thermometer is done; still buffered: %zu\n", readings.size());
  readings.close();
}

static asio::awaitable<int> store(coro::channel<double>& readings, const char* worker) {
  for (int count = 0;; ++count) {
    const std::optional<double> degrees = co_await readings.receive();
    if (!degrees) co_return count;  // closed, and nothing is left
    std::printf("%s stores %.1f\n", worker, *degrees);
    co_await asio::post(readings.get_executor(), asio::use_awaitable);  // the disk takes its time
  }
}

static asio::awaitable<void> show() {
  coro::channel<double> readings(co_await asio::this_coro::executor, 2);
  const auto [sent, by_anna, by_bert] =
      co_await coro::when_all(measure(readings), store(readings, "anna"), store(readings, "bert"));
  std::printf("stored by anna: %d, by bert: %d\n", by_anna, by_bert);
  const std::error_code refused = co_await readings.send(23.0);
  std::printf("one more: %s\n", refused == asio::error::broken_pipe ? "the channel is closed" : "sent");
}

int main() {
  asio::io_context loop;
  asio::co_spawn(loop, show(), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  loop.run();
}
