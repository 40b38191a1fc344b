#pragma once
// Children that are started before anybody needs them. Starting the CLI takes most of a second, and everything that a
// worker is can be told to a child that already runs, as long as it was started in the same place, with the same
// environment and the same flags: `worker::changes_between` compares the two plans.

#include "coro/clock.hpp"
#include "coro/task_group.hpp"
#include "manager/queue.hpp"
#include "worker/conversation.hpp"
#include "worker/files.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

namespace awm::manager {

/// Keeps up to `count` children that wait for their first prompt.
///
/// They come last. One starts at a time, when nobody waits in the queue; those that work and those that wait are
/// together no more than the queue's slots, and a worker that needs the room of a spare gets it. One that has become
/// old, or whose surroundings changed (see `worker::surroundings_of`), is let go and never handed out; after one that
/// ended by itself the next start waits, twice as long each time.
class spares {
 public:
  /// What a worker without options is started with, with a session id of its own; nothing while that is not known.
  using planner = std::function<std::optional<worker::child_plan>()>;

  /// `changed` is called when one more or one less is ready. `tasks` runs the children. Everything outlives the pool.
  spares(std::size_t count, planner plan, std::function<void()> changed, coro::task_group& tasks,
         worker::launcher& launcher, coro::clock& clock, worker::files& files, worker::reading& reading, queue& queue);
  ~spares();

  /// Starts a spare if one is missing and may start now, and lets go what is too old or too many. To be called whenever
  /// the queue has changed, see `queue::tell`; what time alone changes it sees to itself.
  void review();

  /// A child that can be made what `wanted` asks for: the caller takes the turn to it at once, see
  /// `conversation::take`. `gone` is called when it has ended. Nothing when there is none.
  std::unique_ptr<worker::conversation> take(const worker::child_plan& wanted, std::function<void()> gone);

  /// The session of the child that `take` would give now; empty: it would give none.
  std::string session_for(const worker::child_plan& wanted);

  /// Those that are ready, and those that are starting.
  std::size_t ready() const;
  std::size_t starting() const { return all_.size() - ready(); }

  void signal(int number);

  /// Nothing starts any more, and nothing is handed out.
  void stop();

 private:
  class spare;

  void start(worker::child_plan plan);
  void drop(spare& one);
  std::shared_ptr<spare> find(const worker::child_plan& wanted);
  static asio::awaitable<void> run(spares* pool, std::shared_ptr<spare> one);
  void ended(spare& one);

  const std::size_t count_;
  const planner plan_;
  const std::function<void()> changed_;
  coro::task_group& tasks_;
  worker::launcher& launcher_;
  coro::clock& clock_;
  worker::files& files_;
  worker::reading& reading_;
  queue& queue_;
  std::list<std::shared_ptr<spare>> all_;      // the oldest first
  std::list<std::shared_ptr<spare>> leaving_;  // on their way out
  coro::clock::time_point next_start_{};
  int failures_in_a_row_ = 0;
  coro::timer timer_;
  bool stopped_ = false;
};

}  // namespace awm::manager
