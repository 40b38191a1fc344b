#include "coro/line_buffer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace awm::coro {
namespace {

/// Feeds a stream in pieces of one size and notes what comes out: lines, and "!" for one that is too long.
std::vector<std::string> lines_of(std::string_view stream, std::size_t piece, std::size_t limit) {
  line_buffer buffer(limit);
  std::vector<std::string> lines;
  const auto note = [&lines](std::string_view line) { lines.emplace_back(line); };
  for (; !stream.empty(); stream.remove_prefix(std::min(piece, stream.size()))) {
    buffer.feed(stream.substr(0, piece), note, [&lines] { lines.emplace_back("!"); });
  }
  buffer.finish(note);
  return lines;
}

TEST(line_buffer, gives_the_same_lines_however_the_stream_is_cut) {
  const std::string stream = "one\ntwo\n\nfour, which is longer\nrest";
  const std::vector<std::string> expected{"one", "two", "", "four, which is longer", "rest"};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece)
    EXPECT_EQ(lines_of(stream, piece, 100), expected) << piece;
}

TEST(line_buffer, reports_a_line_beyond_the_limit_once_and_goes_on_behind_it) {
  const std::string stream = "12345\n123456\n123456789012\n1\n";
  const std::vector<std::string> expected{"12345", "!", "!", "1"};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) EXPECT_EQ(lines_of(stream, piece, 5), expected) << piece;
}

TEST(line_buffer, hands_out_a_line_that_came_whole_where_it_lies) {
  line_buffer buffer(1000);
  const std::string bytes = "whole\n";
  const char* where = nullptr;
  buffer.feed(
      bytes, [&](std::string_view line) { where = line.data(); }, [] {});
  EXPECT_EQ(where, bytes.data());
}

TEST(line_buffer, keeps_padding_readable_behind_a_line_put_together) {
  line_buffer buffer(1000);
  const std::string first(100, 'a');
  const auto read_past_the_end = [](std::string_view line) {
    std::size_t sum = 0;  // a sanitizer objects if these bytes are not the string's own
    for (std::size_t at = 0; at < line_buffer::padding; ++at)
      sum += static_cast<unsigned char>(line.data()[line.size()]);
    EXPECT_EQ(line.size(), 101U);
    EXPECT_LE(sum, 255U * line_buffer::padding);
  };
  buffer.feed(first, read_past_the_end, [] {});
  buffer.feed("b\n", read_past_the_end, [] {});
}

}  // namespace
}  // namespace awm::coro
