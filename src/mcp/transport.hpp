#pragma once

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>

#include <cstddef>
#include <string_view>
#include <system_error>

namespace awm::mcp {

/// What a read or a write came to: how many bytes went through, and what stopped it. With an error, `bytes` still
/// counts what went through before it. Compare errors with `asio::error::…`: the category of Asio 1.22 knows no
/// `std::errc`.
struct io_result {
  std::error_code error;
  std::size_t bytes = 0;
};

/// The byte stream below a session: stdin and stdout, a socket, or memory.
///
/// One read and one write may be under way at the same time, no more. Errors are values. Cancellation
/// (terminal) completes an operation with `operation_aborted`; in a coroutine that was cancelled before, its start
/// throws that, as every co_await does.
class transport {
 public:
  transport() = default;
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;
  virtual ~transport() = default;

  /// Reads at least one byte into `buffer`, which must not be empty. The end of the stream is `asio::error::eof`.
  virtual asio::awaitable<io_result> read_some(asio::mutable_buffer buffer) = 0;

  /// Writes all of `bytes`, which must stay alive until then.
  virtual asio::awaitable<io_result> write(std::string_view bytes) = 0;
};

}  // namespace awm::mcp
