#pragma once
// What the work costs without Asio: bare coroutines, a run queue, and the least of each primitive that does the job. No
// executors, no cancellation but where a row is about it, no exceptions. Nobody should use this; it says what is left
// to win.

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace bench::bare {

class run_queue {
 public:
  void push(std::coroutine_handle<> ready) { next_.push_back(ready); }
  void run() {
    for (; !next_.empty(); now_.clear()) {
      now_.swap(next_);
      for (const auto each : now_) each.resume();
    }
  }
  auto turn() {
    struct awaiter : std::suspend_always {
      run_queue& queue;
      void await_suspend(std::coroutine_handle<> frame) { queue.push(frame); }
    };
    return awaiter{{}, *this};
  }

 private:
  std::vector<std::coroutine_handle<>> now_, next_;
};

struct family {
  std::size_t left;
  std::coroutine_handle<> parent;
};

struct promise_base {
  struct at_end : std::suspend_always {
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> frame) noexcept {
      auto& [next, of] = static_cast<promise_base&>(frame.promise());
      if (of == nullptr) return next;
      return --of->left == 0 ? of->parent : std::noop_coroutine();
    }
  };
  std::suspend_always initial_suspend() noexcept { return {}; }
  at_end final_suspend() noexcept { return {}; }
  void unhandled_exception() { std::terminate(); }

  std::coroutine_handle<> next = std::noop_coroutine();
  family* of = nullptr;
};
template <class T>
struct promise_value : promise_base {
  void return_value(T returned) { value.emplace(std::move(returned)); }
  std::optional<T> value;
};
template <>
struct promise_value<void> : promise_base {
  void return_void() {}
};

/// A coroutine that begins when it is awaited or started.
template <class T = void>
class [[nodiscard]] task {
 public:
  struct promise_type : promise_value<T> {
    task get_return_object() { return task(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };
  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  ~task() {
    if (frame_) frame_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) {
    frame_.promise().next = awaiting;
    return frame_;
  }
  T await_resume() {
    if constexpr (!std::is_void_v<T>) return std::move(*frame_.promise().value);
  }
  void start(family* of = nullptr) {
    frame_.promise().of = of;
    frame_.resume();
  }

 private:
  explicit task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

/// `co_await join(children)`: starts them, and goes on when all have ended.
struct join : std::suspend_always {
  explicit join(std::vector<task<>>& started) : children(started) {}
  bool await_suspend(std::coroutine_handle<> frame) {
    all = {children.size() + 1, frame};
    for (auto& each : children) each.start(&all);
    return --all.left > 0;
  }
  std::vector<task<>>& children;
  family all;
};

struct waiter {
  run_queue& queue;
  std::coroutine_handle<> frame = nullptr;
  waiter *previous = nullptr, *next = nullptr;
};
struct wait_list {
  waiter *first = nullptr, *last = nullptr;
  void link(waiter& one, std::coroutine_handle<> frame) {
    one.frame = frame;
    one.previous = std::exchange(last, &one);
    (one.previous != nullptr ? one.previous->next : first) = &one;
  }
  /// Takes it out and lets it run.
  void wake(waiter& one) {
    (one.previous != nullptr ? one.previous->next : first) = one.next;
    (one.next != nullptr ? one.next->previous : last) = one.previous;
    one.queue.push(one.frame);
  }
};

class event {
 public:
  explicit event(run_queue& queue) : queue_(queue) {}
  void set() {
    set_ = true;
    while (list_.first != nullptr) list_.wake(*list_.first);
  }
  void reset() { set_ = false; }
  /// `slot` is told who waits, for `cancel`.
  auto wait(waiter** slot = nullptr) {
    struct awaiter : waiter {
      event& of;
      waiter** slot;
      bool await_ready() const { return of.set_; }
      void await_suspend(std::coroutine_handle<> suspended) {
        if (slot != nullptr) *slot = this;
        of.list_.link(*this, suspended);
      }
      bool await_resume() const { return of.set_; }
    };
    return awaiter{{queue_}, *this, slot};
  }
  void cancel(waiter& one) { list_.wake(one); }

 private:
  run_queue& queue_;
  wait_list list_;
  bool set_ = false;
};

/// A mutex or an auto-reset event, too, with one permit or none at first. Permits go to who waits.
class semaphore {
 public:
  semaphore(run_queue& queue, std::size_t count) : queue_(queue), count_(count) {}
  void release() { list_.first != nullptr ? list_.wake(*list_.first) : void(++count_); }
  auto acquire() {
    struct awaiter : waiter {
      semaphore& of;
      bool await_ready() { return of.count_ > 0 && of.count_-- > 0; }
      void await_suspend(std::coroutine_handle<> suspended) { of.list_.link(*this, suspended); }
      void await_resume() const {}
    };
    return awaiter{{queue_}, *this};
  }

 private:
  run_queue& queue_;
  wait_list list_;
  std::size_t count_;
};

/// Of ints. The ring grows to its capacity, in powers of two.
class channel {
 public:
  channel(run_queue& queue, std::size_t capacity) : queue_(queue), capacity_(capacity), ring_(64) {}

  struct sender : waiter {
    channel& of;
    int value;
    bool await_ready() { return of.accept(value); }
    void await_suspend(std::coroutine_handle<> suspended) { of.senders_.link(*this, suspended); }
    void await_resume() const {}
  };
  struct receiver : waiter {
    channel& of;
    std::optional<int> value = {};
    bool await_ready() { return of.take(value); }
    void await_suspend(std::coroutine_handle<> suspended) { of.receivers_.link(*this, suspended); }
    std::optional<int> await_resume() const { return value; }
  };
  auto send(int value) { return sender{{queue_}, *this, value}; }
  auto receive() { return receiver{{queue_}, *this}; }

 private:
  bool accept(int value) {
    if (auto* const waiting = static_cast<receiver*>(receivers_.first); waiting != nullptr) {
      waiting->value = value;
      receivers_.wake(*waiting);
      return true;
    }
    if (size_ == capacity_) return false;
    if (size_ == ring_.size()) grow();
    ring_[(begin_ + size_++) & (ring_.size() - 1)] = value;
    return true;
  }
  bool take(std::optional<int>& into) {
    auto* const waiting = static_cast<sender*>(senders_.first);
    if (size_ > 0) {
      into = ring_[begin_++ & (ring_.size() - 1)];
      --size_;
      if (waiting != nullptr) ring_[(begin_ + size_++) & (ring_.size() - 1)] = waiting->value;
    } else if (waiting != nullptr) {
      into = waiting->value;
    }
    if (waiting != nullptr) senders_.wake(*waiting);
    return into.has_value();
  }
  void grow() {
    std::vector<int> larger(2 * ring_.size());
    for (std::size_t at = 0; at < size_; ++at) larger[at] = ring_[(begin_ + at) & (ring_.size() - 1)];
    ring_.swap(larger);
    begin_ = 0;
  }

  run_queue& queue_;
  std::size_t capacity_, begin_ = 0, size_ = 0;
  std::vector<int> ring_;
  wait_list senders_, receivers_;
};

/// Of ints, one at a time, without waiting.
class generator {
 public:
  struct promise_type {
    generator get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(int yielded) { return value = yielded, std::suspend_always(); }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    int value = 0;
  };
  generator(std::coroutine_handle<promise_type> begun) : frame(begun) {}
  generator(const generator&) = delete;
  ~generator() { frame.destroy(); }
  int next() { return frame.resume(), frame.promise().value; }

 private:
  std::coroutine_handle<promise_type> frame;
};

}  // namespace bench::bare
