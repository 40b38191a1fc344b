// The lines that the real CLI prints, in both versions: 2.1.197, and 2.1.329 with its additions. Each function returns
// one line. tests/integration/test_mock_against_recordings.py holds them against recorded streams, key by key.
#pragma once

#include "options.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace mock {

/// What every line of one process has in common.
struct identity {
  bool newer = true;
  std::string version;
  std::string session_id;
  std::string model;  ///< as system/init names it
  std::string permission_mode = "default";
};

/// What API calls took, as the CLI adds it up.
struct spend {
  long calls = 0;
  long input = 0;   ///< tokens
  long output = 0;  ///< tokens
  double usd = 0;

  void add(const spend& more) {
    calls += more.calls;
    input += more.input;
    output += more.output;
    usd += more.usd;
  }
};

/// The background agents of a process.
struct agent_counts {
  long spawned = 0;
  long completed = 0;
  long failed = 0;
  long killed = 0;
};

/// The end of a turn, whatever kind of end it was.
struct outcome {
  std::string subtype = "success";
  bool is_error = false;
  std::string result;  ///< text, when subtype is success
  std::string errors;  ///< raw JSON array, for the other subtypes
  std::string terminal_reason = "completed";
  std::string stop_reason = "\"end_turn\"";  ///< raw JSON
  std::string api_error_status = "null";     ///< raw JSON
  std::string api_error_type;                ///< 2.1.329
  std::string api_error;                     ///< 2.1.329, when no answer came at all
  bool answered = true;                      ///< the model said something: there are times to first token
  long duration_ms = 1;
  long num_turns = 1;
  spend turn;        ///< of the finished calls of this turn's main thread
  spend since_last;  ///< of everything since the last result
  spend total;       ///< of the process (2.1.329: of the session)
  long result_index = 0;
  agent_counts agents;
  std::string structured;            ///< raw JSON of a StructuredOutput call
  std::string origin;                ///< raw JSON: who asked for the turn, when it was not a user message
  std::vector<std::string> denials;  ///< raw JSON objects
  std::vector<std::string> uuids;    ///< of the stamped messages that began the turn
  std::vector<std::string> folded;   ///< of those that came in its course
};

/// Work that goes on behind the turns.
struct background_task {
  std::string id;
  std::string run_id;
  std::string tool_use;
  bool agent = false;  ///< a subagent; else a shell

  const char* type() const { return agent ? "local_agent" : "local_bash"; }
};

/// An API failure as the CLI words it.
struct api_failure {
  std::string text;
  std::string kind;    ///< assistant.error and api_retry.error
  std::string type;    ///< api_error_type of 2.1.329
  std::string status;  ///< raw JSON: a number or null
  std::string terminal_reason;
  std::string connection;  ///< api_error of 2.1.329: nobody answered
  bool has_request_id = true;
};

namespace wire {

std::string uuid();
std::string tool_use_id();
std::string message_id();
std::string number(double value);
/// A model alias in the words of the version; other names pass unchanged.
std::string resolve_model(const std::string& name, bool newer);
/// What so many calls take, when the script says nothing else.
spend price_of_calls(long calls, bool newer);
/// What a stream that was aborted in its middle takes: nothing in 2.1.197.
spend price_of_an_aborted_call(bool newer);

std::string initialize_reply(const identity& who, std::string_view request_id);
std::string control_success(std::string_view request_id, std::string_view response);
std::string control_error(const identity& who, std::string_view request_id, std::string_view error,
                          std::string_view code);
std::string control_cancel(std::string_view request_id);
std::string init(const identity& who, const options& given, std::string_view initialize_request,
                 const std::vector<std::string>& uuids);
std::string lifecycle(const identity& who, std::string_view command_uuid, std::string_view state);
std::string status(const identity& who);
std::string permission_denied(const identity& who, std::string_view tool, std::string_view tool_use);
std::string thinking_tokens(const identity& who, long total, const std::vector<std::string>& uuids);
std::string api_retry(const identity& who, long attempt, long of, long delay_ms, const api_failure& why);

/// One content block of a reply. `extra` is a piece of raw members that starts with a comma, or empty.
std::string assistant(const identity& who, std::string_view message, std::string_view block, std::string_view extra,
                      const std::vector<std::string>& uuids);
/// The two halves around a text block whose text is written by the caller.
std::string assistant_head(const identity& who, std::string_view message);
std::string assistant_tail(const identity& who);
std::string assistant_failure(const identity& who, const api_failure& why, const std::vector<std::string>& uuids);

std::string can_use_tool(const identity& who, std::string_view request_id, std::string_view tool,
                         std::string_view input, std::string_view tool_use, std::string_view extra);
enum class verdict { ran, ran_free, accepted, broke, denied, rejected_by_user, failed };
/// `content` is raw JSON (text or array); `structured` is the raw tool_use_result.
std::string tool_result(const identity& who, std::string_view tool_use, std::string_view content,
                        std::string_view structured, verdict how, bool is_error_shown);
/// The tool_use_result of a shell that printed this.
std::string shell_result(std::string_view printed);
std::string interrupted(const identity& who, bool in_tool);
std::string interrupted_agent(const identity& who, const background_task& one);
/// What the CLI says to a model that ends a turn without the structured output that was asked for.
std::string structured_output_nudge(const identity& who);

// Background work.
std::string background_tasks_changed(const identity& who, const std::vector<const background_task*>& live);
std::string task_started(const identity& who, const background_task& one);
/// `status` is what the task ended as: completed, failed or killed.
std::string task_updated(const identity& who, const background_task& one, std::string_view status);
std::string task_notification(const identity& who, const background_task& one, std::string_view status,
                              bool names_output);
/// The last words of a background agent.
std::string agent_report(const identity& who, const background_task& one, std::string_view text);
std::string background_tool_result(const identity& who, const background_task& one);
std::string origin_of(const identity& who, const background_task& one);

std::string rate_limit_event(const identity& who, std::string_view status, std::string_view resets_at,
                             std::string_view type, std::string_view utilization);

std::string result(const identity& who, const outcome& how);
/// The one line of a start with a session that cannot be found.
std::string start_failure(const identity& who, std::string_view error);

api_failure failure(const identity& who, std::string_view code, std::string_view message, std::string_view model);

}  // namespace wire
}  // namespace mock
