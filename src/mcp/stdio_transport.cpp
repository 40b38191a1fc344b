#include "mcp/stdio_transport.hpp"

#include <asio/error.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace awm::mcp {
namespace {

std::error_code last_error() {
  return {errno, asio::error::get_system_category()};
}

class unique_fd {
 public:
  explicit unique_fd(int fd) : fd_(fd) {}
  unique_fd(const unique_fd&) = delete;
  unique_fd& operator=(const unique_fd&) = delete;
  ~unique_fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

bool can_be_polled(int fd) {
  const unique_fd probe(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  return ::epoll_ctl(probe.get(), EPOLL_CTL_ADD, fd, &event) == 0 || errno != EPERM;
}

}  // namespace

// One of the two duplicates: either handed to Asio, or used directly because it cannot be polled.
class stdio_transport::end {
 public:
  end(const asio::any_io_executor& executor, int original)
      : executor_(executor), direct_(::fcntl(original, F_DUPFD_CLOEXEC, 3)), polled_(executor) {
    if (direct_.get() < 0) {
      unusable_ = last_error();
      return;
    }
    if (!can_be_polled(direct_.get())) return;
    found_flags_ = ::fcntl(direct_.get(), F_GETFL);
    polled_.assign(direct_.get(), unusable_);
    if (unusable_) return;
    direct_.release();
    polled_.non_blocking(true, unusable_);
  }
  end(const end&) = delete;
  end& operator=(const end&) = delete;
  ~end() {
    if (polled_.is_open()) ::fcntl(polled_.native_handle(), F_SETFL, found_flags_);
  }

  asio::awaitable<io_result> read_some(asio::mutable_buffer buffer) {
    io_result result{unusable_};
    if (result.error) co_return result;
    if (polled_.is_open()) {
      asio::error_code error;
      result.bytes = co_await polled_.async_read_some(buffer, asio::redirect_error(asio::use_awaitable, error));
      result.error = error;
      co_return result;
    }
    // Others get their turn between two reads of a long file.
    co_await asio::post(executor_, asio::use_awaitable);
    const ssize_t got = ::read(direct_.get(), buffer.data(), buffer.size());
    if (got < 0) result.error = last_error();
    if (got == 0) result.error = asio::error::eof;
    if (got > 0) result.bytes = static_cast<std::size_t>(got);
    co_return result;
  }

  asio::awaitable<io_result> write(std::string_view bytes) {
    io_result result{unusable_};
    if (result.error) co_return result;
    if (polled_.is_open()) {
      const asio::const_buffer buffer(bytes.data(), bytes.size());
      asio::error_code error;
      result.bytes = co_await asio::async_write(polled_, buffer, asio::redirect_error(asio::use_awaitable, error));
      result.error = error;
      co_return result;
    }
    co_await asio::post(executor_, asio::use_awaitable);
    while (result.bytes < bytes.size() && !result.error) {
      const ssize_t put = ::write(direct_.get(), bytes.data() + result.bytes, bytes.size() - result.bytes);
      if (put >= 0) {
        result.bytes += static_cast<std::size_t>(put);
      } else if (errno != EINTR) {
        result.error = last_error();
      }
    }
    co_return result;
  }

 private:
  asio::any_io_executor executor_;
  unique_fd direct_;
  asio::posix::stream_descriptor polled_;
  int found_flags_ = 0;
  std::error_code unusable_;
};

stdio_transport::stdio_transport(const asio::any_io_executor& executor)
    : stdio_transport(executor, STDIN_FILENO, STDOUT_FILENO) {}

stdio_transport::stdio_transport(const asio::any_io_executor& executor, int input, int output)
    : input_(std::make_unique<end>(executor, input)), output_(std::make_unique<end>(executor, output)) {}

stdio_transport::~stdio_transport() = default;

asio::awaitable<io_result> stdio_transport::read_some(asio::mutable_buffer buffer) {
  return input_->read_some(buffer);
}

asio::awaitable<io_result> stdio_transport::write(std::string_view bytes) {
  return output_->write(bytes);
}

}  // namespace awm::mcp
