#pragma once

#include <cstddef>
#include <string_view>

namespace awm::manager {

/// Where a worker is. Those up to `background` are outstanding: somebody may wait for them.
enum class worker_state {
  queued,    ///< waits for a slot, for the workers it comes after, or for the end of a rate limit
  starting,  ///< its child is not ready yet
  running,
  awaiting_permission,
  background,  ///< the turn's result is there, tasks of it still run
  completed,
  failed,
  cancelled,
  interrupted,  ///< the manager ended in the middle of the turn
};

std::string_view to_string(worker_state state);

/// The state of that name; `failed` for a name that is none.
worker_state worker_state_of(std::string_view name);

inline bool is_outstanding(worker_state state) {
  return state <= worker_state::background;
}

/// How many turns are on their way, by state.
struct outstanding_turns {
  std::size_t queued = 0;
  std::size_t running = 0;  // or starting
  std::size_t awaiting_permission = 0;
  std::size_t background = 0;

  std::size_t total() const { return queued + running + awaiting_permission + background; }

  /// Counts a worker in or out.
  void count(worker_state state, int by);
};

}  // namespace awm::manager
