#include "channel.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

namespace mock {
namespace {

constexpr std::size_t flush_at = 64 * 1024;  // what a pipe takes in one piece
constexpr int terminated = 143;              // 128 + SIGTERM, what the real CLI exits with

volatile std::sig_atomic_t got_sigint = 0;

}  // namespace

long long now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void complain(std::string_view text) {
  std::string const line = std::string(text) + "\n";
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

channel::channel() {
  sigset_t before, interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  sigprocmask(SIG_BLOCK, &interrupt, &before);
  for (int number = 1; number < 32; ++number) {
    if (sigismember(&before, number) == 1) blocked_.push_back(number);
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) ignored_.push_back(number);
  }
  struct sigaction action {};
  action.sa_handler = [](int) { got_sigint = 1; };
  sigaction(SIGINT, &action, nullptr);
  action.sa_handler = [](int) { _exit(terminated); };
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

void channel::ignore_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  for (int const number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaction(number, &action, nullptr);
}

void channel::put(std::string_view bytes) {
  out_ += bytes;
  if (out_.size() >= flush_at) flush();
}

void channel::print(std::string_view line) {
  out_ += line;
  put("\n");
}

void channel::flush() {
  std::size_t done = 0;
  while (done < out_.size() && !broken_) {
    ssize_t const n = ::write(STDOUT_FILENO, out_.data() + done, out_.size() - done);
    if (n > 0)
      done += static_cast<std::size_t>(n);
    else if (errno != EINTR)
      broken_ = true;
  }
  out_.clear();
}

void channel::read_some() {
  char buffer[16 * 1024];
  ssize_t const n = ::read(STDIN_FILENO, buffer, sizeof buffer);
  if (n > 0)
    in_.append(buffer, static_cast<std::size_t>(n));
  else if (n == 0 || errno != EINTR)
    eof_ = true;
}

bool channel::take(std::string& line) {
  std::size_t const end = in_.find('\n', scanned_);
  if (end == std::string::npos) {
    in_.erase(0, taken_);
    taken_ = 0;
    scanned_ = in_.size();
    if (!eof_ || in_.empty()) return false;
    line.swap(in_);  // a last line without its line end
    in_.clear();
    scanned_ = 0;
    return true;
  }
  line.assign(in_, taken_, end - taken_);
  taken_ = scanned_ = end + 1;
  return true;
}

void channel::also_wake_for(std::vector<int> fds, long long due_ms) {
  also_ = std::move(fds);
  also_due_ = due_ms;
}

channel::woken channel::wait(int fd, int timeout_ms) {
  flush();
  std::vector<pollfd> watched = {{eof_ || deaf_ ? -1 : STDIN_FILENO, POLLIN, 0}, {fd, POLLIN, 0}};
  for (int const other : also_) watched.push_back({other, POLLIN, 0});
  bool own_timeout = timeout_ms >= 0;
  if (also_due_ >= 0) {
    long long const left = std::max(0LL, also_due_ - now_ms());
    if (!own_timeout || left < timeout_ms) {
      timeout_ms = static_cast<int>(left);
      own_timeout = false;
    }
  }
  timespec due{timeout_ms / 1000, (timeout_ms % 1000) * 1000000L};
  sigset_t now;
  sigprocmask(SIG_BLOCK, nullptr, &now);
  sigdelset(&now, SIGINT);
  int const n = ppoll(watched.data(), watched.size(), timeout_ms < 0 ? nullptr : &due, &now);
  if (got_sigint != 0) {
    got_sigint = 0;
    interrupted_ = true;
  }
  woken why;
  if (n > 0 && watched[0].revents != 0) {
    read_some();
    why.line = true;
  }
  why.ready = n > 0 && watched[1].revents != 0;
  why.timeout = n == 0 && own_timeout;
  return why;
}

}  // namespace mock
