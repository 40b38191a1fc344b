#pragma once

#include "mcp/transport.hpp"

#include <asio/any_io_executor.hpp>

#include <memory>

namespace awm::mcp {

/// The process's standard input and output as a byte stream.
///
/// It works on duplicates of the descriptors (close-on-exec, so that no child inherits them) and leaves 0 and 1 open.
/// Both are non-blocking while it lives. That is a property which the parent's terminal, or stderr, may share: the
/// destructor puts back what it found. Regular files and /dev/null, which epoll refuses (EPERM, epoll_ctl(2)), are read
/// and written directly.
///
/// A descriptor that cannot be used (closed, a directory …) makes every read or write return the reason.
/// The process must ignore SIGPIPE: a broken stdout is then the error `broken_pipe`.
class stdio_transport final : public transport {
 public:
  explicit stdio_transport(const asio::any_io_executor& executor);
  /// For tests: other descriptors in the place of 0 and 1.
  stdio_transport(const asio::any_io_executor& executor, int input, int output);
  ~stdio_transport() override;

  asio::awaitable<io_result> read_some(asio::mutable_buffer buffer) override;
  asio::awaitable<io_result> write(std::string_view bytes) override;

 private:
  class end;
  std::unique_ptr<end> input_;
  std::unique_ptr<end> output_;
};

}  // namespace awm::mcp
