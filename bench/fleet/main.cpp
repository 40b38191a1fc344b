// Runs one scenario against a server and prints its figures as one line of JSON. bench/fleet/run.py runs them all, with
// the floors and the peers beside them.
#include "fleet/scenarios.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr int exit_interrupted = 130;

}  // namespace

int main(int count, char** words) {
  namespace bench = awm::bench;
  bench::subject subject;
  bench::fleet_load load;
  std::size_t samples = 100;
  std::size_t beside = 0;
  std::size_t rate = 20;
  std::size_t lines = 1000;
  std::size_t size = 8192;
  bool is_in_process = false;
  const char* const temporary = std::getenv("TMPDIR");
  subject.scratch = temporary != nullptr ? temporary : "/tmp";

  CLI::App app("Runs one scenario of the fleet bench and prints its figures as JSON");
  app.require_subcommand(1);
  app.add_option("--bin", subject.bin, "Where async-worker-manager and bench_worker are")->required();
  app.add_option("--scratch", subject.scratch, "Where folders for transcripts are made")->capture_default_str();
  app.add_option("--at-once", subject.at_once, "Workers that run at the same time")->capture_default_str();
  app.add_option("--server", subject.command, "Another server with the same tools: its program and arguments, one each time")
      ->allow_extra_args(false);
  app.add_option("--argument", subject.arguments, "One more argument of the server")->allow_extra_args(false);
  app.add_option("--soft-descriptors", subject.soft_descriptors, "The server's soft RLIMIT_NOFILE");
  app.add_option("--hard-descriptors", subject.hard_descriptors, "The server's hard RLIMIT_NOFILE");

  auto* const fleet = app.add_subcommand("fleet", "Workers from spawn to collected");
  fleet->add_option("--workers", load.workers)->capture_default_str();
  fleet->add_option("--mix", load.mix, "quiet, chatty, bursts, giant, permissions, failures, resumes, or a prompt");
  fleet->add_flag("--hold", load.hold, "All are there at the same time");
  fleet->add_flag("--in-process", is_in_process, "The manager without its server");
  auto* const latency = app.add_subcommand("latency", "Results, questions and approvals");
  latency->add_option("--samples", samples)->capture_default_str();
  latency->add_option("--beside", beside, "Workers that chat meanwhile")->capture_default_str();
  latency->add_option("--rate", rate, "Lines a second of each")->capture_default_str();
  auto* const memory = app.add_subcommand("memory", "Base, running and idle workers");
  memory->add_option("--workers", load.workers)->capture_default_str();
  memory->add_option("--lines", lines, "Of the long transcripts")->capture_default_str();
  auto* const start = app.add_subcommand("start", "From before the process to its first reply");
  start->add_option("--samples", samples)->capture_default_str();
  auto* const context = app.add_subcommand("context", "Bytes of a wait's answer against the outputs");
  context->add_option("--workers", load.workers)->capture_default_str();
  context->add_option("--size", size, "Of one result")->capture_default_str();
  CLI11_PARSE(app, count, words);

  std::signal(SIGPIPE, SIG_IGN);
  bench::listen_for_interrupts();
  try {
    nlohmann::json figures;
    if (fleet->parsed()) figures = is_in_process ? run_in_process(subject, load) : run_fleet(subject, load);
    if (latency->parsed()) figures = measure_latency(subject, samples, beside, rate);
    if (memory->parsed()) figures = measure_memory(subject, load.workers, lines);
    if (start->parsed()) figures = measure_start(subject, samples);
    if (context->parsed()) figures = measure_context(subject, load.workers, size);
    std::puts(figures.dump().c_str());
    return EXIT_SUCCESS;
  } catch (const bench::interrupted&) {
    return exit_interrupted;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fleet_bench: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
