#include "manager/broker.hpp"

#include "coro/when_any.hpp"

#include <asio/bind_cancellation_slot.hpp>

#include <algorithm>
#include <utility>

namespace awm::manager {

using nlohmann::json;

std::optional<respondent> respondent_of(std::string_view name) {
  if (name == "auto") return respondent::automatic;
  if (name == "human") return respondent::human;
  if (name == "model") return respondent::model;
  return std::nullopt;
}

broker::broker(asio::any_io_executor executor, permission_rules rules, permission_log& log, coro::clock& clock,
               hooks told)
    : rules_(std::move(rules)),
      log_(log),
      clock_(clock),
      hooks_(std::move(told)),
      stop_asking_(executor),
      consultation_(std::move(executor)) {}

void broker::ask(pending_permission question, worker_policy& policy) {
  question.is_with_human = may_ask_human(policy);
  const auto asked = pending_.insert(pending_.end(), entry{std::move(question), &policy});
  if (answer_by_rules(asked)) return;
  hooks_.changed();
  consult();
}

bool broker::may_ask_human(const worker_policy& policy) const {
  return policy.ask != respondent::model && human_ != nullptr && human_->is_reachable();
}

bool broker::answer_by_rules(entries::iterator which) {
  const auto& question = which->question.question;
  const auto input = json::parse(question.input, nullptr, false);
  permission_rules rules = rules_;
  rules.merge(which->policy->rules);
  auto ruling = rules.decide(question.tool, input, which->policy->context);
  auto by = decided_by::rule;
  if (ruling.what == verdict::none) {
    permission_rules remembered = remembered_;
    remembered.merge(which->policy->remembered);
    ruling = remembered.decide(question.tool, input, which->policy->context);
    by = decided_by::remembered;
  }
  permission_answer answer;
  answer.allow = ruling.what == verdict::allow;
  if (!answer.allow && ruling.what != verdict::deny) return false;
  if (!answer.allow) answer.reason = "A permission rule denies this: " + ruling.rule;
  settle(which, answer, by, ruling.rule);
  return true;
}

/// The question is answered and gone.
void broker::settle(entries::iterator which, const permission_answer& answer, decided_by by, std::string rule) {
  const auto question = std::move(which->question);
  pending_.erase(which);
  if (question.request_id == being_asked_) stop_asking_.set();
  note(question, answer, by, std::move(rule));
  hooks_.answered(question, answer);
  hooks_.changed();
}

void broker::note(const pending_permission& question, const permission_answer& answer, decided_by by,
                  std::string rule) {
  logged_decision noted;
  noted.worker_id = question.worker_id;
  noted.description = question.description;
  noted.request_id = question.request_id;
  noted.tool = question.question.tool;
  noted.input = question.question.input;
  noted.allowed = answer.allow;
  noted.by = by;
  noted.rule = std::move(rule);
  noted.reason = answer.reason;
  if (answer.scope != answer_scope::once) noted.scope = answer.scope == answer_scope::all ? "all" : "worker";
  // A decision counts also when the disk does not take its line.
  log_.append(noted, clock_.utc_now());
}

void broker::withdraw(std::string_view worker_id, std::string_view child_request_id) {
  const auto gone = std::find_if(pending_.begin(), pending_.end(), [&](const entry& pending) {
    return pending.question.worker_id == worker_id && pending.question.question.request_id == child_request_id;
  });
  if (gone == pending_.end()) return;
  if (gone->question.request_id == being_asked_) stop_asking_.set();
  note(gone->question, {}, decided_by::withdrawn, {});
  pending_.erase(gone);
  hooks_.changed();
}

broker::entries::iterator broker::locate(std::string_view request_id) {
  return std::find_if(pending_.begin(), pending_.end(),
                      [&](const entry& pending) { return pending.question.request_id == request_id; });
}

const pending_permission* broker::find(std::string_view request_id) {
  const auto found = locate(request_id);
  return found == pending_.end() ? nullptr : &found->question;
}

void broker::decide(std::string_view request_id, const permission_answer& answer) {
  const auto found = locate(request_id);
  if (found == pending_.end()) return;
  remember(*found, answer);
  settle(found, answer, decided_by::model);
  if (answer.scope != answer_scope::once) apply_rules();
}

void broker::remember(const entry& which, const permission_answer& answer) {
  // What is remembered allows what was asked for, and that is not what was allowed here.
  const bool is_of_its_own = !answer.updated_input.is_null();
  if (answer.scope == answer_scope::once || is_of_its_own) return;
  const auto& question = which.question.question;
  const auto rule = exact_rule_for(question.tool, json::parse(question.input, nullptr, false));
  if (rule.empty()) return;
  auto& rules = answer.scope == answer_scope::all ? remembered_ : which.policy->remembered;
  rules.add(answer.allow ? verdict::allow : verdict::deny, rule);
}

/// Answers what a rule that has just come decides.
void broker::apply_rules() {
  for (auto next = pending_.begin(); next != pending_.end();) {
    // Answering it takes it out.
    const auto here = next++;
    answer_by_rules(here);
  }
}

bool broker::needs_model() const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [](const entry& pending) { return !pending.question.is_with_human; });
}

std::list<pending_permission> broker::for_model() const {
  std::list<pending_permission> questions;
  for (const auto& pending : pending_) {
    if (!pending.question.is_with_human) questions.push_back(pending.question);
  }
  return questions;
}

std::size_t broker::with_human() const {
  return static_cast<std::size_t>(std::count_if(pending_.begin(), pending_.end(),
                                                [](const entry& pending) { return pending.question.is_with_human; }));
}

void broker::use_human(human* human) {
  human_ = human;
  human_has_answered_ = false;
}

/// Asks the human one question after the other: an answer for all may save the next.
void broker::consult() {
  if (is_consulting_ || with_human() == 0) return;
  is_consulting_ = true;
  consultation_.spawn(consult_human());
}

asio::awaitable<void> broker::consult_human() {
  while (with_human() > 0 && human_ != nullptr) {
    const auto next = std::find_if(pending_.begin(), pending_.end(),
                                   [](const entry& pending) { return pending.question.is_with_human; });
    const auto request_id = next->question.request_id;
    being_asked_ = request_id;
    auto asking = human_->ask(next->question);
    stop_asking_.reset();
    auto withdrawn = stop_asking_.wait();
    auto first = co_await coro::when_any(coro::first_done, std::move(asking), std::move(withdrawn));
    auto& [answer, stopped] = first.outcomes;
    being_asked_.clear();
    if (find(request_id) != nullptr) take(answer ? answer.value() : human_answer{}, request_id);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) break;
  }
  is_consulting_ = false;
}

void broker::take(const human_answer& answer, const std::string& request_id) {
  const auto asked = locate(request_id);
  if (answer.what == human_answer::kind::decided) {
    human_has_answered_ = true;
    remember(*asked, answer.answer);
    settle(asked, answer.answer, decided_by::human);
    if (answer.answer.scope != answer_scope::once) apply_rules();
  } else if (answer.what == human_answer::kind::dismissed && human_has_answered_) {
    asked->question.is_with_human = false;
    hooks_.changed();
  } else {
    // Nobody sits there: a client without a person cancels every question at once.
    give_to_model();
  }
}

void broker::give_to_model() {
  human_ = nullptr;
  for (auto& pending : pending_) pending.question.is_with_human = false;
  hooks_.changed();
}

void broker::stop() {
  human_ = nullptr;
  consultation_.cancel();
  stop_asking_.set();
}

}  // namespace awm::manager
