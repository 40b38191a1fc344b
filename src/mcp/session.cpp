#include "mcp/session.hpp"

#include "coro/event.hpp"
#include "coro/line_buffer.hpp"
#include "mcp/client_requests.hpp"
#include "mcp/elicitation.hpp"
#include "mcp/jsonrpc.hpp"
#include "mcp/outbox.hpp"
#include "text/words.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/redirect_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include <array>
#include <cassert>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace awm::mcp {
namespace {

using nlohmann::json;

// One read, and about one write: the size of a Linux pipe.
constexpr std::size_t chunk_bytes = 64UL * 1024;

rpc_error invalid_params(std::string why) {
  return {rpc_code::invalid_params, "Invalid params: " + std::move(why)};
}

// An object's string member, or nothing when it is missing or something else.
const std::string* string_member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

// null when the client gave none.
std::variant<json, rpc_error> progress_token_of(const json& params) {
  const auto meta = params.find("_meta");
  if (meta == params.end() || !meta->is_object() || !meta->contains("progressToken")) return json();
  const json& token = (*meta)["progressToken"];
  if (!is_valid_id(token)) return invalid_params("_meta.progressToken must be a string or a number");
  return token;
}

}  // namespace

std::string_view to_string(session_end reason) {
  static constexpr std::array<std::string_view, 6> words{"the client closed the input",
                                                         "reading from the client failed",
                                                         "writing to the client failed",
                                                         "the client does not read its output",
                                                         "shut down",
                                                         "cancelled"};
  return words.at(static_cast<std::size_t>(reason));
}

class session::impl final : public client {
 public:
  impl(transport& stream, const server& offer, session_limits limits)
      : stream_(stream), server_(offer), limits_(limits), lines_(limits.line_bytes) {}
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;
  ~impl() override;

  asio::awaitable<session_outcome> run(std::function<void()> ending);
  void end(session_end reason, std::error_code error, bool drop_output);
  void log(log_level level, std::string_view logger, json data);

  bool can_elicit() const override { return why_no_elicitation().empty(); }
  asio::awaitable<elicitation> elicit(std::string words, json requested_schema) override;

 private:
  struct call;
  using batch = std::optional<outbox::batch>;
  struct method;
  static const std::map<std::string_view, method>& methods();

  // Tasks: everything spawned is counted, and run() returns when the count is zero again.
  void spawn(asio::awaitable<void> task, const std::shared_ptr<asio::cancellation_signal>& stop,
             std::shared_ptr<call> of);
  void finished(const std::exception_ptr& failure, const std::shared_ptr<call>& of);

  // In
  asio::awaitable<void> read_all();
  void on_line(std::string_view line);
  void on_batch(json messages);
  void on_message(message what, const batch& in);
  void on_request(request&& what, const batch& in);
  void on_notification(const notification& what);
  void on_cancelled(const json& id);
  void cancel(const json& id);

  rpc_outcome initialize(const json& params, const dialect& how);
  rpc_outcome ping(const json& params, const dialect& how);
  rpc_outcome list_tools(const json& params, const dialect& how);
  rpc_outcome set_level(const json& params, const dialect& how);

  void call_tool(request&& what, const dialect& how, const batch& in);
  asio::awaitable<void> serve(std::shared_ptr<call> which, const tool& what, json arguments);

  // Out
  std::string why_no_elicitation() const;
  void ask(std::string text);
  void answer(const json& id, rpc_outcome what, const batch& in, delivery_receipt receipt = {});
  void wake_writer();
  asio::awaitable<void> write_all();

  transport& stream_;
  const server& server_;
  session_limits limits_;
  coro::line_buffer lines_;
  outbox outbox_;
  sent_receipts sent_;
  std::map<json, std::shared_ptr<call>> calls_;  // those that run and may still answer
  client_requests asked_{[this](std::string text) { ask(std::move(text)); }};

  std::optional<protocol_version> negotiated_;
  bool is_initialized_ = false;  // the client said notifications/initialized
  client_info client_;
  log_level level_ = log_level::info;

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

// One tools/call, from its arrival until its handler's coroutine is gone.
struct session::impl::call final : request_context {
  call(impl& session, json request_id, json progress_token, const mcp::dialect& spoken, impl::batch place)
      : owner(session), id(std::move(request_id)), token(std::move(progress_token)), how(spoken), in(place) {}

  bool wants_progress() const override { return !token.is_null(); }

  void progress(double done, std::optional<double> total, std::string words) override {
    if (over || !wants_progress()) return;
    json params = {{"progressToken", token}, {"progress", done}};
    if (total) params["total"] = *total;
    if (how.has_progress_message() && !words.empty()) params["message"] = std::move(words);
    owner.outbox_.report(id, notification_text("notifications/progress", std::move(params)));
    owner.wake_writer();
  }

  void log(log_level level, std::string_view logger, json data) override {
    if (!over) owner.log(level, logger, std::move(data));
  }

  const client_info& client() const override { return owner.client_; }
  const mcp::dialect& dialect() const override { return how; }

  impl& owner;
  const json id;
  const json token;
  const mcp::dialect how;
  const impl::batch in;
  const std::shared_ptr<asio::cancellation_signal> stop = std::make_shared<asio::cancellation_signal>();
  bool over = false;  // cancelled, or answered: nothing more may be sent for it
};

struct session::impl::method {
  rpc_outcome (impl::*serve)(const json& params, const dialect& how);
  bool before_initialize = false;
};

// tools/call is not among them: it is the one that takes time.
const std::map<std::string_view, session::impl::method>& session::impl::methods() {
  static const std::map<std::string_view, method> table{
      {"initialize", {&impl::initialize, true}},
      {"ping", {&impl::ping, true}},
      {"tools/list", {&impl::list_tools}},
      {"logging/setLevel", {&impl::set_level}},
  };
  return table;
}

session::impl::~impl() {
  // An io_context that is torn down destroys handlers after us: they must not speak any more.
  for (auto& [id, running] : calls_) running->over = true;
}

// ---- life ----

asio::awaitable<session_outcome> session::impl::run(std::function<void()> ending) {
  assert(!running_);
  running_ = true;
  ending_ = std::move(ending);
  if (outcome_ && ending_) ending_();
  executor_ = co_await asio::this_coro::executor;
  over_.emplace(executor_);
  to_be_written_.emplace(executor_);
  spawn(read_all(), stop_reading_, nullptr);
  spawn(write_all(), stop_writing_, nullptr);

  // Cancelled, it has still to wait for its tasks. The caller's next co_await throws as it should.
  const bool throwing = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!over_->is_set()) {
    asio::error_code interrupted;
    co_await over_->async_wait(asio::redirect_error(asio::use_awaitable, interrupted));
    if (interrupted) end(session_end::cancelled, {}, true);
  }
  co_await asio::this_coro::throw_if_cancelled(throwing);
  outbox_.clear();  // a batch that will never be complete
  if (failure_) std::rethrow_exception(failure_);
  co_return *outcome_;
}

void session::impl::end(session_end reason, std::error_code error, bool drop_output) {
  if (!outcome_) {
    outcome_ = session_outcome{reason, error};
    asked_.close(to_string(reason));
    if (ending_) ending_();
    stop_reading_->emit(asio::cancellation_type::terminal);
    std::vector<json> ids;
    for (const auto& [id, running] : calls_) ids.push_back(id);
    for (const json& id : ids) cancel(id);
  }
  if (drop_output && !drop_output_) {
    drop_output_ = true;
    outbox_.clear();
    stop_writing_->emit(asio::cancellation_type::terminal);
  }
  wake_writer();
}

void session::impl::spawn(asio::awaitable<void> task, const std::shared_ptr<asio::cancellation_signal>& stop,
                          std::shared_ptr<call> of) {
  ++tasks_;
  // The signal must outlive whatever the task waits for, also when an io_context is torn down after us: the task owns
  // it. Torn down, the handler is not called, which is right: `this` may be gone.
  auto done = [this, stop, of = std::move(of)](const std::exception_ptr& failure) { finished(failure, of); };
  asio::co_spawn(executor_, std::move(task), asio::bind_cancellation_slot(stop->slot(), std::move(done)));
}

void session::impl::finished(const std::exception_ptr& failure, const std::shared_ptr<call>& of) {
  --tasks_;
  // A task that was told to stop may say so by throwing. Anything else is nothing that a session handles: run()
  // rethrows it.
  const bool was_stopped = outcome_.has_value() || (of && of->over);
  if (failure && !was_stopped) {
    failure_ = failure;
    end(session_end::input_failed, {}, true);
  }
  if (tasks_ == 0) over_->set();
}

// ---- in ----

asio::awaitable<void> session::impl::read_all() {
  std::vector<char> buffer(chunk_bytes);
  const auto line = [this](std::string_view text) {
    if (!outcome_) on_line(text);
  };
  const auto too_long = [this] {
    rpc_error error{rpc_code::invalid_request,
                    "Invalid Request: a message of more than " + std::to_string(limits_.line_bytes) + " bytes"};
    answer(nullptr, std::move(error), {});
  };
  while (!outcome_) {
    const asio::mutable_buffer space(buffer.data(), buffer.size());
    const io_result got = co_await stream_.read_some(space);
    if (outcome_) break;
    lines_.feed(std::string_view(buffer.data(), got.bytes), line, too_long);
    if (!got.error) continue;
    lines_.finish(line);
    const bool at_end = got.error == asio::error::eof;
    if (at_end) end(session_end::input_ended, {}, false);
    if (!at_end) end(session_end::input_failed, got.error, false);
  }
}

void session::impl::on_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
  auto parsed = parse_line(line);
  if (auto* const error = std::get_if<rpc_error>(&parsed)) return answer(nullptr, std::move(*error), {});
  json value = std::get<json>(std::move(parsed));
  if (value.is_array()) return on_batch(std::move(value));
  on_message(read_message(std::move(value)), {});
}

void session::impl::on_batch(json messages) {
  const bool allowed = negotiated_ && dialect{era::legacy, *negotiated_}.has_batches();
  if (!allowed || messages.empty()) {
    rpc_error error{rpc_code::invalid_request, allowed ? "Invalid Request: the batch is empty"
                                                       : "Invalid Request: batches exist only in MCP 2025-03-26"};
    return answer(nullptr, std::move(error), {});
  }
  std::vector<message> read;
  std::size_t awaited = 0;
  for (json& each : messages) {
    read.push_back(read_message(std::move(each)));
    const auto* const broken = std::get_if<malformed>(&read.back());
    const bool is_answered = std::holds_alternative<request>(read.back()) || (broken && !broken->is_notification);
    if (is_answered) ++awaited;
  }
  batch in;
  if (awaited > 0) in = outbox_.open_batch(awaited);
  for (message& each : read) on_message(std::move(each), in);
}

void session::impl::on_message(message what, const batch& in) {
  if (auto* const asked = std::get_if<request>(&what)) on_request(std::move(*asked), in);
  if (const auto* const told = std::get_if<notification>(&what)) on_notification(*told);
  if (auto* const answered = std::get_if<response>(&what)) asked_.answered(std::move(*answered));
  if (auto* const broken = std::get_if<malformed>(&what)) {
    if (!broken->is_notification) answer(broken->id, std::move(broken->error), in);
  }
}

void session::impl::on_request(request&& what, const batch& in) {
  if (outcome_) return;  // a message before this one in its batch ended the session
  if (calls_.contains(what.id) || outbox_.holds(what.id)) {
    rpc_error error{rpc_code::invalid_request,
                    "Invalid Request: the id " + text::shortened(to_text(what.id), 80) + " is in flight already"};
    return answer(nullptr, std::move(error), in);
  }
  sent_.forget(what.id);
  const auto found = methods().find(what.method);
  const bool is_call = what.method == "tools/call";
  if (found == methods().end() && !is_call) {
    rpc_error error{rpc_code::method_not_found, "Method not found: " + text::shortened(what.method, 80)};
    return answer(what.id, std::move(error), in);
  }
  const auto how = dialect_of(what.params, negotiated_);
  if (!how && (is_call || !found->second.before_initialize)) {
    rpc_error error{rpc_code::invalid_request, "Invalid Request: " + what.method + " before initialize"};
    return answer(what.id, std::move(error), in);
  }
  if (is_call) return call_tool(std::move(what), *how, in);
  if (what.method == "initialize" && in) {
    rpc_error error{rpc_code::invalid_request, "Invalid Request: initialize must not be part of a batch"};
    return answer(what.id, std::move(error), in);
  }
  answer(what.id, (this->*found->second.serve)(what.params, how.value_or(dialect{})), in);
}

void session::impl::on_notification(const notification& what) {
  if (what.method == "notifications/initialized" && negotiated_) is_initialized_ = true;
  if (what.method != "notifications/cancelled") return;
  const auto id = what.params.find("requestId");
  if (id != what.params.end() && is_valid_id(*id)) on_cancelled(json(*id));
}

void session::impl::on_cancelled(const json& id) {
  const bool is_unsent = calls_.contains(id) || outbox_.holds(id);
  if (is_unsent) return cancel(id);
  sent_.revoke(id);  // it crossed the response
}

void session::impl::cancel(const json& id) {
  outbox_.withdraw(id);
  const auto found = calls_.find(id);
  if (found != calls_.end()) {
    const std::shared_ptr<call> running = std::move(found->second);
    calls_.erase(found);
    running->over = true;
    if (running->in) outbox_.give_up_in(*running->in);
    running->stop->emit(asio::cancellation_type::terminal);
  }
  wake_writer();
}

// ---- methods ----

rpc_outcome session::impl::initialize(const json& params, const dialect&) {
  const std::string* const requested = string_member(params, "protocolVersion");
  if (requested == nullptr) return invalid_params("protocolVersion must be a string");
  const dialect settled{era::legacy, negotiate(*requested)};
  negotiated_ = settled.version;
  is_initialized_ = false;
  client_.implementation = params.value("clientInfo", json::object());
  client_.capabilities = params.value("capabilities", json::object());
  return server_.describe(settled);
}

rpc_outcome session::impl::ping(const json&, const dialect&) {
  return json::object();
}

rpc_outcome session::impl::list_tools(const json& params, const dialect& how) {
  // All tools fit in one page, so no cursor was ever given out.
  if (params.contains("cursor")) return invalid_params("the cursor is not known");
  return server_.list_tools(how);
}

rpc_outcome session::impl::set_level(const json& params, const dialect&) {
  const std::string* const name = string_member(params, "level");
  const auto level = name == nullptr ? std::nullopt : parse_log_level(*name);
  if (!level) {
    return invalid_params("level must be one of debug, info, notice, warning, error, critical, alert, emergency");
  }
  level_ = *level;
  return json::object();
}

// ---- tools/call ----

void session::impl::call_tool(request&& what, const dialect& how, const batch& in) {
  const std::string* const name = string_member(what.params, "name");
  if (name == nullptr) return answer(what.id, invalid_params("name must be a string"), in);
  const server::offered_tool* const found = server_.find(*name);
  if (found == nullptr) {
    const std::vector<std::string> known = server_.tool_names();
    const std::string meant = text::nearest(*name, known);
    std::string reason = "Unknown tool: " + text::shortened(*name, 80);
    reason += meant.empty() ? ". Known: " : "; did you mean " + meant + "? Known: ";
    rpc_error error{rpc_code::invalid_params, reason + text::joined(known)};
    return answer(what.id, std::move(error), in);
  }
  auto token = progress_token_of(what.params);
  if (auto* const error = std::get_if<rpc_error>(&token)) return answer(what.id, std::move(*error), in);

  json arguments = what.params.value("arguments", json());
  if (arguments.is_null()) arguments = json::object();
  if (!arguments.is_object()) return answer(what.id, invalid_params("arguments must be an object"), in);
  if (const auto wrong = found->input.violation(arguments)) {
    tool_result refused = tool_result::error("Invalid arguments for " + *name + ": " + *wrong);
    return answer(what.id, call_result(std::move(refused), how), in);
  }

  auto next = std::make_shared<call>(*this, what.id, std::get<json>(std::move(token)), how, in);
  calls_.emplace(what.id, next);
  // Spawning starts the handler here and now: it may be done before this returns.
  spawn(serve(next, found->declaration, std::move(arguments)), next->stop, next);
}

asio::awaitable<void> session::impl::serve(std::shared_ptr<call> which, const tool& what, json arguments) {
  tool_result result;
  try {
    asio::awaitable<tool_result> work = what.handler(std::move(arguments), *which);
    result = co_await std::move(work);
  } catch (const std::exception& error) {
    result = tool_result::error(error.what());
  } catch (...) {
    result = tool_result::error(what.name + " failed for an unknown reason");
  }
  // The session may be gone as well, if it was cancelled; `which` is not.
  if (which->over) co_return;
  which->over = true;
  calls_.erase(which->id);
  delivery_receipt receipt = std::move(result.settled);
  json outcome = call_result(std::move(result), which->how);
  answer(which->id, std::move(outcome), which->in, std::move(receipt));
}

// ---- requests to the client ----

std::string session::impl::why_no_elicitation() const {
  if (outcome_) return "the session is over: " + std::string(to_string(outcome_->reason));
  if (!is_initialized_) return "the client has not finished the handshake (notifications/initialized)";
  const dialect how{era::legacy, *negotiated_};
  if (!how.has_elicitation()) return "MCP " + std::string(to_string(how.version)) + " has no elicitation";
  if (!takes_forms(client_.capabilities)) return "the client did not declare the capability elicitation for forms";
  return "";
}

asio::awaitable<elicitation> session::impl::elicit(std::string words, json requested_schema) {
  elicitation answer;
  answer.error = why_no_elicitation();
  if (!answer.error.empty()) co_return answer;
  json params = elicitation_params(std::move(words), std::move(requested_schema));
  asio::awaitable<rpc_outcome> asking = asked_.ask("elicitation/create", std::move(params));
  rpc_outcome outcome = co_await std::move(asking);  // the session may be gone then
  answer = read_elicitation(std::move(outcome));
  co_return answer;
}

void session::impl::ask(std::string text) {
  outbox_.ask(std::move(text));
  wake_writer();
}

// ---- out ----

void session::impl::answer(const json& id, rpc_outcome what, const batch& in, delivery_receipt receipt) {
  if (drop_output_) return;
  auto* const result = std::get_if<json>(&what);
  std::string text = result ? result_text(id, std::move(*result)) : error_text(id, std::get<rpc_error>(what));
  if (in) {
    outbox_.respond_in(*in, id, std::move(text), std::move(receipt));
  } else {
    outbox_.respond(id, std::move(text), std::move(receipt));
  }
  wake_writer();
}

void session::impl::log(log_level level, std::string_view logger, json data) {
  if (!negotiated_ || level < level_ || outcome_) return;
  json params = {{"level", to_string(level)}, {"data", std::move(data)}};
  if (!logger.empty()) params["logger"] = logger;
  outbox_.notify(notification_text("notifications/message", std::move(params)));
  wake_writer();
}

void session::impl::wake_writer() {
  if (to_be_written_) to_be_written_->set();
  if (outbox_.bytes() > limits_.unsent_bytes) end(session_end::output_stuck, {}, true);
}

asio::awaitable<void> session::impl::write_all() {
  while (!drop_output_) {
    if (outbox_.empty()) {
      if (outcome_) break;
      // The event wakes by a post: what one turn of the loop answers goes out in one write.
      to_be_written_->reset();
      asio::error_code stopped;
      co_await to_be_written_->async_wait(asio::redirect_error(asio::use_awaitable, stopped));
      continue;
    }
    outbox::chunk next = outbox_.take(chunk_bytes);
    sent_.begin(std::move(next.receipts));
    const io_result put = co_await stream_.write(next.bytes);
    sent_.end(put.bytes);
    if (put.error && !drop_output_) end(session_end::output_failed, put.error, true);
  }
}

// ---- the public face ----

session::session(transport& stream, const server& offer, session_limits limits)
    : impl_(std::make_unique<impl>(stream, offer, limits)) {}

session::~session() = default;

asio::awaitable<session_outcome> session::run(std::function<void()> ending) {
  return impl_->run(std::move(ending));
}

void session::shutdown() {
  impl_->end(session_end::shut_down, {}, false);
}

void session::abort() {
  impl_->end(session_end::shut_down, {}, true);
}

client& session::peer() {
  return *impl_;
}

void session::log(log_level level, std::string_view logger, json data) {
  impl_->log(level, logger, std::move(data));
}

}  // namespace awm::mcp
