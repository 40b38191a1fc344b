#pragma once
// One turn of a worker, from the start of its child to the end of it: the coroutine that ties launcher, protocol and
// transcript together.

#include "coro/clock.hpp"
#include "coro/line_buffer.hpp"
#include "worker/launch_plan.hpp"
#include "worker/launcher.hpp"
#include "worker/protocol.hpp"
#include "worker/transcript.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
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

/// What a turn needs to know to run; made by `plan_launch` and the manager.
struct turn_request {
  launch_spec launch;
  /// The `initialize` request.
  nlohmann::json initialize = nlohmann::json::object();
  std::string prompt;
  /// Identifies the prompt to the CLI.
  std::string prompt_id;
  /// The CLI takes a prompt literally when told so.
  bool literal_prompts = false;
  /// What the child's own account of itself is held against.
  start_expectations expectations;
};

/// How a turn ended.
struct turn_outcome {
  bool completed = false;
  /// The child's exit code, or a negated signal number; nothing while it still runs or when it never started.
  std::optional<int> returncode;
  /// One sentence about what went wrong and what to do next; empty for a completed turn.
  std::string error_hint;
  std::string result;
  std::int64_t num_turns = 0;
  std::int64_t duration_ms = 0;
  double cost_usd = 0;
  std::vector<std::string> warnings;
  /// False when the transcript could not be completed: what is here is then all there is.
  bool is_on_disk = true;
};

/// Told what happens in a turn, in order, from inside the turn's coroutine.
class turn_observer {
 public:
  turn_observer() = default;
  turn_observer(const turn_observer&) = delete;
  turn_observer& operator=(const turn_observer&) = delete;
  virtual ~turn_observer() = default;

  virtual void permission_asked(const permission_line& question) = 0;
  virtual void permission_withdrawn(const std::string& request_id) = 0;
  /// Called once. The transcript is complete by then; the child may still be on its way out.
  virtual void turn_ended(const turn_outcome& outcome) = 0;
};

/// Runs one turn: the last in the transcript's record, which holds its prompt. `run()` is called once and returns when
/// the child is gone; everything given to the constructor outlives it.
class turn {
 public:
  turn(turn_request request, launcher& launcher, coro::clock& clock, reading& reading, transcript& transcript,
       turn_observer& observer);
  ~turn();

  /// Never throws. Ended early by `stop()`; cancelling it is not needed.
  asio::awaitable<void> run();

  /// Answers a question of the child; `input` is the JSON object that the tool gets.
  void allow(std::string_view request_id, std::string_view input);
  void deny(std::string_view request_id, std::string_view message);

  /// Closes the books because the manager ends: the transcript is put in order with the state `interrupted`.
  /// `turn_ended` is not called any more. The child is left to `signal()`.
  void stop();

  /// Like `stop()`, but the transcript stays as a manager that was killed would leave it: recovered by whoever loads
  /// it.
  void abandon() { ended_ = true; }

  /// Sends a signal to the child, if there is one.
  void signal(int number);

 private:
  enum class phase { starting, running, letting_go };

  asio::awaitable<void> run_to_end();
  bool start_child();
  asio::awaitable<void> read_to_end();
  void take(std::string_view bytes);
  void handle(other_line&) {}
  void handle(init_line& init);
  void handle(message_line& message);
  void handle(result_line& result);
  void handle(permission_line& question);
  void handle(withdrawal_line& withdrawal);
  void handle(other_request_line& request);
  void handle(response_line& response);
  void handle(retry_line& retry);
  void handle(broken_line& broken);
  void send_prompt();
  void let_go();
  void escalate(int signal, coro::clock::duration patience);
  void end_babbling();
  void fail(std::string hint);
  /// Whatever the child says from here on does not count.
  bool has_failed() const { return !outcome_.error_hint.empty(); }
  void end(bool completed);
  void sum_up();
  void close_books();
  void warn(std::string warning);
  void note_disk_error(std::error_code error);
  void close_questions();
  void close_record(std::string_view state);

  turn_request request_;
  launcher& launcher_;
  coro::clock& clock_;
  reading& reading_;
  transcript& transcript_;
  turn_observer& observer_;

  phase phase_ = phase::starting;
  std::unique_ptr<child> child_;
  std::unique_ptr<coro::timer> ladder_;
  coro::line_buffer lines_{longest_line};
  std::string started_at_;
  std::optional<result_line> result_;
  std::optional<retry_line> last_retry_;
  std::vector<std::string> questions_;  // asked and neither answered nor withdrawn
  turn_outcome outcome_;
  std::size_t broken_lines_ = 0;
  std::string first_broken_;
  bool session_began_ = false;
  bool ended_ = false;
};

}  // namespace awm::worker
