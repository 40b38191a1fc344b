#include "manager/join.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace awm::manager {
namespace {

// The newest client gives a silent call up after 30 minutes and shows progress every 30 s.
constexpr std::chrono::seconds progress_interval{20};

}  // namespace

join::join(asio::any_io_executor executor, coro::clock& clock, std::function<outstanding_turns()> outstanding,
           std::function<bool()> must_interrupt)
    : clock_(clock),
      outstanding_(std::move(outstanding)),
      must_interrupt_(std::move(must_interrupt)),
      changed_(std::move(executor)) {}

void join::add(finished_turn turn) {
  undelivered_.push_back(std::move(turn));
  changed();
}

bool join::has_anything() const {
  return !undelivered_.empty() || on_loan_ > 0 || outstanding_().total() > 0 || must_interrupt_();
}

bool join::is_over() const {
  if (must_interrupt_()) return true;
  // While a result is on loan this wait may yet get it back.
  return outstanding_().total() == 0 && (!undelivered_.empty() || on_loan_ == 0);
}

asio::awaitable<join::loan> join::wait(progress report) {
  const auto self = waiters_.emplace(waiters_.end());
  const auto leave = [this, self](void*) { waiters_.erase(self); };
  const std::unique_ptr<void, decltype(leave)> leave_at_end(this, leave);
  while (!is_over()) {
    report(undelivered_.size(), outstanding_());
    co_await coro::wait_until(changed_, clock_, clock_.now() + progress_interval);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) throw std::system_error(asio::error::operation_aborted);
  }
  loan taken;
  taken.result.finished.assign(std::make_move_iterator(undelivered_.begin()),
                               std::make_move_iterator(undelivered_.end()));
  undelivered_.clear();
  taken.result.delivered_elsewhere = std::move(self->delivered_elsewhere);
  taken.settle = lend(taken.result.finished, &*self);
  co_return taken;
}

std::function<void(bool)> join::lend(std::vector<finished_turn> turns, const waiter* taker) {
  if (turns.empty()) return [](bool) {};
  ++on_loan_;
  std::vector<std::string> ids;
  for (const auto& turn : turns) ids.push_back(turn.worker_id);
  for (auto& other : waiters_) {
    if (&other == taker) continue;
    other.delivered_elsewhere.insert(other.delivered_elsewhere.end(), ids.begin(), ids.end());
  }
  return [this, ids = std::move(ids), turns = std::move(turns), is_on_loan = true](bool written) mutable {
    if (std::exchange(is_on_loan, false)) --on_loan_;
    if (!written) {
      for (auto& other : waiters_) {
        std::erase_if(other.delivered_elsewhere,
                      [&](const std::string& id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); });
      }
      undelivered_.insert(undelivered_.begin(), std::make_move_iterator(turns.begin()),
                          std::make_move_iterator(turns.end()));
    }
    changed();
  };
}

}  // namespace awm::manager
