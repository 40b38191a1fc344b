#include "manager/join.hpp"

#include "coro/join_until.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace awm::manager {
namespace {

// The newest client gives a silent call up after 30 minutes and shows progress every 30 s.
constexpr std::chrono::seconds progress_interval{20};

}  // namespace

const std::set<std::string, std::less<>>& selection::workers() const {
  static const std::set<std::string, std::less<>> nobody;
  return only_ ? *only_ : nobody;
}

join::join(asio::any_io_executor executor, coro::clock& clock, hooks told)
    : clock_(clock), hooks_(std::move(told)), changed_(std::move(executor)) {}

void join::add(finished_turn turn) {
  here_.insert(turn.worker_id);
  undelivered_.push_back(std::move(turn));
  changed();
}

std::size_t join::undelivered(const selection& workers) const {
  if (workers.is_everything()) return undelivered_.size();
  return static_cast<std::size_t>(std::count_if(undelivered_.begin(), undelivered_.end(),
                                                [&](const auto& turn) { return workers.contains(turn.worker_id); }));
}

std::size_t join::lent(const selection& workers) const {
  if (workers.is_everything()) return lent_.size();
  return static_cast<std::size_t>(
      std::count_if(lent_.begin(), lent_.end(), [&](const auto& id) { return workers.contains(id); }));
}

void join::now_on_disk(const std::string& worker_id) {
  for (auto& turn : undelivered_) {
    if (turn.worker_id != worker_id) continue;
    turn.outcome.is_on_disk = true;
    turn.outcome.disk_error.clear();
  }
}

bool join::has_anything(const selection& workers) const {
  return undelivered(workers) > 0 || lent(workers) > 0 || hooks_.outstanding(workers).total() > 0 ||
         hooks_.must_interrupt();
}

bool join::holds(const std::string& worker_id) const {
  return lent_.contains(worker_id) || here_.contains(worker_id);
}

bool join::is_over(const wait_request& request) const {
  if (hooks_.must_interrupt()) return true;
  const bool has_some = undelivered(request.workers) > 0;
  if (request.any && has_some) return true;
  // While a result is on loan this wait may yet get it back.
  return hooks_.outstanding(request.workers).total() == 0 && (has_some || lent(request.workers) == 0);
}

asio::awaitable<join::loan> join::wait(wait_request request, progress report) {
  const auto self = waiters_.insert(waiters_.end(), waiter{&request.workers, {}});
  const auto leave = [this, self](void*) { waiters_.erase(self); };
  const std::unique_ptr<void, decltype(leave)> leave_at_end(this, leave);
  const auto deadline = request.timeout ? clock_.now() + *request.timeout : coro::clock::time_point::max();
  loan taken;
  ++waits_begun_;
  while (!is_over(request)) {
    if (clock_.now() >= deadline) {
      taken.result.timed_out = true;
      break;
    }
    report(undelivered(request.workers), hooks_.outstanding(request.workers));
    co_await coro::join_until(changed_, clock_, std::min(deadline, clock_.now() + progress_interval));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) throw std::system_error(asio::error::operation_aborted);
  }
  take(request, taken.result);
  taken.result.delivered_elsewhere = std::move(self->delivered_elsewhere);
  lend(taken, &*self);
  co_return taken;
}

void join::take(const wait_request& request, join_result& into) {
  for (auto turn = undelivered_.begin(); turn != undelivered_.end();) {
    const auto current = turn++;
    if (!request.workers.contains(current->worker_id)) continue;
    if (into.finished.size() == request.most) {
      ++into.left[current->state];
      continue;
    }
    here_.erase(here_.find(current->worker_id));
    into.finished.push_back(std::move(*current));
    undelivered_.erase(current);
  }
}

void join::lend(loan& taken, const waiter* taker) {
  struct lent_turns {
    std::vector<finished_turn> turns;
    bool was_written = false;
    std::size_t written_after = 0;  // waits
  };
  const auto lent = std::make_shared<lent_turns>();
  lent->turns = taken.result.finished;
  for (const auto& turn : lent->turns) {
    lent_.insert(turn.worker_id);
    for (auto& other : waiters_) {
      if (&other != taker && other.workers->contains(turn.worker_id)) {
        other.delivered_elsewhere.push_back(turn.worker_id);
      }
    }
  }
  taken.keep = [this, lent](std::size_t count) {
    if (count >= lent->turns.size()) return;
    const auto rest = lent->turns.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<finished_turn> returned(std::make_move_iterator(rest), std::make_move_iterator(lent->turns.end()));
    lent->turns.erase(rest, lent->turns.end());
    for (const auto& turn : returned) lent_.erase(lent_.find(turn.worker_id));
    take_back(std::move(returned));
    changed();
  };
  taken.settle = [this, lent](bool written) {
    if (lent->was_written && waits_begun_ != lent->written_after) return;
    if (!lent->was_written) {
      for (const auto& turn : lent->turns) lent_.erase(lent_.find(turn.worker_id));
    }
    if (written || lent->was_written) hooks_.delivered(lent->turns, written);
    if (!written) take_back(std::exchange(lent->turns, {}));
    lent->was_written = written;
    lent->written_after = waits_begun_;
    changed();
  };
}

void join::take_back(std::vector<finished_turn> turns) {
  for (const auto& turn : turns) {
    here_.insert(turn.worker_id);
    for (auto& other : waiters_) std::erase(other.delivered_elsewhere, turn.worker_id);
  }
  undelivered_.insert(undelivered_.begin(), std::make_move_iterator(turns.begin()),
                      std::make_move_iterator(turns.end()));
}

}  // namespace awm::manager
