// What a script can make the model say.

#include "json.hpp"
#include "session.hpp"

#include <algorithm>

namespace mock {
namespace {

using json::quote;

}  // namespace

void session::block(std::string_view raw, std::string_view extra) {
  if (message_id_.empty()) {
    message_id_ = wire::message_id();
    ++calls_turn_;
  }
  io_.print(wire::assistant(who_, message_id_, raw, extra,
                            given_.newer && first_block_ ? uuids_ : std::vector<std::string>()));
  first_block_ = false;
}

void session::say(std::string_view text) {
  last_text_ = std::string(text);
  tool_outputs_.clear();
  block("{\"type\":\"text\",\"text\":" + quote(text) + "}");
}

bool session::do_say(directive& d) {
  say(d.text());
  return true;
}

bool session::do_think(directive& d) {
  std::string const thought = d.text();
  io_.print(wire::thinking_tokens(who_, static_cast<long>(thought.size() / 4 + 1),
                                  given_.newer ? uuids_ : std::vector<std::string>()));
  block("{\"type\":\"thinking\",\"thinking\":" + quote(thought) + ",\"signature\":\"c2lnbmF0dXJl\"}",
        given_.newer ? R"(,"thinking_duration_ms":1,"thinking_display":"updates")" : "");
  return true;
}

bool session::do_rate(directive& d) {
  rate_ = d.number(0);
  return true;
}

bool session::do_lines(directive& d) {
  long const count = d.number(1);
  long const size = d.number(100);
  for (long i = 0; i < count; ++i) {
    message_id_.clear();
    std::string text = std::to_string(i) + " ";
    text.resize(static_cast<std::size_t>(size), '.');
    say(text);
    if (rate_ > 0) {
      if (!wait_until([] { return false; }, -1, static_cast<int>(1000 / rate_))) return false;
    } else if (i % 64 == 63) {
      serve_lines_without_waiting();
      if (stop_ != stop::none || fatal_input_) return false;
    }
  }
  message_id_.clear();
  return true;
}

bool session::do_giant(directive& d) {
  long left = d.number(1 << 26);
  message_id_ = wire::message_id();
  ++calls_turn_;
  io_.put(wire::assistant_head(who_, message_id_) + "{\"type\":\"text\",\"text\":\"");
  std::string const chunk(32 * 1024, 'g');
  for (; left > 0; left -= static_cast<long>(chunk.size()))
    io_.put(std::string_view(chunk).substr(0, static_cast<std::size_t>(std::min<long>(left, 32 * 1024))));
  io_.print("\"}" + wire::assistant_tail(who_) + "}");
  message_id_.clear();
  return true;
}

bool session::do_raw(directive& d) {
  io_.print(d.rest);
  return true;
}

bool session::do_garbage(directive& d) {
  long const count = d.number(1);
  for (long i = 0; i < count; ++i)
    io_.print(i % 2 == 0 ? "\x01\xff not JSON at all {" : "{\"type\":\"assistant\",\"message\":{");
  return true;
}

bool session::do_half_line(directive& d) {
  io_.put(wire::assistant_head(who_, wire::message_id()) + "{\"type\":\"text\",\"text\":\"half a li");
  return do_exit(d);
}

bool session::do_stderr(directive& d) {
  complain(d.text());
  return true;
}

bool session::do_stderr_lines(directive& d) {
  long const count = d.number(1);
  std::string const line(static_cast<std::size_t>(d.number(100)), 'e');
  for (long i = 0; i < count; ++i) complain(line);
  return true;
}

bool session::do_echo_options(directive&) {
  say(describe(given_, io_, who_, initialize_request_, prompt_line_));
  return true;
}

bool session::do_history(directive&) {
  std::vector<std::string> said = history_.prompts();
  if (given_.newer && !said.empty()) said.pop_back();  // this turn's own prompt is there already
  std::string list;
  for (const std::string& one : said) list += (list.empty() ? "" : ",") + quote(one);
  say("[" + list + "]");
  return true;
}

}  // namespace mock
