// How fast lines of a child are taken in, beside the floor of finding the line ends alone.

#include "coro/line_buffer.hpp"
#include "worker/protocol.hpp"

#include <benchmark/benchmark.h>

#include <string>

namespace {

using namespace awm;

constexpr std::size_t lines = 1000;

/// As a chatty worker prints them, about 1 KB each.
std::string chatter() {
  std::string text;
  for (std::size_t number = 0; number < lines; ++number) {
    text +=
        R"({"type":"assistant","message":{"id":"msg_)" + std::to_string(number) +
        R"(","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":")" +
        std::string(800, 'x') +
        R"("}],"usage":{"input_tokens":1,"output_tokens":1}},"parent_tool_use_id":null,"session_id":"s","uuid":"u"})" +
        "\n";
  }
  text.reserve(text.size() + coro::line_buffer::padding);
  return text;
}

template <class OnLine>
void feed(benchmark::State& state, OnLine&& on_line) {
  const auto text = chatter();
  for (auto iteration : state) {
    (void)iteration;
    coro::line_buffer buffer(text.size());
    buffer.feed(text, on_line, [] {});
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * lines));
}

void cut_lines(benchmark::State& state) {
  feed(state, [](std::string_view line) { benchmark::DoNotOptimize(line.size()); });
}

void parse_lines(benchmark::State& state) {
  worker::line_parser parser;
  feed(state, [&parser](std::string_view line) {
    auto parsed = parser.parse(line);
    benchmark::DoNotOptimize(parsed.index());
  });
}

BENCHMARK(cut_lines)->Name("floor: find the line ends");
BENCHMARK(parse_lines)->Name("parse messages");

}  // namespace
