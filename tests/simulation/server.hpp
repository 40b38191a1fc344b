#pragma once
// One life of the server: the parts of src/cli/serve.cpp, put together in the same way, on simulated seams.

#include "checks.hpp"
#include "claude.hpp"
#include "disk.hpp"
#include "setting.hpp"

#include <memory>
#include <string>

namespace awm::simulation {

/// What a server is started with.
struct server_settings {
  std::size_t max_workers = 4;
  std::size_t max_starts = 2;
  std::size_t prewarm = 0;
  std::size_t max_warm = 2;
  std::chrono::seconds keep_warm{300};
  std::optional<double> budget_usd;
  /// How long it waits at its end for its children, before it leaves them to a watch.
  duration patience_with_children = 20ms;
};

class server {
 public:
  server(setting& shared, checks& told, disk& storage, children& all, const server_settings& settings);
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  /// As when the process is killed: what is in memory is gone.
  ~server();

  /// Runs one handler that is ready; returns whether there was one.
  bool step();
  /// Goes to the next deadline of its timers if there is one until `limit`; returns whether there was.
  bool advance(time_point limit);
  void advance_idle(time_point until);
  const coro::clock& clock() const;

  bool is_alive() const { return process_->is_alive; }
  /// It has ended by itself; in good order when nothing of it is left.
  bool has_ended() const;
  bool ended_in_good_order() const;
  process& life() { return *process_; }

  // The client's ends of its streams.
  void put(std::string_view bytes);
  std::string take();
  void close_input();
  std::size_t bytes_read() const;

  /// What is left when it should be at rest; empty: nothing.
  std::string leftovers() const;

 private:
  struct parts;
  setting& shared_;
  checks& checks_;
  disk& disk_;
  std::shared_ptr<process> process_;
  std::unique_ptr<parts> parts_;
};

}  // namespace awm::simulation
