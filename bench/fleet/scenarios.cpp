#include "fleet/scenarios.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace awm::bench {
namespace {

using nlohmann::json;

constexpr double nanosecond = 1e-9;
// For workers that are to be there together: one that cannot start is told by the wait, not by its silence.
constexpr int patience_with_arrivals_ms = 5000;
constexpr std::size_t resumes = 2;

double seconds_since(std::int64_t begin) {
  return nanosecond * static_cast<double>(now() - begin);
}

/// The number behind `key` in a text that bench_worker wrote.
std::int64_t stamp_in(std::string_view text, std::string_view key) {
  const auto begin = text.find(key);
  if (begin == std::string_view::npos) throw std::runtime_error("no " + std::string(key) + " in " + std::string(text));
  std::int64_t stamp = 0;
  std::from_chars(text.data() + begin + key.size(), text.data() + text.size(), stamp);
  return stamp;
}

/// What waits have brought.
class harvest {
 public:
  explicit harvest(server& from) : from_(from) {}

  /// Waits until `turns` turns were delivered; answers what is asked meanwhile.
  void collect(std::size_t turns) {
    while (ids.size() < turns) {
      const auto got = from_.receive(from_.send_call("wait", json::object()));
      const auto content = server::content_of(got);
      answer_bytes += content.dump().size();  // Claude Code's model is shown the structure, and not the text besides
      ++waits;
      take(content);
    }
  }

  std::multiset<std::string> ids;
  std::size_t completed = 0;
  std::size_t failed = 0;
  std::size_t waits = 0;
  std::size_t answered = 0;
  std::size_t answer_bytes = 0;
  std::string error;  // the last one

 private:
  void take(const json& found) {
    for (const auto& turn : found.at("completed")) ids.insert(turn.at("worker_id").get<std::string>());
    for (const auto& turn : found.at("failed")) {
      ids.insert(turn.at("worker_id").get<std::string>());
      error = turn.value("error_hint", "");
    }
    completed += found["completed"].size();
    failed += found["failed"].size();
    std::vector<std::string> questions;
    for (const auto& question : found.value("pending_permissions", json::array())) {
      questions.push_back(question.at("request_id"));
    }
    if (questions.empty()) return;
    from_.call("approve_permission", {{"request_id", questions}, {"allow", true}});
    answered += questions.size();
  }

  server& from_;
};

json percentiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&values](double part) {
    const auto rank = static_cast<std::size_t>(part * static_cast<double>(values.size()));
    return values.at(std::min(rank, values.size() - 1));
  };
  return {{"p50", at(0.5)}, {"p99", at(0.99)}, {"max", values.back()}, {"samples", values.size()}};
}

std::string spawn(server& on, const std::string& prompt) {
  return on.call("spawn_worker", {{"description", "bench"}, {"prompt", prompt}}).at("worker_id");
}

/// The server has taken in everything that was sent before.
void settle(server& with) {
  with.receive(with.send("ping", json::object()));
}

/// One worker after the other, with a wait in flight when its moment comes.
class latency_probe {
 public:
  latency_probe(server& on, const std::filesystem::path& folder) : on_(on), folder_(folder) {}

  void result() {
    const auto got = wait_for("", [](const json& found) {
      return stamp_in(found.at("completed").at(0).at("result_preview").get<std::string>(), " t=");
    });
    result_us.push_back(got);
  }

  void permission() {
    json found;
    const auto got = wait_for(" ask=1", [&found](const json& content) {
      found = content;
      return stamp_in(content.at("pending_permissions").at(0).at("input").at("description").get<std::string>(), "t=");
    });
    permission_us.push_back(got);
    const auto approved = now();
    const auto approval =
        on_.send_call("approve_permission", {{"request_id", found["pending_permissions"][0]["request_id"]}, {"allow", true}});
    const auto done = on_.call("wait", {{"worker_ids", json::array({last_})}});
    server::content_of(on_.receive(approval));
    const auto preview = done.at("completed").at(0).at("result_preview").get<std::string>();
    approval_us.push_back(1e-3 * static_cast<double>(stamp_in(preview, "got=") - approved));
  }

  std::vector<double> result_us;
  std::vector<double> permission_us;
  std::vector<double> approval_us;

 private:
  template <class Stamp>
  double wait_for(const std::string& words, Stamp&& stamp) {
    gate held(folder_, "sample-" + std::to_string(++number_));
    last_ = spawn(on_, "bench:" + words + held.words());
    held.await(1, patience_with_arrivals_ms);
    const auto waiting = on_.send_call("wait", {{"worker_ids", json::array({last_})}});
    settle(on_);
    held.open();
    const auto got = on_.receive(waiting);
    return 1e-3 * static_cast<double>(got.at - stamp(server::content_of(got)));
  }

  server& on_;
  std::filesystem::path folder_;
  std::size_t number_ = 0;
  std::string last_;
};

}  // namespace

std::vector<std::string> prompts_of(const std::string& mix) {
  static const std::map<std::string, std::vector<std::string>> known{
      {"quiet", {"bench: quiet"}},
      {"chatty", {"bench: lines=1000 size=1024"}},
      {"bursts", {"bench: lines=1000 size=1024 burst=100 batch=100"}},
      {"giant", {"bench: giant=4194304"}},
      {"permissions", {"bench: ask=20"}},
      {"failures", {"bench: fail=exit", "bench: fail=error"}},
      {"resumes", {"bench: quiet"}},
  };
  if (mix.starts_with("bench:")) return {mix};
  const auto found = known.find(mix);
  if (found == known.end()) throw std::invalid_argument("there is no mix \"" + mix + "\"");
  return found->second;
}

json run_fleet(const subject& wanted, const fleet_load& load) {
  const scratch_folder folder(wanted.scratch);
  gate held(folder.path(), "fleet");
  const auto prompts = prompts_of(load.mix);
  const auto on = start_server(wanted, folder.path());
  harvest got(*on);
  const auto begin = now();
  const auto cpu = on->cpu_seconds();
  std::vector<std::string> ids;
  for (std::size_t index = 0; index < load.workers; ++index) {
    try {
      ids.push_back(spawn(*on, prompts[index % prompts.size()] + (load.hold ? held.words() : "")));
    } catch (const refused& no) {
      got.error = no.what();
    }
  }
  json figures;
  if (load.hold) {
    figures["held"] = held.await(std::min(ids.size(), wanted.at_once), patience_with_arrivals_ms);
    figures["descriptors"] = on->descriptors();
    held.open();
  }
  std::size_t turns = ids.size();
  got.collect(turns);
  for (std::size_t time = 0; load.mix == "resumes" && time < resumes; ++time) {
    for (const auto& id : ids) on->call("resume_worker", {{"worker_id", id}, {"prompt", prompts.front()}});
    got.collect(turns += ids.size());
  }
  const std::set<std::string> once(got.ids.begin(), got.ids.end());
  figures.update({{"workers", load.workers},
                  {"refused", load.workers - ids.size()},
                  {"turns", turns},
                  {"delivered", got.ids.size()},
                  {"completed", got.completed},
                  {"failed", got.failed},
                  {"answered", got.answered},
                  {"lost", std::count_if(ids.begin(), ids.end(), [&](const auto& id) { return !once.contains(id); })},
                  {"twice", got.ids.size() - turns},
                  {"error", got.error},
                  {"waits", got.waits},
                  {"wait_bytes", got.answer_bytes},
                  {"cpu_s", on->cpu_seconds() - cpu},
                  {"wall_s", seconds_since(begin)}});
  return figures;
}

json measure_latency(const subject& wanted, std::size_t samples, std::size_t beside, std::size_t rate) {
  const scratch_folder folder(wanted.scratch);
  auto with_room = wanted;
  with_room.at_once = beside + 10;
  const auto on = start_server(with_room, folder.path());
  const auto chatter = "bench: lines=1000000000 size=1024 rate=" + std::to_string(rate);
  for (std::size_t index = 0; index < beside; ++index) spawn(*on, chatter);
  latency_probe probe(*on, folder.path());
  probe.permission();  // the first of all also waits for the chatter's starts
  probe.result();
  probe.result_us.clear();
  probe.permission_us.clear();
  probe.approval_us.clear();
  const auto begin = now();
  const auto cpu = on->cpu_seconds();
  for (std::size_t index = 0; index < samples; ++index) {
    probe.result();
    probe.permission();
  }
  const auto seconds = seconds_since(begin);
  return {{"beside", beside},
          {"rate", rate},
          {"server_load", (on->cpu_seconds() - cpu) / seconds},
          {"result_us", percentiles(std::move(probe.result_us))},
          {"permission_us", percentiles(std::move(probe.permission_us))},
          {"approval_us", percentiles(std::move(probe.approval_us))}};
}

json measure_memory(const subject& wanted, std::size_t workers, std::size_t lines) {
  const auto as_json = [](const memory_use& use) { return json{{"rss", use.rss}, {"pss", use.pss}}; };
  const auto stage = [&](std::size_t length) {
    const scratch_folder folder(wanted.scratch);
    gate held(folder.path(), "memory");
    auto warm = wanted;
    warm.at_once = workers;
    warm.arguments.insert(warm.arguments.end(), {"--max-warm", std::to_string(workers)});
    const auto on = start_server(warm, folder.path());
    settle(*on);
    json figures = {{"base", as_json(on->memory())}};
    harvest got(*on);
    const auto prompt = "bench: lines=" + std::to_string(length) + held.words();
    for (std::size_t index = 0; index < workers; ++index) spawn(*on, prompt);
    figures["running"] = held.await(workers, patience_with_arrivals_ms);
    settle(*on);
    figures["with_running"] = as_json(on->memory());
    held.open();
    got.collect(workers);
    figures["with_idle"] = as_json(on->memory());
    return figures;
  };
  return {{"workers", workers}, {"lines", lines}, {"short", stage(1)}, {"long", stage(lines)}};
}

json measure_start(const subject& wanted, std::size_t times) {
  std::vector<double> took;
  std::vector<double> cpu;
  for (std::size_t index = 0; index < times; ++index) {
    const scratch_folder folder(wanted.scratch);
    const auto started = start_server(wanted, folder.path());
    cpu.push_back(1e3 * started->cpu_seconds());
    took.push_back(1e-6 * static_cast<double>(started->start_time()));
  }
  return {{"start_ms", percentiles(std::move(took))}, {"start_cpu_ms", percentiles(std::move(cpu))}};
}

json measure_context(const subject& wanted, std::size_t workers, std::size_t size) {
  auto load = fleet_load{workers, "bench: result=" + std::to_string(size), false};
  auto figures = run_fleet(wanted, load);
  figures["output_bytes"] = workers * size;
  return figures;
}

}  // namespace awm::bench
