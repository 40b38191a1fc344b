#include "coro/clock.hpp"

namespace awm::coro {
namespace {

class system_timer final : public timer {
 public:
  explicit system_timer(const asio::any_io_executor& executor) : state_(std::make_shared<state>(executor)) {}
  ~system_timer() override { disarm(); }

  void arm(std::chrono::steady_clock::time_point deadline, std::function<void()> expired) override {
    const auto armed = ++state_->generation;
    state_->expired = std::move(expired);
    state_->timer.expires_at(deadline);
    state_->timer.async_wait([state = state_, armed](const std::error_code& error) {
      // A handler that was already queued when the timer was disarmed comes without an error: the generation tells.
      if (error || state->generation != armed) return;
      const auto call = std::move(state->expired);
      call();
    });
  }

  void disarm() override {
    ++state_->generation;
    state_->expired = nullptr;
    state_->timer.cancel();
  }

 private:
  struct state {
    explicit state(const asio::any_io_executor& executor) : timer(executor) {}
    asio::steady_timer timer;
    std::function<void()> expired;
    std::uint64_t generation = 0;
  };
  std::shared_ptr<state> state_;
};

}  // namespace

std::unique_ptr<timer> system_clock::make_timer() {
  return std::make_unique<system_timer>(executor_);
}

asio::awaitable<bool> wait_until(event& happened, clock& clock, clock::time_point deadline) {
  if (happened.is_set()) co_return true;
  asio::cancellation_signal give_up;
  // The wait below listens to `give_up` only, so the coroutine's own slot is free: it passes on what comes from
  // outside.
  auto outside = (co_await asio::this_coro::cancellation_state).slot();
  if (outside.is_connected()) {
    outside.assign([&give_up](asio::cancellation_type type) { give_up.emit(type); });
  }
  const auto timer = clock.make_timer();
  timer->arm(deadline, [&give_up] { give_up.emit(asio::cancellation_type::terminal); });
  co_await happened.async_wait(as_value_until(give_up.slot()));
  if (outside.is_connected()) outside.clear();
  co_return happened.is_set();
}

asio::awaitable<bool> sleep_for(clock& clock, clock::duration pause) {
  event never(co_await asio::this_coro::executor);
  const auto deadline = clock.now() + pause;
  co_await wait_until(never, clock, deadline);
  co_return clock.now() >= deadline;
}

}  // namespace awm::coro
