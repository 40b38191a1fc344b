#include "manager/written_files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

namespace awm::manager {
namespace {

constexpr std::array<std::string_view, 4> writing_tools{"Write", "Edit", "MultiEdit", "NotebookEdit"};

std::string normal(const std::string& cwd, std::string_view path) {
  auto text = (std::filesystem::path(cwd) / std::filesystem::path(path)).lexically_normal().string();
  // POSIX lets two slashes mean something else; Linux does not, and one file must have one name.
  while (text.starts_with("//")) text.erase(0, 1);
  if (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace

void written_files::used(std::string_view tool_use_id, std::string_view tool, std::string_view file_path) {
  if (std::ranges::find(writing_tools, tool) == writing_tools.end()) return;
  if (tool_use_id.empty() || tool_use_id.size() > longest_path) return;
  if (file_path.empty() || file_path.size() > longest_path || file_path.find('\0') != std::string_view::npos) return;
  const auto [call, is_new] = calls_.try_emplace(std::string(tool_use_id), normal(cwd_, file_path));
  if (!is_new) return;
  call_order_.push_back(call->first);
  if (call_order_.size() <= most_calls) return;
  calls_.erase(call_order_.front());
  call_order_.pop_front();
}

std::string written_files::answered(std::string_view tool_use_id, bool is_error) {
  auto call = calls_.extract(std::string(tool_use_id));
  if (call.empty()) return {};
  std::erase(call_order_, call.key());
  if (is_error) return {};
  std::string& path = call.mapped();
  if (known_.contains(path)) return std::move(path);
  if (files_.size() < most_files) {
    known_.insert(path);
    files_.push_back(path);
  } else {
    ++more_;
  }
  return std::move(path);
}

void write_conflicts::describe(const std::string& worker_id, std::string description) {
  workers_[worker_id].description = std::move(description);
}

void write_conflicts::wrote(const std::string& worker_id, const std::string& path) {
  if (path.empty()) return;
  ++writes_;
  const auto [found, is_new] = paths_.try_emplace(path);
  auto& [writers, age] = found->second;
  if (!is_new) by_age_.erase(age);
  age = writes_;
  by_age_.emplace(writes_, path);
  const bool is_known = std::ranges::find(writers, worker_id) != writers.end();
  if (!is_known && writers.size() < most_writers) {
    writers.push_back(worker_id);
    workers_[worker_id].paths.emplace(writes_, path);
  }
  if (paths_.size() > most_paths_) forget_oldest();
}

std::vector<conflict> write_conflicts::conflicts_of(const std::string& worker_id) const {
  std::vector<conflict> conflicts;
  const auto worker = workers_.find(worker_id);
  if (worker == workers_.end()) return conflicts;
  for (const auto& [order, path] : worker->second.paths) {
    for (const std::string& writer : paths_.at(path).writers) {
      if (writer == worker_id) continue;
      if (conflicts.size() == most_conflicts) return conflicts;
      conflicts.push_back({path, writer, workers_.at(writer).description});
    }
  }
  return conflicts;
}

void write_conflicts::forget(const std::string& worker_id) {
  auto worker = workers_.extract(worker_id);
  if (worker.empty()) return;
  for (const auto& [order, path] : worker.mapped().paths) leave(worker_id, path);
}

/// The path has a writer less, and is forgotten with its last.
void write_conflicts::leave(const std::string& worker_id, const std::string& path) {
  const auto found = paths_.find(path);
  std::erase(found->second.writers, worker_id);
  if (!found->second.writers.empty()) return;
  by_age_.erase(found->second.age);
  paths_.erase(found);
}

void write_conflicts::forget_oldest() {
  const std::string path = by_age_.begin()->second;
  for (const std::string& writer : paths_.at(path).writers) {
    std::erase_if(workers_.at(writer).paths, [&path](const auto& written) { return written.second == path; });
  }
  by_age_.erase(by_age_.begin());
  paths_.erase(path);
}

}  // namespace awm::manager
