#pragma once
// A result counts as delivered when its bytes were written, not when a handler returned it. Between the two lie a
// queue, a client that may cancel, and a pipe that may break; the handler is long gone. And even then the client may
// take it back: its `notifications/cancelled` crosses the response on the wire, and it throws the response away. The
// receipt travels with the response and tells what became of it.

#include <nlohmann/json.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <utility>
#include <vector>

namespace awm::mcp {

/// What became of a response.
enum class delivery {
  written,  ///< its bytes were completely written to the transport
  dropped,  ///< they never were, or the client cancelled the request while they were being written
  revoked,  ///< after `written`: the client cancelled the request, so that it threw the response away unread
};

/// Calls a function once, with `written` or with `dropped`; after `written` it may be called once more, with `revoked`.
/// Whoever drops a receipt without settling it has settled it with `dropped`, so that an exception, a cancellation and
/// the end of a session need no care.
///
/// The function is called on the session's thread, the first time at the latest when the receipt is destroyed; it must
/// not throw. When an io_context is torn down in the middle, that is in the context's destructor: what the function
/// refers to must still be there. A receipt of something written is destroyed without a call.
class delivery_receipt {
 public:
  delivery_receipt() = default;

  template <std::invocable<delivery> Settled>
  delivery_receipt(Settled settled)  // NOLINT(google-explicit-constructor)
      : settled_(std::make_shared<std::function<void(delivery)>>(std::move(settled))) {}

  delivery_receipt(delivery_receipt&& other) noexcept
      : settled_(std::move(other.settled_)), is_written_(std::exchange(other.is_written_, false)) {}
  delivery_receipt& operator=(delivery_receipt&& other) noexcept {
    if (this != &other) {
      drop();
      settled_ = std::move(other.settled_);
      is_written_ = std::exchange(other.is_written_, false);
    }
    return *this;
  }
  ~delivery_receipt() { drop(); }

  /// The response was written. Does nothing once the receipt is settled.
  void write() noexcept {
    if (!settled_ || is_written_) return;
    is_written_ = true;
    call(settled_, delivery::written);
  }

  /// The response will not be delivered. Does nothing once the receipt is settled.
  void drop() noexcept {
    if (!is_written_) call(std::exchange(settled_, nullptr), delivery::dropped);
  }

  /// The client wants the response no more: what was written is revoked, anything else is dropped.
  void revoke() noexcept {
    if (!is_written_) return drop();
    is_written_ = false;
    call(std::exchange(settled_, nullptr), delivery::revoked);
  }

  /// Whether it may still call its function.
  explicit operator bool() const { return settled_ != nullptr; }

 private:
  // By value: the function may end what holds this receipt.
  static void call(std::shared_ptr<std::function<void(delivery)>> settled, delivery what) {
    if (settled) (*settled)(what);
  }

  std::shared_ptr<std::function<void(delivery)>> settled_;
  bool is_written_ = false;
};

/// The receipts of responses that were handed to the transport: those that it is writing, and the last ones that it
/// has written, for a cancellation that comes too late.
class sent_receipts {
 public:
  /// How many answered requests a late cancellation can still reach. It comes within a round trip, during which a
  /// client has no more than a few dozen calls answered; what the functions of the receipts hold stays that long.
  static constexpr std::size_t max_kept = 64;

  /// A receipt whose response ends at byte `end` of what is written in one go.
  struct due {
    std::size_t end;
    nlohmann::json id;  ///< of the request
    delivery_receipt receipt;
  };

  /// These are being written now; nothing else is.
  void begin(std::vector<due> receipts) { being_written_ = std::move(receipts); }
  /// That write ended after `bytes` bytes.
  void end(std::size_t bytes);

  /// The client cancelled the answered request `id`. Does nothing where no receipt of it is here.
  void revoke(const nlohmann::json& id);
  /// The client uses `id` for another request: a cancellation means that one from now on.
  void forget(const nlohmann::json& id);

 private:
  std::vector<due> being_written_;
  std::list<due> kept_;  // the oldest first
};

}  // namespace awm::mcp
