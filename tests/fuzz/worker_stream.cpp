// A child that prints anything. Its bytes are read as lines, however they are cut; what a line says stands at its top
// level, never in what it quotes; and a whole conversation with it ends once, with a transcript that is JSON and
// answers that were asked for.
#include "coro/line_buffer.hpp"
#include "memory_files.hpp"
#include "support/fake_launcher.hpp"
#include "support/manual_clock.hpp"
#include "targets.hpp"
#include "worker/conversation.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace awm::fuzz {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using padded = std::vector<char>;

padded with_padding(std::string_view text) {
  padded bytes(text.begin(), text.end());
  bytes.resize(text.size() + coro::line_buffer::padding);
  return bytes;
}

/// Calls `take` with pieces of `text`, each in memory of its own, with the padding that readers may rely on.
template <class Take>
void in_pieces(std::string_view text, std::size_t longest, Take&& take) {
  auto seed = hash_of(text);
  while (!text.empty()) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    const auto size = std::min<std::size_t>(text.size(), 1 + (seed >> 33U) % longest);
    const auto piece = with_padding(text.substr(0, size));
    take(std::string_view(piece.data(), size));
    text.remove_prefix(size);
  }
}

std::vector<std::string> lines_of(std::string_view text, std::size_t longest_piece) {
  constexpr std::size_t longest_line = 200;
  std::vector<std::string> found;
  coro::line_buffer lines{longest_line};
  const auto keep = [&](std::string_view line) {
    require(line.size() <= longest_line, "no line is longer than the limit");
    found.emplace_back(line);
  };
  in_pieces(text, longest_piece,
            [&](std::string_view piece) { lines.feed(piece, keep, [&] { found.emplace_back("\n"); }); });
  lines.finish(keep);
  return found;
}

void check_cuts(std::string_view input) {
  const auto whole = lines_of(input, input.size() + 1);
  require(lines_of(input, 1) == whole, "a stream of single bytes has the same lines");
  require(lines_of(input, 40) == whole, "a stream that is cut anywhere has the same lines");
}

bool is_json(std::string_view text, json::value_t kind) {
  return json::parse(text, nullptr, false).type() == kind;
}

/// The line's `type` for a reader that shares nothing with the parser; nothing where the two may differ: the parser
/// repairs JSON, and takes the first of two members with one name.
std::optional<std::string> plain_type_of(std::string_view line) {
  int types = 0;
  const auto count = [&types](int depth, json::parse_event_t event, json& parsed) {
    if (depth == 1 && event == json::parse_event_t::key && parsed == "type") ++types;
    return true;
  };
  const auto value = json::parse(line, count, false);
  if (!value.is_object() || types > 1) return std::nullopt;
  const auto type = value.find("type");
  return type != value.end() && type->is_string() ? type->get<std::string>() : std::string();
}

/// One question of a child, answered.
void check_answers(const worker::permission_line& question) {
  for (const auto& answer : {worker::allow_response(question.request_id, question.input, question.suggestions),
                             worker::deny_response(question.request_id, "no")}) {
    const auto value = json::parse(answer, nullptr, false);
    require(value.is_object() && answer.find('\n') == answer.size() - 1, "an answer is one line of JSON", answer);
    require(value["response"]["request_id"] == question.request_id, "an answer bears the id of its question", answer);
  }
}

void check_line(worker::line_parser& parser, std::string_view text) {
  const auto bytes = with_padding(text);
  const auto line = parser.parse({bytes.data(), text.size()});
  const auto type = plain_type_of(text);
  const auto says = [&](std::string_view expected) { return !type || *type == expected; };
  if (const auto* const message = std::get_if<worker::message_line>(&line)) {
    require(says(message->role), "a message says so", text);
    require(is_json(message->raw, json::value_t::object), "a message is passed on as JSON", message->raw);
  } else if (const auto* const question = std::get_if<worker::permission_line>(&line)) {
    require(says("control_request"), "only a control request is a question", text);
    require(is_json(question->input, json::value_t::object), "a tool's input is an object", question->input);
    require(is_json(question->suggestions, json::value_t::array), "suggestions are a list", question->suggestions);
    check_answers(*question);
  } else if (const auto* const result = std::get_if<worker::result_line>(&line)) {
    require(says("result"), "only a result is one", text);
    require(is_json(result->permission_denials, json::value_t::array), "denials are a list",
            result->permission_denials);
    require(result->structured_output.empty() || json::accept(result->structured_output),
            "a structured result is JSON");
  } else if (std::holds_alternative<worker::withdrawal_line>(line)) {
    require(says("control_cancel_request"), "only a cancellation withdraws a question", text);
  } else if (std::holds_alternative<worker::response_line>(line)) {
    require(says("control_response"), "only a control response is one", text);
  }
}

/// Answers every question in one of the ways that there are.
class observer final : public worker::conversation_observer {
 public:
  worker::conversation* asked_of = nullptr;
  std::map<std::string, std::size_t> asked;
  int endings = 0;
  worker::turn_outcome outcome;

  void permission_asked(const worker::permission_line& question) override {
    ++asked[question.request_id];
    switch (hash_of(question.request_id) % 3) {
      case 0:
        return asked_of->allow(question.request_id, question.input, question.suggestions);
      case 1:
        asked_of->deny(question.request_id, "no");
        return asked_of->allow(question.request_id, "{}");
      default:
        return asked_of->allow("another's", question.input);
    }
  }
  void permission_withdrawn(const std::string& request_id) override {
    require(asked.contains(request_id), "what was not asked is not withdrawn", request_id);
  }
  void turn_ended(const worker::turn_outcome& ended) override {
    ++endings;
    outcome = ended;
  }
};

class stage {
 public:
  explicit stage(std::string_view input) : launcher_(context_.get_executor()) {
    worker::transcript_record record;
    record.worker_id = "w";
    record.turns.push_back({{"prompt", "do it"}});
    transcript_.emplace(files_, "/logs", std::move(record));
    worker::child_plan plan;
    plan.launch.program = "/bin/claude";
    plan.literal_prompts = hash_of(input) % 2 == 0;
    running_.emplace(std::move(plan), launcher_, clock_, buffers_, observer_);
    observer_.asked_of = &*running_;
    worker::turn_request request;
    request.prompt = "do it";
    request.prompt_id = "p";
    request.has_background = hash_of(input) % 3 == 0;
    request.max_turns = 5;
    request.max_budget_usd = 1;
    request.timeout = 600s;
    running_->begin(std::move(request), *transcript_);
    asio::co_spawn(context_, running_->run(), [this](const std::exception_ptr& failure) {
      require(!failure, "a conversation does not throw");
      is_over_ = true;
    });
    settle();
  }

  void talk(std::string_view input) {
    child().answer_initialize();
    settle();
    running_->steer("m1", "and this");
    in_pieces(input, 300, [this](std::string_view piece) {
      child().print_raw(std::string(piece));
      settle();
    });
    child().exit_with(0);
    // A deadline of its own may be what goes on after the exit.
    for (int deadlines = 0; !is_over_ && deadlines < 100; ++deadlines) {
      settle();
      clock_.advance_to_next();
    }
  }

  void check() {
    require(is_over_, "a conversation ends with its child");
    require(observer_.endings == 1, "a turn ends once");
    require(observer_.outcome.is_on_disk, "the transcript is complete",
            observer_.outcome.warnings.empty() ? "" : observer_.outcome.warnings.back());
    const auto written = files_.read(transcript_->path()).value_or("");
    const auto value = json::parse(written, nullptr, false);
    require(value.is_object(), "the transcript is JSON", written);
    require(!value["messages"].empty() && value["messages"][0]["content"] == "do it", "it begins with the prompt",
            written);
    std::string error;
    require(worker::transcript::load(files_, "/logs", "w", error) != nullptr, "the transcript can be loaded", error);
    check_sent();
  }

 private:
  test::fake_child& child() { return *launcher_.children.at(0); }

  void settle() {
    context_.restart();
    context_.poll();
  }

  /// What the child was told: an answer for each question, and no more.
  void check_sent() {
    std::map<std::string, std::size_t> answered;
    std::string_view sent = child().input;
    while (!sent.empty()) {
      const auto line = take_line(sent);
      const auto value = json::parse(line, nullptr, false);
      require(value.is_object(), "the child gets JSON", line);
      if (value["type"] != "control_response" || value["response"]["subtype"] != "success") continue;
      ++answered[value["response"]["request_id"].get<std::string>()];
    }
    for (const auto& [id, count] : answered) require(count <= observer_.asked[id], "a question is answered once", id);
  }

  // The launcher's children outlive the context's coroutines.
  bool is_over_ = false;
  asio::io_context context_{1};
  memory_files files_;
  test::manual_clock clock_;
  test::fake_launcher launcher_;
  worker::reading buffers_;
  observer observer_;
  std::optional<worker::transcript> transcript_;
  std::optional<worker::conversation> running_;
};

}  // namespace

void worker_stream(std::string_view input) {
  check_cuts(input);
  worker::line_parser parser;
  for (auto rest = input; !rest.empty();) check_line(parser, take_line(rest));
  stage one(input);
  one.talk(input);
  one.check();
}

}  // namespace awm::fuzz
