#include "manager/worker_state.hpp"

#include <algorithm>
#include <array>

namespace awm::manager {
namespace {

constexpr std::array<std::string_view, 9> names{"queued",     "starting",  "running", "awaiting_permission",
                                                "background", "completed", "failed",  "cancelled",
                                                "interrupted"};

}  // namespace

std::string_view to_string(worker_state state) {
  return names.at(static_cast<std::size_t>(state));
}

worker_state worker_state_of(std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? worker_state::failed : static_cast<worker_state>(found - names.begin());
}

void outstanding_turns::count(worker_state state, int by) {
  switch (state) {
    case worker_state::queued:
      queued += static_cast<std::size_t>(by);
      break;
    case worker_state::starting:
    case worker_state::running:
      running += static_cast<std::size_t>(by);
      break;
    case worker_state::awaiting_permission:
      awaiting_permission += static_cast<std::size_t>(by);
      break;
    case worker_state::background:
      background += static_cast<std::size_t>(by);
      break;
    default:
      break;
  }
}

}  // namespace awm::manager
