#pragma once
// Who answers a worker's question: the rules, then a human, then the model. A question that nobody has answered parks;
// it never expires and is never answered by default.

#include "coro/clock.hpp"
#include "coro/task_group.hpp"
#include "manager/permission_log.hpp"
#include "manager/policy.hpp"
#include "worker/protocol.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace awm::manager {

/// Whom a question goes to that no rule decides. `automatic` is the human where one can be asked.
enum class respondent { automatic, human, model };

/// Nothing for a name that is none of `auto`, `human`, `model`.
std::optional<respondent> respondent_of(std::string_view name);

/// What is decided of a worker's questions without asking anybody. Lives as long as the worker.
struct worker_policy {
  permission_rules rules;
  /// From answers for this worker.
  permission_rules remembered;
  respondent ask = respondent::automatic;
  rule_context context;
};

/// A question of a worker that nobody has answered yet.
struct pending_permission {
  /// Ours: what a worker's child calls it need not be unique among workers.
  std::string request_id;
  std::string worker_id;
  std::string description;
  worker::permission_line question;
  /// A human is being asked, or will be.
  bool is_with_human = false;
};

/// How far an answer reaches.
enum class answer_scope {
  once,
  worker,  ///< the same request of this worker is answered so from now on
  all,     ///< that of every worker
};

/// The answer to a worker's question.
struct permission_answer {
  bool allow = false;
  /// Reaches the worker's model when the tool is denied.
  std::string reason;
  /// Replaces the tool's input when it is allowed; null leaves it as it is. An answer with it is never remembered,
  /// whatever its scope: the same request comes with its own input again.
  nlohmann::json updated_input;
  answer_scope scope = answer_scope::once;
};

/// What a human said.
struct human_answer {
  enum class kind {
    decided,
    dismissed,    ///< closed the question without an answer
    unreachable,  ///< nobody can be asked
  };
  kind what = kind::unreachable;
  permission_answer answer;
};

/// A way to ask somebody, such as MCP's elicitation.
class human {
 public:
  human() = default;
  human(const human&) = delete;
  human& operator=(const human&) = delete;
  virtual ~human() = default;

  virtual bool is_reachable() const = 0;
  /// Waits as long as it takes. Cancelled when the question is withdrawn or was answered elsewhere; what comes back
  /// then is ignored.
  virtual asio::awaitable<human_answer> ask(pending_permission question) = 0;
};

/// Keeps the questions of all workers until they are answered or withdrawn, in the order in which they came.
class broker {
 public:
  /// Called with every answer, whoever gave it, and whenever the list of questions changed.
  struct hooks {
    std::function<void(const pending_permission&, const permission_answer&)> answered;
    std::function<void()> changed;
  };
  broker(asio::any_io_executor executor, permission_rules rules, permission_log& log, coro::clock& clock, hooks told);

  /// Puts a question, which is answered inside this call where a rule decides it.
  void ask(pending_permission question, worker_policy& policy);

  /// Takes out what the child of `worker_id` withdrew, by the child's own id for it.
  void withdraw(std::string_view worker_id, std::string_view child_request_id);

  /// The question, or null.
  const pending_permission* find(std::string_view request_id);

  /// Answers the question, on behalf of the model. With a scope, others of the same request are answered too.
  void decide(std::string_view request_id, const permission_answer& answer);

  /// True when there is a question that the model has to answer.
  bool needs_model() const;

  std::size_t size() const { return pending_.size(); }
  /// Those that the model has to answer, and those of a human.
  std::list<pending_permission> for_model() const;
  std::size_t with_human() const;

  /// Where a human can be asked from now on; null: nowhere. It outlives its use.
  void use_human(human* human);

  /// Nobody is asked any more.
  void stop();
  coro::event& stopped() { return consultation_.empty(); }

 private:
  struct entry {
    pending_permission question;
    worker_policy* policy;
  };
  using entries = std::list<entry>;

  entries::iterator locate(std::string_view request_id);
  bool may_ask_human(const worker_policy& policy) const;
  void settle(entries::iterator which, const permission_answer& answer, decided_by by, std::string rule = {});
  void note(const pending_permission& question, const permission_answer& answer, decided_by by, std::string rule);
  void remember(const entry& which, const permission_answer& answer);
  void apply_rules();
  bool answer_by_rules(entries::iterator which);
  void consult();
  asio::awaitable<void> consult_human();
  void take(const human_answer& answer, const std::string& request_id);
  void give_to_model();

  permission_rules rules_;
  permission_rules remembered_;  // by answers for all
  permission_log& log_;
  coro::clock& clock_;
  hooks hooks_;
  entries pending_;
  human* human_ = nullptr;
  bool human_has_answered_ = false;
  bool is_consulting_ = false;
  std::string being_asked_;
  coro::event stop_asking_;
  coro::task_group consultation_;
};

}  // namespace awm::manager
