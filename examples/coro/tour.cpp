// The code of docs/coro/tour.md, in its order. Time is virtual here, so that the hours in it pass at once.

#include <awm/coro/channel.hpp>
#include <awm/coro/deadline.hpp>
#include <awm/coro/event.hpp>
#include <awm/coro/mutex.hpp>
#include <awm/coro/settle_all.hpp>
#include <awm/coro/task_group.hpp>
#include <awm/coro/virtual_clock.hpp>
#include <awm/coro/when_all.hpp>
#include <awm/coro/when_any.hpp>

#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/steady_timer.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace {

namespace coro = awm::coro;
using namespace std::chrono_literals;

// [fetch]
// Stands for a request: it has its answer when `online` is set.
asio::awaitable<std::string> fetch(coro::event& online, std::string name) {
  const std::error_code error = co_await online.wait();
  if (error) throw std::system_error(error);
  co_return "page " + name;
}
// [/fetch]

// [load]
asio::awaitable<std::string> load(coro::event& online) {
  const auto [text, image] = co_await coro::when_all(fetch(online, "text"), fetch(online, "image"));
  co_return text + " and " + image;  // when one fails, the other is cancelled and awaited, and when_all throws
}
// [/load]

asio::awaitable<std::string> fail(coro::event& online) {
  const std::error_code error = co_await online.wait();
  if (error) throw std::system_error(error);
  throw std::runtime_error("no such page");
}

asio::awaitable<void> print(coro::event& online, std::string name) {
  const std::string page = co_await fetch(online, name);
  std::printf("%s\n", page.c_str());
}

asio::awaitable<void> print_or_fail(coro::event& online, std::string name) {
  if (name.empty()) throw std::runtime_error("no name");
  co_await print(online, name);
}

// [detached]
asio::awaitable<void> lose_track(coro::event& online) {
  const auto executor = co_await asio::this_coro::executor;
  asio::co_spawn(executor, print(online, "a"), asio::detached);
  asio::co_spawn(executor, print_or_fail(online, ""), asio::detached);  // its exception is lost
  // Have they ended? Can they be ended? Does `online` live long enough?
}
// [/detached]

// [group]
asio::awaitable<void> keep_track(coro::event& online) {
  coro::task_group group(co_await asio::this_coro::executor);
  group.spawn(print(online, "a"));
  group.spawn(print_or_fail(online, ""));
  co_await group.join();  // both have ended; throws what one of them threw
}
// [/group]

// [timer]
asio::awaitable<void> wait_by_timer(asio::steady_timer& happened) {
  // The owner has set it to expire at time_point::max(), and cancels it for "now". Who comes later waits for ever.
  co_await happened.async_wait(coro::as_value);
}
// [/timer]

// [event]
asio::awaitable<void> wait_by_event(coro::event& happened) {
  const std::error_code error = co_await happened.wait();
  if (!error) std::printf("it happened\n");
}
// [/event]

// [operator_and]
asio::awaitable<void> both_as_asio(coro::event& online) {
  using namespace asio::experimental::awaitable_operators;
  const auto [a, b] = co_await (fetch(online, "a") && fetch(online, "b"));
  std::printf("&&: %s, %s\n", a.c_str(), b.c_str());
}
// [/operator_and]

// [when_all]
asio::awaitable<void> both(coro::event& online) {
  const auto [a, b] = co_await coro::when_all(fetch(online, "a"), fetch(online, "b"));
  std::printf("when_all: %s, %s\n", a.c_str(), b.c_str());
}

asio::awaitable<void> as_many_as_there_are(coro::event& online, const std::vector<std::string>& names) {
  std::vector<asio::awaitable<std::string>> tasks;
  for (const std::string& name : names) tasks.push_back(fetch(online, name));
  const std::vector<std::string> pages = co_await coro::when_all(std::move(tasks));
  std::printf("when_all: %zu pages\n", pages.size());
}
// [/when_all]

// [settle_all]
asio::awaitable<void> every_outcome(coro::event& online) {
  const auto [a, b] = co_await coro::settle_all(fetch(online, "a"), fail(online));
  std::printf("settle_all: the first %s, the second %s\n", a.has_value() ? "came" : "failed",
              b.has_value() ? "came" : "failed");
}
// [/settle_all]

// [operator_or]
asio::awaitable<void> first_as_asio(coro::event& online) {
  using namespace asio::experimental::awaitable_operators;
  const auto first = co_await (fail(online) || fetch(online, "b"));  // the failure of the first goes unseen
  std::printf("||: number %zu\n", first.index());
}
// [/operator_or]

// [when_any]
asio::awaitable<void> first(coro::event& online) {
  const auto any = co_await coro::when_any(coro::first_done, fail(online), fetch(online, "b"));
  std::printf("first_done: number %zu\n", any.index);

  const auto good = co_await coro::when_any(coro::first_success, fail(online), fetch(online, "b"));
  std::printf("first_success: number %zu, %s\n", good.index, std::get<1>(good.outcomes).value().c_str());
}
// [/when_any]

// [timeout]
asio::awaitable<void> at_most_an_hour(coro::clock& clock, coro::event& never) {
  // An operation: it gets a token, and its error says what ended it.
  const auto operation = [&never](auto token) { return never.async_wait(token); };
  const auto [error] = co_await coro::with_timeout(clock, 1h, operation);
  std::printf("the operation: %s\n", error == asio::error::timed_out ? "timed out" : "done");

  // A coroutine: it is cancelled and awaited, and has no value then.
  const auto page = co_await coro::with_timeout(clock, 1h, fetch(never, "a"));
  std::printf("the coroutine: %s\n", page ? page->c_str() : "timed out");
}
// [/timeout]

// [channel]
asio::awaitable<void> produce(coro::channel<std::string>& lines) {
  for (const char* line : {"one", "two", "three"}) {
    const std::error_code error = co_await lines.send(line);
    if (error) co_return;  // closed or cancelled: the line is still ours
  }
  lines.close();
}

asio::awaitable<void> consume(coro::channel<std::string>& lines) {
  while (true) {
    const std::optional<std::string> line = co_await lines.receive();
    if (!line) co_return;  // closed and drained, or cancelled
    std::printf("received %s\n", line->c_str());
  }
}

asio::awaitable<void> through_a_channel() {
  coro::channel<std::string> lines(co_await asio::this_coro::executor, 2);
  co_await coro::when_all(produce(lines), consume(lines));
}
// [/channel]

// [mutex]
asio::awaitable<void> append(coro::mutex& file, coro::event& written) {
  const auto held = co_await file.lock();
  if (!held) co_return;  // cancelled: not locked
  co_await written.wait();
  std::printf("appended\n");
}  // unlocked here, to whoever has waited longest
// [/mutex]

asio::awaitable<void> tour(coro::clock& clock) {
  const auto executor = co_await asio::this_coro::executor;
  coro::event online(executor);
  online.set();

  co_await lose_track(online);
  try {
    co_await keep_track(online);
  } catch (const std::runtime_error& error) {
    std::printf("thrown by join: %s\n", error.what());
  }

  const std::string loaded = co_await load(online);
  std::printf("loaded: %s\n", loaded.c_str());

  asio::steady_timer happened(executor);
  co_await wait_by_timer(happened);
  co_await wait_by_event(online);
  co_await both_as_asio(online);
  co_await both(online);
  const std::vector<std::string> names{"a", "b", "c"};
  co_await as_many_as_there_are(online, names);
  co_await every_outcome(online);
  co_await first_as_asio(online);
  co_await first(online);
  coro::event never(executor);
  co_await at_most_an_hour(clock, never);
  co_await through_a_channel();
  coro::mutex file(executor);
  co_await coro::when_all(append(file, online), append(file, online));
}

}  // namespace

// [virtual_clock]
int main() {
  asio::io_context loop;
  coro::virtual_clock clock;
  asio::co_spawn(loop, tour(clock), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  clock.run(loop);  // two hours, in no time
}
// [/virtual_clock]
