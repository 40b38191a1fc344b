#pragma once
// One child, from its start to its end, and the turns that it serves: the coroutine that ties launcher, protocol and
// transcript together. A turn begins with a prompt and ends with what the worker made of it; the child may then stay,
// idle and warm, and take another prompt. A child may also be started before there is a turn for it: a spare, which
// waits for its first prompt as a warm child does for its next.

#include "coro/clock.hpp"
#include "coro/line_buffer.hpp"
#include "worker/child_plan.hpp"
#include "worker/launcher.hpp"
#include "worker/protocol.hpp"
#include "worker/transcript.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace awm::worker {

/// What the children share: one buffer that all of them are read into, and the parser. A line is parsed where it lies,
/// so an idle worker costs no buffer of its own.
struct reading {
  /// 64 KiB beat larger buffers by 2 to 3 times: they stay in the cache.
  static constexpr std::size_t buffer_size = std::size_t{64} * 1024;

  std::unique_ptr<char[]> buffer = std::make_unique<char[]>(buffer_size + coro::line_buffer::padding);
  line_parser parser;
};

/// The longest line that is taken from a child. A worker that prints a longer one fails.
inline constexpr std::size_t longest_line = std::size_t{128} * 1024 * 1024;

/// What a turn needs to know to run; made by the manager.
struct turn_request {
  std::string prompt;
  /// Identifies the prompt to the CLI.
  std::string prompt_id;
  /// The session that is resumed; empty when one begins.
  std::string session_id;
  /// @name Caps. What is near its end is told to wrap up where there is time, and then interrupted.
  /// The model calls and the budget are also the CLI's own to stop.
  /// @{
  std::optional<coro::clock::duration> timeout;
  std::optional<std::int64_t> max_turns;
  std::optional<double> max_budget_usd;
  /// @}
  /// Tasks may go on in the background after the result; the turn ends when they have.
  bool has_background = false;
  /// A result without a structured one is a failure.
  bool is_structured = false;
  /// The child stays when the turn completed.
  bool keep_warm = false;
  /// The end is told when the child is gone, also that of a turn that completed.
  bool report_at_exit = false;
};

/// Why a turn failed, as far as it decides what to do next.
enum class failure_kind { none, other, rate_limit, overloaded, authentication };

/// How a turn ended.
struct turn_outcome {
  bool completed = false;
  /// Ended by `conversation::cancel`.
  bool cancelled = false;
  failure_kind failure = failure_kind::none;
  /// The option whose cap was reached: `timeout_s`, `max_turns`, `max_budget_usd`, `budget_usd`; empty: none.
  std::string cap;
  /// The child's exit code, or a negated signal number; nothing while it still runs or when it never started.
  std::optional<int> returncode;
  /// One sentence about what went wrong and what to do next; empty for a completed turn.
  std::string error_hint;
  std::string result;
  /// JSON text; empty when there is none.
  std::string structured_output;
  std::int64_t num_turns = 0;
  std::int64_t duration_ms = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  double cost_usd = 0;
  /// The tools that were denied, with repetitions.
  std::vector<std::string> denied_tools;
  /// The session that was to be resumed is gone, and the worker remembers nothing of it.
  bool context_lost = false;
  /// The model called a tool, so part of the work may be done.
  bool worked = false;
  std::vector<std::string> warnings;
  /// Messages that were to be read in this turn and came too late for it.
  std::vector<std::string> unread_messages;
  /// False when the transcript could not be completed yet: what is here is all there is until it is.
  bool is_on_disk = true;
  /// Why it could not.
  std::string disk_error;
};

/// What became of a message that was sent into a running turn.
enum class message_fate {
  delivered,        ///< the model reads it in this turn
  next_turn,        ///< the turn ended first; it begins the next one
  after_interrupt,  ///< the turn was interrupted, and goes on with it
  dropped,          ///< the turn was cancelled or failed first
};

/// Told what happens, in order, from inside the conversation's coroutine.
class conversation_observer {
 public:
  conversation_observer() = default;
  conversation_observer(const conversation_observer&) = delete;
  conversation_observer& operator=(const conversation_observer&) = delete;
  virtual ~conversation_observer() = default;

  /// The child is ready, or will never be: starting it costs no more.
  virtual void child_started() {}
  virtual void message_seen(const message_line&) {}
  virtual void permission_asked(const permission_line& question) = 0;
  virtual void permission_withdrawn(const std::string& request_id) = 0;
  /// The turn's result is there, and so many tasks still run in the background.
  virtual void background_running(std::size_t) {}
  /// What the turn has cost so far, an estimate.
  virtual void cost_so_far(double) {}
  /// The API refuses calls: for `wait`, or until the wall clock's `until` when that is not 0 (seconds since 1970).
  virtual void rate_limited(coro::clock::duration, std::int64_t) {}
  /// The transcript could not be written; it is to be told to catch up until it has.
  virtual void transcript_behind() {}
  virtual void message_settled(const std::string&, message_fate) {}
  /// The child of a turn that has not been told yet is gone; what is put into the transcript's record now is told.
  virtual asio::awaitable<void> before_report() { co_return; }
  /// Called once a turn. The transcript is complete by then; the child may still be on its way out, or stay.
  virtual void turn_ended(const turn_outcome& outcome) = 0;
};

/// Drives one child. `run()` is called once and returns when the child is gone; everything given to the constructor
/// outlives it, but for the observer, which is replaced with the first turn that is handed to a running child.
class conversation {
 public:
  conversation(child_plan plan, launcher& launcher, coro::clock& clock, reading& reading,
               conversation_observer& observer);
  ~conversation();

  /// Begins a turn: before `run()`, or while `is_idle()`. It is the last one in the record of `transcript`, which stays
  /// until the turn has ended.
  void begin(turn_request request, transcript& transcript);

  /// Whether the child, which has nothing to do, can be made what `wanted` asks for. True also of a spare that is still
  /// starting.
  bool can_take(const child_plan& wanted) const;

  /// Begins a turn for which `can_take(wanted)` holds. A child that is gone before it has taken the turn up, or refuses
  /// to become what is wanted, costs nothing but time: another one is started by `wanted`.
  void take(child_plan wanted, turn_request request, transcript& transcript, conversation_observer& observer);

  /// Never throws. Ended early by `cancel()`, `let_go()` and `stop()`; cancelling it is not needed. Without a turn the
  /// child is a spare: it is started, and waits.
  asio::awaitable<void> run();

  /// The child is there and has nothing to do.
  bool is_idle() const { return phase_ == phase::idle; }
  /// The child is ready, or was; the observer was told.
  bool has_started() const { return start_is_told_; }
  bool serves_turn() const { return turn_ != nullptr; }
  const child_plan& plan() const { return plan_; }

  /// Answers a question of the child; `input` is the JSON object that the tool gets, `updates` see `allow_response`.
  void allow(std::string_view request_id, std::string_view input, std::string_view updates = {});
  void deny(std::string_view request_id, std::string_view message);

  /// Sends `text` into the running turn; the observer is told under `message_id` what becomes of it. The model reads it
  /// behind the next tool result, which is when the CLI takes such messages in.
  void steer(std::string message_id, std::string text);

  /// Interrupts what the worker does and goes on, in the same turn, with `text`.
  void redirect(std::string message_id, std::string text);

  /// Ends the running turn: interrupt, end of input, SIGINT, SIGKILL, each with its deadline. The turn ends
  /// `cancelled`, or failed for `cap` when one is named. Told to the observer when the child and all that it started
  /// are gone.
  void cancel(std::string reason, std::string cap = {});

  /// Asks the worker to come to an end, then cancels the turn after `grace`.
  void wind_down(std::string cap, std::string reason, coro::clock::duration grace);

  /// Lets a child go that has nothing to do, a spare that is still starting included.
  void let_go();

  /// Closes the books because the manager ends: the transcript is put in order with the state `interrupted`.
  /// `turn_ended` is not called any more. The child is left to `signal()`.
  void stop();

  /// Like `stop()`, but the transcript stays as a manager that was killed would leave it: recovered by whoever loads
  /// it.
  void abandon();

  /// Sends a signal to the child, if there is one.
  void signal(int number);

 private:
  enum class phase { starting, working, background, settling, idle, letting_go };
  struct running_turn;
  struct side_message;

  asio::awaitable<void> run_to_end();
  bool start_child();
  void prepare_child();
  void ask(std::string_view request_id, std::string line);
  void await_answers();
  bool is_untouched() const;
  void start_over();
  asio::awaitable<void> read_to_end();
  void receive(std::string_view bytes);
  void watch_idle(const child_line& line);
  void handle(other_line&) {}
  void handle(init_line& init);
  void handle(message_line& message);
  void handle(result_line& result);
  void handle(permission_line& question);
  void handle(withdrawal_line& withdrawal);
  void handle(other_request_line& request);
  void handle(response_line& response);
  void handle(retry_line& retry);
  void handle(rate_limit_line& limit);
  void handle(lifecycle_line& lifecycle);
  void handle(background_line& background);
  void handle(broken_line& broken);
  void tell_started();
  void open_books();
  void send_prompt();
  void arm_limits();
  void wrap_up(const std::string& what_is_left);
  void note_progress(const message_line& message);
  void pass_messages_on();
  void settle_messages(message_fate fate);
  void finish(const result_line& result);
  void background_changed();
  void after_turn();
  void escalate(int signal, coro::clock::duration patience);
  void end_child();
  void end_babbling();
  void fail(std::string hint);
  void end(bool completed);
  void sum_up();
  void close_books();
  void warn(std::string warning);
  void note_trouble(std::error_code error);
  void close_questions();
  void close_record(std::string_view state);

  child_plan plan_;
  launcher& launcher_;
  coro::clock& clock_;
  reading& reading_;
  conversation_observer* observer_;

  phase phase_ = phase::starting;
  std::unique_ptr<child> child_;
  coro::timer ladder_;  // of the child's end
  coro::timer limit_;   // of the turn
  coro::line_buffer lines_{longest_line};
  std::unique_ptr<running_turn> turn_;
  std::set<std::string, std::less<>> background_;
  /// Requests whose answers the prompt waits for.
  std::set<std::string, std::less<>> awaited_;
  /// What the child is told before the prompt, see `changes_between`.
  std::vector<nlohmann::json> changes_;
  bool is_initialized_ = false;
  /// The turn was given to a child that was there before.
  bool was_handed_over_ = false;
  bool start_is_told_ = false;
  double cost_before_ = 0;  // of the process, at its last result
  std::size_t broken_lines_ = 0;
  std::string first_broken_;
};

}  // namespace awm::worker
