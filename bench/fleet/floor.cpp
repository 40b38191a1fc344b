// What starting, prompting, reading and reaping workers costs at least: one thread, no parser, one write for all that a
// worker is told, and nothing kept but whether its result was seen. With a folder, what they print is also appended to
// a file each, which is what ingesting it costs at least. And with --relay, how long a line takes at least that goes
// from one process through a second to a third, while the second reads what its workers print.
#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t chunk = 64UL * 1024;
// In the line that begins a turn, which is written at once; by then the worker has its gate open.
constexpr std::string_view begin_of_turn = "\"subtype\":\"init\"";
// Where a line that ends a turn begins; a piece of it may lie in the chunk before.
constexpr std::string_view end_of_turn = "{\"type\":\"result\"";

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

double seconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct settings {
  std::size_t workers = 100;
  std::size_t at_once = 2;
  std::string prompt;
  std::string copy_to;
  std::string gate;
  std::string worker;
};

struct child {
  pid_t pid = 0;
  int input = -1;
  int output = -1;
  int file = -1;
  bool is_here = false;
  bool has_result = false;
  std::string tail;  // the end of the last chunk, shorter than `end_of_turn`
};

struct pipe_pair {
  pipe_pair() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe2");
    read_end = ends[0];
    write_end = ends[1];
  }
  int read_end = -1;
  int write_end = -1;
};

constexpr std::size_t relayed_size = 1024;

struct relay_ends {
  int from = -1;
  int to = -1;
};

class floor_loop {
 public:
  explicit floor_loop(const settings& wanted) : wanted_(wanted), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) fail("epoll_create1");
    if (!wanted.gate.empty()) gate_ = open(wanted.gate.c_str(), O_RDWR | O_CLOEXEC);
    children_.resize(wanted.workers);
    told_ = R"({"request":{"hooks":null,"subtype":"initialize"},"request_id":"floor","type":"control_request"})"
            "\n"
            R"({"message":{"content":")" +
            wanted.prompt +
            R"(","role":"user"},"parent_tool_use_id":null,"session_id":"","type":"user"})"
            "\n";
  }
  ~floor_loop() { close(epoll_); }

  /// Until all have ended; with a relay as long as there is somebody whose lines it passes on.
  void run(const relay_ends* relayed = nullptr) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (relayed != nullptr && epoll_ctl(epoll_, EPOLL_CTL_ADD, relayed->from, &event) != 0) fail("epoll_ctl");
    std::array<epoll_event, 64> events;
    while (relayed != nullptr || ended_ < children_.size()) {
      while (started_ < children_.size() && started_ - ended_ < wanted_.at_once) start(children_[started_++]);
      const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
      if (count < 0 && errno != EINTR) fail("epoll_wait");
      for (int index = 0; index < count; ++index) {
        if (events[index].data.ptr != nullptr) {
          take(*static_cast<child*>(events[index].data.ptr));
        } else if (!pass_on(*relayed)) {
          return;
        }
      }
    }
  }

  std::size_t bytes() const { return bytes_; }
  std::size_t results() const { return results_; }

 private:
  bool pass_on(const relay_ends& relayed) {
    std::array<char, relayed_size> line{};
    return read(relayed.from, line.data(), line.size()) > 0 && write(relayed.to, line.data(), line.size()) > 0;
  }

  void start(child& one) {
    std::array<int, 2> in{}, out{};
    if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0) fail("pipe2");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    const std::array<const char*, 5> words{wanted_.worker.c_str(), "-p", "--input-format", "stream-json", nullptr};
    const int error = posix_spawn(&one.pid, wanted_.worker.c_str(), &actions, nullptr,
                                  const_cast<char* const*>(words.data()), environ);
    posix_spawn_file_actions_destroy(&actions);
    errno = error;
    if (error != 0) fail("posix_spawn");
    close(in[0]);
    close(out[1]);
    one.input = in[1];
    one.output = out[0];
    if (!wanted_.copy_to.empty()) {
      const auto path = wanted_.copy_to + "/" + std::to_string(one.pid);
      one.file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      if (one.file < 0) fail(path.c_str());
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &one;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, one.output, &event) != 0) fail("epoll_ctl");
    if (write(one.input, told_.data(), told_.size()) < 0 && errno != EPIPE) fail("write");
  }

  void take(child& one) {
    const auto size = read(one.output, buffer_.data(), buffer_.size());
    if (size < 0) fail("read");
    if (size == 0) return reap(one);
    const std::string_view got(buffer_.data(), static_cast<std::size_t>(size));
    bytes_ += got.size();
    if (one.file >= 0 && write(one.file, got.data(), got.size()) < 0) fail("write");
    if (gate_ >= 0 && !one.is_here && got.find(begin_of_turn) != got.npos) {
      one.is_here = true;
      if (++here_ == children_.size()) close(std::exchange(gate_, -1));
    }
    if (!one.has_result) look_for_result(one, got);
  }

  void look_for_result(child& one, std::string_view got) {
    one.tail += got.substr(0, end_of_turn.size());
    // A result's line is short and the last: it lies in the chunk's last pieces.
    const bool found = one.tail.find(end_of_turn) != std::string::npos || got.rfind(end_of_turn) != got.npos;
    one.tail.assign(got.substr(got.size() - std::min(got.size(), end_of_turn.size() - 1)));
    if (!found) return;
    one.has_result = true;
    ++results_;
    close(one.input);
    one.input = -1;
  }

  void reap(child& one) {
    // Explicitly: a child that is just being started holds a copy of the descriptor up to its exec, and as long as
    // there is one, closing ours leaves it registered.
    if (epoll_ctl(epoll_, EPOLL_CTL_DEL, one.output, nullptr) != 0) fail("epoll_ctl");
    close(one.output);
    if (one.input >= 0) close(one.input);
    if (one.file >= 0) close(one.file);
    int status = 0;
    if (waitpid(one.pid, &status, 0) < 0) fail("waitpid");
    ++ended_;
  }

  const settings& wanted_;
  std::vector<child> children_;
  std::string told_;
  std::array<char, chunk> buffer_;
  int epoll_;
  int gate_ = -1;
  std::size_t started_ = 0;
  std::size_t ended_ = 0;
  std::size_t here_ = 0;
  std::size_t results_ = 0;
  std::size_t bytes_ = 0;
};

/// Runs `body` in another process, until it returns or this process ends.
template <class Body>
void beside(Body&& body) {
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid > 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  body();
  _exit(0);
}

/// Microseconds from the writing of a line by a process that was asleep to its arrival, by way of one that sleeps in
/// epoll_wait or reads what its workers print; sorted.
std::vector<double> relay(std::size_t samples, const settings& workers) {
  const pipe_pair asked, written, passed_on;
  beside([&] {
    for (char byte = 0; read(asked.read_end, &byte, 1) == 1;) {
      const double now = seconds_of(CLOCK_MONOTONIC);
      if (write(written.write_end, &now, sizeof now) < 0) return;
    }
  });
  beside([&] {
    const relay_ends ends{written.read_end, passed_on.write_end};
    floor_loop(workers).run(&ends);
  });
  std::vector<double> took;
  const auto pass_one = [&] {
    const timespec pause{0, 2'000'000};  // until the others sleep
    nanosleep(&pause, nullptr);
    std::array<char, relayed_size> line{};
    if (write(asked.write_end, "", 1) < 0 || read(passed_on.read_end, line.data(), line.size()) <= 0) fail("relay");
    double begin = 0;
    std::memcpy(&begin, line.data(), sizeof begin);
    return 1e6 * (seconds_of(CLOCK_MONOTONIC) - begin);
  };
  pass_one();  // also waits for the starts of the workers
  while (took.size() < samples) took.push_back(pass_one());
  std::sort(took.begin(), took.end());
  return took;
}

void raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int count, char** words) {
  settings wanted;
  CLI::App app("The floor: workers started, prompted, read and reaped with the cheapest system calls");
  app.add_option("--workers", wanted.workers, "How many")->capture_default_str();
  app.add_option("--at-once", wanted.at_once, "How many run at the same time")->capture_default_str();
  app.add_option("--prompt", wanted.prompt, "What each is told");
  app.add_option("--copy-to", wanted.copy_to, "Where their output goes; not given: nowhere");
  app.add_option("--gate", wanted.gate, "A FIFO that is held open until all have spoken");
  std::size_t relayed = 0;
  app.add_option("--relay", relayed, "Measure this instead, so many times, beside the workers");
  app.add_option("worker", wanted.worker, "The program");
  CLI11_PARSE(app, count, words);
  try {
    std::signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    if (relayed > 0) {
      wanted.at_once = wanted.workers;
      const auto took = relay(relayed, wanted);
      std::printf(R"({"p50":%.1f,"p99":%.1f})"
                  "\n",
                  took[took.size() / 2], took[took.size() * 99 / 100]);
      return 0;
    }
    const auto begin = seconds_of(CLOCK_MONOTONIC);
    const auto cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    floor_loop loop(wanted);
    loop.run();
    std::printf(R"({"delivered":%zu,"cpu_s":%.6f,"wall_s":%.6f,"bytes":%zu})"
                "\n",
                loop.results(), seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu, seconds_of(CLOCK_MONOTONIC) - begin,
                loop.bytes());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fleet_floor: %s\n", error.what());
    return 1;
  }
}
