#include "world.hpp"

#include <functional>
#include <vector>

namespace awm::simulation {

world::world(std::uint64_t seed, bool is_loud)
    : ids_(seed),
      shared_(seed, is_loud),
      checks_(shared_),
      disk_(shared_, checks_),
      children_(shared_, checks_),
      client_(shared_, checks_) {
  auto& random = shared_.random;
  for (const auto* const folder : {"/", "/work", "/home", "/usr", "/usr/bin"}) disk_.directories.insert(folder);
  disk_.files["/usr/bin/claude"] = std::make_shared<disk::file>();
  settings_.max_workers = random.between(1, 6);
  settings_.max_starts = random.between(1, 4);
  settings_.prewarm = random.one_in(3) ? random.between(1, 3) : 0;
  settings_.max_warm = random.below(4);
  settings_.keep_warm = std::chrono::seconds(random.one_in(4) ? 0 : random.between(1, 600));
  shared_.sky.children_misbehave = !random.one_in(5);
  shared_.sky.disk_fails = random.one_in(2);
  has_fates_ = !random.one_in(4);
  keeps_server_ = !has_fates_ && !shared_.sky.disk_fails;
  if (keeps_server_) settings_.patience_with_children = 10min;
  if (random.one_in(5)) {
    constexpr double cent = 0.01;
    settings_.budget_usd = children_.budget_usd = cent * static_cast<double>(random.between(20, 500));
  }
  if (random.one_in(3)) children_.version = "2.1.197";
}

world::~world() = default;

void world::start_server() {
  shared_.events.note("world", "a server starts");
  children_.count_anew();
  server_ = std::make_unique<server>(shared_, checks_, disk_, children_, settings_);
  shared_.time.follow(&server_->clock());
  client_.connect(*server_);
}

void world::end_server(bool at_rest) {
  client_.disconnect();
  shared_.time.follow(nullptr);
  server_.reset();
  checks_.server_gone(at_rest);
}

/// What else happens to the server.
void world::plan_fate() {
  if (!has_fates_) return;
  shared_.time.after(shared_.random.about(10s, 2h), [this] {
    plan_fate();
    if (!server_ || !has_fates_) return;
    switch (shared_.random.below(4)) {
      case 0:
        return kill_server("is killed");
      case 1: {
        static const std::vector<std::string> suffixes{"", ".part", ".tmp", ".json", ".delivered.ndjson"};
        auto& life = server_->life();
        life.deadly_suffix = shared_.random.pick(suffixes);
        life.operations_to_live = shared_.random.between(1, 40);
        return;
      }
      default:
        return restart_server();
    }
  });
}

void world::kill_server(const char* why) {
  shared_.events.note("server", why);
  ++shared_.counts.kills;
  end_server(true);
  start_server();
}

/// The client closes its side, and the server ends as it does then.
void world::restart_server() {
  shared_.events.note("client", "disconnects");
  ++shared_.counts.restarts;
  client_.disconnect();
  server_->close_input();
}

void world::plan_idea() {
  shared_.time.after(shared_.random.about(50ms, 10min), [this] {
    client_.act();
    plan_idea();
  });
}

/// One step; returns false when there is nothing to do until `limit`.
bool world::move(time_point limit) {
  if (server_ && server_->step()) return true;
  if (server_) {
    checks_.input_processed(server_->bytes_read());
    if (server_->is_alive() && server_->has_ended() && !client_.is_connected() && has_fates_) {
      end_server(true);
      start_server();
      return true;
    }
  }
  const auto next = std::min(shared_.time.next().value_or(time_point::max()), limit);
  if (server_ && server_->advance(next)) return true;
  if (server_) server_->advance_idle(next);
  shared_.time.go_to(next);
  if (next == limit) return false;
  shared_.time.run_next();
  return true;
}

void world::after_step() {
  ++shared_.counts.steps;
  const bool is_alive = server_ && server_->is_alive();
  checks_.step_is_over(is_alive);
  if (server_ && !is_alive) {
    ++shared_.counts.kills;
    end_server(false);
    start_server();
  }
  client_.watch();
  if (const auto count = children_.at_work(); count > settings_.max_workers) {
    checks_.fail(std::to_string(count) + " children are at work, and " + std::to_string(settings_.max_workers) +
                 " may");
  }
}

void world::go_on_until(time_point end) {
  while (!checks_.failed()) {
    const bool moved = move(end);
    after_step();
    if (!moved) return;
  }
}

void world::go_on_while(const std::function<bool()>& condition, duration patience, const char* otherwise) {
  const auto end = shared_.time.now() + patience;
  while (!checks_.failed() && condition()) {
    const bool moved = move(end);
    after_step();
    if (!moved) return checks_.fail(otherwise);
  }
}

bool world::run() {
  disk_.begin_weather();
  plan_fate();
  plan_idea();
  start_server();
  go_on_until(shared_.time.now() + shared_.random.about(20min, 12h));
  bring_to_an_end();
  shared_.counts.hours = std::chrono::duration<double, std::ratio<3600>>(shared_.time.now().time_since_epoch()).count();
  return !checks_.failed();
}

void world::bring_to_an_end() {
  shared_.events.note("world", "comes to an end");
  shared_.sky = {false, false};
  has_fates_ = false;
  if (checks_.failed()) return;
  // A server that is in the middle of ending gets its end first. Where nothing ever happened to it, it has to bring
  // everything to its end itself: a new one would find again what it had lost.
  if (keeps_server_) {
    client_.wind_up();
  } else if (!client_.is_connected()) {
    go_on_while([this] { return !server_->has_ended(); }, 5min, "a server does not end");
    if (checks_.failed()) return;
    end_server(true);
  } else {
    checks_.input_processed(server_->bytes_read());
    end_server(true);
  }
  settings_.patience_with_children = 10min;
  settings_.budget_usd = children_.budget_usd = std::nullopt;
  if (!keeps_server_) start_server();
  client_.wind_up();
  go_on_while([this] { return !client_.is_done(); }, 6h, "somebody waits for ever");
  if (checks_.failed()) return;
  client_.disconnect();
  server_->close_input();
  go_on_while([this] { return !server_->has_ended(); }, 20min, "the last server does not end");
  if (checks_.failed()) return;
  while (server_->step()) {
  }
  if (!server_->ended_in_good_order()) return checks_.fail("children are left at the end");
  if (children_.alive() > 0) return checks_.fail(std::to_string(children_.alive()) + " children outlive the server");
  if (const auto left = server_->leftovers(); !left.empty()) return checks_.fail(left + " left at the end");
  std::map<std::filesystem::path, std::string> files;
  for (const auto& [path, file] : disk_.files) files[path] = file->bytes;
  checks_.at_the_end(files);
}

}  // namespace awm::simulation
