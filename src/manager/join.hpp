#pragma once
// The one join that every `wait` is: over all turns that have not ended, cut short by a question. And the ledger behind
// it, which knows of every turn that ended whether somebody has been told.

#include "coro/clock.hpp"
#include "coro/event.hpp"
#include "worker/turn.hpp"

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace awm::manager {

/// A turn that ended, as a `wait` tells it.
struct finished_turn {
  std::string worker_id;
  std::string description;
  std::size_t turn = 0;  // from 1
  std::string session_id;
  std::string transcript_path;
  double total_cost_usd = 0;  // of the worker, over all its turns
  worker::turn_outcome outcome;
};

/// How many turns are on their way, by state.
struct outstanding_turns {
  std::size_t queued = 0;
  std::size_t running = 0;
  std::size_t awaiting_permission = 0;

  std::size_t total() const { return queued + running + awaiting_permission; }
};

/// What a `wait` found.
struct join_result {
  std::vector<finished_turn> finished;
  /// Workers whose turns ended during this wait, but were told to another one.
  std::vector<std::string> delivered_elsewhere;
};

/// Waits for all outstanding turns, and hands each ended turn to exactly one waiter.
///
/// A turn stays undelivered until the response that carries it was written: what a waiter takes is on loan until it
/// says `settle`. A loan that fails (the request was cancelled, the client is gone) goes back, in front of what ended
/// later, and wakes whoever waits.
class join {
 public:
  /// `outstanding` and `must_interrupt` are asked whenever something changed: how many turns are on their way, and
  /// whether there is a question that cuts a wait short.
  join(asio::any_io_executor executor, coro::clock& clock, std::function<outstanding_turns()> outstanding,
       std::function<bool()> must_interrupt);

  /// A turn ended.
  void add(finished_turn turn);

  /// The answers of `outstanding` or `must_interrupt` may have changed.
  void changed() { changed_.pulse(); }

  /// True when a wait would have something to wait for or to deliver.
  bool has_anything() const;

  /// Turns that ended and are not on loan.
  std::size_t undelivered() const { return undelivered_.size(); }

  /// Told at every change, and every 20 s at least: how many turns of those that this wait covers have ended.
  using progress = std::function<void(std::size_t finished, const outstanding_turns& outstanding)>;

  /// What was taken, and the obligation to say what became of it.
  struct loan {
    join_result result;
    /// To be called once: true when the response with the result was written, false when it never was. After true it
    /// may be called once more, with false: the client threw the response away.
    std::function<void(bool written)> settle;
  };

  /// Waits until nothing is outstanding or a question interrupts, then takes what is undelivered.
  /// Cancellation ends it by exception, with nothing taken.
  asio::awaitable<loan> wait(progress report);

 private:
  struct waiter {
    std::vector<std::string> delivered_elsewhere;
  };
  using waiters = std::list<waiter>;

  bool is_over() const;
  std::function<void(bool)> lend(std::vector<finished_turn> turns, const waiter* taker);

  coro::clock& clock_;
  std::function<outstanding_turns()> outstanding_;
  std::function<bool()> must_interrupt_;
  coro::event changed_;
  std::list<finished_turn> undelivered_;
  std::size_t on_loan_ = 0;
  waiters waiters_;
};

}  // namespace awm::manager
