#include "mcp/session_impl.hpp"
#include "text/timestamp.hpp"
#include "text/words.hpp"

#include <asio/error.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <system_error>
#include <utility>

namespace awm::mcp {
namespace {

/// An answer that is there, or will be.
using coming = std::variant<rpc_outcome, awaited_answers::ticket>;

/// Touches no session: it may end meanwhile.
asio::awaitable<std::vector<rpc_outcome>> collect(std::vector<coming> answers) {
  std::vector<rpc_outcome> out;
  for (coming& each : answers) {
    if (auto* const there = std::get_if<rpc_outcome>(&each)) {
      out.push_back(std::move(*there));
      continue;
    }
    rpc_outcome answer = co_await std::get<awaited_answers::ticket>(each).wait();
    out.push_back(std::move(answer));
  }
  co_return out;
}

/// For a handler that is cancelled by its own question.
asio::awaitable<std::vector<rpc_outcome>> abandoned() {
  throw std::system_error(asio::error::operation_aborted);
  co_return std::vector<rpc_outcome>{};
}

}  // namespace

// ---- what a handler says while it works ----

void session::impl::call::progress(double done, std::optional<double> total, std::string words) {
  if (over || !wants_progress()) return;
  if (is_task()) {
    status_message = std::move(words);
    return owner.task_changed(*this);
  }
  json body = {{"progressToken", meta.progress_token}, {"progress", done}};
  if (total) body["total"] = *total;
  if (meta.how.has_progress_message() && !words.empty()) body["message"] = std::move(words);
  owner.outbox_.report(id, notification_text("notifications/progress", std::move(body)));
  owner.wake_writer();
}

void session::impl::call::log(log_level level, std::string_view logger, json data) {
  if (over) return;
  if (!meta.how.is_stateless()) return owner.log(level, logger, std::move(data));
  if (meta.level && level >= *meta.level) {
    owner.notify("notifications/message", log_params(level, logger, std::move(data)));
  }
}

json session::impl::log_params(log_level level, std::string_view logger, json data) {
  json params = {{"level", to_string(level)}, {"data", std::move(data)}};
  if (!logger.empty()) params["logger"] = logger;
  return params;
}

// ---- running ----

std::variant<std::shared_ptr<session::impl::call>, rpc_error> session::impl::begin(incoming& asked) {
  auto next = std::make_shared<call>(*this, std::move(asked));
  if (!next->meta.how.is_stateless()) return next;
  if (next->params.contains("requestState")) {
    const std::string* const sealed = string_member(next->params, "requestState");
    if (sealed == nullptr) return invalid_params("requestState must be a string");
    auto known = server_.seal().open(*sealed, digest_of(next->method, next->params), options_.utc_now());
    if (!known) {
      return invalid_params(
          "requestState was changed, has expired, or belongs to another request or an earlier process of this server; "
          "send the request again without it");
    }
    next->answers = std::move(*known);
  }
  if (!next->params.contains("inputResponses")) return next;
  if (auto wrong = check_responses(next->params)) return std::move(*wrong);
  next->answers.update(next->params.at("inputResponses"));
  return next;
}

/// Nothing when the client's answers are there, each an object.
std::optional<rpc_error> session::impl::check_responses(const json& params) {
  const auto responses = params.find("inputResponses");
  if (responses == params.end() || !responses->is_object()) return invalid_params("inputResponses must be an object");
  for (const auto& [key, result] : responses->items()) {
    if (!result.is_object()) return invalid_params("inputResponses." + key + " must be an object");
  }
  return std::nullopt;
}

void session::impl::start(const std::shared_ptr<call>& next, asio::awaitable<served> work) {
  if (next->may_carry()) {
    // Not yet among the calls: what is still open must not answer it before its handler runs, and can be cancelled.
    for (const auto& [key, result] : next->answers.items()) board_.answer(next.get(), key, result);
    for (question_board::entry& each : board_.open()) {
      if (each.owner == nullptr && each.carrier == nullptr) each.was_shown = false;
    }
  }
  if (outcome_) return;
  calls_.emplace(next->id, next);
  // Spawning starts the handler here and now: it may be done before this returns.
  spawn(serve(next, std::move(work)), next->stop, next);
  carry_questions();
}

asio::awaitable<void> session::impl::serve(std::shared_ptr<call> which, asio::awaitable<served> work) {
  served result;
  try {
    result = co_await std::move(work);
  } catch (const std::exception& error) {
    result.outcome = internal_error(error.what());
  } catch (...) {
    result.outcome = internal_error(which->method + " failed for an unknown reason");
  }
  // The session may be gone as well, if it was cancelled; `which` is not.
  if (!which->over) which->owner.finish(*which, std::move(result));
}

void session::impl::finish(call& which, served what) {
  which.over = true;
  board_.release(&which);
  if (which.is_task()) {
    if (auto* const result = std::get_if<json>(&what.outcome))
      *result = server_.finish(std::move(*result), which.meta.how);
    which.outcome = std::move(what.outcome);
    which.receipt = std::move(what.receipt);
    keep_finished(which.task_id);
    task_changed(which);
  } else {
    calls_.erase(which.id);
    answer(which.id, std::move(what.outcome), which.meta.how, which.in, std::move(what.receipt));
  }
  carry_questions();
}

void session::impl::stop(call& which) {
  if (std::exchange(which.over, true)) return;
  board_.release(&which);
  which.stop->emit(asio::cancellation_type::terminal);
  carry_questions();
}

// ---- the three that take time ----

/// They may be long. In the stateless era the digest of the request needs them, too.
json session::impl::take_arguments(incoming& asked) {
  const auto given = asked.what.params.find("arguments");
  if (given == asked.what.params.end() || given->is_null()) return json::object();
  return asked.meta.how.is_stateless() ? *given : std::move(*given);
}

session::impl::verdict session::impl::call_tool(incoming& asked) {
  const std::string* const name = string_member(asked.what.params, "name");
  if (name == nullptr) return invalid_params("name must be a string");
  const auto found = server_.find_tool(*name);
  if (!found) {
    const std::vector<std::string> known = server_.tool_names();
    const std::string meant = text::nearest(*name, known);
    std::string reason = "Unknown tool: " + text::shortened(*name, 80);
    reason += meant.empty() ? ". Known: " : "; did you mean " + meant + "? Known: ";
    return rpc_error{rpc_code::invalid_params, reason + text::joined(known)};
  }
  json arguments = take_arguments(asked);
  if (!arguments.is_object()) return invalid_params("arguments must be an object");
  if (found->declaration.task == task_support::required && !asked.meta.takes_tasks()) return missing_tasks_extension();
  if (const auto wrong = found->input.violation(arguments)) {
    tool_result refused = tool_result::error("Invalid arguments for " + *name + ": " + *wrong);
    return call_result(std::move(refused), asked.meta.how);
  }
  auto begun = begin(asked);
  if (auto* const error = std::get_if<rpc_error>(&begun)) return std::move(*error);
  const auto next = std::get<std::shared_ptr<call>>(std::move(begun));
  next->tool = found;
  start(next, run_tool(*next, found->declaration, std::move(arguments)));
  return std::nullopt;
}

asio::awaitable<session::impl::served> session::impl::run_tool(call& which, const tool& what, json arguments) {
  tool_result result;
  try {
    asio::awaitable<tool_result> work = what.handler(std::move(arguments), which);
    result = co_await std::move(work);
  } catch (const std::exception& error) {
    result = tool_result::error(error.what());
  } catch (...) {
    result = tool_result::error(what.name + " failed for an unknown reason");
  }
  served out;
  out.receipt = std::move(result.settled);
  if (result.failure) {
    out.outcome = std::move(*result.failure);
  } else {
    out.outcome = call_result(std::move(result), which.meta.how);
  }
  co_return out;
}

rpc_error session::impl::no_such_resource(const std::string& uri, const dialect& how) const {
  const int code = how.is_stateless() ? rpc_code::invalid_params : rpc_code::resource_not_found;
  return {code, "Resource not found: " + text::shortened(uri, 200), json{{"uri", uri}}};
}

session::impl::verdict session::impl::read_resource(incoming& asked) {
  const std::string* const uri = string_member(asked.what.params, "uri");
  if (uri == nullptr) return invalid_params("uri must be a string");
  resource_reader read;
  uri_variables variables;
  cache_hint cache;
  if (const auto one = server_.find_resource(*uri)) {
    read = one->read;
    cache = one->cache;
  } else if (const auto many = server_.match_template(*uri, variables)) {
    read = many->declaration.read;
    cache = many->declaration.cache;
  } else {
    return no_such_resource(*uri, asked.meta.how);
  }
  auto begun = begin(asked);
  if (auto* const error = std::get_if<rpc_error>(&begun)) return std::move(*error);
  const auto next = std::get<std::shared_ptr<call>>(std::move(begun));
  start(next, run_reader(*next, std::move(read), std::move(variables), cache));
  return std::nullopt;
}

asio::awaitable<session::impl::served> session::impl::run_reader(call& which, resource_reader read,
                                                                 uri_variables variables, cache_hint cache) {
  std::string uri = which.params.at("uri").get<std::string>();
  asio::awaitable<resource_contents> work = read(uri, std::move(variables), which);
  resource_contents contents = co_await std::move(work);
  served out;
  if (contents) {
    json result = {{"contents", std::move(*contents)}};
    add_cache_hint(result, cache, which.meta.how);
    out.outcome = std::move(result);
  } else {
    out.outcome = which.owner.no_such_resource(uri, which.meta.how);
  }
  co_return out;
}

session::impl::verdict session::impl::get_prompt(incoming& asked) {
  const std::string* const name = string_member(asked.what.params, "name");
  if (name == nullptr) return invalid_params("name must be a string");
  const auto found = server_.find_prompt(*name);
  if (!found) {
    return invalid_params("there is no prompt " + text::shortened(*name, 80) +
                          ". Known: " + text::joined(server_.prompt_names()));
  }
  const json given = take_arguments(asked);
  if (!given.is_object()) return invalid_params("arguments must be an object");
  std::map<std::string, std::string> arguments;
  for (const auto& [key, value] : given.items()) {
    const auto is_it = [&key = key](const prompt_argument& each) { return each.name == key; };
    if (std::ranges::none_of(found->arguments, is_it)) return invalid_params("the prompt has no argument " + key);
    if (!value.is_string()) return invalid_params("arguments." + key + " must be a string");
    arguments.emplace(key, value.get<std::string>());
  }
  for (const prompt_argument& each : found->arguments) {
    if (each.is_required && !arguments.contains(each.name))
      return invalid_params("arguments." + each.name + " is missing");
  }
  auto begun = begin(asked);
  if (auto* const error = std::get_if<rpc_error>(&begun)) return std::move(*error);
  const auto next = std::get<std::shared_ptr<call>>(std::move(begun));
  start(next, run_prompt(*next, found->handler, std::move(arguments)));
  return std::nullopt;
}

asio::awaitable<session::impl::served> session::impl::run_prompt(call& which, prompt_handler handler,
                                                                 std::map<std::string, std::string> arguments) {
  asio::awaitable<prompt_result> work = handler(std::move(arguments), which);
  prompt_result made = co_await std::move(work);
  json result = {{"messages", std::move(made.messages)}};
  if (!made.description.empty()) result["description"] = std::move(made.description);
  served out;
  out.outcome = std::move(result);
  co_return out;
}

// ---- questions ----

/// Empty when the client takes it.
std::string session::impl::why_not(const question& asked, const dialect& how, const client_info& who) const {
  if (outcome_) return "the session is over: " + std::string(to_string(outcome_->reason));
  const bool is_elicitation = asked.method == "elicitation/create";
  const bool is_known = asked.params.contains("url") ? how.has_url_elicitation() : how.has_elicitation();
  if (is_elicitation && !is_known) return "MCP " + std::string(to_string(how.version)) + " has no such elicitation";
  if (declares(who.capabilities, asked)) return "";
  return "the client did not declare the capability " + to_text(required_capabilities(asked));
}

rpc_error session::impl::refusal(const question& asked, std::string why, const dialect& how) {
  rpc_error error{rpc_code::missing_capability, std::move(why)};
  if (how.is_stateless()) error.data = {{"requiredCapabilities", required_capabilities(asked)}};
  return error;
}

bool session::impl::takes(const question& asked) const {
  if (is_legacy_client()) return why_not(asked, {era::legacy, *negotiated_}, *client_).empty();
  return last_stateless_ && why_not(asked, last_stateless_->how, *last_stateless_->who).empty();
}

asio::awaitable<std::vector<rpc_outcome>> session::impl::ask(std::vector<question> questions) {
  const bool by_request = is_legacy_client();
  const bool has_client = by_request || last_stateless_;
  const dialect how = by_request || !has_client ? dialect{era::legacy, negotiated_.value_or(latest_legacy_version)}
                                                : last_stateless_->how;
  const client_info& who = by_request || !has_client ? *client_ : *last_stateless_->who;
  std::vector<coming> answers;
  for (question& each : questions) {
    std::string why = why_not(each, how, who);
    if (why.empty() && !has_client) why = "the client has not finished the handshake (notifications/initialized)";
    if (!why.empty()) {
      answers.emplace_back(refusal(each, std::move(why), how));
    } else if (by_request) {
      answers.emplace_back(asked_.ask(executor_, each.method, std::move(each.params)));
    } else {
      answers.emplace_back(board_.put(executor_, std::move(each), nullptr));
    }
  }
  return collect(std::move(answers));
}

bool session::impl::call::takes(const question& asked) const {
  return !over && owner.why_not(asked, meta.how, *meta.who).empty();
}

asio::awaitable<std::vector<rpc_outcome>> session::impl::call::ask(std::vector<question> questions) {
  if (over) return abandoned();
  std::vector<coming> got;
  json missing = json::object();
  for (question& each : questions) {
    ++questions_asked;
    if (std::string why = owner.why_not(each, meta.how, *meta.who); !why.empty()) {
      got.emplace_back(refusal(each, std::move(why), meta.how));
    } else if (!meta.how.is_stateless()) {
      got.emplace_back(owner.asked_.ask(owner.executor_, each.method, std::move(each.params)));
    } else if (is_task()) {
      got.emplace_back(owner.board_.put(owner.executor_, std::move(each), this));
    } else {
      const std::string key = each.key.empty() ? "question-" + std::to_string(questions_asked) : each.key;
      if (answers.contains(key)) {
        got.emplace_back(rpc_outcome(answers.at(key)));
      } else {
        missing[key] = input_request(each);
      }
    }
  }
  if (missing.empty()) return collect(std::move(got));
  owner.require_input(*this, std::move(missing));
  return abandoned();
}

/// Ends the request, which the client will send again.
void session::impl::require_input(call& which, json requests, delivery_receipt receipt) {
  const auto running = calls_.find(which.id);
  const std::shared_ptr<call> alive = running->second;
  calls_.erase(running);
  const auto expires = options_.utc_now() + options_.input_expiry;
  json result = {{"resultType", "input_required"},
                 {"inputRequests", std::move(requests)},
                 {"requestState", server_.seal().seal(which.answers, digest_of(which.method, which.params), expires)}};
  answer(which.id, std::move(result), which.meta.how, which.in, std::move(receipt));
  stop(which);
}

/// Finds somebody to bring each question of the session to the client: a task that looks after it, or a call that is
/// answered with it.
void session::impl::carry_questions() {
  // What is done here changes questions and calls, which comes back here.
  if (outcome_ || std::exchange(is_carrying_, true)) return;
  for (question_board::entry& each : board_.open()) {
    if (each.carrier != nullptr) continue;
    const auto can_carry = [&](const auto& running) {
      return !running.second->over && running.second->may_carry() && running.second->takes(each.asked);
    };
    const auto task = std::ranges::find_if(task_calls_, can_carry);
    if (task != task_calls_.end()) {
      each.carrier = task->second.get();
      continue;
    }
    const auto plain = std::ranges::find_if(calls_, can_carry);
    if (plain == calls_.end() || each.was_shown) continue;
    each.carrier = plain->second.get();
  }
  std::vector<std::shared_ptr<call>> carriers;
  for (const auto& [id, running] : calls_) {
    if (board_.waits_for_client(running.get())) carriers.push_back(running);
  }
  for (const auto& running : carriers) {
    if (!running->over) carry_by(*running);  // the one before may have ended the session
  }
  is_carrying_ = false;
  for (const auto& [id, task] : task_calls_) {
    if (!task->over && task->was_asking != board_.waits_for_client(task.get())) task_changed(*task);
  }
}

/// Answers a request with the questions that it carries.
void session::impl::carry_by(call& which) {
  std::vector<std::string> shown;
  for (question_board::entry& each : board_.open()) {
    if (each.carrier != &which) continue;
    each.was_shown = true;
    shown.push_back(each.id);
  }
  // A client that cancels the request throws the questions away unread: the next call has to bring them.
  auto settled = [this, shown = std::move(shown)](delivery what) {
    if (what == delivery::written || outcome_) return;
    for (question_board::entry& each : board_.open()) {
      if (std::ranges::find(shown, each.id) != shown.end()) each.was_shown = false;
    }
    carry_questions();
  };
  require_input(which, board_.requests_of(&which), std::move(settled));
}

// ---- tasks ----

void session::impl::call::begin_task(std::string status) {
  if (over || is_task() || !tool || tool->declaration.task == task_support::forbidden || !meta.takes_tasks()) return;
  const auto running = owner.calls_.find(id);
  const std::shared_ptr<call> self = running->second;
  owner.calls_.erase(running);
  task_id = task_prefix + random_name();
  status_message = std::move(status);
  created_at = updated_at = text::timestamp(owner.options_.utc_now());
  owner.task_calls_.emplace(task_id, self);  // to be found as soon as the client knows of it
  json result = owner.describe_task(*this);
  result["resultType"] = "task";
  // A client that cancels the request does not know the name of the task, and nobody could stop it any more.
  auto settled = [task = std::weak_ptr(self)](delivery what) {
    const auto alive = what == delivery::written ? nullptr : task.lock();
    if (alive && !alive->over) alive->owner.cancel_task(*alive);
  };
  owner.answer(id, std::move(result), meta.how, in, std::move(settled));
  owner.carry_questions();
}

json session::impl::describe_task(const call& which) const {
  json out = {{"taskId", which.task_id},
              {"createdAt", which.created_at},
              {"lastUpdatedAt", which.updated_at},
              {"ttlMs", nullptr},
              {"pollIntervalMs", options_.poll_interval.count()}};
  if (!which.status_message.empty()) out["statusMessage"] = which.status_message;
  if (which.outcome) {
    const auto* const result = std::get_if<json>(&*which.outcome);
    out["status"] = result ? "completed" : "failed";
    if (result) {
      out["result"] = *result;
    } else {
      const auto& error = std::get<rpc_error>(*which.outcome);
      out["error"] = {{"code", error.code}, {"message", error.message}};
      if (!error.data.is_null()) out["error"]["data"] = error.data;
    }
  } else if (which.over) {
    out["status"] = "cancelled";
  } else if (board_.waits_for_client(&which)) {
    out["status"] = "input_required";
    out["inputRequests"] = board_.requests_of(&which);
  } else {
    out["status"] = "working";
  }
  return out;
}

void session::impl::task_changed(call& which) {
  which.updated_at = text::timestamp(options_.utc_now());
  which.was_asking = board_.waits_for_client(&which);
  const bool is_heard =
      std::ranges::any_of(listeners_, [&](const auto& each) { return each.second.tasks.contains(which.task_id); });
  if (!is_heard) return;
  const json state = server_.finish(describe_task(which), which.meta.how);
  tell_listeners("notifications/tasks", state, which.task_id,
                 [&](const listener& open) { return open.tasks.contains(which.task_id); });
}

void session::impl::keep_finished(const std::string& task_id) {
  finished_tasks_.push_back(task_id);
  while (finished_tasks_.size() > options_.finished_tasks) {
    task_calls_.erase(finished_tasks_.front());
    finished_tasks_.pop_front();
  }
}

rpc_error session::impl::missing_tasks_extension() {
  return {rpc_code::missing_capability, std::string("This needs the extension ") + tasks_extension,
          json{{"requiredCapabilities", {{"extensions", {{tasks_extension, json::object()}}}}}}};
}

bool session::impl::is_task_name(std::string_view id) {
  return id.starts_with(task_prefix) && id.size() == std::string_view(task_prefix).size() + random_name_size;
}

json session::impl::describe_lost_task(const std::string& id) const {
  const std::string now = text::timestamp(options_.utc_now());
  return {{"taskId", id},
          {"status", "failed"},
          {"createdAt", now},
          {"lastUpdatedAt", now},
          {"ttlMs", nullptr},
          {"error",
           {{"code", rpc_code::internal_error},
            {"message", "the server was restarted, or has dropped this old task. Call the tool again"}}}};
}

}  // namespace awm::mcp
