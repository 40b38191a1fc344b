// Events, mutexes, semaphores, channels: coroutines that wait for each other.

#include "harness.hpp"
#include <awm/coro/channel.hpp>
#include <awm/coro/event.hpp>
#include <awm/coro/mutex.hpp>
#include <awm/coro/semaphore.hpp>

#include <asio/experimental/channel.hpp>
#include <asio/steady_timer.hpp>

#include <limits>

namespace bench {
namespace {

using benchmark::State;
using coro::as_value;
using int_channel = asio::experimental::channel<void(std::error_code, int)>;

// --- event, auto_reset_event: two coroutines wake each other in turn -----------------------------------------------

struct awm_event {
  explicit awm_event(asio_world& world) : happened(world.executor()) {}
  void set() { happened.set(); }
  auto wait() { return happened.wait(); }
  void reset() { happened.reset(); }
  coro::event happened;
};
struct awm_event_as_operation : awm_event {
  using awm_event::awm_event;
  auto wait() { return happened.async_wait(as_value); }
};
struct awm_auto_reset_event {
  explicit awm_auto_reset_event(asio_world& world) : happened(world.executor()) {}
  void set() { happened.set(); }
  auto wait() { return happened.wait(); }
  void reset() {}
  coro::auto_reset_event happened;
};
struct timer_event {
  explicit timer_event(asio_world& world) : never(world.executor(), asio::steady_timer::time_point::max()) {}
  void set() { never.cancel_one(); }
  auto wait() { return never.async_wait(as_value); }
  void reset() {}
  asio::steady_timer never;
};
struct channel_event {
  explicit channel_event(asio_world& world) : signal(world.executor(), 1) {}
  void set() { signal.try_send(std::error_code(), 1); }
  auto wait() { return signal.async_receive(as_value); }
  void reset() {}
  int_channel signal;
};
struct bare_event {
  explicit bare_event(bare_world& world) : happened(world.queue) {}
  void set() { happened.set(); }
  auto wait() { return happened.wait(); }
  void reset() { happened.reset(); }
  bare::event happened;
};
struct bare_auto_reset_event {
  explicit bare_auto_reset_event(bare_world& world) : happened(world.queue, 0) {}
  void set() { happened.release(); }
  auto wait() { return happened.acquire(); }
  void reset() {}
  bare::semaphore happened;
};

template <class World, class Event>
typename World::task serve(State& state, Event& ball, Event& answer, bool& over) {
  const tally count(state, 2);
  for (auto iteration : state) {
    (void)iteration;
    ball.set();
    co_await answer.wait();
    answer.reset();
  }
  over = true;
  ball.set();
}

template <class World, class Event>
typename World::task answer_each(Event& ball, Event& answer, const bool& over) {
  while (true) {
    co_await ball.wait();
    if (over) co_return;
    ball.reset();
    answer.set();
  }
}

template <class World, class Event>
void wait_set_resume(State& state) {
  World world;
  Event ball(world);
  Event answer(world);
  bool over = false;
  world.start(answer_each<World>(ball, answer, over));
  world.start(serve<World>(state, ball, answer, over));
  world.run();
}

BENCHMARK(wait_set_resume<asio_world, awm_event>)->Name("event/awm: wait()");
BENCHMARK(wait_set_resume<asio_world, awm_event_as_operation>)->Name("event/awm: async_wait()");
BENCHMARK(wait_set_resume<asio_world, timer_event>)->Name("event/asio: timer");
BENCHMARK(wait_set_resume<asio_world, channel_event>)->Name("event/asio: channel");
BENCHMARK(wait_set_resume<bare_world, bare_event>)->Name("event/floor");
BENCHMARK(wait_set_resume<asio_world, awm_auto_reset_event>)->Name("auto_reset_event/awm: wait()");
BENCHMARK(wait_set_resume<asio_world, timer_event>)->Name("auto_reset_event/asio: timer");
BENCHMARK(wait_set_resume<asio_world, channel_event>)->Name("auto_reset_event/asio: channel");
BENCHMARK(wait_set_resume<bare_world, bare_auto_reset_event>)->Name("auto_reset_event/floor");

// --- mutex, semaphore ----------------------------------------------------------------------------------------------

struct awm_mutex {
  explicit awm_mutex(asio_world& world) : lock(world.executor()) {}
  auto take() { return lock.lock(); }
  static void give(coro::mutex::guard& held) { held.unlock(); }
  coro::mutex lock;
};
struct awm_semaphore {
  explicit awm_semaphore(asio_world& world) : places(world.executor(), 1) {}
  auto take() { return places.acquire(); }
  static void give(coro::semaphore::permit& held) { held.release(); }
  coro::semaphore places;
};
/// What Asio's users take for a mutex or a semaphore: who is in has a message in the buffer.
struct channel_mutex {
  explicit channel_mutex(asio_world& world) : places(world.executor(), 1) {}
  auto take() { return places.async_send(std::error_code(), 1, as_value); }
  void give(const std::tuple<std::error_code>&) {
    places.try_receive([](std::error_code, int) {});
  }
  int_channel places;
};
struct bare_mutex {
  struct nothing {};
  explicit bare_mutex(bare_world& world) : places(world.queue, 1) {}
  auto take() {
    struct taking : decltype(std::declval<bare::semaphore&>().acquire()) {
      nothing await_resume() const { return {}; }
    };
    return taking{places.acquire()};
  }
  void give(nothing) { places.release(); }
  bare::semaphore places;
};

template <class World, class Mutex>
typename World::task take_and_give(State& state, World& world) {
  Mutex mutex(world);
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    auto held = co_await mutex.take();
    mutex.give(held);
  }
}

/// A careful user of a channel tries before waiting, and then needs no turn of the event loop.
asio::awaitable<void> try_channel_first(State& state, asio_world& world) {
  channel_mutex mutex(world);
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    const bool taken = mutex.places.try_send(std::error_code(), 1);
    if (!taken) co_await mutex.take();
    mutex.give({});
  }
}

asio::awaitable<void> try_mutex_first(State& state, asio_world& world) {
  awm_mutex mutex(world);
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    const bool taken = mutex.lock.try_lock();
    if (!taken) co_return;
    mutex.lock.unlock();
  }
}

/// Each hands the mutex to the other and waits for it again.
template <class World, class Mutex>
typename World::task contend(State& state, Mutex& mutex, bool& over) {
  const tally count(state, 2);
  for (auto iteration : state) {
    (void)iteration;
    auto held = co_await mutex.take();
    mutex.give(held);
  }
  over = true;
}
template <class World, class Mutex>
typename World::task contend_until(Mutex& mutex, const bool& over) {
  while (!over) {
    auto held = co_await mutex.take();
    mutex.give(held);
  }
}
/// Holds it until both wait.
template <class World, class Mutex>
typename World::task begin(World& world, Mutex& mutex) {
  auto held = co_await mutex.take();
  for (int turns = 0; turns < 4; ++turns) co_await world.turn();
  mutex.give(held);
}

template <class World, class Mutex>
void contended(State& state) {
  World world;
  Mutex mutex(world);
  bool over = false;
  world.start(begin<World>(world, mutex));
  world.start(contend_until<World>(mutex, over));
  world.start(contend<World>(state, mutex, over));
  world.run();
}

BENCHMARK(alone<asio_world, take_and_give<asio_world, awm_mutex>>)->Name("mutex, free/awm: lock()");
BENCHMARK(alone<asio_world, try_mutex_first>)->Name("mutex, free, try first/awm: try_lock()");
BENCHMARK(alone<asio_world, take_and_give<asio_world, channel_mutex>>)->Name("mutex, free/asio: channel(1)");
BENCHMARK(alone<asio_world, try_channel_first>)->Name("mutex, free, try first/asio: channel(1)");
BENCHMARK(alone<bare_world, take_and_give<bare_world, bare_mutex>>)->Name("mutex, free/floor");
BENCHMARK(contended<asio_world, awm_mutex>)->Name("mutex, contended/awm: lock()");
BENCHMARK(contended<asio_world, channel_mutex>)->Name("mutex, contended/asio: channel(1)");
BENCHMARK(contended<bare_world, bare_mutex>)->Name("mutex, contended/floor");
BENCHMARK(alone<asio_world, take_and_give<asio_world, awm_semaphore>>)->Name("semaphore, free/awm: acquire()");
BENCHMARK(alone<asio_world, take_and_give<asio_world, channel_mutex>>)->Name("semaphore, free/asio: channel(1)");
BENCHMARK(alone<bare_world, take_and_give<bare_world, bare_mutex>>)->Name("semaphore, free/floor");

// --- channel -------------------------------------------------------------------------------------------------------

constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

struct awm_channel {
  awm_channel(asio_world& world, std::size_t capacity) : values(world.executor(), capacity) {}
  auto send(int& value) { return values.send(value); }
  auto receive() { return values.receive(); }
  static int value_of(const std::optional<int>& received) { return received.value(); }
  void try_send(int value) { values.try_send(value); }
  auto try_receive() { return values.try_receive(); }
  coro::channel<int> values;
};
struct asio_channel {
  asio_channel(asio_world& world, std::size_t capacity) : values(world.executor(), capacity) {}
  auto send(int& value) { return values.async_send(std::error_code(), value, as_value); }
  auto receive() { return values.async_receive(as_value); }
  static int value_of(const std::tuple<std::error_code, int>& received) { return std::get<1>(received); }
  void try_send(int value) { values.try_send(std::error_code(), value); }
  std::optional<int> try_receive() {
    std::optional<int> received;
    values.try_receive([&received](std::error_code, int value) { received = value; });
    return received;
  }
  int_channel values;
};
struct bare_channel {
  bare_channel(bare_world& world, std::size_t capacity) : values(world.queue, capacity) {}
  auto send(int& value) { return values.send(value); }
  auto receive() { return values.receive(); }
  static int value_of(const std::optional<int>& received) { return received.value(); }
  bare::channel values;
};

template <class World, class Channel>
typename World::task produce(State& state, Channel& channel) {
  const tally count(state, 1);
  for (auto iteration : state) {
    (void)iteration;
    int value = 1;
    co_await channel.send(value);
  }
  int last = 0;
  co_await channel.send(last);
}

template <class World, class Channel>
typename World::task consume(Channel& channel) {
  int value = 1;
  while (value != 0) {
    const auto received = co_await channel.receive();
    value = Channel::value_of(
        received);  // no DoNotOptimize: with g++ 12 that of benchmark 1.7.1 may change what it is given
  }
}

template <class World, class Channel, std::size_t capacity>
void pass_on(State& state) {
  World world;
  Channel channel(world, capacity);
  world.start(consume<World>(channel));
  world.start(produce<World>(state, channel));
  world.run();
}

constexpr int batch = 64;

/// Nothing would ever stop the sender: it receives what it sent.
template <class World, class Channel>
typename World::task fill_and_drain(State& state, World& world) {
  Channel channel(world, unbounded);
  const tally count(state, batch);
  for (auto iteration : state) {
    (void)iteration;
    for (int value = 1; value <= batch; ++value) co_await channel.send(value);
    for (int left = batch; left > 0; --left) {
      const auto received = co_await channel.receive();
      int value = Channel::value_of(received);
      benchmark::DoNotOptimize(value);
    }
  }
}

template <class Channel>
asio::awaitable<void> fill_and_drain_without_waiting(State& state, asio_world& world) {
  Channel channel(world, unbounded);
  const tally count(state, batch);
  for (auto iteration : state) {
    (void)iteration;
    for (int value = 1; value <= batch; ++value) channel.try_send(value);
    for (int left = batch; left > 0; --left) {
      auto value = channel.try_receive();
      benchmark::DoNotOptimize(value);
    }
  }
  co_return;
}

BENCHMARK(pass_on<asio_world, awm_channel, 64>)->Name("channel, 64 buffered/awm: send(), receive()");
BENCHMARK(pass_on<asio_world, asio_channel, 64>)->Name("channel, 64 buffered/asio: channel");
BENCHMARK(pass_on<bare_world, bare_channel, 64>)->Name("channel, 64 buffered/floor");
BENCHMARK(pass_on<asio_world, awm_channel, 0>)->Name("channel, rendezvous/awm: send(), receive()");
BENCHMARK(pass_on<asio_world, asio_channel, 0>)->Name("channel, rendezvous/asio: channel");
BENCHMARK(pass_on<bare_world, bare_channel, 0>)->Name("channel, rendezvous/floor");
BENCHMARK(alone<asio_world, fill_and_drain<asio_world, awm_channel>>)
    ->Name("channel, unbounded/awm: send(), receive()");
BENCHMARK(alone<asio_world, fill_and_drain_without_waiting<awm_channel>>)
    ->Name("channel, unbounded, try/awm: try_send(), try_receive()");
BENCHMARK(alone<asio_world, fill_and_drain<asio_world, asio_channel>>)->Name("channel, unbounded/asio: channel");
BENCHMARK(alone<asio_world, fill_and_drain_without_waiting<asio_channel>>)
    ->Name("channel, unbounded, try/asio: channel");
BENCHMARK(alone<bare_world, fill_and_drain<bare_world, bare_channel>>)->Name("channel, unbounded/floor");

}  // namespace
}  // namespace bench
