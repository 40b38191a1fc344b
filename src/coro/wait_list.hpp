#pragma once
// What every waiting primitive is made of: a first-in first-out list of suspended operations, completed one by one or
// all at once. Asio has no such thing in public; its users take a timer that never expires, at two system calls a wait.

#include "coro/asio.hpp"

#include <memory>
#include <system_error>
#include <utility>

namespace awm::coro {

/// A list of operations that wait. It is passive: whoever owns it decides when a waiter completes.
///
/// Completion: a waiter's handler is always posted to its executor, never called inside the call that completes it, so
/// that neither long chains of wake-ups overflow the stack nor a woken coroutine runs in the middle of its waker.
///
/// Cancellation (any type): the waiter leaves the list and completes with `operation_aborted`; the others stay.
/// Destroying the list completes all waiters with `operation_aborted`.
class wait_list {
 public:
  wait_list() = default;
  wait_list(const wait_list&) = delete;
  wait_list& operator=(const wait_list&) = delete;
  ~wait_list() { complete_all(asio::error::operation_aborted); }

  bool empty() const { return first_ == nullptr; }

  /// Joins the end of the list; the signature of the completion is `void(std::error_code)`.
  template <class Token>
  auto async_wait(const asio::any_io_executor& executor, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        [this, executor](auto handler) { this->append(executor, std::move(handler)); }, token);
  }

  /// Completes the waiter that came first, if there is one; returns whether there was.
  bool complete_one(std::error_code error = {}) {
    if (first_ == nullptr) return false;
    first_->complete(error);
    return true;
  }

  /// Completes those that wait now, in the order in which they came.
  void complete_all(std::error_code error = {}) {
    while (complete_one(error)) {
    }
  }

 private:
  struct waiter {
    explicit waiter(wait_list& owner) : list(owner), previous(owner.last_) {
      (previous != nullptr ? previous->next : list.first_) = this;
      list.last_ = this;
    }
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;
    virtual ~waiter() {
      (previous != nullptr ? previous->next : list.first_) = next;
      (next != nullptr ? next->previous : list.last_) = previous;
    }
    /// Posts the handler and destroys this node.
    virtual void complete(std::error_code error) = 0;

    wait_list& list;
    waiter* previous;
    waiter* next = nullptr;
  };

  template <class Handler>
  struct waiter_of final : waiter {
    using executor_type = asio::associated_executor_t<Handler, asio::any_io_executor>;
    using allocator_type =
        typename std::allocator_traits<asio::associated_allocator_t<Handler>>::template rebind_alloc<waiter_of>;

    waiter_of(wait_list& owner, const asio::any_io_executor& fallback, Handler&& completion)
        : waiter(owner),
          handler(std::move(completion)),
          work(asio::get_associated_executor(handler, fallback)),
          slot(asio::get_associated_cancellation_slot(handler)) {
      if (slot.is_connected()) {
        slot.assign([this](asio::cancellation_type) { complete(asio::error::operation_aborted); });
      }
    }

    void complete(std::error_code error) override {
      // Moved out first: the slot's handler, which may be what called us, lives in the signal and refers to this node.
      auto out_handler = std::move(handler);
      auto out_work = std::move(work);
      if (slot.is_connected()) slot.clear();
      allocator_type allocator(asio::get_associated_allocator(out_handler));
      std::allocator_traits<allocator_type>::destroy(allocator, this);
      std::allocator_traits<allocator_type>::deallocate(allocator, this, 1);
      const auto executor = out_work.get_executor();
      asio::post(executor, [out = std::move(out_handler), error]() mutable { std::move(out)(error); });
    }

    Handler handler;
    asio::executor_work_guard<executor_type> work;
    asio::cancellation_slot slot;
  };

  template <class Handler>
  void append(const asio::any_io_executor& executor, Handler&& handler) {
    using node = waiter_of<std::decay_t<Handler>>;
    typename node::allocator_type allocator(asio::get_associated_allocator(handler));
    node* const memory = std::allocator_traits<typename node::allocator_type>::allocate(allocator, 1);
    std::allocator_traits<typename node::allocator_type>::construct(allocator, memory, *this, executor,
                                                                    std::move(handler));
  }

  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
};

}  // namespace awm::coro
