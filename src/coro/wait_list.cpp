#include "wait_list.hpp"

namespace awm::coro {

asio::execution_context::id wait_registry::id;

wait_registry::entry::entry(asio::execution_context& context) : registry_(&asio::use_service<wait_registry>(context)) {
  const std::lock_guard lock(registry_->mutex_);
  next_ = registry_->first_;
  if (next_ != nullptr) next_->previous_ = this;
  registry_->first_ = this;
}

wait_registry::entry::~entry() {
  if (registry_ != nullptr) registry_->remove(*this);
}

void wait_registry::remove(entry& list) {
  const std::lock_guard lock(mutex_);
  (list.previous_ != nullptr ? list.previous_->next_ : first_) = list.next_;
  if (list.next_ != nullptr) list.next_->previous_ = list.previous_;
  list.registry_ = nullptr;
}

void wait_registry::shutdown() {
  // An operation that is destroyed takes its coroutine with it, and that any number of lists: begin anew after each.
  while (first_ != nullptr) {
    entry& list = *first_;
    const bool had_one = list.abandon_one();
    if (!had_one) remove(list);
  }
}

}  // namespace awm::coro
