#include "worker/marker.hpp"

#include "coro/process_tree.hpp"

#include <algorithm>
#include <charconv>

namespace awm::worker {

std::vector<std::string> with_mark(std::vector<std::string> environment, std::string_view manager_id,
                                   std::uint64_t number) {
  const std::string assigned = std::string(child_variable) + "=";
  const auto mark = std::string(manager_id) + "/" + std::to_string(number);
  const auto found = std::find_if(environment.begin(), environment.end(),
                                  [&](const std::string& variable) { return variable.starts_with(assigned); });
  if (found == environment.end()) {
    environment.push_back(assigned + mark);
  } else {
    *found += ":" + mark;
  }
  return environment;
}

std::optional<std::uint64_t> number_in(std::string_view marks, std::string_view manager_id) {
  while (!marks.empty()) {
    const auto mark = marks.substr(0, marks.find(':'));
    if (mark.size() > manager_id.size() && mark.starts_with(manager_id) && mark[manager_id.size()] == '/') {
      std::uint64_t number = 0;
      const auto digits = mark.substr(manager_id.size() + 1);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
      if (error == std::errc{} && end == digits.data() + digits.size()) return number;
    }
    marks.remove_prefix(std::min(mark.size() + 1, marks.size()));
  }
  return std::nullopt;
}

std::vector<pid_t> processes_marked(const std::function<bool(std::string_view)>& is_wanted) {
  auto found = coro::processes_of_this_user();
  std::erase_if(found, [&](pid_t pid) {
    const auto environment = coro::environment_of(pid);
    const auto marks = coro::value_in(environment, child_variable);
    return !marks || !is_wanted(*marks);
  });
  return found;
}

}  // namespace awm::worker
