#include "server.hpp"

#include "coro/join_until.hpp"
#include "coro/task_group.hpp"
#include "coro/virtual_clock.hpp"
#include "manager/manager.hpp"
#include "mcp/memory_transport.hpp"
#include "mcp/session.hpp"
#include "tools/elicited_human.hpp"
#include "tools/resources.hpp"
#include "tools/server.hpp"

#include <variant>

namespace awm::simulation {

namespace {

constexpr auto patience_with_client = 20ms;

manager::manager_config config_of(const server_settings& settings) {
  manager::manager_config config;
  config.claude = "/usr/bin/claude";
  config.log_dir = "/work/logs";
  config.cwd = "/work";
  config.environment = {{"HOME", "/home"}, {"PATH", "/usr/bin"}};
  config.max_workers = settings.max_workers;
  config.max_starts = settings.max_starts;
  config.prewarm = settings.prewarm;
  config.max_warm = settings.max_warm;
  config.keep_warm = settings.keep_warm;
  config.budget_usd = settings.budget_usd;
  const auto rules = manager::permission_rules::parse({{"Bash(allowed-by-rule:*)"}, {"Bash(denied-by-rule:*)"}, {}});
  config.rules = std::get<manager::permission_rules>(rules);
  return config;
}

/// The server's end of the streams; tells what was written whole.
class watched_stream final : public mcp::transport {
 public:
  watched_stream(mcp::memory_transport& inner, checks& told, const process& whose)
      : inner_(inner), checks_(told), whose_(whose) {}

  asio::awaitable<mcp::io_result> read_some(asio::mutable_buffer buffer) override {
    const auto got = co_await inner_.read_some(buffer);
    bytes_read += got.bytes;
    co_return got;
  }
  asio::awaitable<mcp::io_result> write(std::string_view bytes) override {
    const auto put = co_await inner_.write(bytes);
    if (whose_.is_alive) note(bytes.substr(0, put.bytes));
    co_return put;
  }

  std::size_t bytes_read = 0;

 private:
  void note(std::string_view bytes) {
    for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
      const auto message = nlohmann::json::parse(bytes.substr(0, end), nullptr, false);
      bytes.remove_prefix(end + 1);
      if (message.is_discarded()) return checks_.fail("the server wrote a line that is no JSON");
      if (!message.contains("result") || !message["result"].contains("structuredContent")) continue;
      const auto& answer = message["result"]["structuredContent"];
      if (answer.contains("completed")) checks_.response_written(message["id"].get<std::uint64_t>(), answer);
    }
  }

  mcp::memory_transport& inner_;
  checks& checks_;
  const process& whose_;
};

std::string owners_of_locks(const disk& storage) {
  constexpr std::size_t id_size = 36;
  std::string owners;
  for (const auto& [path, file] : storage.files) {
    const auto name = path.stem().string();
    if (path.extension() != ".json" || name.size() < id_size) continue;
    const auto id = name.substr(name.size() - id_size);
    for (const auto& [lock, whose] : storage.locks) {
      if (lock.second == worker::lock_key(id)) owners += " " + id;
    }
  }
  return owners;
}

/// An event loop that can let go of all that is suspended in it before it is destroyed itself.
class event_loop final : public asio::io_context {
 public:
  event_loop() : asio::io_context(ASIO_CONCURRENCY_HINT_UNSAFE) {}
  void drop_everything() { shutdown(); }
};

}  // namespace

struct server::parts {
  parts(setting& shared, checks& told, disk& storage, children& all, const server_settings& how,
        const std::shared_ptr<process>& whose)
      : told_to(told),
        settings(how),
        files(storage.mount(whose)),
        launcher(all.launcher(context.get_executor(), whose)),
        input(std::make_shared<mcp::memory_pipe>(context.get_executor())),
        output(std::make_shared<mcp::memory_pipe>(context.get_executor(), std::size_t{64} * 1024)),
        pipes(input, output),
        stream(pipes, told, *whose),
        last_resort(clock),
        manager(context.get_executor(), config_of(settings), *launcher, clock, *files),
        offer(tools::make_server(manager, "simulated")),
        session(stream, offer, session_options()),
        tasks(context.get_executor()) {
    clock.advance(shared.time.now() - clock.now());
    tasks.spawn(serve());
  }

  ~parts() {
    // Whatever is suspended refers to the rest, and goes first.
    context.drop_everything();
  }

  mcp::session_options session_options() {
    mcp::session_options options;
    options.utc_now = [this] { return clock.utc_now(); };
    return options;
  }

  asio::awaitable<void> serve() {
    tools::elicited_human human(session.peer());
    manager.use_human(&human);
    tools::tell_changes(manager, offer);
    manager.begin();
    std::function<void()> ending = [this] {
      told_to.server_stops();
      manager.stop();
      last_resort.arm(clock.now() + patience_with_client, [this] { session.abort(); });
    };
    co_await session.run(std::move(ending));
    last_resort.disarm();
    const auto deadline = clock.now() + settings.patience_with_children;
    const auto end = co_await coro::join_until(manager.children_gone(), clock, deadline);
    ended_in_good_order = end == coro::join_end::joined;
    has_ended = true;
  }

  checks& told_to;
  server_settings settings;
  event_loop context;
  coro::virtual_clock clock;
  std::unique_ptr<worker::files> files;
  std::unique_ptr<worker::launcher> launcher;
  std::shared_ptr<mcp::memory_pipe> input;
  std::shared_ptr<mcp::memory_pipe> output;
  mcp::memory_transport pipes;
  watched_stream stream;
  coro::timer last_resort;
  awm::manager::manager manager;
  mcp::server offer;
  mcp::session session;
  coro::task_group tasks;
  bool has_ended = false;
  bool ended_in_good_order = false;
};

server::server(setting& shared, checks& told, disk& storage, children& all, const server_settings& settings)
    : shared_(shared), checks_(told), disk_(storage), process_(std::make_shared<process>()) {
  checks_.server_began();
  parts_ = std::make_unique<parts>(shared, told, storage, all, settings, process_);
}

server::~server() {
  process_->is_alive = false;
  parts_.reset();
  disk_.release(*process_);
}

bool server::step() {
  parts_->context.restart();
  return parts_->context.poll_one() > 0;
}

bool server::advance(time_point limit) {
  return parts_->clock.advance_to_next(limit);
}

void server::advance_idle(time_point until) {
  parts_->clock.advance(until - parts_->clock.now());
}

const coro::clock& server::clock() const {
  return parts_->clock;
}

bool server::has_ended() const {
  return parts_->has_ended;
}

bool server::ended_in_good_order() const {
  return parts_->ended_in_good_order;
}

void server::put(std::string_view bytes) {
  parts_->input->put(bytes);
}

std::string server::take() {
  return parts_->output->take();
}

void server::close_input() {
  parts_->input->close();
}

std::size_t server::bytes_read() const {
  return parts_->stream.bytes_read;
}

std::string server::leftovers() const {
  if (parts_->tasks.size() > 0) return "a coroutine";
  if (parts_->clock.armed() > 0) return std::to_string(parts_->clock.armed()) + " timers";
  if (!disk_.locks.empty()) return "the locks of " + owners_of_locks(disk_);
  if (!parts_->context.stopped()) return "work on the event loop";
  return {};
}

}  // namespace awm::simulation
