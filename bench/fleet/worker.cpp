// The cheapest worker there is: a bench of the manager must not measure its workers. It speaks as much of Claude Code's
// stream-json as a turn needs, without streams, heap or a JSON library, and is linked statically; what it does is in the
// prompt, and the moments that matter stand in its lines as CLOCK_MONOTONIC nanoseconds, so that whoever started it can
// tell how long they took to arrive.
//
// A prompt `bench: key=value …`:
//   lines=N size=B     N replies, each a line of B bytes (default 1024)
//   batch=N            so many lines in one write (default 1, as the CLI does it)
//   rate=N             so many lines a second, evenly (default: as fast as they are read)
//   burst=N            so many lines at once and then 10 ms of silence
//   giant=B            one line of B bytes
//   ask=N              N permission requests at once; goes on when all are answered
//   arrive=PATH        writes a byte to this FIFO,
//   gate=PATH          and goes on when nobody has this one open for writing any more; both between replies and requests
//   result=B           a result of B bytes
//   fail=exit|error    exits with 3 at once; or ends the turn with an error
// The result begins `got=<when the last permission was answered> t=<when it was written>`.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string_view>

namespace {

constexpr std::size_t room = std::size_t{1024} * 1024;
constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t pause_between_bursts = 10'000'000;
constexpr int exit_of_a_failure = 3;

char output[room];  // pages that are not touched cost nothing
std::size_t used = 0;
char input[room];

std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * second + time.tv_nsec;
}

void sleep_until(std::int64_t moment) {
  const timespec time{moment / second, moment % second};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) == EINTR) {
  }
}

void flush() {
  for (std::size_t sent = 0; sent < used;) {
    const auto size = write(STDOUT_FILENO, output + sent, used - sent);
    if (size < 0) _exit(1);
    sent += static_cast<std::size_t>(size);
  }
  used = 0;
}

void put(std::string_view text) {
  while (!text.empty()) {
    if (used == room) flush();
    const auto size = std::min(text.size(), room - used);
    memcpy(output + used, text.data(), size);
    used += size;
    text.remove_prefix(size);
  }
}

void put(std::int64_t number) {
  char digits[24];
  char* begin = digits + sizeof digits;
  do {
    *--begin = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  put(std::string_view(begin, static_cast<std::size_t>(digits + sizeof digits - begin)));
}

void put_filling(std::int64_t size) {
  static constexpr std::string_view words = "The quick brown fox jumps over the lazy dog, and then it does so again. ";
  for (; size > 0; size -= static_cast<std::int64_t>(words.size())) {
    put(words.substr(0, static_cast<std::size_t>(std::min<std::int64_t>(size, words.size()))));
  }
}

/// The string behind `key`, as in `"request_id":"`; empty when it is not there.
std::string_view string_behind(std::string_view line, std::string_view key) {
  const auto begin = line.find(key);
  if (begin == std::string_view::npos) return {};
  line.remove_prefix(begin + key.size());
  return line.substr(0, line.find('"'));
}

/// The word behind ` key=` in a prompt; empty when it is not there.
std::string_view word_of(std::string_view prompt, std::string_view key) {
  const auto begin = prompt.find(key);
  if (begin == std::string_view::npos) return {};
  prompt.remove_prefix(begin + key.size());
  return prompt.substr(0, prompt.find_first_of(" \"\\\n"));
}

std::int64_t number_of(std::string_view prompt, std::string_view key, std::int64_t otherwise) {
  const auto word = word_of(prompt, key);
  if (word.empty()) return otherwise;
  std::int64_t number = 0;
  for (const char digit : word) number = number * 10 + (digit - '0');
  return number;
}

class worker {
 public:
  worker(int count, char** words) {
    for (int index = 1; index < count; ++index) {
      const std::string_view word = words[index];
      const bool has_value = index + 1 < count;
      if ((word == "--session-id" || word == "--resume" || word == "-r") && has_value) session_ = words[index + 1];
      if (word == "--model" && has_value) model_ = words[index + 1];
      if (word == "--input-format") reads_stdin_ = true;
      if (word.starts_with("bench:")) prompt_ = word;
    }
  }

  int run() {
    if (!reads_stdin_) {
      only_result_ = true;
      turn(prompt_);
      return 0;
    }
    for (auto line = next_line(); !line.empty(); line = next_line()) handle(line);
    return 0;
  }

 private:
  /// The next line of stdin; empty at its end. Valid up to the next call.
  std::string_view next_line() {
    for (;;) {
      const auto* const newline = static_cast<const char*>(memchr(input + begin_, '\n', end_ - begin_));
      if (newline != nullptr) {
        const std::string_view line(input + begin_, static_cast<std::size_t>(newline - input) - begin_);
        begin_ += line.size() + 1;
        if (!line.empty()) return line;
        continue;
      }
      memmove(input, input + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
      const auto size = end_ < room ? read(STDIN_FILENO, input + end_, room - end_) : 0;
      if (size <= 0) return {};
      end_ += static_cast<std::size_t>(size);
    }
  }

  void handle(std::string_view line) {
    if (line.find(R"("type":"control_request")") != std::string_view::npos) {
      answer(line);
    } else if (line.find(R"("type":"control_response")") != std::string_view::npos) {
      ++answers_;
      answered_at_ = now();
    } else if (line.find(R"("type":"user")") != std::string_view::npos) {
      turn(line);
    }
  }

  void answer(std::string_view line) {
    put(R"({"type":"control_response","response":{"subtype":"success","request_id":")");
    put(string_behind(line, R"("request_id":")"));
    put(R"(","response":{"commands":[],"agents":[],"output_style":"default","available_output_styles":["default"],)"
        R"("models":[],"account":{},"pid":)");
    put(getpid());
    put("}}}\n");
    flush();
  }

  void turn(std::string_view prompt) {
    const auto failure = word_of(prompt, " fail=");
    if (failure == "exit") _exit(exit_of_a_failure);
    const auto results = number_of(prompt, " result=", 0);
    const auto asked = number_of(prompt, " ask=", 0);
    // Before anybody hears anything: the gate may lose its last writer right after.
    const int gate = open_fifo(word_of(prompt, " gate="), O_RDONLY);
    if (!only_result_) tell_init();
    if (!only_result_) speak(prompt);
    if (gate >= 0) pass_gate(gate, word_of(prompt, " arrive="));
    if (asked > 0) ask(asked);
    finish(failure == "error", results);
  }

  void tell_init() {
    put(R"({"type":"system","subtype":"init","cwd":"/","session_id":")");
    put(session_);
    put(R"(","tools":["Task","Bash","Read","Write"],"mcp_servers":[],"model":")");
    put(model_);
    put(R"(","permissionMode":"default","slash_commands":[],"apiKeySource":"none","claude_code_version":"2.1.329",)"
        R"("output_style":"default","agents":[],"skills":[],"plugins":[],"uuid":"00000000-0000-4000-8000-000000000000"})"
        "\n");
  }

  /// -1 where there is none of that name.
  static int open_fifo(std::string_view path, int flags) {
    if (path.empty()) return -1;
    char name[256] = {};
    memcpy(name, path.data(), std::min(path.size(), sizeof name - 1));
    return open(name, flags | O_CLOEXEC);
  }

  static void pass_gate(int gate, std::string_view arrivals_path) {
    flush();
    if (!arrivals_path.empty()) {
      const int arrivals = open_fifo(arrivals_path, O_WRONLY);
      if (arrivals < 0 || write(arrivals, "", 1) < 0) _exit(1);
      close(arrivals);
    }
    char byte = 0;
    while (read(gate, &byte, 1) > 0) {
    }
    close(gate);
  }

  void speak(std::string_view prompt) {
    const auto lines = number_of(prompt, " lines=", 0);
    const auto size = number_of(prompt, " size=", 1024);
    const auto batch = number_of(prompt, " batch=", 1);
    const auto rate = number_of(prompt, " rate=", 0);
    const auto burst = number_of(prompt, " burst=", 0);
    const auto giant = number_of(prompt, " giant=", 0);
    const auto begin = now();
    if (lines > 0) flush();
    for (std::int64_t line = 1; line <= lines; ++line) {
      // Each worker at another moment: many that speak in step are no usual load.
      if (rate > 0) sleep_until(begin + (line * 1000 + getpid() % 1000) * (second / 1000) / rate);
      say(line, size);
      if (line % batch == 0 || rate > 0) flush();
      if (burst > 0 && line % burst == 0) sleep_until(now() + pause_between_bursts);
    }
    if (giant > 0) say(lines + 1, giant);
    flush();
  }

  /// One reply, in a line of `size` bytes.
  void say(std::int64_t number, std::int64_t size) {
    static constexpr std::string_view before =
        R"(,"type":"message","role":"assistant","model":"bench","content":[{"type":"text","text":")";
    static constexpr std::string_view after =
        R"("}],"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":20}},"parent_tool_use_id":null,"session_id":")";
    static constexpr std::string_view opening = R"({"type":"assistant","message":{"id":)";
    static constexpr std::int64_t first_id = 100'000'000;  // ids of one length
    const auto frame = opening.size() + 9 + 2 + before.size() + after.size() + session_.size() + 3;
    put(opening);
    put("\"");
    put(first_id + number);
    put("\"");
    put(before);
    put_filling(size - static_cast<std::int64_t>(frame));
    put(after);
    put(session_);
    put("\"}\n");
  }

  void ask(std::int64_t count) {
    answers_ = 0;
    for (std::int64_t number = 0; number < count; ++number) {
      put(R"({"type":"control_request","request_id":"ask-)");
      put(number);
      put(R"(","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"toolu_)");
      put(number);
      put(R"(","permission_suggestions":[],"input":{"command":"make )");
      put(number);
      put(R"(","description":"t=)");
      put(now());
      put("\"}}}\n");
    }
    flush();
    while (answers_ < count) {
      const auto line = next_line();
      if (line.empty()) _exit(0);
      handle(line);
    }
  }

  void finish(bool is_error, std::int64_t size) {
    put(R"({"type":"result","subtype":"success","is_error":)");
    put(is_error ? "true" : "false");
    put(R"(,"duration_ms":1,"duration_api_ms":1,"num_turns":1,"session_id":")");
    put(session_);
    put(R"(","total_cost_usd":0.001,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,)"
        R"("cache_read_input_tokens":0,"output_tokens":20},"modelUsage":{},"permission_denials":[],)"
        R"("terminal_reason":"completed","uuid":"00000000-0000-4000-8000-000000000001","result":"got=)");
    put(answered_at_);
    put(" t=");
    put(now());
    put(" ");
    put_filling(size);
    put("\"}\n");
    flush();
  }

  std::string_view session_ = "00000000-0000-4000-8000-00000000000f";
  std::string_view model_ = "bench";
  std::string_view prompt_;
  bool reads_stdin_ = false;
  bool only_result_ = false;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::int64_t answers_ = 0;
  std::int64_t answered_at_ = 0;
};

}  // namespace

int main(int count, char** words) {
  if (count > 1 && std::string_view(words[1]) == "--version") {
    put("2.1.329 (Claude Code)\n");
    flush();
    return 0;
  }
  return worker(count, words).run();
}
