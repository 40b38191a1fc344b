#pragma once
// The one join that every `wait` is: over turns that have not ended, cut short by a question. And the ledger behind it,
// which knows of every turn that ended whether somebody has been told.

#include "coro/clock.hpp"
#include "coro/event.hpp"
#include "manager/worker_state.hpp"
#include "manager/written_files.hpp"
#include "worker/conversation.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace awm::manager {

/// A turn that ended, as a `wait` tells it.
struct finished_turn {
  std::string worker_id;
  std::string description;
  std::size_t turn = 0;  // from 1
  worker_state state = worker_state::failed;
  std::string session_id;
  std::string transcript_path;
  double total_cost_usd = 0;  // of the worker, over all its turns
  /// Its `result` is cut to a preview when the whole of it is on disk.
  worker::turn_outcome outcome;
  std::size_t result_size = 0;
  std::vector<std::string> files_written;
  /// Other workers that wrote the same files.
  std::vector<conflict> conflicts;
  /// The worktree and what became of it; null: none.
  nlohmann::json worktree = nullptr;
};

/// Which workers a wait is about.
class selection {
 public:
  /// All.
  selection() = default;
  explicit selection(std::vector<std::string> workers) : only_(std::in_place, workers.begin(), workers.end()) {}

  bool is_everything() const { return !only_; }
  bool contains(const std::string& worker_id) const { return !only_ || only_->contains(worker_id); }
  /// Empty when it is everything.
  const std::set<std::string, std::less<>>& workers() const;

 private:
  std::optional<std::set<std::string, std::less<>>> only_;
};

struct wait_request {
  selection workers;
  /// Return with the first turn that has ended, and not with the last.
  bool any = false;
  /// Nothing: as long as it takes.
  std::optional<coro::clock::duration> timeout;
  /// As many turns at most; the others stay for the next one.
  std::size_t most = static_cast<std::size_t>(-1);
};

/// What a `wait` found.
struct join_result {
  std::vector<finished_turn> finished;
  /// How many more had ended, by how.
  std::map<worker_state, std::size_t> left;
  /// Workers whose turns ended during this wait, but were told to another one.
  std::vector<std::string> delivered_elsewhere;
  bool timed_out = false;
};

/// Waits for outstanding turns, and hands each ended turn to exactly one waiter.
///
/// A turn stays undelivered until the response that carries it was written: what a waiter takes is on loan until it
/// says `settle`. A loan that fails (the request was cancelled, the client is gone, or it threw the response away) goes
/// back, in front of what ended later, and wakes whoever waits.
class join {
 public:
  /// `outstanding` and `must_interrupt` are asked whenever something changed: how many of the selected turns are on
  /// their way, and whether there is something that cuts every wait short. `delivered` is told what was, or no longer
  /// counts as, delivered.
  struct hooks {
    std::function<outstanding_turns(const selection&)> outstanding;
    std::function<bool()> must_interrupt;
    std::function<void(const std::vector<finished_turn>&, bool)> delivered;
  };
  join(asio::any_io_executor executor, coro::clock& clock, hooks told);

  /// A turn ended.
  void add(finished_turn turn);

  /// The worker's transcript is complete by now.
  void now_on_disk(const std::string& worker_id);

  /// The answers of `outstanding` or `must_interrupt` may have changed.
  void changed() { changed_.pulse(); }

  /// Set again and again: whenever something changed.
  coro::event& change() { return changed_; }

  /// True when a wait would have something to wait for or to deliver.
  bool has_anything(const selection& workers) const;

  /// Whether a turn of the worker ended and is not yet delivered for good.
  bool holds(const std::string& worker_id) const;

  /// Told at every change, and every 20 s at least: how many turns of those that this wait covers have ended.
  using progress = std::function<void(std::size_t finished, const outstanding_turns& outstanding)>;

  /// What was taken, and the obligation to say what became of it.
  struct loan {
    join_result result;
    /// To be called with true when the response with the result was written, with false when it never was. After true,
    /// false may still follow: the client threw the response away. That is believed until the next wait begins: who
    /// waits again has read the answer.
    std::function<void(bool written)> settle;
    /// Keeps the first `count` turns and gives the others back, for the next wait; `result.left` is as it was. Before
    /// `settle`.
    std::function<void(std::size_t count)> keep;
  };

  /// Waits until what was asked for has ended, something interrupts, or the time is over; then takes what is
  /// undelivered among the selected. Cancellation ends it by exception, with nothing taken.
  asio::awaitable<loan> wait(wait_request request, progress report);

 private:
  struct waiter {
    const selection* workers;
    std::vector<std::string> delivered_elsewhere;
  };
  using waiters = std::list<waiter>;

  std::size_t undelivered(const selection& workers) const;
  std::size_t lent(const selection& workers) const;
  bool is_over(const wait_request& request) const;
  void take(const wait_request& request, join_result& into);
  void lend(loan& taken, const waiter* taker);
  void take_back(std::vector<finished_turn> turns);

  coro::clock& clock_;
  hooks hooks_;
  coro::event changed_;
  std::list<finished_turn> undelivered_;
  std::multiset<std::string, std::less<>> lent_;  // workers whose turns are on loan
  std::multiset<std::string, std::less<>> here_;  // those of `undelivered_`
  waiters waiters_;
  std::size_t waits_begun_ = 0;
};

}  // namespace awm::manager
