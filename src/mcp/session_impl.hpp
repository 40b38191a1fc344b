#pragma once
// The inside of a session. Its parts: session.cpp reads, writes and ends; session_methods.cpp answers what can be
// answered at once, and keeps subscriptions; session_calls.cpp runs handlers, with their questions and tasks.

#include "coro/event.hpp"
#include "coro/line_buffer.hpp"
#include "mcp/client_requests.hpp"
#include "mcp/id_scanner.hpp"
#include "mcp/jsonrpc.hpp"
#include "mcp/outbox.hpp"
#include "mcp/question_board.hpp"
#include "mcp/request_meta.hpp"
#include "mcp/session.hpp"

#include <asio/cancellation_signal.hpp>

#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace awm::mcp {

using nlohmann::json;

class session::impl final : public client, private server::observer {
 public:
  impl(transport& stream, server& offer, session_options options);
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;
  ~impl() override;

  asio::awaitable<session_outcome> run(std::function<void()> ending);
  void end(session_end reason, std::error_code error, bool drop_output);
  void log(log_level level, std::string_view logger, json data);
  void page_was_opened(const std::string& id);

  bool takes(const question& asked) const override;
  asio::awaitable<std::vector<rpc_outcome>> ask(std::vector<question> questions) override;

 private:
  using batch = std::optional<outbox::batch>;

  /// A request that is to be served.
  struct incoming {
    request what;
    request_meta meta;
    batch in;
  };
  /// What became of one: an answer, or nothing yet.
  using verdict = std::optional<rpc_outcome>;
  /// What a handler came to.
  struct served {
    rpc_outcome outcome;
    delivery_receipt receipt;
  };
  struct method;
  struct call;
  struct listener;

  static const std::map<std::string_view, method>& methods();

  // Tasks: everything spawned is counted, and run() returns when the count is zero again.
  void spawn(asio::awaitable<void> task, const std::shared_ptr<asio::cancellation_signal>& stop,
             std::shared_ptr<call> of);
  void finished(const std::exception_ptr& failure, const std::shared_ptr<call>& of);

  // In
  asio::awaitable<void> read_all();
  void on_line(std::string_view line);
  void skip_piece(std::string_view piece, bool is_last);
  void on_batch(json messages);
  void on_message(message what, const batch& in);
  void on_request(request&& what, const batch& in);
  bool is_in_flight(const json& id) const;
  std::variant<request_meta, rpc_error> read_meta(const request& what, const method& how);
  void on_notification(const notification& what);
  void on_cancelled(const json& id);
  void cancel(const json& id);

  // Methods
  verdict initialize(incoming& asked);
  verdict discover(incoming& asked);
  verdict ping(incoming& asked);
  verdict set_level(incoming& asked);
  template <rpc_outcome (server::*List)(const std::string&, const dialect&) const>
  verdict list(incoming& asked);
  verdict complete(incoming& asked);
  verdict call_tool(incoming& asked);
  verdict read_resource(incoming& asked);
  verdict get_prompt(incoming& asked);
  verdict subscribe(incoming& asked);
  verdict unsubscribe(incoming& asked);
  verdict listen(incoming& asked);
  verdict get_task(incoming& asked);
  verdict update_task(incoming& asked);
  verdict cancel_task(incoming& asked);

  // Calls
  std::variant<std::shared_ptr<call>, rpc_error> begin(incoming& asked);
  void start(const std::shared_ptr<call>& next, asio::awaitable<served> work);
  asio::awaitable<void> serve(std::shared_ptr<call> which, asio::awaitable<served> work);
  void finish(call& which, served what);
  void stop(call& which);
  void require_input(call& which, json requests, delivery_receipt receipt = {});
  asio::awaitable<served> run_tool(call& which, const tool& what, json arguments);
  asio::awaitable<served> run_reader(call& which, resource_reader read, uri_variables variables, cache_hint cache);
  asio::awaitable<served> run_prompt(call& which, prompt_handler handler, std::map<std::string, std::string> arguments);
  static json take_arguments(incoming& asked);
  static std::optional<rpc_error> check_responses(const json& params);
  rpc_error no_such_resource(const std::string& uri, const dialect& how) const;

  // Questions
  std::string why_not(const question& asked, const dialect& how, const client_info& who) const;
  static rpc_error refusal(const question& asked, std::string why, const dialect& how);
  bool is_legacy_client() const { return is_initialized_ && negotiated_; }
  void carry_questions();
  void carry_by(call& which);

  // Tasks of the extension
  std::variant<std::shared_ptr<call>, rpc_error> find_task(const incoming& asked);
  json describe_task(const call& which) const;
  void task_changed(call& which);
  void cancel_task(call& which);
  void keep_finished(const std::string& task_id);
  static rpc_error missing_tasks_extension();
  /// Whether a process of this program gave out such an id; and what is said of one that is gone.
  static bool is_task_name(std::string_view id);
  json describe_lost_task(const std::string& id) const;

  // Changes
  void changed(const server_change& what) override;
  /// To each listener that `wants` it; replaces what is unsent about the same thing.
  void tell_listeners(const char* words, const json& params, const json& about,
                      const std::function<bool(const listener&)>& wants);

  // Out
  void ask_by_request(std::string text);
  void answer(const json& id, rpc_outcome what, const dialect& how, const batch& in, delivery_receipt receipt = {});
  void notify(std::string_view words, json params);
  static json log_params(log_level level, std::string_view logger, json data);
  void wake_writer();
  asio::awaitable<void> write_all();
  void settle_receipts();

  transport& stream_;
  server& server_;
  session_options options_;
  coro::line_buffer lines_;
  std::optional<id_scanner> skipped_;  // a message that is too long, until it is refused
  outbox outbox_;
  sent_receipts sent_;
  std::map<json, std::shared_ptr<call>> calls_;  // those that run and may still answer
  std::map<std::string, std::shared_ptr<call>> task_calls_;
  std::deque<std::string> finished_tasks_;  // the oldest first
  std::map<json, listener> listeners_;
  client_requests asked_{[this](std::string text) { ask_by_request(std::move(text)); }};
  question_board board_{[this] { carry_questions(); }};
  bool is_carrying_ = false;

  std::optional<protocol_version> negotiated_;
  bool is_initialized_ = false;  // the client said notifications/initialized
  std::shared_ptr<const client_info> client_ = std::make_shared<client_info>();  // of the legacy era
  std::optional<request_meta> last_stateless_;
  log_level level_ = log_level::info;
  std::set<std::string> subscribed_;  // URIs, in the legacy era

  asio::any_io_executor executor_;
  std::optional<coro::event> over_;           // every task is gone
  std::optional<coro::event> to_be_written_;  // wakes the writer
  std::shared_ptr<asio::cancellation_signal> stop_reading_ = std::make_shared<asio::cancellation_signal>();
  std::shared_ptr<asio::cancellation_signal> stop_writing_ = std::make_shared<asio::cancellation_signal>();
  std::size_t tasks_ = 0;
  bool running_ = false;
  std::function<void()> ending_;
  bool drop_output_ = false;
  std::optional<session_outcome> outcome_;
  std::exception_ptr failure_;
};

/// A request whose handler is a coroutine, from its arrival until that coroutine is gone, and as a task even longer.
struct session::impl::call final : request_context, private client {
  call(impl& session, incoming&& from)
      : owner(session),
        id(std::move(from.what.id)),
        method(std::move(from.what.method)),
        params(std::move(from.what.params)),
        meta(std::move(from.meta)),
        in(from.in) {}

  bool wants_progress() const override { return is_task() || !meta.progress_token.is_null(); }
  void progress(double done, std::optional<double> total, std::string words) override;
  void log(log_level level, std::string_view logger, json data) override;
  void begin_task(std::string status) override;
  mcp::client& client() override { return *this; }
  const client_info& caller() const override { return *meta.who; }
  const mcp::dialect& dialect() const override { return meta.how; }

  bool takes(const question& asked) const override;
  asio::awaitable<std::vector<rpc_outcome>> ask(std::vector<question> questions) override;

  bool is_task() const { return !task_id.empty(); }
  bool may_carry() const { return tool && tool->declaration.carries_questions && meta.how.is_stateless(); }

  impl& owner;
  const json id;
  const std::string method;
  const json params;
  const request_meta meta;
  const batch in;
  std::shared_ptr<const server::offered_tool> tool;  // null: no tools/call
  const std::shared_ptr<asio::cancellation_signal> stop = std::make_shared<asio::cancellation_signal>();
  bool over = false;  // cancelled, or answered: nothing more may be sent for it

  // What the client has answered, also in earlier rounds of the same request, and how much was asked in this one.
  json answers = json::object();
  std::size_t questions_asked = 0;

  // Once it has become a task.
  std::string task_id;
  std::string status_message;
  std::string created_at;
  std::string updated_at;
  bool was_asking = false;  // when the client was told last
  std::optional<rpc_outcome> outcome;
  delivery_receipt receipt;
};

struct session::impl::method {
  enum class when {
    any_time,   ///< before `initialize`, too
    legacy,     ///< after it
    stateless,  ///< from 2026-07-28 on
    in_both_eras,
  };
  verdict (impl::*serve)(incoming& asked);
  when exists;

  bool is_in(era which) const {
    return exists == when::in_both_eras || (exists == when::stateless) == (which == era::stateless);
  }
};

inline constexpr auto task_prefix = "task-";

/// Names the `subscriptions/listen` that a message belongs to, by its request id.
inline constexpr auto subscription_id_key = "io.modelcontextprotocol/subscriptionId";

/// A `subscriptions/listen` that is open.
struct session::impl::listener {
  dialect how;
  bool tools = false;
  bool prompts = false;
  bool resources = false;
  std::set<std::string> uris;
  std::set<std::string> tasks;
};

}  // namespace awm::mcp
