// The manager without the server: what MCP and its pipe add is the difference.
#include "coro/clock.hpp"
#include "fleet/scenarios.hpp"
#include "manager/manager.hpp"
#include "worker/files.hpp"
#include "worker/ledger.hpp"
#include "worker/uuid.hpp"

#include <asio/detached.hpp>

#include <sys/resource.h>

#include <ctime>
#include <stdexcept>
#include <utility>
#include <variant>

namespace awm::bench {
namespace {

using nlohmann::json;

constexpr std::size_t starts_at_once = 2;

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

manager::manager_config settings(const subject& wanted, const std::filesystem::path& folder) {
  manager::manager_config result;
  result.claude = wanted.worker();
  result.log_dir = folder / "logs";
  result.max_workers = wanted.at_once;
  result.max_starts = starts_at_once;
  result.cwd = folder;
  result.environment = {{"HOME", folder.string()}, {"PATH", "/usr/bin:/bin"}};
  return result;
}

template <class T>
T taken(manager::answer<T> answer) {
  if (const auto* const refused = std::get_if<manager::refusal>(&answer)) throw std::runtime_error(refused->reason);
  return std::get<T>(std::move(answer));
}

struct fleet_run {
  std::size_t delivered = 0;
  std::size_t completed = 0;
};

asio::awaitable<fleet_run> run(manager::manager& manager, const fleet_load& load) {
  const auto prompts = prompts_of(load.mix);
  fleet_run done;
  for (std::size_t index = 0; index < load.workers; ++index) {
    check_interrupts();
    manager::spawn_request request;
    request.description = "bench";
    request.prompt = prompts[index % prompts.size()];
    auto accepted = co_await manager.spawn(std::move(request));
    taken(std::move(accepted));
  }
  while (done.delivered < load.workers) {
    manager::wait_request request;
    manager::join::progress nobody = [](std::size_t, const manager::outstanding_turns&) { check_interrupts(); };
    auto waited = co_await manager.wait(std::move(request), std::move(nobody));
    auto loan = taken(std::move(waited));
    done.delivered += loan.result.finished.size();
    for (const auto& turn : loan.result.finished) done.completed += turn.outcome.completed ? 1 : 0;
    loan.settle(true);
    std::vector<std::string> questions;
    for (const auto& question : manager.questions_for_model()) questions.push_back(question.request_id);
    if (questions.empty()) continue;
    manager::permission_answer yes;
    yes.allow = true;
    taken(manager.decide(questions, yes));
  }
  co_return done;
}

}  // namespace

json run_in_process(const subject& wanted, const fleet_load& load) {
  const scratch_folder folder(wanted.scratch);
  asio::io_context context{ASIO_CONCURRENCY_HINT_UNSAFE};
  coro::system_clock clock(context.get_executor());
  worker::system_files files;
  const auto config = settings(wanted, folder.path());
  worker::ledger ledger(config.log_dir, worker::random_uuid());
  worker::local_launcher launcher(context.get_executor(), &ledger);
  manager::manager manager(context.get_executor(), config, launcher, clock, files);
  const auto begin = now();
  const auto cpu = cpu_seconds();
  json figures;
  std::exception_ptr failure;
  manager.begin();
  const auto finish = [&](std::exception_ptr error, fleet_run done) {
    failure = std::move(error);
    figures = {{"workers", load.workers},
               {"delivered", done.delivered},
               {"completed", done.completed},
               {"cpu_s", cpu_seconds() - cpu},
               {"wall_s", 1e-9 * static_cast<double>(now() - begin)}};
    manager.stop();  // what is still warm goes
  };
  asio::co_spawn(context, run(manager, load), finish);
  context.run();
  if (failure) std::rethrow_exception(failure);
  return figures;
}

}  // namespace awm::bench
