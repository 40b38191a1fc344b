#include "worker/turn.hpp"

#include "worker/error_hint.hpp"
#include "worker/timestamp.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <utility>

namespace awm::worker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::string_view initialize_id = "awm-initialize";
constexpr std::string_view interrupt_id = "awm-interrupt";

// How long a child may take to end by itself after its result, and then after SIGINT. The CLI needs 0.03 to 0.15 s;
// hooks and telemetry of the user may need longer.
constexpr auto patience_after_result = 10s;
constexpr auto patience_after_failure = 1s;
constexpr auto patience_after_interrupt = 3s;

// From exec to the answer to `initialize`. It takes the CLI a second of CPU; thirty at once on two cores took 31 s.
constexpr auto patience_at_start = 180s;

// A refused key is repeated ten times over three minutes by the CLI. It never becomes right; the third refusal ends the
// turn.
constexpr int refusals_believed = 3;

// A reply has some ten tool calls; what asks for so many more is broken or hostile.
constexpr std::size_t most_open_questions = 1000;

// Children are read in turns of at most this many buffers, so that one that babbles does not silence the others.
constexpr int buffers_in_a_row = 16;

// What a pipe holds at most (1 MiB for a plain user, pipe(7)): more than that is not the child's, which has ended.
constexpr int buffers_after_exit = 16;
static_assert(buffers_after_exit * reading::buffer_size >= std::size_t{1024} * 1024);

/// True for errors that come from too much running at once.
bool is_shortage(std::error_code error) {
  return error == std::errc::too_many_files_open || error == std::errc::too_many_files_open_in_system ||
         error == std::errc::resource_unavailable_try_again || error == std::errc::not_enough_memory;
}

}  // namespace

turn::turn(turn_request request, launcher& launcher, coro::clock& clock, reading& reading, transcript& transcript,
           turn_observer& observer)
    : request_(std::move(request)),
      launcher_(launcher),
      clock_(clock),
      reading_(reading),
      transcript_(transcript),
      observer_(observer),
      ladder_(clock.make_timer()) {}

turn::~turn() = default;

asio::awaitable<void> turn::run() {
  // A turn is where failures stop: nothing that is thrown in one may reach another.
  try {
    co_await run_to_end();
  } catch (const std::exception& error) {
    fail(std::string("The manager itself failed in this turn: ") + error.what());
  }
  end(false);
  child_.reset();
}

asio::awaitable<void> turn::run_to_end() {
  if (ended_) co_return;
  started_at_ = timestamp(clock_.utc_now());
  auto& record = transcript_.record();
  record.error.reset();
  if (record.state != "running") {
    record.state = "running";
    record.turns.back()["state"] = "running";
    note_disk_error(transcript_.save());
  }
  note_disk_error(transcript_.begin_turn(request_.prompt));
  if (start_child()) {
    child_->send(initialize_request(initialize_id, request_.initialize));
    ladder_->arm(clock_.now() + patience_at_start, [this] {
      fail("The worker's process did not answer within 180 s of its start and was ended. Is the machine overloaded?");
      let_go();
    });
    co_await read_to_end();
    ladder_->disarm();
    outcome_.returncode = child_->exit()->code;
  }
}

bool turn::start_child() {
  std::error_code error;
  child_ = launcher_.start(request_.launch, error);
  if (child_) return true;
  outcome_.error_hint = "Could not start " + request_.launch.program + " in " + request_.launch.working_directory +
                        ": " + error.message() +
                        (is_shortage(error) ? ". Try again with fewer workers at once (--max-workers)."
                                            : ". Check --claude and the cwd.");
  return false;
}

/// Returns when the child has ended and everything that it wrote has been handled.
asio::awaitable<void> turn::read_to_end() {
  const std::span<char> buffer(reading_.buffer.get(), reading::buffer_size);
  bool open = true;
  while (open) {
    co_await child_->output_or_exit();
    const bool has_ended = child_->exit().has_value();
    const int most = has_ended ? buffers_after_exit : buffers_in_a_row;
    open = !has_ended;
    for (int reads = 0; reads < most; ++reads) {
      const auto got = child_->read_output(buffer);
      if (got.what == read_outcome::kind::bytes) {
        take({buffer.data(), got.size});
        continue;
      }
      // Once the child is gone an empty pipe is the end, even if a grandchild still holds it open.
      if (got.what == read_outcome::kind::end_of_stream) open = false;
      break;
    }
  }
  if (!child_->exit()) {
    // Its output ended first: what remains is to go.
    let_go();
    co_await child_->exited().async_wait(coro::as_value);
  }
}

void turn::take(std::string_view bytes) {
  const auto handle_line = [this](std::string_view text) {
    if (ended_ || has_failed()) return;
    auto line = reading_.parser.parse(text);
    std::visit([this](auto& known) { handle(known); }, line);
  };
  lines_.feed(bytes, handle_line, [this] { end_babbling(); });
  note_disk_error(transcript_.flush());
}

void turn::end_babbling() {
  fail("The worker printed a line longer than " + std::to_string(longest_line / (1024 * 1024)) +
       " MiB and was ended. Ask it for less output at once.");
  child_->signal(SIGINT);
  escalate(SIGKILL, patience_after_interrupt);
}

void turn::handle(init_line& init) {
  auto& record = transcript_.record();
  session_began_ = true;
  record.session_id = init.session_id;
  record.model = init.model;
  for (auto& difference : start_differences(request_.expectations, init.tools, init.permission_mode, init.model)) {
    warn(std::move(difference));
  }
  for (const auto& server : init.failed_mcp_servers) warn("mcp: the server " + server + " did not start");
}

void turn::handle(message_line& message) {
  transcript_.add(message);
}

void turn::handle(result_line& result) {
  if (result_) return;
  result_ = std::move(result);
  close_questions();
  // A failure is reported with the child's exit status, so its end comes first.
  if (!result_->is_error) end(true);
  let_go();
}

void turn::handle(permission_line& question) {
  if (std::find(questions_.begin(), questions_.end(), question.request_id) != questions_.end()) return;
  if (questions_.size() >= most_open_questions) {
    fail("The worker asked for more than " + std::to_string(most_open_questions) +
         " permissions at once and was ended.");
    return let_go();
  }
  questions_.push_back(question.request_id);
  transcript_.record().state = "awaiting_permission";
  observer_.permission_asked(question);
}

void turn::handle(withdrawal_line& withdrawal) {
  if (std::erase(questions_, withdrawal.request_id) == 0) return;
  if (questions_.empty()) transcript_.record().state = "running";
  observer_.permission_withdrawn(withdrawal.request_id);
}

void turn::handle(other_request_line& request) {
  child_->send(error_response(request.request_id, "not supported by this host: " + request.subtype));
}

void turn::handle(response_line& response) {
  if (response.request_id != initialize_id || phase_ != phase::starting) return;
  if (!response.success) {
    fail("The CLI refused to initialize: " + response.error);
  } else if (auto problem = agent_problem(request_.expectations, response.agents)) {
    fail(std::move(*problem));
  } else {
    send_prompt();
    return;
  }
  let_go();
}

void turn::handle(retry_line& retry) {
  last_retry_ = retry;
  if (retry.error == "authentication_failed" && retry.attempt >= refusals_believed && phase_ == phase::running) {
    child_->send(interrupt_request(interrupt_id));
  }
}

void turn::handle(broken_line& broken) {
  if (broken_lines_++ == 0) first_broken_ = broken.reason;
  if (!broken.is_awaited || phase_ == phase::letting_go) return;
  // The child waits for an answer to it, or we for what it said: to skip it would be to wait for ever.
  fail("The worker printed a line that cannot be read and that the turn depends on (" + broken.reason +
       "). resume_worker continues the session.");
  let_go();
}

void turn::send_prompt() {
  phase_ = phase::running;
  ladder_->disarm();
  child_->send(user_message(request_.prompt, request_.prompt_id, request_.literal_prompts));
}

void turn::let_go() {
  if (phase_ == phase::letting_go) return;
  phase_ = phase::letting_go;
  child_->close_input();
  escalate(SIGINT, has_failed() ? patience_after_failure : patience_after_result);
}

/// Sends `signal` to the child after `patience`, and SIGKILL some time after that.
void turn::escalate(int signal, coro::clock::duration patience) {
  ladder_->arm(clock_.now() + patience, [this, signal] {
    if (child_) child_->signal(signal);
    if (signal != SIGKILL) escalate(SIGKILL, patience_after_interrupt);
  });
}

void turn::allow(std::string_view request_id, std::string_view input) {
  if (std::erase(questions_, request_id) == 0 || !child_) return;
  child_->send(allow_response(request_id, input));
  if (questions_.empty()) transcript_.record().state = "running";
}

void turn::deny(std::string_view request_id, std::string_view message) {
  if (std::erase(questions_, request_id) == 0 || !child_) return;
  child_->send(deny_response(request_id, message));
  if (questions_.empty()) transcript_.record().state = "running";
}

void turn::close_questions() {
  for (const auto& request_id : std::exchange(questions_, {})) observer_.permission_withdrawn(request_id);
}

void turn::fail(std::string hint) {
  outcome_.error_hint = std::move(hint);
}

void turn::warn(std::string warning) {
  transcript_.record().warnings.push_back(warning);
  outcome_.warnings.push_back(std::move(warning));
}

void turn::note_disk_error(std::error_code error) {
  if (error) warn("The transcript is incomplete: " + transcript_.path().string() + ": " + error.message());
}

/// Completes what the transcript's record says about this turn.
void turn::close_record(std::string_view state) {
  auto& record = transcript_.record();
  record.state = state;
  auto& entry = record.turns.back();
  entry.update({{"state", state},
                {"started_at", started_at_},
                {"ended_at", timestamp(clock_.utc_now())},
                {"returncode", outcome_.returncode ? json(*outcome_.returncode) : json(nullptr)}});
  if (!result_) return;
  entry.update({{"subtype", result_->subtype},
                {"is_error", result_->is_error},
                {"duration_ms", result_->duration_ms},
                {"num_turns", result_->num_turns},
                {"input_tokens", result_->input_tokens},
                {"output_tokens", result_->output_tokens},
                {"cost_usd", outcome_.cost_usd},
                {"result", result_->text}});
}

/// Closes the books and tells the observer, once.
void turn::end(bool completed) {
  if (std::exchange(ended_, true)) return;
  close_questions();
  outcome_.completed = completed;
  try {
    sum_up();
    close_books();
  } catch (const std::exception& error) {
    outcome_.is_on_disk = false;
    warn(std::string("The transcript could not be completed: ") + error.what());
  }
  observer_.turn_ended(outcome_);
}

/// Puts what is known of the turn into its outcome.
void turn::sum_up() {
  if (broken_lines_ > 0) {
    warn(std::to_string(broken_lines_) +
         " line(s) of the worker's output were no valid messages and were skipped; the first: " + first_broken_);
  }
  if (result_) {
    outcome_.result = result_->text;
    outcome_.num_turns = result_->num_turns;
    outcome_.duration_ms = result_->duration_ms;
    const auto cost = result_->cost_since_last_result_usd.value_or(result_->total_cost_usd);
    outcome_.cost_usd = std::isfinite(cost) ? cost : 0;
  }
  if (!outcome_.completed && outcome_.error_hint.empty()) {
    outcome_.error_hint = error_hint({result_ ? &*result_ : nullptr, last_retry_ ? &*last_retry_ : nullptr,
                                      child_ ? child_->exit() : std::nullopt, child_ ? child_->error_tail() : ""});
  }
}

/// Puts the outcome into the transcript.
void turn::close_books() {
  auto& record = transcript_.record();
  if (result_) {
    record.result = result_->text;
    record.total_cost_usd += outcome_.cost_usd;
    for (auto& denial : json::parse(result_->permission_denials)) {
      record.permission_denials.push_back(std::move(denial));
    }
  }
  if (!outcome_.completed) record.error = outcome_.error_hint;
  // A worker whose first turn never got as far as a session has nothing to resume.
  if (!session_began_ && record.turns.size() == 1) record.session_id.clear();
  close_record(outcome_.completed ? "completed" : "failed");
  const auto error = transcript_.end_turn();
  note_disk_error(error);
  outcome_.is_on_disk = !error;
}

void turn::stop() {
  if (std::exchange(ended_, true)) return;
  transcript_.record().error =
      "The manager was stopped while this turn was running. resume_worker continues the session.";
  close_record("interrupted");
  note_disk_error(transcript_.end_turn());
}

void turn::signal(int number) {
  if (child_ && !child_->exit()) child_->signal(number);
}

}  // namespace awm::worker
