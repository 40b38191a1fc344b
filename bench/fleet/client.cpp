#include "fleet/client.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

namespace awm::bench {
namespace {

using nlohmann::json;

constexpr int patience_with_end_ms = 10'000;
constexpr std::int64_t second = 1'000'000'000;

volatile std::sig_atomic_t interrupts = 0;

void note_interrupt(int) {
  interrupts = interrupts + 1;
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::int64_t nanoseconds(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) fail("clock_gettime");
  return time.tv_sec * second + time.tv_nsec;
}

}  // namespace

void listen_for_interrupts() {
  struct sigaction action {};
  action.sa_handler = note_interrupt;  // without SA_RESTART: whatever waits is to look
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void check_interrupts() {
  if (interrupts > 0) throw interrupted();
}

std::int64_t now() {
  return nanoseconds(CLOCK_MONOTONIC);
}

server::server(const server_options& options) {
  coro::process_options wanted;
  wanted.file = options.command.front();
  wanted.arguments = options.command;
  wanted.environment = options.environment;
  wanted.working_directory = options.working_directory;
  wanted.parent_death_signal = SIGTERM;
  const auto begin = now();
  std::error_code error;
  process_.emplace(coro::process::start(context_.get_executor(), wanted, error));
  if (error) throw std::system_error(error, wanted.file);
  const auto id = send("initialize", {{"protocolVersion", "2025-11-25"},
                                      {"capabilities", json::object()},
                                      {"clientInfo", {{"name", "fleet_bench"}, {"version", "1"}}}});
  start_time_ = receive(id).at - begin;
  const json initialized = {{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}, {"params", json::object()}};
  const auto line = initialized.dump() + "\n";
  if (::write(process_->standard_input().native_handle(), line.data(), line.size()) < 0) fail("write");
}

server::~server() {
  std::error_code ignored;
  process_->standard_input().close(ignored);
  const auto deadline = now() + patience_with_end_ms * (second / 1000);
  std::array<char, 65536> rest;
  std::array<pollfd, 3> looked_at{pollfd{process_->standard_output().native_handle(), POLLIN, 0},
                                  pollfd{process_->standard_error().native_handle(), POLLIN, 0},
                                  pollfd{process_->exit_descriptor(), POLLIN, 0}};
  while (now() < deadline) {
    if (::poll(looked_at.data(), looked_at.size(), patience_with_end_ms) < 0 && errno != EINTR) break;
    if ((looked_at[2].revents & POLLIN) != 0) break;
    for (auto& one : looked_at) {
      if (one.fd < 0 || one.revents == 0) continue;
      const auto size = ::read(one.fd, rest.data(), rest.size());
      if (size == 0 || (size < 0 && errno != EAGAIN)) one.fd = -1;
    }
  }
}

std::int64_t server::send(std::string_view method, const json& params) {
  const auto id = ++last_id_;
  const json message = {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
  const auto line = message.dump() + "\n";
  std::string_view left = line;
  while (!left.empty()) {
    const auto size = ::write(process_->standard_input().native_handle(), left.data(), left.size());
    if (size > 0) {
      left.remove_prefix(static_cast<std::size_t>(size));
    } else if (errno == EAGAIN) {
      fill();  // the server may want to be read first
    } else if (errno != EINTR) {
      fail("write to the server");
    }
  }
  return id;
}

std::int64_t server::send_call(std::string_view tool, const json& arguments) {
  return send("tools/call", {{"name", tool}, {"arguments", arguments}});
}

answer server::receive(std::int64_t id) {
  for (;;) {
    const auto found = arrived_.find(id);
    if (found != arrived_.end()) return std::move(arrived_.extract(found).mapped());
    fill();
  }
}

/// Waits until something comes, and takes it.
void server::fill() {
  std::array<pollfd, 2> looked_at{pollfd{process_->standard_output().native_handle(), POLLIN, 0},
                                  pollfd{process_->standard_error().native_handle(), POLLIN, 0}};
  check_interrupts();
  if (::poll(looked_at.data(), looked_at.size(), -1) < 0) {
    if (errno != EINTR) fail("poll");
    return check_interrupts();
  }
  std::array<char, 65536> buffer;
  if (looked_at[1].revents != 0) {
    while (::read(looked_at[1].fd, buffer.data(), buffer.size()) > 0) {
    }
  }
  if (looked_at[0].revents == 0) return;
  const auto size = ::read(looked_at[0].fd, buffer.data(), buffer.size());
  read_at_ = now();
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) throw std::runtime_error("the server has ended");
  unread_.append(buffer.data(), static_cast<std::size_t>(size));
  std::size_t begin = 0;
  for (auto newline = unread_.find('\n'); newline != std::string::npos; newline = unread_.find('\n', begin)) {
    auto message = json::parse(unread_.begin() + static_cast<std::ptrdiff_t>(begin),
                               unread_.begin() + static_cast<std::ptrdiff_t>(newline));
    const auto bytes = newline + 1 - begin;
    begin = newline + 1;
    if (message.contains("method")) continue;  // notifications, and requests that this client did not offer to take
    if (message.contains("error")) throw std::runtime_error("the server answers " + message["error"].dump());
    arrived_[message.at("id").get<std::int64_t>()] = {std::move(message.at("result")), read_at_, bytes};
  }
  unread_.erase(0, begin);
}

json server::content_of(const answer& got) {
  if (got.result.value("isError", false)) throw refused(got.result.at("content").at(0).at("text").get<std::string>());
  if (got.result.contains("structuredContent")) return got.result["structuredContent"];
  return json::parse(got.result.at("content").at(0).at("text").get<std::string>());
}

json server::call(std::string_view tool, const json& arguments) {
  return content_of(receive(send_call(tool, arguments)));
}

double server::cpu_seconds() const {
  clockid_t clock{};
  if (const int error = clock_getcpuclockid(pid(), &clock)) {
    throw std::system_error(error, std::generic_category(), "clock_getcpuclockid");
  }
  return 1e-9 * static_cast<double>(nanoseconds(clock));
}

memory_use server::memory() const {
  memory_use use;
  std::ifstream rollup("/proc/" + std::to_string(pid()) + "/smaps_rollup");
  std::string line;
  while (std::getline(rollup, line)) {
    const auto kib = [&line](std::size_t from) { return std::stoll(line.substr(from)) * 1024; };
    if (line.starts_with("Rss:")) use.rss = kib(4);
    if (line.starts_with("Pss:")) use.pss = kib(4);
  }
  return use;
}

std::size_t server::descriptors() const {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid()) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace awm::bench
