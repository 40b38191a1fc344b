#pragma once

#include "coro/process.hpp"
#include "worker/protocol.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace awm::worker {

/// What is known about a turn that failed.
struct failure_evidence {
  /// The result that said so, if one came.
  const result_line* result = nullptr;
  /// The last repeated API call, if there was one.
  const retry_line* retry = nullptr;
  std::optional<coro::exit_status> exit;
  /// The end of what the child wrote to stderr.
  std::string_view stderr_tail;
  /// The child's: what is secret in it is taken out of the words that are quoted (see `redacted`).
  std::span<const std::string> environment = {};
};

/// One sentence or two for whoever has to decide what to do next: what happened, in the words of the source where it
/// has any, and what helps.
std::string error_hint(const failure_evidence& evidence);

}  // namespace awm::worker
