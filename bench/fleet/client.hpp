#pragma once
// An MCP server as its client sees it, for measuring: the requests are written and the answers read where they are
// asked for, by one thread that waits for nothing else, so that a moment noted here is the moment on the wire.

#include "coro/process.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace awm::bench {

/// Somebody pressed Ctrl-C.
struct interrupted : std::runtime_error {
  interrupted() : std::runtime_error("interrupted") {}
};

/// A tool said no.
struct refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// From here on SIGINT and SIGTERM end what waits here with `interrupted`.
void listen_for_interrupts();
void check_interrupts();

/// CLOCK_MONOTONIC in nanoseconds.
std::int64_t now();

/// What a process holds, in bytes (/proc/PID/smaps_rollup, proc(5)).
struct memory_use {
  std::int64_t rss = 0;
  std::int64_t pss = 0;
};

struct server_options {
  /// The program's absolute path and its arguments.
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::string working_directory;
};

/// A message as it came: `at` is when its last byte was read.
struct answer {
  nlohmann::json result;
  std::int64_t at = 0;
  /// Of the whole line.
  std::size_t bytes = 0;
};

/// A server process and the session with it. Destroying it closes its stdin, gives it ten seconds, and kills it then.
/// Whatever goes wrong is thrown: a server that ends, an error for an answer (`refused` when it is a tool's), an interrupt.
class server {
 public:
  /// Starts it and shakes hands.
  explicit server(const server_options& options);
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server();

  /// Writes a request; returns its id.
  std::int64_t send(std::string_view method, const nlohmann::json& params);
  std::int64_t send_call(std::string_view tool, const nlohmann::json& arguments);

  /// Waits for the answer to that request.
  answer receive(std::int64_t id);

  /// A tool call and what it returned as structured content, or as JSON in its text.
  nlohmann::json call(std::string_view tool, const nlohmann::json& arguments);
  static nlohmann::json content_of(const answer& got);

  pid_t pid() const { return process_->pid(); }
  /// From before it was started to its first reply, in nanoseconds.
  std::int64_t start_time() const { return start_time_; }
  /// What the server used so far, user and system, all threads, none of its children, in seconds.
  double cpu_seconds() const;
  memory_use memory() const;
  /// Descriptors that it has open.
  std::size_t descriptors() const;

 private:
  void fill();

  asio::io_context context_{1};
  std::optional<coro::process> process_;
  std::int64_t start_time_ = 0;
  std::int64_t last_id_ = 0;
  std::int64_t read_at_ = 0;
  std::string unread_;
  std::map<std::int64_t, answer> arrived_;
};

}  // namespace awm::bench
