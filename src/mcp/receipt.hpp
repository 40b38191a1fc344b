#pragma once
// A result counts as delivered when its bytes were written, not when a handler returned it. Between the two lie a
// queue, a client that may cancel, and a pipe that may break; the handler is long gone. The receipt travels with the
// response and tells what became of it.

#include <concepts>
#include <functional>
#include <utility>

namespace awm::mcp {

/// Calls a function exactly once: with true when the bytes of a response were completely written to the transport, with
/// false when they never were. Whoever drops a receipt without settling it has settled it with false, so that an
/// exception, a cancellation and the end of a session need no care.
///
/// The function is called on the session's thread, at the latest when the receipt is destroyed; it must not throw. When
/// an io_context is torn down in the middle, that is in the context's destructor: what the function refers to must
/// still be there.
class delivery_receipt {
 public:
  delivery_receipt() = default;

  template <std::invocable<bool> Settled>
  delivery_receipt(Settled settled) : settled_(std::move(settled)) {}  // NOLINT(google-explicit-constructor)

  delivery_receipt(delivery_receipt&& other) noexcept : settled_(std::exchange(other.settled_, nullptr)) {}
  delivery_receipt& operator=(delivery_receipt&& other) noexcept {
    if (this != &other) {
      settle(false);
      settled_ = std::exchange(other.settled_, nullptr);
    }
    return *this;
  }
  ~delivery_receipt() { settle(false); }

  /// Does nothing the second time.
  void settle(bool written) noexcept {
    // Moved out first: the function may end what holds this receipt.
    if (const auto settled = std::exchange(settled_, nullptr)) settled(written);
  }

  explicit operator bool() const { return static_cast<bool>(settled_); }

 private:
  std::function<void(bool written)> settled_;
};

}  // namespace awm::mcp
