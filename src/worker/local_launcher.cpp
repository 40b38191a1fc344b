#include "coro/process_tree.hpp"
#include "coro/spawn.hpp"
#include "worker/launcher.hpp"
#include "worker/ledger.hpp"
#include "worker/marker.hpp"
#include "worker/offspring.hpp"
#include "worker/uuid.hpp"

#include <asio/buffer.hpp>
#include <asio/write.hpp>

#include <array>
#include <csignal>
#include <utility>

namespace awm::worker {
namespace {

constexpr std::size_t error_tail_size = 4096;

/// What the child's own coroutines share: they may outlive the `local_child` by the time their cancellation takes.
struct running_child {
  running_child(coro::process started, std::uint64_t number, const asio::any_io_executor& executor,
                std::shared_ptr<offspring> all)
      : process(std::move(started)), registry(std::move(all)), has_input(executor), exited(executor) {
    registry->add(process.pid(), number, process.exit_descriptor(), [this] { process.look_again(); });
  }
  running_child(const running_child&) = delete;
  running_child& operator=(const running_child&) = delete;
  ~running_child() {
    if (exit) return;
    registry->remove(process.pid());
    registry->release();
  }

  void signal(int number) {
    if (process.exit_descriptor() < 0) return;  // reaped: the number may be another's
    if (number == SIGKILL) {
      const std::array<pid_t, 1> root{process.pid()};
      coro::kill_trees(root);
    }
    process.signal_group(number);
  }

  coro::process process;
  std::shared_ptr<offspring> registry;
  std::string input;  // not yet given to the writer
  bool is_writing = false;
  bool close_input = false;
  bool input_closed = false;
  coro::event has_input;
  std::string error_tail;
  std::optional<coro::exit_status> exit;
  coro::event exited;
  std::optional<memory_limit> limit;
  std::unique_ptr<memory_group> group;
  bool ran_out = false;  // of memory
};

using shared_child = std::shared_ptr<running_child>;

asio::awaitable<void> write_input(shared_child child) {
  auto& pipe = child->process.standard_input();
  for (;;) {
    if (child->input.empty()) {
      if (child->close_input) break;
      child->has_input.reset();
      const auto [cancelled] = co_await child->has_input.async_wait(coro::as_value);
      if (cancelled) co_return;
      continue;
    }
    const auto text = std::exchange(child->input, {});
    child->is_writing = true;
    const auto [error, written] = co_await asio::async_write(pipe, asio::buffer(text), coro::as_value);
    child->is_writing = false;
    if (error) break;  // the child closed its stdin; its exit or its result says why
  }
  child->input_closed = true;
  std::error_code ignored;
  pipe.close(ignored);
}

/// Keeps the end of what the child has written to stderr by now. False when nothing more can come.
bool take_errors(running_child& child) {
  std::array<char, error_tail_size> buffer;
  std::error_code error;
  const auto size = child.process.standard_error().read_some(asio::buffer(buffer), error);
  if (error) return error == asio::error::would_block;
  child.error_tail.append(buffer.data(), size);
  if (child.error_tail.size() > error_tail_size) {
    child.error_tail.erase(0, child.error_tail.size() - error_tail_size);
  }
  return true;
}

asio::awaitable<void> read_errors(shared_child child) {
  auto& pipe = child->process.standard_error();
  for (bool goes_on = true; goes_on; goes_on = take_errors(*child)) {
    const auto [error] = co_await pipe.async_wait(asio::posix::stream_descriptor::wait_read, coro::as_value);
    if (error) co_return;
  }
}

asio::awaitable<void> await_exit(shared_child child) {
  const auto [error, status] = co_await child->process.wait();
  if (error) co_return;
  child->registry->remove(child->process.pid());
  co_await child->registry->sweep();
  child->exit = status;
  if (child->group) child->ran_out = child->group->ran_out();
  child->group.reset();
  child->registry->release();
  // What the child wrote last to stderr is in the pipe; a process that could not be ended may hold the other end.
  take_errors(*child);
  child->exited.set();
  // Wakes whoever waits for output: there may be no end of the stream to wake them.
  std::error_code ignored;
  child->process.standard_output().cancel(ignored);
  child->process.standard_error().cancel(ignored);
  child->close_input = true;
  child->has_input.set();
  child->process.standard_input().cancel(ignored);
}

class local_child final : public child {
 public:
  local_child(const asio::any_io_executor& executor, shared_child shared) : shared_(std::move(shared)) {
    // They own what they share, and end with the child, which may be after this.
    coro::spawn_detached(executor, write_input(shared_));
    coro::spawn_detached(executor, read_errors(shared_));
    coro::spawn_detached(executor, await_exit(shared_));
  }

  ~local_child() override {
    if (!shared_->exit) shared_->signal(SIGKILL);  // and `await_exit` reaps it
  }

  asio::awaitable<void> output_or_exit() override {
    if (shared_->exit) co_return;
    co_await shared_->process.standard_output().async_wait(asio::posix::stream_descriptor::wait_read, coro::as_value);
  }

  read_outcome read_output(std::span<char> into) override {
    std::error_code error;
    const auto size = shared_->process.standard_output().read_some(asio::buffer(into.data(), into.size()), error);
    if (!error) return {read_outcome::kind::bytes, size};
    if (error == asio::error::would_block || error == asio::error::try_again) return {};
    return {read_outcome::kind::end_of_stream, 0};
  }

  void send(std::string text) override {
    if (shared_->close_input || shared_->input_closed) return;
    std::size_t written = 0;
    if (shared_->input.empty() && !shared_->is_writing) {
      std::error_code error;
      written = shared_->process.standard_input().write_some(asio::buffer(text), error);
      if (written == text.size()) return;  // as it is almost always
    }
    shared_->input.append(text, written);
    shared_->has_input.set();
  }

  void close_input() override {
    shared_->close_input = true;
    shared_->has_input.set();
  }

  std::string error_tail() const override { return shared_->error_tail; }
  std::string memory_hint() const override {
    if (!shared_->limit || !shared_->exit) return {};
    return worker::memory_hint(*shared_->limit, shared_->ran_out, shared_->exit->code, shared_->error_tail);
  }
  void signal(int number) override { shared_->signal(number); }
  std::optional<coro::exit_status> exit() const override { return shared_->exit; }
  coro::event& exited() override { return shared_->exited; }

 private:
  shared_child shared_;
};

}  // namespace

local_launcher::local_launcher(asio::any_io_executor executor, ledger* ledger)
    : executor_(std::move(executor)),
      ledger_(ledger),
      offspring_(std::make_shared<offspring>(executor_, ledger ? ledger->manager_id() : random_uuid())) {}

local_launcher::~local_launcher() = default;

std::vector<watched_child> local_launcher::running() const {
  return offspring_->running();
}

std::unique_ptr<child> local_launcher::start(const launch_spec& spec, std::error_code& error) {
  coro::process_options options;
  options.file = spec.program;
  options.arguments.reserve(spec.arguments.size() + 1);
  options.arguments.push_back(spec.program);
  options.arguments.insert(options.arguments.end(), spec.arguments.begin(), spec.arguments.end());
  const auto number = offspring_->next_number();
  options.environment = with_mark(spec.environment.list(), offspring_->manager_id(), number);
  options.working_directory = spec.working_directory;
  // On SIGINT the CLI ends its tool processes, which lead sessions of their own and which no signal to the worker's
  // group reaches; SIGKILL would orphan them (measured with 2.1.197 and 2.1.329).
  options.parent_death_signal = SIGINT;
  std::unique_ptr<memory_group> group;
  if (memory_limit_ && memory_limit_->parent_group.empty()) options.data_limit = memory_limit_->bytes;
  if (memory_limit_ && !memory_limit_->parent_group.empty()) {
    group = memory_group::make(*memory_limit_, offspring_->manager_id() + "-" + std::to_string(number), error);
    if (error) return nullptr;  // rather than without the limit
    options.cgroup = group->entrance();
  }
  if (ledger_) ledger_->prepare();
  auto process = coro::process::start(executor_, options, error);
  if (error) return nullptr;
  if (ledger_) ledger_->note(process.identity(), spec.label);
  auto child = std::make_shared<running_child>(std::move(process), number, executor_, offspring_);
  child->limit = memory_limit_;
  child->group = std::move(group);
  return std::make_unique<local_child>(executor_, std::move(child));
}

}  // namespace awm::worker
