// A watchdog barks when a machine has not reported for too long. It takes a `clock`: the machine's own in a program,
// and a virtual one where nobody wants to wait, in a test.

#include <awm/coro/clock.hpp>
#include <awm/coro/virtual_clock.hpp>

#include <cstdio>

namespace coro = awm::coro;
using namespace std::chrono_literals;

class watchdog {
 public:
  watchdog(coro::clock& clock, const char* name, coro::clock::duration patience)
      : name_(name), patience_(patience), limit_(clock) {
    report();
  }

  /// The machine is well: from here on it has the whole time again.
  void report() {
    limit_.arm(limit_.get_clock().now() + patience_, [this] { bark(); });
  }

 private:
  void bark() { std::printf("%s barks\n", name_); }

  const char* name_;
  coro::clock::duration patience_;
  coro::timer limit_;
};

int main() {
  asio::io_context loop;
  coro::system_clock clock(loop.get_executor());
  const watchdog patient(clock, "rex", 20ms);
  const watchdog nervous(clock, "fifi", 2ms);
  loop.run();  // keeps running while a timer is armed

  coro::virtual_clock time;
  watchdog calm(time, "bella", 1h);
  time.advance(59min);
  calm.report();
  time.advance(59min);
  std::printf("118 minutes, and %zu timer is armed\n", time.armed());
  time.advance(1min);
  std::printf("119 minutes, and %zu timers are armed\n", time.armed());
}
