#include "coro/line_stream.hpp"

#include "support/every_step.hpp"
#include "support/run.hpp"

#include <asio/local/connect_pair.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/readable_pipe.hpp>
#include <asio/use_future.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace awm::coro {
namespace {

using test::run;
using test::settle;

using descriptor = asio::posix::stream_descriptor;
static_assert(pollable_stream<descriptor>);
static_assert(pollable_stream<asio::local::stream_protocol::socket>);
static_assert(!pollable_stream<asio::readable_pipe>);

/// Lines, "!" for one that is too long, "$" for the end, and the message of an error.
std::string note_of(const stream_line& line) {
  if (line.what == stream_line::kind::line) return std::string(line.text);
  if (line.what == stream_line::kind::too_long) return "!";
  return line.what == stream_line::kind::end ? "$" : line.error.message();
}

/// A pipe whose reading end is a `Stream`.
template <class Stream>
struct pipe_of {
  explicit pipe_of(const asio::any_io_executor& executor) : in(executor) {
    std::array<int, 2> fds{};
    EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
    in.assign(fds[0]);
    out = fds[1];
  }
  pipe_of(const pipe_of&) = delete;
  pipe_of& operator=(const pipe_of&) = delete;
  ~pipe_of() { close(); }
  void write(std::string_view bytes) const {
    EXPECT_EQ(::write(out, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void close() {
    if (out >= 0) ::close(std::exchange(out, -1));
  }

  Stream in;
  int out = -1;
};

template <class Stream>
class line_stream_of : public ::testing::Test {};
using both_kinds = ::testing::Types<descriptor, asio::readable_pipe>;
TYPED_TEST_SUITE(line_stream_of, both_kinds);

const std::string text = "one\ntwo\n\nfour, which is longer than the limit\n5\n6\nrest";
const std::vector<std::string> lines_of_text{"one", "two", "", "!", "5", "6", "rest", "$", "$"};
constexpr std::size_t limit = 12;

TYPED_TEST(line_stream_of, next_gives_the_same_lines_however_the_stream_is_cut) {
  for (std::size_t piece = 1; piece <= text.size(); piece += 3) {
    run([piece](asio::any_io_executor executor) -> asio::awaitable<void> {
      pipe_of<TypeParam> pipe(executor);
      read_buffer buffer(7);
      line_stream lines(pipe.in, buffer, limit);
      std::vector<std::string> notes;
      const auto read_all = [&]() -> asio::awaitable<void> {
        while (notes.size() < lines_of_text.size()) {
          const auto line = co_await lines.next();
          notes.push_back(note_of(line));
        }
      };
      asio::co_spawn(executor, read_all(), asio::detached);
      for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size()))) {
        pipe.write(rest.substr(0, piece));
        co_await settle();
      }
      pipe.close();
      while (notes.size() < lines_of_text.size()) co_await settle();
      EXPECT_EQ(notes, lines_of_text) << piece;
    });
  }
}

TYPED_TEST(line_stream_of, a_callback_gets_the_same_lines_however_the_stream_is_cut) {
  for (std::size_t piece = 1; piece <= text.size(); piece += 3) {
    run([piece](asio::any_io_executor executor) -> asio::awaitable<void> {
      pipe_of<TypeParam> pipe(executor);
      read_buffer buffer(7);
      line_stream lines(pipe.in, buffer, limit);
      std::vector<std::string> notes;
      const auto read_all = [&]() -> asio::awaitable<void> {
        const auto note = [&](const stream_line& line) { notes.push_back(note_of(line)); };
        for (int ends = 0; ends < 2;) {
          const auto before = notes.size();
          const auto error = co_await lines.read_lines(note);
          EXPECT_TRUE(notes.size() > before || error) << "completed without a line";
          if (!error) continue;
          EXPECT_EQ(error, asio::error::eof);
          notes.emplace_back("$");
          ++ends;
        }
      };
      asio::co_spawn(executor, read_all(), asio::detached);
      for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size()))) {
        pipe.write(rest.substr(0, piece));
        co_await settle();
      }
      pipe.close();
      while (notes.size() < lines_of_text.size()) co_await settle();
      EXPECT_EQ(notes, lines_of_text) << piece;
    });
  }
}

// All are readable at once: whoever reads into the buffer before the others have looked at it destroys what they find.
TYPED_TEST(line_stream_of, streams_that_share_a_buffer_do_not_see_each_others_bytes) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    constexpr std::size_t count = 8;
    constexpr int rounds = 20;
    read_buffer buffer;
    std::vector<std::unique_ptr<pipe_of<TypeParam>>> pipes;
    std::vector<std::unique_ptr<line_stream<TypeParam>>> streams;
    std::vector<std::vector<std::string>> notes(count);
    std::vector<std::vector<std::string>> expected(count);
    for (std::size_t i = 0; i < count; ++i) {
      pipes.push_back(std::make_unique<pipe_of<TypeParam>>(executor));
      streams.push_back(std::make_unique<line_stream<TypeParam>>(pipes[i]->in, buffer, 100));
    }
    const auto by_callback = [&](std::size_t i) -> asio::awaitable<void> {
      const auto note = [&notes, i](const stream_line& line) { notes[i].push_back(note_of(line)); };
      for (bool open = true; open;) {
        const auto error = co_await streams[i]->read_lines(note);
        open = !error;
      }
    };
    const auto one_by_one = [&](std::size_t i) -> asio::awaitable<void> {
      for (;;) {
        const auto line = co_await streams[i]->next();
        if (line.what == stream_line::kind::end) co_return;
        // Another stream reads before this line is looked at.
        co_await asio::post(executor, asio::use_awaitable);
        co_await settle();
        notes[i].push_back(note_of(line));
      }
    };
    for (std::size_t i = 0; i < count; ++i) {
      asio::co_spawn(executor, i % 2 == 0 ? by_callback(i) : one_by_one(i), asio::detached);
    }
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < count; ++i) {
        const auto name = std::to_string(i) + "." + std::to_string(round);
        pipes[i]->write(name + "\n" + name + "'\n");
        expected[i].push_back(name);
        expected[i].push_back(name + "'");
      }
      co_await settle();
    }
    for (auto& pipe : pipes) pipe->close();
    for (std::size_t i = 0; i < count; ++i) {
      while (notes[i].size() < expected[i].size()) co_await settle();
    }
    EXPECT_EQ(notes, expected);
    co_await settle();
  });
}

TYPED_TEST(line_stream_of, padding_is_readable_behind_every_line) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    pipe_of<TypeParam> pipe(executor);
    read_buffer buffer(32);
    line_stream lines(pipe.in, buffer, 1000);
    std::size_t sum = 0;
    const auto touch = [&sum](const stream_line& line) {  // a sanitizer objects to what is not ours
      for (std::size_t at = 0; at < line_stream<TypeParam>::padding; ++at)
        sum += static_cast<unsigned char>(line.text.data()[line.text.size() + at]);
    };
    pipe.write("short\n" + std::string(100, 'a') + "\n" + std::string(25, 'b') + "\nlast, without a newline");
    pipe.close();
    for (bool open = true; open;) {
      const auto line = co_await lines.next();
      open = line.what == stream_line::kind::line;
      if (open) touch(line);
      std::error_code error;
      if (open) error = co_await lines.read_lines(touch);
    }
    EXPECT_GT(sum, 0U);
  });
}

struct next_result {
  next_result() = default;
  explicit next_result(const stream_line& line) : what(line.what), text(line.text), error(line.error) {}
  stream_line::kind what{};
  std::string text;
  std::error_code error;
};

TYPED_TEST(line_stream_of, next_loses_nothing_at_whichever_step_it_is_cancelled) {
  test::cancel_at_every_step([](test::stepped_run& run) {
    pipe_of<TypeParam> pipe(run.context().get_executor());
    read_buffer buffer(16);
    line_stream lines(pipe.in, buffer, 100);
    const std::vector<std::string> pieces{"on", "e, which comes in pieces ", "to the end\ntw", "o\nthree\n"};
    std::size_t written = 0;
    run.meanwhile = [&](int done) {
      // Every second step finds nothing to read.
      if (done % 2 == 1 && written < pieces.size()) pipe.write(pieces[written++]);
      return false;
    };
    const auto first = run.run<next_result>([&](auto token) { lines.async_next(token); });
    while (written < pieces.size()) pipe.write(pieces[written++]);
    pipe.close();
    std::vector<std::string> notes;
    if (first.what == stream_line::kind::line) {
      notes.push_back(first.text);
    } else {
      EXPECT_EQ(first.error, asio::error::operation_aborted);
    }
    bool at_end = false;
    while (!at_end) {
      lines.async_next([&](const stream_line& line) {
        at_end = line.what != stream_line::kind::line;
        notes.push_back(note_of(line));
      });
      run.context().restart();
      run.context().run();
    }
    EXPECT_EQ(notes, (std::vector<std::string>{"one, which comes in pieces to the end", "two", "three", "$"}));
  });
}

TYPED_TEST(line_stream_of, a_cancelled_callback_call_loses_nothing) {
  test::cancel_at_every_step([](test::stepped_run& run) {
    pipe_of<TypeParam> pipe(run.context().get_executor());
    read_buffer buffer(16);
    line_stream lines(pipe.in, buffer, 100);
    const std::vector<std::string> pieces{"on", "e, which comes in pieces ", "to the end\ntw", "o\nthree\n"};
    std::size_t written = 0;
    run.meanwhile = [&](int done) {
      if (done % 2 == 1 && written < pieces.size()) pipe.write(pieces[written++]);
      return false;
    };
    std::vector<std::string> notes;
    const auto note = [&](const stream_line& line) { notes.push_back(note_of(line)); };
    const auto first = run.run<std::error_code>([&](auto token) { lines.async_read_lines(note, token); });
    EXPECT_EQ(notes.empty(), first == asio::error::operation_aborted);
    while (written < pieces.size()) pipe.write(pieces[written++]);
    pipe.close();
    std::error_code end;
    while (!end) {
      lines.async_read_lines(note, [&](std::error_code error) { end = error; });
      run.context().restart();
      run.context().run();
    }
    EXPECT_EQ(end, asio::error::eof);
    EXPECT_EQ(notes, (std::vector<std::string>{"one, which comes in pieces to the end", "two", "three"}));
  });
}

TYPED_TEST(line_stream_of, destroying_it_completes_the_call_in_progress_and_takes_nothing_more) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    pipe_of<TypeParam> pipe(executor);
    read_buffer buffer;
    std::optional<line_stream<TypeParam>> lines;
    lines.emplace(pipe.in, buffer, std::size_t{100});
    std::optional<std::error_code> end;
    lines->async_next([&](const stream_line& line) { end = line.error; });
    co_await settle();
    EXPECT_FALSE(end);
    lines.reset();
    EXPECT_FALSE(end) << "called inside the destructor";
    co_await settle();
    EXPECT_EQ(end, asio::error::operation_aborted);
    pipe.write("x");
    char byte = 0;
    EXPECT_EQ(::read(pipe.in.native_handle(), &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
  });
}

TYPED_TEST(line_stream_of, a_callback_may_destroy_it_and_gets_nothing_more) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    pipe_of<TypeParam> pipe(executor);
    read_buffer buffer;
    std::optional<line_stream<TypeParam>> lines;
    lines.emplace(pipe.in, buffer, std::size_t{100});
    pipe.write("one\ntwo\nthree\n");
    std::vector<std::string> notes;
    const auto destroy = [&](const stream_line& line) {
      notes.push_back(note_of(line));
      lines.reset();
    };
    const auto error = co_await lines->read_lines(destroy);
    EXPECT_EQ(error, asio::error::operation_aborted);
    EXPECT_EQ(notes, std::vector<std::string>{"one"});
  });
}

TYPED_TEST(line_stream_of, what_next_kept_comes_first_when_both_kinds_of_call_are_mixed) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    pipe_of<TypeParam> pipe(executor);
    read_buffer buffer;
    line_stream lines(pipe.in, buffer, 100);
    pipe.write("one\ntwo\nthree\nfo");
    const auto first = co_await lines.next();
    EXPECT_EQ(first.text, "one");
    std::vector<std::string> notes;
    const auto note = [&](const stream_line& line) { notes.push_back(note_of(line)); };
    auto error = co_await lines.read_lines(note);
    EXPECT_FALSE(error);
    EXPECT_EQ(notes, (std::vector<std::string>{"two", "three"}));
    pipe.write("ur\n");
    const auto fourth = co_await lines.next();
    EXPECT_EQ(fourth.text, "four");
  });
}

TEST(line_stream, a_callback_gets_a_whole_line_where_it_lies) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    pipe_of<descriptor> pipe(executor);
    read_buffer buffer;
    line_stream lines(pipe.in, buffer, 100);
    pipe.write("one\ntwo\n");
    std::vector<std::ptrdiff_t> places;
    const auto note = [&](const stream_line& line) {
      places.push_back(line.text.data() - static_cast<const char*>(buffer.space().data()));
    };
    co_await lines.read_lines(note);
    EXPECT_EQ(places, (std::vector<std::ptrdiff_t>{0, 4}));
  });
}

TEST(line_stream, an_error_of_the_stream_is_told_again_and_again_behind_the_lines) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    // A socket whose peer is gone with bytes unread is reset.
    asio::local::stream_protocol::socket near(executor);
    asio::local::stream_protocol::socket far(executor);
    asio::local::connect_pair(near, far);
    near.write_some(asio::buffer("unread", 6));
    far.write_some(asio::buffer("one\nhalf", 8));
    far.close();
    read_buffer buffer;
    line_stream lines(near, buffer, 100);
    std::vector<stream_line::kind> kinds;
    for (int i = 0; i < 3; ++i) {
      const auto line = co_await lines.next();
      kinds.push_back(line.what);
      EXPECT_EQ(line.error, i > 0 ? asio::error::connection_reset : std::error_code{});
    }
    using kind = stream_line::kind;
    EXPECT_EQ(kinds, (std::vector<kind>{kind::line, kind::error, kind::error}));
  });
}

TEST(line_stream, others_get_their_turn_while_a_stream_babbles) {
  run([](asio::any_io_executor executor) -> asio::awaitable<void> {
    pipe_of<descriptor> pipe(executor);
    read_buffer buffer(64);
    line_stream lines(pipe.in, buffer, 100);
    std::string babble;
    for (int i = 0; i < 1000; ++i) babble += "0123456\n";
    pipe.write(babble);
    std::size_t count = 0;
    const auto note = [&](const stream_line&) { ++count; };
    const auto error = co_await lines.read_lines(note);
    EXPECT_FALSE(error);
    EXPECT_EQ(count, 16U * 8U);
  });
}

TEST(line_stream, works_with_futures_and_after_a_move) {
  asio::io_context context;
  pipe_of<descriptor> pipe(context.get_executor());
  read_buffer buffer;
  line_stream first(pipe.in, buffer, 100);
  auto line = first.async_next(asio::use_future);
  const line_stream second = std::move(first);
  pipe.write("one\ntwo\n");
  context.run();
  EXPECT_EQ(line.get().text, "one");
}

TEST(line_stream, a_wait_ends_with_its_owner_even_when_the_loop_is_thrown_away) {
  // For a sanitizer: the call, the stream and what waits are freed with the loop.
  std::optional<asio::io_context> context;
  context.emplace();
  const auto wait = [](asio::any_io_executor executor) -> asio::awaitable<void> {
    pipe_of<descriptor> pipe(executor);
    read_buffer buffer;
    line_stream lines(pipe.in, buffer, 100);
    co_await lines.next();
    ADD_FAILURE();
  };
  asio::co_spawn(*context, wait(context->get_executor()), asio::detached);
  context->poll();
  context.reset();
}

}  // namespace
}  // namespace awm::coro
