// Deadlines, sleep, retry, and the generator.

#include "harness.hpp"
#include <awm/coro/async_generator.hpp>
#include <awm/coro/clock.hpp>
#include <awm/coro/deadline.hpp>
#include <awm/coro/retry.hpp>
#include <awm/coro/sleep.hpp>

#include <asio/experimental/awaitable_operators.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/experimental/coro.hpp>
#include <asio/experimental/deferred.hpp>
#include <asio/experimental/parallel_group.hpp>
#include <asio/experimental/use_coro.hpp>
#include <asio/steady_timer.hpp>

namespace bench {
namespace {

using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using asio::use_awaitable;
using asio::experimental::deferred;
using asio::experimental::make_parallel_group;
using benchmark::State;
using coro::as_value;
using task = asio::awaitable<void>;
using steady = std::chrono::steady_clock;

// --- A deadline that is armed and cancelled ------------------------------------------------------------------------
// `others`: how many deadlines there are that come earlier. A turn of the event loop every `batch` deadlines lets Asio
// call the handlers that it owes, and the clock look after its alarm.

template <std::size_t others, int batch>
task with_clock(State& state, asio_world& world) {
  coro::system_clock clock(world.executor());
  coro::timer earlier(clock);
  if (others > 0) earlier.arm(clock.now() + 1h, [] {});
  coro::timer limit(clock);
  const auto deadline = clock.now() + 2h;
  const tally count(state, batch);
  for (auto iteration : state) {
    (void)iteration;
    for (int left = batch; left > 0; --left) {
      limit.arm(deadline, [&state] { std::terminate(); });
      limit.disarm();
    }
    co_await world.turn();
  }
}

template <std::size_t others, int batch>
task with_steady_timer(State& state, asio_world& world) {
  asio::steady_timer earlier(world.loop, steady::now() + 1h);
  if (others > 0) earlier.async_wait([](std::error_code) {});
  asio::steady_timer limit(world.loop);
  const auto deadline = steady::now() + 2h;
  const tally count(state, batch);
  for (auto iteration : state) {
    (void)iteration;
    for (int left = batch; left > 0; --left) {
      limit.expires_at(deadline);
      limit.async_wait([](std::error_code error) {
        if (!error) std::terminate();
      });
      limit.cancel();
    }
    co_await world.turn();
  }
}

BENCHMARK(alone<asio_world, with_clock<1, 100>>)->Name("deadline, not the earliest/awm: timer");
BENCHMARK(alone<asio_world, with_steady_timer<1, 100>>)->Name("deadline, not the earliest/asio: steady_timer");
BENCHMARK(alone<asio_world, with_clock<0, 100>>)->Name("deadline, the only one/awm: timer");
BENCHMARK(alone<asio_world, with_steady_timer<0, 100>>)->Name("deadline, the only one/asio: steady_timer");
BENCHMARK(alone<asio_world, with_clock<0, 1>>)->Name("deadline, the only one, and a turn/awm: timer");
BENCHMARK(alone<asio_world, with_steady_timer<0, 1>>)->Name("deadline, the only one, and a turn/asio: steady_timer");

// --- An operation under a deadline that completes before it --------------------------------------------------------
// The operation: to receive what is in one of Asio's channels, which takes a turn of the event loop.

using int_channel = asio::experimental::channel<void(std::error_code, int)>;

/// The earlier deadline that any program has.
struct under_deadline {
  explicit under_deadline(asio_world& world)
      : clock(world.executor()), earlier(clock), signal(world.executor(), 1), system(world.loop) {
    earlier.arm(clock.now() + 1h, [] {});
  }
  coro::system_clock clock;
  coro::timer earlier;
  int_channel signal;
  asio::steady_timer system;
};

task operation_alone(State& state, asio_world& world) {
  under_deadline given(world);
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    given.signal.try_send(std::error_code(), 1);
    co_await given.signal.async_receive(as_value);
  }
}

task with_timeout(State& state, asio_world& world) {
  under_deadline given(world);
  const auto receive = [&](auto token) { return given.signal.async_receive(token); };
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    given.signal.try_send(std::error_code(), 1);
    co_await coro::with_timeout(given.clock, 2h, receive);
  }
}

task with_or_timer(State& state, asio_world& world) {
  under_deadline given(world);
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    given.signal.try_send(std::error_code(), 1);
    given.system.expires_after(2h);
    auto either = given.signal.async_receive(use_awaitable) || given.system.async_wait(use_awaitable);
    co_await std::move(either);
  }
}

task with_group_of_two(State& state, asio_world& world) {
  under_deadline given(world);
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    given.signal.try_send(std::error_code(), 1);
    given.system.expires_after(2h);
    co_await make_parallel_group(given.signal.async_receive(deferred), given.system.async_wait(deferred))
        .async_wait(asio::experimental::wait_for_one(), use_awaitable);
  }
}

BENCHMARK(alone<asio_world, with_timeout>)->Name("operation under a deadline/awm: with_timeout");
BENCHMARK(alone<asio_world, with_or_timer>)->Name("operation under a deadline/asio: || timer");
BENCHMARK(alone<asio_world, with_group_of_two>)->Name("operation under a deadline/asio: parallel_group with timer");
BENCHMARK(alone<asio_world, operation_alone>)->Name("operation under a deadline/floor");

// --- sleep(0) ------------------------------------------------------------------------------------------------------

task sleep_zero(State& state, asio_world& world) {
  coro::system_clock clock(world.executor());
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    co_await coro::sleep(clock, 0s);
  }
}

task wait_zero(State& state, asio_world& world) {
  asio::steady_timer pause(world.loop);
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    pause.expires_after(0s);
    co_await pause.async_wait(as_value);
  }
}

bare::task<bool> until(steady::time_point deadline) {
  const bool over = steady::now() >= deadline;
  co_return over;
}
bare::task<> bare_sleep_zero(State& state, bare_world&) {
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    const bool over = co_await until(steady::now());
    if (!over) std::terminate();
  }
}

BENCHMARK(alone<asio_world, sleep_zero>)->Name("sleep of zero/awm: sleep");
BENCHMARK(alone<asio_world, wait_zero>)->Name("sleep of zero/asio: steady_timer");
BENCHMARK(alone<bare_world, bare_sleep_zero>)->Name("sleep of zero/floor");

// --- async_generator -----------------------------------------------------------------------------------------------

coro::async_generator<int> numbers() {
  for (int number = 0;; ++number) co_yield number;
}
task generate(State& state, asio_world&) {
  auto source = numbers();
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    auto number = co_await source.next();
    benchmark::DoNotOptimize(number);
  }
}

asio::experimental::coro<int> asio_numbers(asio::any_io_executor) {
  for (int number = 0;; ++number) co_yield number;
}
task generate_with_asio(State& state, asio_world& world) {
  auto source = asio_numbers(world.executor());
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    auto number = co_await source.async_resume(use_awaitable);
    benchmark::DoNotOptimize(number);
  }
}

bare::generator bare_numbers() {
  for (int number = 0;; ++number) co_yield number;
}
bare::task<> generate_on_the_floor(State& state, bare_world&) {
  auto source = bare_numbers();
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    auto number = source.next();
    benchmark::DoNotOptimize(number);
  }
  co_return;
}

BENCHMARK(alone<asio_world, generate>)->Name("async_generator, per value/awm: next()");
BENCHMARK(alone<asio_world, generate_with_asio>)->Name("async_generator, per value/asio: experimental::coro");
BENCHMARK(alone<bare_world, generate_on_the_floor>)->Name("async_generator, per value/floor");

// --- retry that succeeds at once -----------------------------------------------------------------------------------

asio::awaitable<int> attempt(std::size_t number) {
  co_return static_cast<int>(number);
}

task with_retry(State& state, asio_world& world) {
  coro::system_clock clock(world.executor());
  const auto make = [](std::size_t number) { return attempt(number); };
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    coro::retry_policy policy;
    auto value = co_await coro::retry(clock, std::move(policy), make);
    benchmark::DoNotOptimize(value);
  }
}

/// As one writes it with Asio: a loop, and a timer that is only needed after a failure.
task with_loop(State& state, asio_world& world) {
  asio::steady_timer pause(world.loop);
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    for (std::size_t number = 1; number <= 5; ++number) {
      bool failed = false;
      try {
        auto value = co_await attempt(number);
        benchmark::DoNotOptimize(value);
      } catch (const std::exception&) {
        failed = true;
      }
      if (!failed) break;
      pause.expires_after(100ms);
      co_await pause.async_wait(as_value);
    }
  }
}

bare::task<int> bare_attempt(std::size_t number) {
  co_return static_cast<int>(number);
}
bare::task<> on_the_floor(State& state, bare_world&) {
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    auto value = co_await bare_attempt(1);
    benchmark::DoNotOptimize(value);
  }
}

BENCHMARK(alone<asio_world, with_retry>)->Name("retry, no failure/awm: retry");
BENCHMARK(alone<asio_world, with_loop>)->Name("retry, no failure/asio: a loop");
BENCHMARK(alone<bare_world, on_the_floor>)->Name("retry, no failure/floor");

}  // namespace
}  // namespace bench
