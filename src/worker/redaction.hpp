#pragma once
// What a worker prints when it fails is passed on to a client, a model and the disk. It may hold what signs the worker
// in: a CLI that dumps the headers of its request, a tool that prints its environment.

#include <span>
#include <string>
#include <string_view>

namespace awm::worker {

/// What stands in place of a secret.
inline constexpr std::string_view redaction = "[redacted]";

/// `text` without secrets, as far as they can be known:
/// - the values of those variables of `environment` (`NAME=value`) whose names say that they are secret: they end in
///   `KEY`, `TOKEN`, `SECRET`, `PASSWORD`, `PASSWD` or `CREDENTIALS`. Values of less than 8 bytes are too common to be
///   taken out. The end of one at the beginning of `text`, which may have been cut there, counts as well;
/// - keys by their form: `sk-…`, as Anthropic's begin, and `ghp_…` and its like of GitHub;
/// - what stands behind `Bearer`, `Basic`, `x-api-key:`, or a name of the above kind and `=` or `:`.
std::string redacted(std::string_view text, std::span<const std::string> environment);

}  // namespace awm::worker
