#pragma once
// Whose child a process descends from, when no parent tells any more: every child is started with a mark in its
// environment, and what it starts inherits that.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace awm::worker {

/// Its value names, from the outermost on and separated by colons, each child that the process descends from:
/// `<manager's UUID>/<number>`.
inline constexpr std::string_view child_variable = "AWM_CHILD";

/// `environment`, of `NAME=value` strings, with the mark of a manager's child behind those that are there.
std::vector<std::string> with_mark(std::vector<std::string> environment, std::string_view manager_id,
                                   std::uint64_t number);

/// The number of the manager's child that `marks`, the variable's value, names; or nothing.
std::optional<std::uint64_t> number_in(std::string_view marks, std::string_view manager_id);

/// The processes of this user that have marks of which `is_wanted(marks)` is true. Reads the environment of every
/// process of this user.
std::vector<pid_t> processes_marked(const std::function<bool(std::string_view)>& is_wanted);

}  // namespace awm::worker
