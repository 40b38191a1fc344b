#pragma once

#include "manager/manager.hpp"

#include <nlohmann/json.hpp>

namespace awm::tools {

/// A worker as the tools show it; members that say nothing are left out.
nlohmann::json to_json(const manager::worker_summary& worker);

}  // namespace awm::tools
