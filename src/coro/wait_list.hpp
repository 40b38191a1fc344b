#pragma once
// What every waiting primitive is made of: a first-in first-out list of suspended operations, completed one by one or
// all at once. Asio has no such thing in public; its users take a timer that never expires, at two system calls a wait.

#include "asio.hpp"

#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

namespace awm::coro {

/// Knows all lists of one event loop, so that a loop that is destroyed takes with it who still waits there. Without it
/// a coroutine that waits for an event of its own frame would stay for ever: the frame owns the event, the event's list
/// owns the operation, and the operation owns the frame.
class wait_registry final : public asio::execution_context::service {
 public:
  /// Asio's key for the service of a context.
  static asio::execution_context::id id;

  explicit wait_registry(asio::execution_context& context) : service(context) {}

  /// A list that the registry knows, for as long as both live.
  class entry {
   public:
    explicit entry(asio::execution_context& context);
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;

   protected:
    virtual ~entry();
    /// Destroys the operation that came first, without completing it; returns whether there was one. The list may be
    /// gone with it.
    virtual bool abandon_one() = 0;

   private:
    friend class wait_registry;
    wait_registry* registry_;  // null once it has let go of this list
    entry* previous_ = nullptr;
    entry* next_ = nullptr;
  };

 private:
  void shutdown() override;
  void remove(entry& list);

  std::mutex mutex_;  // a program may run one loop on several threads, with each coroutine on a strand
  entry* first_ = nullptr;
};

/// An operation in a list, or anything else that wants to be told in its turn.
template <class... Results>
class waiter {
 public:
  waiter() = default;
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  /// Leaves the list and ends the wait.
  virtual void complete(std::error_code error, Results... results) = 0;
  /// Leaves the list and is destroyed.
  virtual void abandon() = 0;

 protected:
  virtual ~waiter() = default;

 private:
  template <class, class...>
  friend class basic_wait_list;
  waiter* previous_ = nullptr;
  waiter* next_ = nullptr;
};

struct nothing {};

/// A list of operations that wait. It is passive: whoever owns it decides when a waiter completes.
///
/// Completion: a waiter's handler is always posted to its executor, never called inside the call that completes it, so
/// that neither long chains of wake-ups overflow the stack nor a woken coroutine runs in the middle of its waker
/// (`handler_route`).
///
/// Cancellation (any type): the waiter leaves the list and completes with `operation_aborted`; the others stay.
/// Destroying the list completes all waiters with `operation_aborted`; destroying the event loop destroys them.
///
/// `Payload` is what the owner has to know of a waiter; `Results` come behind the error code in its completion.
/// Cost: one allocation a wait, from the handler's associated allocator or else from Asio's cache, and one post.
template <class Payload, class... Results>
class basic_wait_list final : private wait_registry::entry {
 public:
  /// Told when a waiter was cancelled and has left.
  struct observer {
    void (*left)(void* owner) = nullptr;
    void* owner = nullptr;
  };

  /// `executor` runs the handlers of waiters that bring no executor of their own.
  explicit basic_wait_list(asio::any_io_executor executor) : basic_wait_list(std::move(executor), observer{}) {}
  basic_wait_list(asio::any_io_executor executor, observer told)
      : entry(context_of(executor)), executor_(std::move(executor)), told_(told) {}
  ~basic_wait_list() override { complete_all(asio::error::operation_aborted); }

  const asio::any_io_executor& get_executor() const { return executor_; }
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const { return size_; }

  /// The payload of the waiter that came first. Not to be called on an empty list.
  Payload& front() { return static_cast<operation*>(first_)->payload; }

  /// Joins the end of the list; the signature of the completion is `void(std::error_code, Results...)`.
  template <class Token>
  auto async_wait(Payload payload, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code, Results...)>(
        [this](auto handler, Payload carried) { this->append(std::move(handler), std::move(carried)); }, token,
        std::move(payload));
  }

  /// Joins the end of the list with a handler that an initiation was given.
  template <class Handler>
  void append(Handler&& handler, Payload payload) {
    using node = operation_of<std::decay_t<Handler>>;
    typename node::allocator_type allocator(allocator_of(handler));
    node* const memory = std::allocator_traits<typename node::allocator_type>::allocate(allocator, 1);
    std::allocator_traits<typename node::allocator_type>::construct(allocator, memory, *this, std::move(handler),
                                                                    std::move(payload));
  }

  /// Completes the waiter that came first, if there is one; returns whether there was.
  bool complete_one(std::error_code error = {}, Results... results) {
    if (first_ == nullptr) return false;
    first_->complete(error, std::move(results)...);
    return true;
  }

  /// Completes those that wait now, in the order in which they came.
  void complete_all(std::error_code error = {}) {
    // Who completes may bring about that another one comes: it is not among those that wait now.
    for (auto left = size_; left > 0 && first_ != nullptr; --left) first_->complete(error, Results{}...);
  }

  void link(waiter<Results...>& one) {
    one.previous_ = last_;
    one.next_ = nullptr;
    (last_ != nullptr ? last_->next_ : first_) = &one;
    last_ = &one;
    ++size_;
  }
  void unlink(waiter<Results...>& one) {
    (one.previous_ != nullptr ? one.previous_->next_ : first_) = one.next_;
    (one.next_ != nullptr ? one.next_->previous_ : last_) = one.previous_;
    --size_;
  }

 private:
  struct operation : waiter<Results...> {
    explicit operation(Payload carried) : payload(std::move(carried)) {}
    [[no_unique_address]] Payload payload;
  };

  template <class Handler>
  struct operation_of final : operation {
    using executor_type = asio::associated_executor_t<Handler, asio::any_io_executor>;
    using allocator_type = typename std::allocator_traits<
        recycling_by_default<asio::associated_allocator_t<Handler>>>::template rebind_alloc<operation_of>;

    operation_of(basic_wait_list& owner, Handler&& completion, Payload carried)
        : operation(std::move(carried)),
          list(owner),
          handler(std::move(completion)),
          route(asio::get_associated_executor(handler, owner.executor_), owner.executor_),
          slot(asio::get_associated_cancellation_slot(handler)) {
      list.link(*this);
      if (slot.is_connected()) slot.assign([this](asio::cancellation_type) { cancel(); });
    }

    void cancel() {
      auto& left = list;
      complete(asio::error::operation_aborted, Results{}...);
      if (left.told_.left != nullptr) left.told_.left(left.told_.owner);
    }

    void complete(std::error_code error, Results... results) override {
      // The slot's handler, which may be what called us, lives in the signal and refers to this node.
      if (slot.is_connected()) slot.clear();
      auto out_route = std::move(route);
      std::move(out_route).post([out = take(), error, ... out_results = std::move(results)]() mutable {
        std::move(out)(error, std::move(out_results)...);
      });
    }

    // The slot stays untouched: while a loop is destroyed, its signal may be gone already.
    void abandon() override { take(); }

    /// Leaves the list and frees this node; its handler remains.
    Handler take() {
      list.unlink(*this);
      auto out = std::move(handler);
      allocator_type allocator(allocator_of(out));
      std::allocator_traits<allocator_type>::destroy(allocator, this);
      std::allocator_traits<allocator_type>::deallocate(allocator, this, 1);
      return out;
    }

    basic_wait_list& list;
    Handler handler;
    handler_route<executor_type> route;
    asio::cancellation_slot slot;
  };

  bool abandon_one() override {
    if (first_ == nullptr) return false;
    first_->abandon();
    return true;
  }

  asio::any_io_executor executor_;
  observer told_;
  waiter<Results...>* first_ = nullptr;
  waiter<Results...>* last_ = nullptr;
  std::size_t size_ = 0;
};

using wait_list = basic_wait_list<nothing>;

}  // namespace awm::coro
