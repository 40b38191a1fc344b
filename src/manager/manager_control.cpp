// How somebody reaches into what workers do: answers, messages, the end.

#include "coro/join_until.hpp"
#include "manager/manager.hpp"
#include "worker/uuid.hpp"

#include <algorithm>
#include <utility>

namespace awm::manager {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// A tool that runs may take minutes; who sends a message wants to go on.
constexpr auto patience_with_message = 5s;

/// The `answers` of an AskUserQuestion go beside the questions; callers may give them alone.
json completed_input(const pending_permission& pending, const json& updated_input) {
  auto input = json::parse(pending.question.input);
  if (pending.question.tool != "AskUserQuestion") return updated_input;
  input.update(updated_input);
  return input;
}

/// The input that approves a plan as it is. 2.1.197 tells its model that the user edited the plan when the plan comes
/// back, even unchanged, and takes an empty input for the one that it sent; without the plan it reads the plan's file.
std::string unchanged_plan(const std::string& asked) {
  auto input = json::parse(asked);
  if (!input.contains("planFilePath")) return "{}";
  input.erase("plan");
  return input.dump();
}

/// What the CLI itself suggests to remember, as far as it is rules.
std::string session_rules(const pending_permission& question) {
  auto rules = json::array();
  for (auto& suggestion : session_suggestions(json::parse(question.question.suggestions))) {
    if (suggestion.value("type", "") == "addRules") rules.push_back(std::move(suggestion));
  }
  return rules.empty() ? "" : rules.dump();
}

}  // namespace

answer<std::vector<pending_permission>> manager::decide(const std::vector<std::string>& request_ids,
                                                        const permission_answer& given) {
  std::vector<pending_permission> answered;
  for (const auto& request_id : request_ids) {
    const auto* const found = broker_.find(request_id);
    if (found == nullptr) {
      std::string pending;
      for (const auto& other : broker_.for_model()) {
        pending += (pending.empty() ? "" : ", ") + other.request_id + " (" + other.question.tool + ", " +
                   other.description + ")";
      }
      return refusal{"request_id \"" + request_id +
                     "\" is not pending: it was answered already, withdrawn by the worker, or never existed. Nothing "
                     "was answered by this call. " +
                     (pending.empty() ? "Nothing is pending." : "Pending now: " + pending + ".")};
    }
    if (given.allow && found->question.tool == "AskUserQuestion" && !given.updated_input.contains("answers")) {
      return refusal{
          "AskUserQuestion needs the answers: give updated_input {\"answers\": {\"<question text>\": \"<label or free "
          "text>\"}} with one entry for each question, or allow: false with a reason."};
    }
    answered.push_back(*found);
  }
  for (const auto& request_id : request_ids) broker_.decide(request_id, given);
  return answered;
}

/// Tells the worker what somebody decided.
void manager::answer_question(const pending_permission& pending, const permission_answer& given) {
  if (permission_log_.is_behind()) transcript_behind();
  auto& worker = *workers_.at(pending.worker_id);
  const auto& question = pending.question;
  if (!worker.conversation) return;
  if (given.allow) {
    auto input = question.tool == "ExitPlanMode" ? unchanged_plan(question.input) : question.input;
    if (!given.updated_input.is_null()) input = completed_input(pending, given.updated_input).dump();
    const bool is_lasting = given.scope == answer_scope::worker && given.updated_input.is_null();
    const auto updates = is_lasting ? session_rules(pending) : std::string();
    worker.conversation->allow(question.request_id, input, updates);
  } else {
    worker.conversation->deny(question.request_id, given.reason.empty() ? "The user denied this." : given.reason);
  }
  worker.question_closed();
}

asio::awaitable<answer<cancelled_workers>> manager::cancel(std::optional<std::string> worker_id, std::string reason) {
  std::vector<std::string> targets;
  if (worker_id) {
    if (const auto unknown = unknown_worker(*worker_id)) co_return *unknown;
    if (const auto elsewhere = runs_elsewhere(*workers_.at(*worker_id))) co_return *elsewhere;
    targets.push_back(*worker_id);
  } else {
    for (const auto& [id, worker] : workers_) {
      if (worker->is_outstanding() && !runs_elsewhere(*worker)) targets.push_back(id);
    }
  }
  auto why = reason.empty() ? std::string("Cancelled by the caller") : "Cancelled by the caller: " + reason;
  if (why.back() != '.') why += '.';
  cancelled_workers result;
  for (const auto& id : targets) {
    auto& worker = *workers_.at(id);
    worker.messages.clear();
    worker.waits_for.clear();  // it is not to start, or fail, because of one of the others
    (worker.is_outstanding() ? result.cancelled : result.idle).push_back(id);
  }
  // Those that wait are taken out first: none may start because another one ends.
  for (const auto& id : result.cancelled) {
    auto& worker = *workers_.at(id);
    if (worker.next) settle_unstarted(worker, worker_state::cancelled, why);
  }
  for (const auto& id : result.cancelled) {
    auto& worker = *workers_.at(id);
    if (worker.is_outstanding() && worker.conversation) worker.conversation->cancel(why);
  }
  // Another call may begin a turn of one of them as soon as it may: that one is not waited for. Nor is a warm child,
  // which has nothing to do with a turn that never began.
  std::map<std::string, std::size_t> turns;
  for (const auto& id : result.cancelled) turns.emplace(id, workers_.at(id)->turns);
  const auto is_at_work = [this, &turns](const std::string& id) {
    const auto& worker = *workers_.at(id);
    if (worker.turns != turns.at(id)) return false;
    return worker.is_outstanding() || (worker.conversation && !worker.conversation->is_idle());
  };
  while (std::any_of(result.cancelled.begin(), result.cancelled.end(), is_at_work)) {
    co_await news_.async_wait(asio::use_awaitable);
  }
  co_return result;
}

asio::awaitable<answer<message_receipt>> manager::send(std::string worker_id, std::string text, message_mode mode) {
  if (const auto unknown = unknown_worker(worker_id)) co_return *unknown;
  auto& worker = *workers_.at(worker_id);
  if (const auto elsewhere = runs_elsewhere(worker)) co_return *elsewhere;
  if (!worker.is_outstanding()) {
    co_return refusal{"Worker " + worker_id + " (" + worker.description + ") is not at work (" +
                      std::string(to_string(worker.state())) +
                      "): the message was not sent. Give it to the worker as its next prompt with resume_worker."};
  }
  message_receipt receipt;
  receipt.worker_id = worker_id;
  const bool is_at_work = worker.conversation && worker.conversation->serves_turn() && !worker.next;
  if (mode == message_mode::queue || !is_at_work) {
    worker.messages.push_back(std::move(text));
    receipt.fate = worker::message_fate::next_turn;
    receipt.note = "It begins the worker's next turn, as soon as this one has completed.";
    co_return receipt;
  }
  const auto message_id = worker::random_uuid();
  if (mode == message_mode::steer) {
    worker.conversation->steer(message_id, std::move(text));
  } else {
    worker.conversation->redirect(message_id, std::move(text));
  }
  const auto deadline = clock_.now() + patience_with_message;
  while (!worker.fates.contains(message_id) && clock_.now() < deadline) {
    co_await coro::join_until(news_, clock_, deadline);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) break;
  }
  if (const auto known = worker.fates.find(message_id); known != worker.fates.end()) {
    receipt.fate = known->second;
    worker.fates.erase(known);
  } else {
    receipt.note =
        worker.doing.current().empty()
            ? "The worker's model is in the middle of a reply. It reads the message behind its next tool "
              "call; if there is none, the message begins its next turn."
            : "The worker is in the middle of " + worker.doing.current() + ". Its model reads the message behind that.";
  }
  co_return receipt;
}

}  // namespace awm::manager
