#pragma once
// The whole of it: time, chance, a disk, children, a client, and one server after the other. Everything happens on one
// thread, one step at a time, and the same way for the same seed.

#include "checks.hpp"
#include "claude.hpp"
#include "client.hpp"
#include "disk.hpp"
#include "server.hpp"
#include "setting.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace awm::simulation {

class world {
 public:
  world(std::uint64_t seed, bool is_loud);
  ~world();

  /// Lives the whole life that the seed gives; returns whether all was as it must be.
  bool run();

  const tally& counts() const { return shared_.counts; }
  const std::string& failure() const { return checks_.failure(); }
  void print_trace() const { shared_.events.print(); }

 private:
  void start_server();
  void end_server(bool at_rest);
  void plan_fate();
  void plan_idea();
  void kill_server(const char* why);
  void restart_server();
  void go_on_until(time_point end);
  void go_on_while(const std::function<bool()>& condition, duration patience, const char* otherwise);
  bool move(time_point limit);
  void after_step();
  void bring_to_an_end();

  random_ids ids_;
  setting shared_;
  checks checks_;
  disk disk_;
  children children_;
  client client_;
  server_settings settings_;
  std::unique_ptr<server> server_;
  bool has_fates_ = true;
  bool keeps_server_ = false;  // from the beginning to the end
};

}  // namespace awm::simulation
