#include "manager/spares.hpp"

#include "worker/surroundings.hpp"

#include <algorithm>
#include <utility>

namespace awm::manager {
namespace {

using namespace std::chrono_literals;

// What is not seen to have changed (files that git does not know of yet, the day) is this old at most in what a worker
// reads about its surroundings.
constexpr auto longest_life = 300s;

// A start is a second of CPU, and the child that was just taken wants its own for its first request.
constexpr auto pause_after_use = 500ms;

// After a spare that ended by itself; doubled with each that follows.
constexpr auto pause_after_failure = 1s;
constexpr int most_doublings = 8;

}  // namespace

/// One child. Until it is taken the pool is who its conversation talks to.
class spares::spare final : public worker::conversation_observer {
 public:
  spare(spares& owner, worker::child_plan plan)
      : surroundings(worker::surroundings_of(plan.launch, owner.files_)),
        started_at(owner.clock_.now()),
        conversation(std::make_unique<worker::conversation>(std::move(plan), owner.launcher_, owner.clock_,
                                                            owner.reading_, *this)),
        pool_(owner) {}

  void child_started() override {
    free_start();
    pool_.changed_();
  }
  void permission_asked(const worker::permission_line&) override {}
  void permission_withdrawn(const std::string&) override {}
  void turn_ended(const worker::turn_outcome&) override {}

  void free_start() {
    if (std::exchange(holds_start_, false)) pool_.queue_.started();
  }

  const std::string surroundings;
  const coro::clock::time_point started_at;
  std::unique_ptr<worker::conversation> conversation;  // the taker's, once it is taken
  std::function<void()> gone;                          // the taker's

 private:
  spares& pool_;
  bool holds_start_ = true;
};

spares::spares(std::size_t count, planner plan, std::function<void()> changed, coro::task_group& tasks,
               worker::launcher& launcher, coro::clock& clock, worker::files& files, worker::reading& reading,
               queue& queue)
    : count_(count),
      plan_(std::move(plan)),
      changed_(std::move(changed)),
      tasks_(tasks),
      launcher_(launcher),
      clock_(clock),
      files_(files),
      reading_(reading),
      queue_(queue),
      timer_(clock) {}

spares::~spares() = default;

void spares::review() {
  if (stopped_ || count_ == 0) return;
  const auto now = clock_.now();
  while (!all_.empty() && all_.front()->started_at + longest_life <= now) {
    failures_in_a_row_ = 0;  // it was well until now
    drop(*all_.front());
  }
  while (all_.size() > queue_.free_slots()) drop(*all_.front());
  const bool is_due = all_.size() < std::min(count_, queue_.free_slots()) && starting() == 0 && queue_.has_free_slot();
  if (is_due && now >= next_start_) {
    if (auto plan = plan_()) start(std::move(*plan));
  }
  auto next_look = all_.empty() ? coro::clock::time_point::max() : all_.front()->started_at + longest_life;
  if (is_due && now < next_start_) next_look = std::min(next_look, next_start_);
  if (next_look != coro::clock::time_point::max()) timer_.arm(next_look, [this] { review(); });
}

void spares::start(worker::child_plan plan) {
  queue_.take_start();
  all_.push_back(std::make_shared<spare>(*this, std::move(plan)));
  tasks_.spawn(run(this, all_.back()));
}

asio::awaitable<void> spares::run(spares* pool, std::shared_ptr<spare> one) {
  auto& conversation = *one->conversation;  // which is another's once it is taken
  co_await conversation.run();
  one->free_start();
  if (one->gone) {
    std::exchange(one->gone, nullptr)();
  } else {
    pool->ended(*one);
  }
}

/// One that nobody took has ended; that it did by itself is known by its being on the list.
void spares::ended(spare& one) {
  const auto is_it = [&one](const auto& other) { return other.get() == &one; };
  leaving_.remove_if(is_it);
  if (all_.remove_if(is_it) == 0 || stopped_) return;
  next_start_ = clock_.now() + pause_after_failure * (1 << std::min(failures_in_a_row_, most_doublings));
  ++failures_in_a_row_;
  changed_();
  review();
}

void spares::drop(spare& one) {
  const auto at = std::find_if(all_.begin(), all_.end(), [&one](const auto& other) { return other.get() == &one; });
  leaving_.splice(leaving_.end(), all_, at);
  one.conversation->let_go();
  changed_();
}

/// The one to hand out: one that is ready before one that is starting, and the oldest of these.
std::shared_ptr<spares::spare> spares::find(const worker::child_plan& wanted) {
  std::shared_ptr<spare> found;
  for (const auto& one : all_) {
    if (!one->conversation->can_take(wanted)) continue;
    if (one->conversation->is_idle()) {
      found = one;
      break;
    }
    if (!found) found = one;
  }
  if (!found) return nullptr;
  // All were started by one plan, so one look tells for all of them.
  const auto surroundings = worker::surroundings_of(found->conversation->plan().launch, files_);
  if (found->surroundings == surroundings) return found;
  while (!all_.empty() && all_.front()->surroundings != surroundings) drop(*all_.front());
  next_start_ = std::max(next_start_, clock_.now() + pause_after_use);
  return all_.empty() ? nullptr : find(wanted);
}

std::string spares::session_for(const worker::child_plan& wanted) {
  const auto one = find(wanted);
  return one ? std::string(worker::session_of(one->conversation->plan())) : std::string();
}

std::unique_ptr<worker::conversation> spares::take(const worker::child_plan& wanted, std::function<void()> gone) {
  const auto one = find(wanted);
  if (!one) return nullptr;
  failures_in_a_row_ = 0;
  next_start_ = std::max(next_start_, clock_.now() + pause_after_use);
  all_.remove(one);
  one->gone = std::move(gone);
  auto conversation = std::move(one->conversation);
  one->free_start();  // the taker has one of its own
  changed_();
  return conversation;
}

std::size_t spares::ready() const {
  return static_cast<std::size_t>(
      std::count_if(all_.begin(), all_.end(), [](const auto& one) { return one->conversation->is_idle(); }));
}

void spares::signal(int number) {
  for (const auto* const list : {&all_, &leaving_}) {
    for (const auto& one : *list) one->conversation->signal(number);
  }
}

void spares::stop() {
  stopped_ = true;
  timer_.disarm();
  for (const auto& one : all_) one->conversation->stop();
  leaving_.splice(leaving_.end(), all_);
}

}  // namespace awm::manager
