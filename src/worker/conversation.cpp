#include "worker/conversation.hpp"

#include "text/json_text.hpp"
#include "text/timestamp.hpp"
#include "worker/error_hint.hpp"
#include "worker/redaction.hpp"
#include "worker/uuid.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <sstream>
#include <utility>

namespace awm::worker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::string_view initialize_id = "awm-initialize";
constexpr std::string_view interrupt_id = "awm-interrupt";
constexpr std::string_view cost_id = "awm-cost";
constexpr std::string_view ready_id = "awm-ready";
constexpr std::string_view change_id = "awm-change-";

// How long a child may take to end by itself after its result, and then after SIGINT. The CLI needs 0.03 to 0.15 s;
// hooks and telemetry of the user may need longer.
constexpr auto patience_after_result = 10s;
constexpr auto patience_after_failure = 1s;
constexpr auto patience_after_interrupt = 3s;

// An interrupt is answered within 20 ms; then comes the end of the input, for a child that is in the middle of
// something that it does not interrupt.
constexpr auto patience_with_interrupt = 2s;
constexpr auto patience_with_end_of_input = 5s;

// A turn of the CLI's own (after a background task, or for a message that just missed its turn) begins 0.03 to 0.1 s
// after what causes it.
constexpr auto patience_with_follow_up = 2s;

// From exec to the answer to `initialize`. It takes the CLI a second of CPU; thirty at once on two cores took 31 s.
constexpr auto patience_at_start = 180s;

// Of a turn's time, kept for coming to an end; a reply takes some ten seconds.
constexpr auto longest_wrap_up = std::chrono::seconds(60);
constexpr int wrap_up_share = 5;
constexpr double wrap_up_budget = 0.8;

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

constexpr int too_many_requests = 429;
constexpr int overloaded = 529;
constexpr int unauthorized = 401;
constexpr int forbidden = 403;

/// True for errors that come from too much running at once.
bool is_shortage(std::error_code error) {
  return error == std::errc::too_many_files_open || error == std::errc::too_many_files_open_in_system ||
         error == std::errc::resource_unavailable_try_again || error == std::errc::not_enough_memory;
}

failure_kind kind_of(const result_line* result, const retry_line* retry) {
  const auto status = result && result->api_error_status ? *result->api_error_status : 0;
  if (status == too_many_requests) return failure_kind::rate_limit;
  // 2.1.197 gives no status with this one.
  if (status == overloaded || (result && result->text.find("529 Overloaded") != std::string::npos)) {
    return failure_kind::overloaded;
  }
  const bool refused = retry && retry->error == "authentication_failed" && retry->attempt >= refusals_believed;
  if (status == unauthorized || status == forbidden || refused) return failure_kind::authentication;
  return failure_kind::other;
}

/// The option whose cap the CLI itself enforced; empty: none.
std::string cap_of(const result_line& result) {
  if (result.subtype == "error_max_turns") return "max_turns";
  if (result.subtype == "error_max_budget_usd") return "max_budget_usd";
  return {};
}

/// The tool that a denial names, whatever else stands there.
std::string tool_of(const json& denial) {
  const auto named = denial.is_object() ? denial.find("tool_name") : denial.end();
  return named != denial.end() && named->is_string() ? named->get<std::string>() : "a tool";
}

std::string in_seconds(coro::clock::duration time) {
  std::ostringstream text;
  text << std::chrono::duration<double>(time).count() << " s";
  return text.str();
}

}  // namespace

/// A user message for the running turn.
struct conversation::side_message {
  enum class where { held, written, tool_ended };
  std::string id;
  std::string text;
  where at = where::held;
  /// Ours: nobody is told of it, and it is not worth a turn of its own.
  bool is_advice = false;
};

struct conversation::running_turn {
  running_turn(turn_request asked, transcript& kept) : request(std::move(asked)), transcript(kept) {}

  turn_request request;
  worker::transcript& transcript;
  std::string started_at;
  coro::clock::time_point begun;
  std::optional<result_line> result;
  std::optional<retry_line> last_retry;
  std::vector<std::string> questions;             // asked and neither answered nor withdrawn
  std::vector<side_message> messages;             // sent into the turn, and not known to be read
  std::vector<side_message> redirects;            // for which the turn is being interrupted
  std::set<std::string, std::less<>> open_tools;  // of the main conversation
  std::string last_reply;                         // id of the model's last reply in the main conversation
  std::int64_t replies = 0;
  std::string last_text;
  std::optional<double> cost_at_begin;
  double cost_so_far = 0;  // as the child said last
  turn_outcome outcome;
  bool session_began = false;
  bool advised = false;
  bool prompt_sent = false;
  /// Why somebody ended it; empty: nobody did.
  std::string end_reason;

  /// Whatever the child says from here on does not count.
  bool has_failed() const { return !outcome.error_hint.empty(); }
};

conversation::conversation(child_plan plan, launcher& launcher, coro::clock& clock, reading& reading,
                           conversation_observer& observer)
    : plan_(std::move(plan)),
      launcher_(launcher),
      clock_(clock),
      reading_(reading),
      observer_(&observer),
      ladder_(clock),
      limit_(clock) {}

conversation::~conversation() = default;

void conversation::begin(turn_request request, transcript& transcript) {
  turn_ = std::make_unique<running_turn>(std::move(request), transcript);
  turn_->begun = clock_.now();
  if (!child_) return;  // `run()` goes on from here
  was_handed_over_ = true;
  open_books();
  prepare_child();
}

bool conversation::can_take(const child_plan& wanted) const {
  if (turn_ || (phase_ != phase::idle && phase_ != phase::starting)) return false;
  return changes_between(plan_, wanted, is_initialized_ ? child_use::used : child_use::unused).has_value();
}

void conversation::take(child_plan wanted, turn_request request, transcript& transcript,
                        conversation_observer& observer) {
  changes_ = changes_between(plan_, wanted, is_initialized_ ? child_use::used : child_use::unused).value();
  if (!is_initialized_) transcript.record().session_id = session_of(child_ ? plan_ : wanted);
  plan_ = std::move(wanted);
  observer_ = &observer;
  begin(std::move(request), transcript);
}

/// Makes the child what the turn wants, and gives it the prompt.
void conversation::prepare_child() {
  if (!std::exchange(is_initialized_, true)) ask(initialize_id, initialize_request(initialize_id, plan_.initialize));
  for (const auto& change : std::exchange(changes_, {})) {
    const auto id = std::string(change_id) + std::to_string(awaited_.size());
    ask(id, other_request(id, change));
  }
  if (awaited_.empty()) return send_prompt();
  await_answers();
}

void conversation::ask(std::string_view request_id, std::string line) {
  awaited_.emplace(request_id);
  child_->send(std::move(line));
}

void conversation::await_answers() {
  phase_ = phase::starting;
  ladder_.arm(clock_.now() + patience_at_start, [this] {
    fail("The worker's process did not answer within 180 s of its start and was ended. Is the machine overloaded?");
    end_child();
  });
}

asio::awaitable<void> conversation::run() {
  // A conversation is where failures stop: nothing that is thrown in one may reach another.
  std::string failure;
  try {
    co_await run_to_end();
    if (turn_) co_await observer_->before_report();
  } catch (const std::exception& error) {
    failure = std::string("The manager itself failed in this turn: ") + error.what();
  }
  tell_started();
  if (turn_ && !failure.empty()) fail(std::move(failure));
  if (turn_) end(turn_->result && !turn_->result->is_error && !turn_->has_failed() && turn_->end_reason.empty());
  phase_ = phase::letting_go;
  child_.reset();
}

asio::awaitable<void> conversation::run_to_end() {
  const bool is_over = phase_ == phase::letting_go || (turn_ && !turn_->end_reason.empty());
  if (is_over) co_return;
  if (turn_) open_books();
  for (;;) {
    const bool started = start_child();
    if (!started) co_return;
    if (turn_) {
      prepare_child();
    } else {
      // Answered as soon as the child reads its input, and without effect: `initialize` is for the turn to come.
      ask(ready_id, cost_request(ready_id));
      await_answers();
    }
    co_await read_to_end();
    ladder_.disarm();
    limit_.disarm();
    if (!is_untouched()) break;
    start_over();
  }
  if (turn_) turn_->outcome.returncode = child_->exit()->code;
}

/// The turn was given to a child that ended before the CLI began the turn, so nothing of it has happened.
bool conversation::is_untouched() const {
  return was_handed_over_ && turn_ && !turn_->session_began && !turn_->result && !turn_->has_failed() &&
         turn_->end_reason.empty();
}

/// Another child is to serve the turn.
void conversation::start_over() {
  was_handed_over_ = false;
  is_initialized_ = false;
  awaited_.clear();
  changes_.clear();
  background_.clear();
  lines_ = coro::line_buffer{longest_line};
  cost_before_ = 0;
  turn_->cost_at_begin.reset();
  turn_->cost_so_far = 0;
  turn_->last_retry.reset();
  turn_->transcript.record().session_id = session_of(plan_);
}

void conversation::tell_started() {
  if (!std::exchange(start_is_told_, true)) observer_->child_started();
}

void conversation::open_books() {
  turn_->started_at = text::timestamp(clock_.utc_now());
  auto& record = turn_->transcript.record();
  record.error.reset();
  if (record.state != "running") {
    record.state = "running";
    record.turns.back()["state"] = "running";
    note_trouble(turn_->transcript.save());
  }
  note_trouble(turn_->transcript.begin_turn(turn_->request.prompt));
}

bool conversation::start_child() {
  std::error_code error;
  child_ = launcher_.start(plan_.launch, error);
  if (child_ || !turn_) return child_ != nullptr;
  turn_->outcome.error_hint = "Could not start " + plan_.launch.program + " in " + plan_.launch.working_directory +
                              ": " + error.message() +
                              (is_shortage(error) ? ". Try again with fewer workers at once (--max-workers)."
                                                  : ". Check --claude and the cwd.");
  return false;
}

/// Returns when the child has ended and everything that it wrote has been handled.
asio::awaitable<void> conversation::read_to_end() {
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
        receive({buffer.data(), got.size});
        const bool is_empty = got.size < buffer.size();  // a pipe gives all that it has
        if (is_empty && !has_ended) break;
        continue;
      }
      // Once the child is gone an empty pipe is the end, even if a grandchild still holds it open.
      if (got.what == read_outcome::kind::end_of_stream) open = false;
      break;
    }
  }
  if (!child_->exit()) {
    // Its output ended first: what remains is to go.
    end_child();
    co_await child_->exited().async_wait(coro::as_value);
  }
}

void conversation::receive(std::string_view bytes) {
  const auto handle_line = [this](std::string_view text) {
    if (turn_ && turn_->has_failed()) return;
    auto line = reading_.parser.parse(text);
    if (!turn_) return watch_idle(line);
    std::visit([this](auto& known) { handle(known); }, line);
  };
  lines_.feed(bytes, handle_line, [this] { end_babbling(); });
  if (turn_) note_trouble(turn_->transcript.flush());
}

/// A child without a turn says that it is ready, and nothing else that counts: one that begins a turn which nobody sent
/// (a message of another session does that) is no place for a prompt any more.
void conversation::watch_idle(const child_line& line) {
  if (std::holds_alternative<init_line>(line)) return end_child();
  const auto* const response = std::get_if<response_line>(&line);
  if (response == nullptr || phase_ != phase::starting || awaited_.erase(response->request_id) == 0) return;
  phase_ = phase::idle;
  ladder_.disarm();
  tell_started();
}

void conversation::end_babbling() {
  fail("The worker printed a line longer than " + std::to_string(longest_line / (1024 * 1024)) +
       " MiB and was ended. Ask it for less output at once.");
  phase_ = phase::letting_go;
  child_->signal(SIGINT);
  escalate(SIGKILL, patience_after_interrupt);
}

void conversation::handle(init_line& init) {
  auto& record = turn_->transcript.record();
  const auto& asked = turn_->request.session_id;
  if (!turn_->session_began && !asked.empty() && init.session_id != asked) {
    turn_->outcome.context_lost = true;
    warn("The session " + asked + " could not be resumed: the worker began a new one (" + init.session_id +
         ") and remembers nothing of its earlier turns.");
  }
  if (!turn_->session_began) {
    for (auto& difference : start_differences(plan_.expectations, init.tools, init.permission_mode, init.model)) {
      warn(std::move(difference));
    }
    for (const auto& server : init.failed_mcp_servers) warn("mcp: the server " + server + " did not start");
  }
  turn_->session_began = true;
  record.session_id = init.session_id;
  record.model = init.model;
  if (phase_ == phase::background || phase_ == phase::settling) {
    phase_ = phase::working;
    ladder_.disarm();
  }
}

void conversation::handle(message_line& message) {
  turn_->transcript.add(message);
  if (!message.background_task.empty()) background_.emplace(message.background_task);
  if (message.parent_tool_use_id.empty()) note_progress(message);
  observer_->message_seen(message);
}

/// What the main conversation says tells how far the turn is, and when the CLI takes messages in.
void conversation::note_progress(const message_line& message) {
  if (!message.text.empty() && message.role == "assistant") turn_->last_text = message.text;
  for (const auto& end : message.tool_ends) {
    turn_->open_tools.erase(end.id);
    for (auto& sent : turn_->messages) {
      if (sent.at == side_message::where::written) sent.at = side_message::where::tool_ended;
    }
  }
  if (message.role != "assistant") return;
  if (!plan_.literal_prompts) {
    // 2.1.197 does not say when it took a message in; it does so between a tool's result and the next reply.
    std::erase_if(turn_->messages, [this](const auto& sent) {
      if (sent.at != side_message::where::tool_ended) return false;
      if (!sent.is_advice) observer_->message_settled(sent.id, message_fate::delivered);
      return true;
    });
  }
  if (!message.id.empty() && message.id != turn_->last_reply) {
    turn_->last_reply = message.id;
    ++turn_->replies;
    if (turn_->request.max_budget_usd) child_->send(cost_request(cost_id));
  }
  for (const auto& use : message.tool_uses) turn_->open_tools.insert(use.id);
  if (message.tool_uses.empty()) return;
  turn_->outcome.worked = true;
  if (turn_->request.max_turns && turn_->replies + 1 == *turn_->request.max_turns) {
    wrap_up("You have one reply left");
  }
  pass_messages_on();
}

/// Tells the model, once, that its time, its replies or its money end.
void conversation::wrap_up(const std::string& what_is_left) {
  if (std::exchange(turn_->advised, true)) return;
  side_message advice;
  advice.id = random_uuid();
  advice.text = what_is_left + ". Start nothing new: report now what you have found and done, and what is left to do.";
  advice.is_advice = true;
  turn_->messages.push_back(std::move(advice));
  pass_messages_on();
}

/// The CLI takes a message into the turn behind a tool's result. One that comes when no tool runs would begin a turn of
/// its own, so it is held until one does.
void conversation::pass_messages_on() {
  if (phase_ != phase::working || turn_->open_tools.empty()) return;
  for (auto& held : turn_->messages) {
    if (held.at != side_message::where::held) continue;
    held.at = side_message::where::written;
    child_->send(user_message(held.text, held.id, plan_.literal_prompts));
    turn_->transcript.add_prompt(held.text);
  }
}

void conversation::steer(std::string message_id, std::string text) {
  turn_->messages.push_back({std::move(message_id), std::move(text)});
  pass_messages_on();
}

void conversation::redirect(std::string message_id, std::string text) {
  turn_->redirects.push_back({std::move(message_id), std::move(text)});
  if (phase_ == phase::working) child_->send(interrupt_request(interrupt_id));
}

void conversation::handle(lifecycle_line& lifecycle) {
  const auto found = std::find_if(turn_->messages.begin(), turn_->messages.end(),
                                  [&](const side_message& sent) { return sent.id == lifecycle.message_id; });
  if (found == turn_->messages.end() || lifecycle.state == "queued") return;
  const auto fate = lifecycle.state == "cancelled" ? message_fate::dropped : message_fate::delivered;
  if (!found->is_advice) observer_->message_settled(found->id, fate);
  turn_->messages.erase(found);
}

void conversation::handle(result_line& result) {
  const auto cost = result.cost_since_last_result_usd.value_or(result.total_cost_usd - cost_before_);
  cost_before_ = result.total_cost_usd;
  if (std::isfinite(cost)) turn_->outcome.cost_usd += std::max(cost, 0.0);
  turn_->outcome.num_turns += result.num_turns;
  turn_->outcome.duration_ms += result.duration_ms;
  turn_->outcome.input_tokens += result.input_tokens;
  turn_->outcome.output_tokens += result.output_tokens;
  close_questions();
  turn_->open_tools.clear();
  finish(result);
}

/// What a result means: the end of the turn, or of a part of it.
void conversation::finish(const result_line& result) {
  auto& turn = *turn_;
  const bool was_interrupted =
      result.terminal_reason.starts_with("aborted") || result.subtype == "error_during_execution";
  if (!turn.redirects.empty() && was_interrupted && turn.end_reason.empty()) {
    for (auto& redirect : std::exchange(turn.redirects, {})) {
      child_->send(user_message(redirect.text, redirect.id, plan_.literal_prompts));
      turn.transcript.add_prompt(redirect.text);
      observer_->message_settled(redirect.id, message_fate::after_interrupt);
    }
    return;
  }
  // The last text that says something: a turn for a background task's end may have none.
  const auto text_before = turn.result ? turn.result->text : std::string();
  turn.result = result;
  if (turn.result->text.empty()) turn.result->text = text_before;
  if (!turn.end_reason.empty() || result.is_error) return end_child();
  if (turn.request.has_background && !background_.empty()) {
    phase_ = phase::background;
    return observer_->background_running(background_.size());
  }
  const bool may_go_on = std::any_of(turn.messages.begin(), turn.messages.end(), [](const side_message& sent) {
    return sent.at != side_message::where::held && !sent.is_advice;
  });
  if (may_go_on) {
    // It was written and not read: the CLI begins a turn with it by itself.
    phase_ = phase::settling;
    ladder_.arm(clock_.now() + patience_with_follow_up, [this] { after_turn(); });
    return;
  }
  after_turn();
}

void conversation::handle(background_line& background) {
  if (background.running) {
    background_ = {background.running->begin(), background.running->end()};
  } else {
    background_.erase(background.ended);
  }
  background_changed();
}

void conversation::background_changed() {
  if (phase_ != phase::background) return;
  observer_->background_running(background_.size());
  if (!background_.empty()) return ladder_.disarm();
  // A turn about it follows, unless the task was stopped.
  ladder_.arm(clock_.now() + patience_with_follow_up, [this] { after_turn(); });
}

/// The turn's last result is there, and it is no failure.
void conversation::after_turn() {
  ladder_.disarm();
  limit_.disarm();
  const auto& request = turn_->request;
  if (request.is_structured && turn_->result->structured_output.empty()) {
    fail(
        "The worker ended without the structured result that json_schema asks for; what it said is in the transcript. "
        "Check that the schema is valid and fits the task, or ask again with resume_worker.");
    return end_child();
  }
  if (request.report_at_exit) return end_child();
  // A message that was written and not read begins a turn that nobody waits for: such a child is no place for another
  // prompt, and holds its slot until it is gone.
  const bool has_unread = std::any_of(turn_->messages.begin(), turn_->messages.end(),
                                      [](const side_message& sent) { return sent.at != side_message::where::held; });
  const bool keep_warm = request.keep_warm && !has_unread;
  if (keep_warm) phase_ = phase::idle;
  end(true);
  if (!turn_ && !keep_warm) end_child();
}

void conversation::handle(permission_line& question) {
  auto& questions = turn_->questions;
  if (std::find(questions.begin(), questions.end(), question.request_id) != questions.end()) return;
  if (questions.size() >= most_open_questions) {
    fail("The worker asked for more than " + std::to_string(most_open_questions) +
         " permissions at once and was ended.");
    return end_child();
  }
  questions.push_back(question.request_id);
  turn_->transcript.record().state = "awaiting_permission";
  observer_->permission_asked(question);
}

void conversation::handle(withdrawal_line& withdrawal) {
  if (std::erase(turn_->questions, withdrawal.request_id) == 0) return;
  if (turn_->questions.empty()) turn_->transcript.record().state = "running";
  observer_->permission_withdrawn(withdrawal.request_id);
}

void conversation::handle(other_request_line& request) {
  child_->send(error_response(request.request_id, "not supported by this host: " + request.subtype));
}

void conversation::handle(response_line& response) {
  if (response.request_id == cost_id && response.cost_usd) {
    const auto& budget = turn_->request.max_budget_usd;
    if (!turn_->cost_at_begin) turn_->cost_at_begin = *response.cost_usd;
    const auto spent = *response.cost_usd - *turn_->cost_at_begin;
    if (std::isfinite(spent)) turn_->cost_so_far = spent;
    observer_->cost_so_far(spent);
    if (budget && spent >= *budget * wrap_up_budget) wrap_up("Most of your budget is spent");
  }
  if (phase_ != phase::starting || awaited_.erase(response.request_id) == 0) return;
  tell_started();
  if (response.request_id == initialize_id) {
    if (!response.success) fail("The CLI refused to initialize: " + redacted(response.error, plan_.launch.environment));
    if (auto problem = agent_problem(plan_.expectations, response.agents); problem && response.success) {
      fail(std::move(*problem));
    }
  }
  // A change that is refused is no failure of the turn: another child is started for it.
  const bool is_refused = !response.success && response.request_id != ready_id;
  if (is_refused || turn_->has_failed()) return end_child();
  if (!turn_->end_reason.empty()) return;  // it is being ended, and was about to be ready
  if (awaited_.empty()) send_prompt();
}

void conversation::handle(retry_line& retry) {
  turn_->last_retry = retry;
  if (retry.status == too_many_requests || retry.status == overloaded) {
    observer_->rate_limited(std::chrono::milliseconds(retry.delay_ms), 0);
  }
  if (retry.error == "authentication_failed" && retry.attempt >= refusals_believed && phase_ == phase::working) {
    child_->send(interrupt_request(interrupt_id));
  }
}

void conversation::handle(rate_limit_line& limit) {
  if (limit.status == "rejected") observer_->rate_limited({}, limit.resets_at);
}

void conversation::handle(broken_line& broken) {
  if (broken_lines_++ == 0) first_broken_ = broken.reason;
  if (!broken.is_awaited || phase_ == phase::letting_go) return;
  // The child waits for an answer to it, or we for what it said: to skip it would be to wait for ever.
  fail("The worker printed a line that cannot be read and that the turn depends on (" + broken.reason +
       "). resume_worker continues the session.");
  end_child();
}

void conversation::send_prompt() {
  phase_ = phase::working;
  ladder_.disarm();
  if (turn_->request.max_budget_usd) child_->send(cost_request(cost_id));
  child_->send(user_message(turn_->request.prompt, turn_->request.prompt_id, plan_.literal_prompts));
  turn_->prompt_sent = true;
  arm_limits();
  if (!turn_->redirects.empty()) child_->send(interrupt_request(interrupt_id));
}

void conversation::arm_limits() {
  const auto& timeout = turn_->request.timeout;
  if (!timeout) return;
  const auto deadline = turn_->begun + *timeout;
  const auto time_to_wrap_up = std::min<coro::clock::duration>(*timeout / wrap_up_share, longest_wrap_up);
  const auto reason = "It reached timeout_s (" + in_seconds(*timeout) + ").";
  limit_.arm(deadline - time_to_wrap_up, [this, deadline, reason] {
    wrap_up("Your time is nearly over");
    limit_.arm(deadline, [this, reason] { cancel(reason, "timeout_s"); });
  });
}

void conversation::wind_down(std::string cap, std::string reason, coro::clock::duration grace) {
  if (!turn_ || !turn_->end_reason.empty()) return;
  wrap_up("The money for all workers is spent");
  limit_.arm(clock_.now() + grace, [this, cap, reason] { cancel(reason, cap); });
}

void conversation::cancel(std::string reason, std::string cap) {
  if (!turn_ || !turn_->end_reason.empty()) return;
  turn_->end_reason = std::move(reason);
  turn_->outcome.cap = std::move(cap);
  limit_.disarm();
  if (!child_) return;
  if (phase_ == phase::starting) {
    child_->signal(SIGINT);
    return escalate(SIGKILL, patience_after_interrupt);
  }
  if (phase_ == phase::background || phase_ == phase::settling) return end_child();
  if (phase_ == phase::letting_go) return;
  child_->send(interrupt_request(interrupt_id));
  ladder_.arm(clock_.now() + patience_with_interrupt, [this] {
    child_->close_input();
    phase_ = phase::letting_go;
    escalate(SIGINT, patience_with_end_of_input);
  });
}

void conversation::let_go() {
  if (turn_ || phase_ == phase::letting_go) return;
  if (child_) return end_child();
  phase_ = phase::letting_go;
}

/// Closes the child's input, and ends it by signals when it does not end by itself.
void conversation::end_child() {
  if (phase_ == phase::letting_go) return;
  phase_ = phase::letting_go;
  limit_.disarm();
  child_->close_input();
  const bool is_hurried = turn_ && (turn_->has_failed() || !turn_->end_reason.empty());
  if (is_hurried && !background_.empty()) {
    // The end of the input does not end background tasks (2.1.329 waits for them); SIGINT does.
    child_->signal(SIGINT);
    return escalate(SIGKILL, patience_after_interrupt);
  }
  escalate(SIGINT, is_hurried ? patience_after_failure : patience_after_result);
}

/// Sends `signal` to the child after `patience`, and SIGKILL some time after that.
void conversation::escalate(int signal, coro::clock::duration patience) {
  ladder_.arm(clock_.now() + patience, [this, signal] {
    if (child_) child_->signal(signal);
    if (signal != SIGKILL) escalate(SIGKILL, patience_after_interrupt);
  });
}

void conversation::allow(std::string_view request_id, std::string_view input, std::string_view updates) {
  if (!turn_ || std::erase(turn_->questions, request_id) == 0 || !child_) return;
  child_->send(allow_response(request_id, input, updates));
  if (turn_->questions.empty()) turn_->transcript.record().state = "running";
}

void conversation::deny(std::string_view request_id, std::string_view message) {
  if (!turn_ || std::erase(turn_->questions, request_id) == 0 || !child_) return;
  child_->send(deny_response(request_id, message));
  if (turn_->questions.empty()) turn_->transcript.record().state = "running";
}

void conversation::close_questions() {
  for (const auto& request_id : std::exchange(turn_->questions, {})) observer_->permission_withdrawn(request_id);
}

void conversation::fail(std::string hint) {
  if (turn_) turn_->outcome.error_hint = std::move(hint);
}

void conversation::warn(std::string warning) {
  warning = redacted(warning, plan_.launch.environment);
  turn_->transcript.record().warnings.push_back(warning);
  turn_->outcome.warnings.push_back(std::move(warning));
}

void conversation::note_trouble(std::error_code error) {
  if (error) observer_->transcript_behind();
}

/// Completes what the transcript's record says about this turn.
void conversation::close_record(std::string_view state) {
  auto& record = turn_->transcript.record();
  const auto& outcome = turn_->outcome;
  record.state = state;
  auto& entry = record.turns.back();
  text::add_members(entry, "state", state, "ended_at", text::timestamp(clock_.utc_now()), "returncode",
                    outcome.returncode ? json(*outcome.returncode) : json(nullptr));
  entry.emplace("started_at", turn_->started_at);
  if (!outcome.cap.empty()) entry["cap"] = outcome.cap;
  if (outcome.context_lost) entry["context_lost"] = true;
  // A turn that is retried goes on where it failed.
  const auto before = [&entry](const char* key) { return entry.value(key, 0.0); };
  const auto& result = turn_->result;
  if (!result && outcome.cost_usd > 0) entry["cost_usd"] = before("cost_usd") + outcome.cost_usd;
  if (!result) return;
  const auto so_far = [&entry](const char* key) { return entry.value(key, std::int64_t{0}); };
  text::add_members(entry, "subtype", result->subtype, "is_error", result->is_error, "duration_ms",
                    so_far("duration_ms") + outcome.duration_ms, "num_turns", so_far("num_turns") + outcome.num_turns,
                    "input_tokens", so_far("input_tokens") + outcome.input_tokens, "output_tokens",
                    so_far("output_tokens") + outcome.output_tokens, "cost_usd", before("cost_usd") + outcome.cost_usd,
                    "result", outcome.result);
  if (!outcome.structured_output.empty()) {
    entry["structured_output"] = json::parse(outcome.structured_output);
    record.structured_output = entry["structured_output"];
  }
}

/// Closes the books and tells the observer.
void conversation::end(bool completed) {
  close_questions();
  turn_->outcome.completed = completed;
  settle_messages(completed ? message_fate::next_turn : message_fate::dropped);
  try {
    sum_up();
    close_books();
  } catch (const std::exception& error) {
    turn_->outcome.is_on_disk = false;
    turn_->outcome.disk_error = error.what();
    warn(std::string("The transcript could not be completed: ") + error.what());
  }
  const auto outcome = std::move(turn_->outcome);
  turn_.reset();  // the observer may begin another
  observer_->turn_ended(outcome);
}

/// Says what became of messages that the turn did not take in.
void conversation::settle_messages(message_fate fate) {
  auto unread = std::exchange(turn_->messages, {});
  for (auto& redirect : std::exchange(turn_->redirects, {})) unread.push_back(std::move(redirect));
  for (auto& message : unread) {
    if (message.is_advice) continue;
    // One that was written may have been taken in unseen; it is not sent twice.
    const bool was_written = message.at != side_message::where::held;
    observer_->message_settled(message.id, was_written ? message_fate::delivered : fate);
    if (!was_written && fate == message_fate::next_turn) {
      turn_->outcome.unread_messages.push_back(std::move(message.text));
    }
  }
}

/// Puts what is known of the turn into its outcome.
void conversation::sum_up() {
  auto& outcome = turn_->outcome;
  const auto* const result = turn_->result ? &*turn_->result : nullptr;
  // One that ended without a result has cost something, too.
  outcome.cost_usd = std::max(outcome.cost_usd, turn_->cost_so_far);
  if (const auto broken = std::exchange(broken_lines_, 0); broken > 0) {
    warn(std::to_string(broken) +
         " line(s) of the worker's output were no valid messages and were skipped; the first: " + first_broken_);
  }
  if (result) {
    outcome.result = result->text;
    outcome.structured_output = result->structured_output;
    for (const auto& denial : json::parse(result->permission_denials)) outcome.denied_tools.push_back(tool_of(denial));
  }
  if (outcome.completed) return;
  if (outcome.result.empty()) outcome.result = turn_->last_text;
  if (!turn_->end_reason.empty()) {
    outcome.cancelled = outcome.cap.empty();
    outcome.failure = failure_kind::other;
    outcome.error_hint =
        turn_->end_reason + " What it had done by then is in the transcript; resume_worker continues it.";
    return;
  }
  if (result) outcome.cap = cap_of(*result);
  if (!outcome.error_hint.empty()) {
    outcome.failure = failure_kind::other;
    return;
  }
  const auto* const retry = turn_->last_retry ? &*turn_->last_retry : nullptr;
  outcome.failure = kind_of(result, retry);
  const auto stderr_tail = child_ ? child_->error_tail() : std::string();
  outcome.error_hint =
      error_hint({result, retry, child_ ? child_->exit() : std::nullopt, stderr_tail, plan_.launch.environment});
  const auto memory = child_ && !result ? child_->memory_hint() : std::string();
  if (!memory.empty()) outcome.error_hint += ". " + memory;
}

/// Puts the outcome into the transcript.
void conversation::close_books() {
  auto& record = turn_->transcript.record();
  auto& outcome = turn_->outcome;
  record.total_cost_usd += outcome.cost_usd;
  if (turn_->result) {
    record.result = outcome.result;
    for (auto& denial : json::parse(turn_->result->permission_denials)) {
      record.permission_denials.push_back(std::move(denial));
    }
  }
  if (!outcome.completed) {
    record.error = outcome.error_hint;
    record.turns.back()["error"] = outcome.error_hint;
  }
  // A worker whose first turn never got as far as a session has nothing to resume.
  if (!turn_->session_began && record.turns.size() == 1) record.session_id.clear();
  close_record(outcome.completed ? "completed" : outcome.cancelled ? "cancelled" : "failed");
  if (const auto left_out = turn_->transcript.left_out(); left_out > 0) {
    warn(std::to_string(left_out) +
         " message(s) of this turn are not in the transcript: the log folder could not be "
         "written (" +
         turn_->transcript.trouble().message() + "), and memory holds only the first " +
         std::to_string(transcript::most_unwritten / (1024 * 1024)) + " MiB of what waits to be written.");
  }
  const auto error = turn_->transcript.end_turn();
  outcome.is_on_disk = !error;
  if (error) outcome.disk_error = error.message();
  note_trouble(error);
}

void conversation::stop() {
  if (!child_) phase_ = phase::letting_go;
  if (!turn_) return;
  auto& record = turn_->transcript.record();
  record.error = "The manager was stopped while this turn was running. resume_worker continues the session.";
  if (!turn_->session_began && record.turns.size() == 1) record.session_id.clear();
  close_record("interrupted");
  note_trouble(turn_->transcript.end_turn());
  turn_.reset();
}

void conversation::abandon() {
  if (!child_) phase_ = phase::letting_go;
  turn_.reset();
}

void conversation::signal(int number) {
  if (child_ && !child_->exit()) child_->signal(number);
}

}  // namespace awm::worker
