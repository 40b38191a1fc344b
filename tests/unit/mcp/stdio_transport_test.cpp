#include "mcp/stdio_transport.hpp"

#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

namespace awm::mcp {
namespace {

struct descriptor {
  explicit descriptor(int fd) : value(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { close(); }
  void close() {
    if (value >= 0) ::close(value);
    value = -1;
  }
  int value;
};

struct pipe_pair {
  pipe_pair() : pipe_pair(make()) {}
  explicit pipe_pair(std::array<int, 2> fds) : read(fds[0]), write(fds[1]) {}
  static std::array<int, 2> make() {
    std::array<int, 2> fds{};
    EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
    return fds;
  }
  descriptor read;
  descriptor write;
};

struct temporary_file {
  temporary_file() : file(std::tmpfile()) {}
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() { std::fclose(file); }
  int fd() const { return ::fileno(file); }
  std::FILE* file;
};

std::string contents(int fd) {
  std::string text(1000, '\0');
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

io_result finished(asio::io_context& context, asio::awaitable<io_result> work) {
  io_result result;
  auto done = [&result](const std::exception_ptr& failure, io_result value) {
    EXPECT_FALSE(failure);
    result = value;
  };
  asio::co_spawn(context, std::move(work), done);
  context.restart();
  context.run();
  return result;
}

struct stdio : ::testing::Test {
  std::string read(transport& from) {
    std::array<char, 100> buffer{};
    last = finished(context, from.read_some(asio::mutable_buffer(buffer.data(), buffer.size())));
    return {buffer.data(), last.bytes};
  }
  void write(transport& to, std::string_view bytes) { last = finished(context, to.write(bytes)); }

  asio::io_context context{1};
  io_result last;
};

TEST_F(stdio, reads_and_writes_pipes) {
  pipe_pair in, out;
  stdio_transport io(context.get_executor(), in.read.value, out.write.value);
  ASSERT_EQ(::write(in.write.value, "hello", 5), 5);
  EXPECT_EQ(read(io), "hello");
  write(io, "answer");
  EXPECT_FALSE(last.error);
  EXPECT_EQ(last.bytes, 6U);
  std::array<char, 10> got{};
  EXPECT_EQ(::read(out.read.value, got.data(), got.size()), 6);
  in.write.close();
  EXPECT_EQ(read(io), "");
  EXPECT_EQ(last.error, asio::error::eof);
}

TEST_F(stdio, puts_back_the_flags_of_descriptors_that_are_shared) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const descriptor terminal(ends[0]);
  const descriptor other(ends[1]);
  const int before = ::fcntl(terminal.value, F_GETFL);
  ASSERT_EQ(before & O_NONBLOCK, 0);
  {
    stdio_transport io(context.get_executor(), terminal.value, terminal.value);
    EXPECT_NE(::fcntl(terminal.value, F_GETFL) & O_NONBLOCK, 0);
    write(io, "x");
  }
  EXPECT_EQ(::fcntl(terminal.value, F_GETFL), before);
}

TEST_F(stdio, reads_and_writes_regular_files) {
  const temporary_file in, out;
  ASSERT_EQ(::pwrite(in.fd(), "line\n", 5, 0), 5);
  stdio_transport io(context.get_executor(), in.fd(), out.fd());
  EXPECT_EQ(read(io), "line\n");
  EXPECT_EQ(read(io), "");
  EXPECT_EQ(last.error, asio::error::eof);
  write(io, "answer");
  EXPECT_EQ(last.bytes, 6U);
  EXPECT_EQ(contents(out.fd()), "answer");
}

TEST_F(stdio, takes_dev_null_for_both) {
  const descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  stdio_transport io(context.get_executor(), null.value, null.value);
  read(io);
  EXPECT_EQ(last.error, asio::error::eof);
  write(io, "gone");
  EXPECT_FALSE(last.error);
  EXPECT_EQ(last.bytes, 4U);
}

TEST_F(stdio, a_broken_output_is_an_error_value) {
  const auto previous = std::signal(SIGPIPE, SIG_IGN);
  pipe_pair in, out;
  out.read.close();
  stdio_transport io(context.get_executor(), in.read.value, out.write.value);
  write(io, "answer");
  EXPECT_EQ(last.error, asio::error::broken_pipe);
  std::signal(SIGPIPE, previous);
}

TEST_F(stdio, a_full_disk_is_an_error_value) {
  const descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  stdio_transport io(context.get_executor(), full.value, full.value);
  write(io, "answer");
  EXPECT_EQ(last.error.value(), ENOSPC);
}

TEST_F(stdio, closed_descriptors_are_error_values) {
  stdio_transport io(context.get_executor(), -1, -1);
  read(io);
  EXPECT_EQ(last.error, asio::error::bad_descriptor);
  write(io, "x");
  EXPECT_EQ(last.error, asio::error::bad_descriptor);
}

TEST_F(stdio, leaves_the_descriptors_it_was_given_open) {
  pipe_pair in, out;
  { stdio_transport io(context.get_executor(), in.read.value, out.write.value); }
  EXPECT_NE(::fcntl(in.read.value, F_GETFD), -1);
  EXPECT_NE(::fcntl(out.write.value, F_GETFD), -1);
}

}  // namespace
}  // namespace awm::mcp
