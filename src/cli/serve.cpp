#include "cli/serve.hpp"

#include "cli/version.hpp"
#include "coro/clock.hpp"
#include "coro/join_until.hpp"
#include "coro/process.hpp"
#include "coro/signal_listener.hpp"
#include "coro/task_group.hpp"
#include "manager/manager.hpp"
#include "mcp/session.hpp"
#include "mcp/stdio_transport.hpp"
#include "tools/elicited_human.hpp"
#include "tools/resources.hpp"
#include "tools/server.hpp"
#include "worker/last_watch.hpp"
#include "worker/ledger.hpp"
#include "worker/uuid.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <span>
#include <thread>
#include <utility>

namespace awm::cli {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Claude Code sends SIGINT, SIGTERM after 100 ms, and SIGKILL after 400 more. The manager takes up to 250 ms for its
// files.
constexpr auto patience_with_client = 20ms;
constexpr auto patience_with_workers = 20ms;
// The CLI ends within 0.2 s of a SIGINT when the machine is idle; 2.1.329 was seen to take 3 s.
constexpr auto patience_of_last_watch = 5s;

constexpr int exit_cannot_start = 2;

/// The absolute path of the program, or an empty one when there is none.
fs::path find_program(const std::string& name, const worker::files& files, const worker::environment& environment) {
  if (name.find('/') != std::string::npos) {
    const auto path = fs::absolute(name);
    return files.is_executable(path) ? path : fs::path{};
  }
  std::string_view folders = worker::value_of(environment, "PATH");
  while (!folders.empty()) {
    const auto colon = folders.find(':');
    const auto path = fs::absolute(fs::path(folders.substr(0, colon)) / name);
    if (files.is_executable(path)) return path;
    folders.remove_prefix(colon == std::string_view::npos ? folders.size() : colon + 1);
  }
  return {};
}

worker::environment own_environment() {
  std::vector<std::string> assignments;
  for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable) {
    assignments.emplace_back(*variable);
  }
  return worker::environment_from(assignments);
}

int number_in(const worker::environment& environment, std::string_view variable, int otherwise) {
  const auto text = worker::value_of(environment, variable);
  int number = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// How deep managers may stand below each other: what is set here, but no more than what is set above.
int max_depth(const config& settings, const worker::environment& environment) {
  return std::min(settings.max_depth, number_in(environment, worker::max_depth_variable, settings.max_depth));
}

/// Whether workers may be started here: in a process that a worker started only when it is not too deep.
bool may_have_workers(const config& settings, const worker::environment& environment) {
  return number_in(environment, worker::depth_variable, 0) < max_depth(settings, environment);
}

manager::manager_config manager_settings(const config& settings, const worker::files& files) {
  manager::manager_config result;
  result.environment = own_environment();
  result.claude_name = settings.claude;
  result.claude = find_program(settings.claude, files, result.environment);
  result.log_dir = fs::absolute(settings.log_dir).lexically_normal();
  result.max_workers = settings.max_workers > 0 ? settings.max_workers : workers_that_fit();
  result.max_starts = std::max(1U, std::thread::hardware_concurrency());
  if (settings.budget_usd > 0) result.budget_usd = settings.budget_usd;
  result.keep_warm = std::chrono::seconds(settings.keep_warm_s);
  result.max_warm = settings.max_warm;
  // Where no worker can be started none waits for its start either.
  result.prewarm = may_have_workers(settings, result.environment) ? settings.prewarm : 0;
  result.rate_limit_retries = settings.rate_limit_retries;
  result.rate_limit_pause = std::chrono::seconds(settings.rate_limit_pause_s);
  result.rules = settings.permissions;
  result.ask = manager::respondent_of(settings.ask).value_or(manager::respondent::automatic);
  result.git = find_program("git", files, result.environment).string();
  result.environment[std::string(worker::max_depth_variable)] = std::to_string(max_depth(settings, result.environment));
  result.launch = {settings.default_model, settings.sampling_model, settings.sampling};
  result.cwd = fs::current_path();
  result.as_root = ::geteuid() == 0;
  return result;
}

/// A child that got descriptor 0, 1 or 2 for a pipe of its own would lose it.
void open_standard_streams() {
  while (true) {
    const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd > 2 || fd < 0) {
      if (fd > 2) ::close(fd);
      return;
    }
  }
}

/// The usual soft limit of 1024 would end at 200 workers.
void raise_descriptor_limit() {
  constexpr rlim_t worth_it = 1024;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  // Where it cannot, starts only take longer. With few descriptors there is nothing to gain, and valgrind, which does
  // not know this kind of start, can be used.
  if (limit.rlim_cur > worth_it) coro::process::start_cheaply();
}

/// How many workers the descriptors are enough for. Those beyond it wait in the queue instead of failing.
std::size_t workers_with_descriptors() {
  // Three pipes, a pidfd and the transcript that is being written.
  constexpr std::size_t for_a_worker = 5;
  // The program's own; and while a child starts, both ends of its pipes.
  constexpr std::size_t for_the_rest = 64;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return (std::max<std::size_t>(limit.rlim_cur, for_the_rest + for_a_worker) - for_the_rest) / for_a_worker;
}

manager::manager_config within_descriptors(manager::manager_config wanted) {
  const auto most = workers_with_descriptors();
  if (wanted.max_workers > most) {
    spdlog::warn("the limit of open files (ulimit -n) is enough for {} workers at once; more wait in the queue", most);
    wanted.max_workers = most;
  }
  return wanted;
}

/// What the server consists of, and the order in which it ends.
class service {
 public:
  explicit service(const config& settings)
      : clock_(context_.get_executor()),
        settings_(within_descriptors(manager_settings(settings, files_))),
        ledger_(settings_.log_dir, worker::random_uuid()),
        launcher_(context_.get_executor(), &ledger_),
        manager_(context_.get_executor(), settings_, launcher_, clock_, files_),
        server_(may_have_workers(settings, own_environment()) ? tools::make_server(manager_, version)
                                                              : tools::make_empty_server(version)),
        signals_(context_.get_executor(), {SIGINT, SIGTERM}),
        last_resort_(clock_) {}

  /// Before `run`.
  void limit_memory(worker::memory_limit limit) { launcher_.limit_memory(std::move(limit)); }

  int run() {
    auto stream = std::make_unique<mcp::stdio_transport>(context_.get_executor());
    mcp::session session(*stream, server_);
    coro::task_group tasks(context_.get_executor());
    tasks.spawn(serve(session));
    tasks.spawn(listen_for_signals(session));
    context_.run();
    const auto left = launcher_.running();
    if (left.empty()) ledger_.remove();
    if (left.empty() && !is_out_of_time_) return EXIT_SUCCESS;
    stream.reset();  // puts the standard streams back as they were
    if (!left.empty()) worker::keep_last_watch(left, ledger_, patience_of_last_watch);
    // Coroutines of workers are still suspended, also where their children have just gone: there is no orderly end for
    // them in this process.
    std::_Exit(EXIT_SUCCESS);
  }

 private:
  asio::awaitable<void> serve(mcp::session& session) {
    tools::elicited_human human(session.peer());
    manager_.use_human(&human);
    tools::tell_changes(manager_, server_);
    if (settings_.prewarm > 0 && settings_.budget_usd) {
      spdlog::warn("--prewarm is without effect with --budget-usd: each worker's process is started with what is left");
    }
    manager_.warn_to([](const std::string& text) { spdlog::warn("{}", text); });
    manager_.begin();
    coro::task_group beside(context_.get_executor());
    beside.spawn(end_leftovers());
    std::function<void()> ending = [this, &session] { end_in_time(session); };
    const auto outcome = co_await session.run(std::move(ending));
    spdlog::info("the session ended: {}{}", mcp::to_string(outcome.reason),
                 outcome.error ? " (" + outcome.error.message() + ")" : "");
    last_resort_.disarm();
    beside.cancel();
    co_await beside.join();
    const auto deadline = clock_.now() + patience_with_workers;
    const auto end = co_await coro::join_until(manager_.children_gone(), clock_, deadline);
    if (end == coro::join_end::joined) co_return;
    spdlog::info("{} workers are still ending; a watch stays behind for them", launcher_.running().size());
    is_out_of_time_ = true;
    context_.stop();
  }

  /// What a manager that was killed left behind in the same log folder.
  asio::awaitable<void> end_leftovers() {
    const auto count = co_await worker::end_leftovers(settings_.log_dir, clock_);
    if (count > 0) spdlog::warn("ended {} processes that a killed manager had left behind", count);
  }

  /// The workers are told at once; a client that does not read what is left must not hold up the end.
  void end_in_time(mcp::session& session) {
    stop_listening_.emit(asio::cancellation_type::terminal);
    manager_.stop();
    last_resort_.arm(clock_.now() + patience_with_client, [&session] { session.abort(); });
  }

  asio::awaitable<void> listen_for_signals(mcp::session& session) {
    const auto [error, number] = co_await signals_.async_next(coro::as_value_until(stop_listening_.slot()));
    if (error) co_return;
    spdlog::info("received signal {}", number);
    session.shutdown();
  }

  asio::io_context context_{ASIO_CONCURRENCY_HINT_UNSAFE};
  coro::system_clock clock_;
  worker::system_files files_;
  manager::manager_config settings_;
  worker::ledger ledger_;
  worker::local_launcher launcher_;
  manager::manager manager_;
  mcp::server server_;
  coro::signal_listener signals_;  // to the end: the client sends one signal after the other
  asio::cancellation_signal stop_listening_;
  coro::timer last_resort_;
  bool is_out_of_time_ = false;
};

/// How `--worker-memory` is kept; nothing, and a message, when it cannot be.
std::optional<worker::memory_limit> memory_limit_for(std::uint64_t bytes) {
  worker::memory_limit limit{bytes, worker::writable_group()};
  const auto size = worker::size_in_words(bytes);
  if (!limit.parent_group.empty()) {
    worker::remove_empty_groups(limit.parent_group);
    spdlog::info("each worker, with what it starts, gets {} of memory, by a cgroup in {}", size,
                 limit.parent_group.string());
    return limit;
  }
  if (bytes < worker::least_data_limit) {
    spdlog::error(
        "--worker-memory {}: no memory cgroup can be written here, and without one a limit below 1 GiB keeps the CLI "
        "from "
        "starting, as what it reserves counts too. Give 1G or more, or start the server where a cgroup can be written "
        "(systemd-run --user --scope)",
        size);
    return std::nullopt;
  }
  spdlog::warn(
      "--worker-memory {}: no memory cgroup can be written here, so it limits each process of a worker by itself "
      "(RLIMIT_DATA), and memory counts that is only reserved",
      size);
  return limit;
}

}  // namespace

int serve(const config& settings) {
  open_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow (ulimit -f) is an error like a full disk
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("awm", std::make_shared<spdlog::sinks::stderr_sink_st>()));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(settings.log_level));
  spdlog::info("async-worker-manager {} serves MCP on stdin and stdout", version);
  raise_descriptor_limit();
  // A chatty worker needs another 64 KiB for a moment, thousands of times a second; they are not fetched from the
  // system and given back each time.
  ::mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
  try {
    service all(settings);
    if (settings.worker_memory > 0) {
      auto limit = memory_limit_for(settings.worker_memory);
      if (!limit) return exit_cannot_start;
      all.limit_memory(std::move(*limit));
    }
    return all.run();
  } catch (const std::exception& error) {
    // Before the first coroutine runs: a folder that is gone, a descriptor that cannot be had.
    spdlog::error("cannot start: {}", error.what());
    return exit_cannot_start;
  }
}

}  // namespace awm::cli
