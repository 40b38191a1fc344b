#pragma once
// Streams in memory, so that a whole session runs in a test or in a simulation without a descriptor.

#include "coro/event.hpp"
#include "mcp/transport.hpp"

#include <asio/any_io_executor.hpp>

#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace awm::mcp {

/// One direction: a pipe of a limited capacity. Its synchronous half (`put`, `take`, `close`, `break_pipe`) is for a
/// test that plays one of the two sides itself.
class memory_pipe {
 public:
  explicit memory_pipe(const asio::any_io_executor& executor,
                       std::size_t capacity = std::numeric_limits<std::size_t>::max());

  /// Appends, whatever the capacity.
  void put(std::string_view bytes);
  /// Takes all that is in it.
  std::string take();
  /// The reader finds the end of the stream behind what is in it.
  void close();
  /// Reads fail with `connection_reset` and writes with `broken_pipe` from now on.
  void break_pipe();
  /// How much fits; a writer waits for more room.
  void set_capacity(std::size_t bytes);

  asio::awaitable<io_result> read_some(asio::mutable_buffer buffer);
  asio::awaitable<io_result> write(std::string_view bytes);

 private:
  asio::awaitable<std::error_code> change();

  std::size_t capacity_;
  std::string content_;
  bool closed_ = false;
  bool broken_ = false;
  coro::event changed_;
};

/// One end of a pair of pipes.
class memory_transport final : public transport {
 public:
  memory_transport(std::shared_ptr<memory_pipe> input, std::shared_ptr<memory_pipe> output)
      : input_(std::move(input)), output_(std::move(output)) {}

  asio::awaitable<io_result> read_some(asio::mutable_buffer buffer) override { return input_->read_some(buffer); }
  asio::awaitable<io_result> write(std::string_view bytes) override { return output_->write(bytes); }

  memory_pipe& input() { return *input_; }
  memory_pipe& output() { return *output_; }

 private:
  std::shared_ptr<memory_pipe> input_;
  std::shared_ptr<memory_pipe> output_;
};

/// Two ends that are connected to each other; `capacity` is each direction's.
std::pair<std::unique_ptr<memory_transport>, std::unique_ptr<memory_transport>> make_memory_pair(
    const asio::any_io_executor& executor, std::size_t capacity = std::numeric_limits<std::size_t>::max());

}  // namespace awm::mcp
