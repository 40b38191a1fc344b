#include "tools/summary.hpp"

#include "text/words.hpp"

namespace awm::tools {

using nlohmann::json;

// Descriptions and errors are anybody's text; a list has a line for each.
constexpr std::size_t longest_text = 200;

json to_json(const manager::worker_summary& worker) {
  json shown = {{"worker_id", worker.worker_id},
                {"description", text::shortened(worker.description, longest_text)},
                {"state", manager::to_string(worker.state)},
                {"turns", worker.turns},
                {"tokens", {{"input", worker.input_tokens}, {"output", worker.output_tokens}}},
                {"cost_usd", worker.total_cost_usd},
                {"delivered", worker.is_delivered},
                {"conversation_history_file_path", worker.transcript_path}};
  const auto add = [&shown](const char* key, const std::string& value) {
    if (!value.empty()) shown[key] = text::shortened(value, longest_text);
  };
  add("agent_type", worker.agent_type);
  add("started", worker.started_at);
  add("ended", worker.ended_at);
  add("held_by", worker.held_by);
  add("error", worker.error);
  add("activity", worker.activity);
  if (!worker.activity.empty()) shown["activity_seconds"] = worker.activity_seconds;
  if (worker.idle_seconds) shown["idle_seconds"] = *worker.idle_seconds;
  if (worker.queue_position) shown["queue_position"] = *worker.queue_position;
  if (worker.pending_requests > 0) shown["pending_requests"] = worker.pending_requests;
  if (worker.background_tasks > 0) shown["background_tasks"] = worker.background_tasks;
  if (worker.is_warm) shown["warm"] = true;
  if (worker.is_elsewhere) shown["runs_in_another_server"] = true;
  return shown;
}

}  // namespace awm::tools
