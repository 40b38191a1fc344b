#include "coro/spawn.hpp"
#include "mcp/session_impl.hpp"
#include "text/words.hpp"

#include <asio/error.hpp>
#include <asio/redirect_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <array>
#include <cassert>
#include <exception>

namespace awm::mcp {
namespace {

// One read, and about one write: the size of a Linux pipe.
constexpr std::size_t chunk_bytes = 64UL * 1024;

// Each message of a batch costs far more than its two bytes, and an answer.
constexpr std::size_t longest_batch = 10'000;

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

session::impl::impl(transport& stream, server& offer, session_options options)
    : stream_(stream), server_(offer), options_(std::move(options)), lines_(options_.line_bytes) {
  server_.tell_changes_to(*this);
}

session::impl::~impl() {
  server_.forget(*this);
  if (!outcome_) outcome_ = session_outcome{session_end::cancelled, {}};
  // An io_context that is torn down destroys handlers after us: they must not speak any more.
  for (auto& [id, running] : calls_) running->over = true;
  for (auto& [id, running] : task_calls_) running->over = true;
  settle_receipts();
}

/// While all of the session is there: a receipt may look at any part of it.
void session::impl::settle_receipts() {
  outbox_.clear();
  sent_.end(0);
  for (const auto& [id, task] : std::exchange(task_calls_, {})) task->receipt.drop();
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
  settle_receipts();  // of batches that will never be complete, and of results that no task will be asked for
  if (failure_) std::rethrow_exception(failure_);
  co_return *outcome_;
}

void session::impl::end(session_end reason, std::error_code error, bool drop_output) {
  if (!outcome_) {
    outcome_ = session_outcome{reason, error};
    asked_.close(to_string(reason));
    board_.close(to_string(reason));
    if (ending_) ending_();
    stop_reading_->emit(asio::cancellation_type::terminal);
    for (const auto& [id, open] : std::exchange(listeners_, {})) {
      json ended = {{"_meta", {{subscription_id_key, id}}}};
      answer(id, std::move(ended), open.how, {});
    }
    std::vector<json> ids;
    for (const auto& [id, running] : calls_) ids.push_back(id);
    for (const json& id : ids) cancel(id);
    const auto tasks = task_calls_;
    for (const auto& [id, running] : tasks) stop(*running);
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
  coro::spawn(executor_, std::move(task), stop->slot(), std::move(done));
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
  const auto too_long = [this] { skipped_.emplace(); };
  const auto skip = [this](std::string_view piece, bool is_last) {
    if (!outcome_) skip_piece(piece, is_last);
  };
  while (!outcome_) {
    const asio::mutable_buffer space(buffer.data(), buffer.size());
    const io_result got = co_await stream_.read_some(space);
    if (outcome_) break;
    lines_.feed(std::string_view(buffer.data(), got.bytes), line, too_long, skip);
    if (!got.error) continue;
    lines_.finish(line);
    const bool at_end = got.error == asio::error::eof;
    if (at_end) end(session_end::input_ended, {}, false);
    if (!at_end) end(session_end::input_failed, got.error, false);
  }
}

/// Refuses a message that is too long as soon as its id is known, or when it has passed by without one.
void session::impl::skip_piece(std::string_view piece, bool is_last) {
  if (!skipped_) return;  // refused already
  skipped_->feed(piece);
  if (!skipped_->is_done() && !is_last) return;
  json id = skipped_->id();
  if (is_in_flight(id)) id = nullptr;
  skipped_.reset();
  rpc_error error{rpc_code::invalid_request,
                  "Invalid Request: a message of more than " + std::to_string(options_.line_bytes) + " bytes"};
  answer(id, std::move(error), {}, {});
}

void session::impl::on_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
  auto parsed = parse_line(line);
  if (auto* const error = std::get_if<rpc_error>(&parsed)) return answer(nullptr, std::move(*error), {}, {});
  json value = std::get<json>(std::move(parsed));
  if (value.is_array()) return on_batch(std::move(value));
  on_message(read_message(std::move(value)), {});
}

void session::impl::on_batch(json messages) {
  const bool allowed = negotiated_ && dialect{era::legacy, *negotiated_}.has_batches();
  if (!allowed || messages.empty()) {
    rpc_error error{rpc_code::invalid_request, allowed ? "Invalid Request: the batch is empty"
                                                       : "Invalid Request: batches exist only in MCP 2025-03-26"};
    return answer(nullptr, std::move(error), {}, {});
  }
  if (messages.size() > longest_batch) {
    rpc_error error{rpc_code::invalid_request,
                    "Invalid Request: a batch of more than " + std::to_string(longest_batch) + " messages"};
    return answer(nullptr, std::move(error), {}, {});
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
    if (!broken->is_notification) answer(broken->id, std::move(broken->error), {}, in);
  }
}

bool session::impl::is_in_flight(const json& id) const {
  return calls_.contains(id) || listeners_.contains(id) || outbox_.holds(id);
}

void session::impl::on_request(request&& what, const batch& in) {
  if (outcome_) return;  // a message before this one in its batch ended the session
  if (is_in_flight(what.id)) {
    rpc_error error{rpc_code::invalid_request,
                    "Invalid Request: the id " + text::shortened(to_text(what.id), 80) + " is in flight already"};
    return answer(nullptr, std::move(error), {}, in);
  }
  sent_.forget(what.id);
  const json id = what.id;
  const auto found = methods().find(what.method);
  if (found == methods().end()) {
    rpc_error error{rpc_code::method_not_found, "Method not found: " + text::shortened(what.method, 80)};
    return answer(id, std::move(error), {}, in);
  }
  auto meta = read_meta(what, found->second);
  if (auto* const error = std::get_if<rpc_error>(&meta)) return answer(id, std::move(*error), {}, in);
  if (what.method == "initialize" && in) {
    rpc_error error{rpc_code::invalid_request, "Invalid Request: initialize must not be part of a batch"};
    return answer(id, std::move(error), {}, in);
  }
  incoming next{std::move(what), std::move(std::get<request_meta>(meta)), in};
  const dialect how = next.meta.how;
  if (how.is_stateless() && in) {
    rpc_error error{rpc_code::invalid_request, "Invalid Request: batches exist only in MCP 2025-03-26"};
    return answer(id, std::move(error), how, in);
  }
  verdict decided;
  try {
    decided = (this->*found->second.serve)(next);
  } catch (const std::exception& error) {  // by what the server's owner completes or lists with
    decided = internal_error(error.what());
  }
  if (decided) answer(id, std::move(*decided), how, in);
}

std::variant<request_meta, rpc_error> session::impl::read_meta(const request& what, const method& how) {
  const bool only_stateless = how.exists == method::when::stateless;
  // `server/discover` is how a client finds out about this era: it must not be told about another one.
  const bool is_probe = what.method == "server/discover";
  const bool speaks_stateless = is_stateless(what.params) || is_probe || (only_stateless && !negotiated_);
  const auto spoken = speaks_stateless ? era::stateless : era::legacy;
  if (!how.is_in(spoken)) {
    return rpc_error{rpc_code::method_not_found,
                     "Method not found: " + what.method + " does not exist in MCP " +
                         (speaks_stateless ? std::string("2026-07-28") : "before 2026-07-28")};
  }
  if (speaks_stateless) {
    auto read = read_stateless_meta(what.params, last_stateless_ ? last_stateless_->who : nullptr);
    if (const auto* const meta = std::get_if<request_meta>(&read)) last_stateless_ = *meta;
    return read;
  }
  if (!negotiated_ && how.exists != method::when::any_time) {
    return rpc_error{rpc_code::invalid_request, "Invalid Request: " + what.method + " before initialize"};
  }
  return read_legacy_meta(what.params, negotiated_.value_or(latest_legacy_version), client_);
}

void session::impl::on_notification(const notification& what) {
  if (what.method == "notifications/initialized" && negotiated_) is_initialized_ = true;
  if (what.method != "notifications/cancelled") return;
  const auto id = what.params.find("requestId");
  if (id != what.params.end() && is_valid_id(*id)) on_cancelled(json(*id));
}

void session::impl::on_cancelled(const json& id) {
  if (listeners_.erase(id) > 0) return outbox_.withdraw_reports_to(id);
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
    if (running->in) outbox_.give_up_in(*running->in);
    stop(*running);
  }
  wake_writer();
}

// ---- out ----

void session::impl::answer(const json& id, rpc_outcome what, const dialect& how, const batch& in,
                           delivery_receipt receipt) {
  if (drop_output_) return;
  auto* const result = std::get_if<json>(&what);
  std::string text =
      result ? result_text(id, server_.finish(std::move(*result), how)) : error_text(id, std::get<rpc_error>(what));
  if (in) {
    outbox_.respond_in(*in, id, std::move(text), std::move(receipt));
  } else {
    outbox_.respond(id, std::move(text), std::move(receipt));
  }
  wake_writer();
}

void session::impl::ask_by_request(std::string text) {
  outbox_.say(std::move(text));
  wake_writer();
}

void session::impl::notify(std::string_view words, json params) {
  if (outcome_) return;
  outbox_.notify(notification_text(words, std::move(params)));
  wake_writer();
}

void session::impl::log(log_level level, std::string_view logger, json data) {
  if (!negotiated_ || level < level_) return;
  notify("notifications/message", log_params(level, logger, std::move(data)));
}

void session::impl::page_was_opened(const std::string& id) {
  const bool knows_pages = negotiated_ && dialect{era::legacy, *negotiated_}.has_url_elicitation();
  if (knows_pages) notify("notifications/elicitation/complete", {{"elicitationId", id}});
}

void session::impl::wake_writer() {
  if (to_be_written_) to_be_written_->set();
  if (outbox_.bytes() > options_.unsent_bytes) end(session_end::output_stuck, {}, true);
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

session::session(transport& stream, server& offer, session_options options)
    : impl_(std::make_unique<impl>(stream, offer, std::move(options))) {}

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

void session::page_was_opened(const std::string& id) {
  impl_->page_was_opened(id);
}

void session::log(log_level level, std::string_view logger, json data) {
  impl_->log(level, logger, std::move(data));
}

}  // namespace awm::mcp
