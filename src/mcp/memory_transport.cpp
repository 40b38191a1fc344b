#include "mcp/memory_transport.hpp"

#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <cstring>

namespace awm::mcp {

memory_pipe::memory_pipe(const asio::any_io_executor& executor, std::size_t capacity)
    : capacity_(capacity), changed_(executor) {}

void memory_pipe::put(std::string_view bytes) {
  content_ += bytes;
  changed_.pulse();
}

std::string memory_pipe::take() {
  std::string out = std::exchange(content_, {});
  changed_.pulse();
  return out;
}

void memory_pipe::close() {
  closed_ = true;
  changed_.pulse();
}

void memory_pipe::break_pipe() {
  broken_ = true;
  changed_.pulse();
}

void memory_pipe::set_capacity(std::size_t bytes) {
  capacity_ = bytes;
  changed_.pulse();
}

asio::awaitable<std::error_code> memory_pipe::change() {
  asio::error_code error;
  co_await changed_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  co_return error;
}

asio::awaitable<io_result> memory_pipe::read_some(asio::mutable_buffer buffer) {
  io_result result;
  // As with a descriptor, an operation never completes inside its own start.
  co_await asio::post(changed_.get_executor(), asio::use_awaitable);
  while (content_.empty() && !closed_ && !broken_ && !result.error) result.error = co_await change();
  if (result.error) co_return result;
  if (broken_) {
    result.error = asio::error::connection_reset;
  } else if (content_.empty()) {
    result.error = asio::error::eof;
  } else {
    result.bytes = std::min(buffer.size(), content_.size());
    std::memcpy(buffer.data(), content_.data(), result.bytes);
    content_.erase(0, result.bytes);
    changed_.pulse();
  }
  co_return result;
}

asio::awaitable<io_result> memory_pipe::write(std::string_view bytes) {
  io_result result;
  co_await asio::post(changed_.get_executor(), asio::use_awaitable);
  while (result.bytes < bytes.size()) {
    if (broken_ || closed_) {
      result.error = asio::error::broken_pipe;
      break;
    }
    const std::size_t room = capacity_ > content_.size() ? capacity_ - content_.size() : 0;
    if (room == 0) {
      result.error = co_await change();
      if (result.error) break;
      continue;
    }
    const std::string_view piece = bytes.substr(result.bytes, room);
    content_ += piece;
    result.bytes += piece.size();
    changed_.pulse();
  }
  co_return result;
}

std::pair<std::unique_ptr<memory_transport>, std::unique_ptr<memory_transport>> make_memory_pair(
    const asio::any_io_executor& executor, std::size_t capacity) {
  auto there = std::make_shared<memory_pipe>(executor, capacity);
  auto back = std::make_shared<memory_pipe>(executor, capacity);
  return {std::make_unique<memory_transport>(there, back), std::make_unique<memory_transport>(back, there)};
}

}  // namespace awm::mcp
