#pragma once
// The client, and the lead behind it: it starts workers, waits, answers questions, changes its mind, sends nonsense.
// It also keeps watch: a request that should be answered and is not is a failure.

#include "checks.hpp"
#include "server.hpp"
#include "setting.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace awm::simulation {

class client {
 public:
  client(setting& shared, checks& told) : shared_(shared), checks_(told) {}

  /// Talks to that server from now on; what was asked of the one before is forgotten.
  void connect(server& to);
  void disconnect();
  bool is_connected() const { return server_ != nullptr; }

  /// One idea of the lead: starts something, asks something, takes something back.
  void act();

  /// From now on it only brings everything to an end. `is_done()`: there is nothing left to wait for.
  void wind_up() { winds_up_ = true; }
  bool is_done() const { return is_done_; }

  /// Called after every step: fails when something is late.
  void watch();

  /// All that it sent was read.
  std::size_t bytes_sent() const { return sent_; }
  bool has_unsent() const { return !unsent_.empty(); }

 private:
  using json = nlohmann::json;
  struct request {
    std::string tool;
    json arguments;
    time_point sent;
    /// When it must be answered at the latest; nothing: when what it waits for is over.
    std::optional<time_point> due;
    bool is_cancelled = false;
  };

  void send(const json& message);
  void send_text(std::string text);
  void pump();
  void read();
  void receive(const json& message);
  void answer_question(const json& message);
  std::uint64_t call(const std::string& tool, json arguments, std::optional<duration> patience);
  void received(std::uint64_t id, const request& asked, const json& message);
  void received_wait(const json& answer);
  void approve(const json& question);
  void spawn();
  void wait();
  void resume();
  void steer();
  void cancel();
  void cancel_wait();
  void give_up(std::uint64_t id);
  void look();
  void talk_nonsense();
  void act_to_the_end();
  bool has_wait() const;
  std::string tag(const char* kind) { return std::string(kind) + std::to_string(++tags_); }

  setting& shared_;
  checks& checks_;
  server* server_ = nullptr;
  std::size_t connection_ = 0;
  bool is_stateless_ = false;
  bool has_person_ = false;
  bool winds_up_ = false;
  bool is_done_ = false;
  std::string unsent_;
  std::size_t sent_ = 0;
  bool is_pumping_ = false;
  std::string received_;
  std::uint64_t ids_ = 0;
  std::map<std::uint64_t, request> open_;
  std::uint64_t last_wait_ = 0;
  std::set<std::string> workers_;
  std::vector<std::string> ended_;
  std::set<std::string> being_answered_;
  std::size_t tags_ = 0;
};

}  // namespace awm::simulation
