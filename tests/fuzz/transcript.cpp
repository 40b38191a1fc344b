// What a server finds in its log folder after one that was killed, or after somebody else was there. The first line is
// a number: where the writing was cut. Then either `file` and, between two lines `----`, the contents of the two files
// of a worker; or lines of a child, which are written as a server does until it is killed.
#include "worker/transcript.hpp"

#include "coro/line_buffer.hpp"
#include "memory_files.hpp"
#include "targets.hpp"
#include "worker/json_repair.hpp"
#include "worker/protocol.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string>
#include <vector>

namespace awm::fuzz {
namespace {

using nlohmann::json;
using worker::transcript_record;

constexpr auto folder = "/logs";
constexpr auto id = "00000000-0000-4000-8000-000000000000";
const std::filesystem::path json_path = "/logs/worker-00000000-0000-4000-8000-000000000000.json";
const std::filesystem::path part_path = "/logs/worker-00000000-0000-4000-8000-000000000000.part";

json parsed(std::string_view text) {
  return json::parse(text, nullptr, false);
}

/// Loads what is there; whatever was JSON stays JSON, with the messages that it had.
void load_and_check(memory_files& disk) {
  const auto before = parsed(disk.read(json_path).value_or(""));
  std::string error;
  worker::transcript::peek(disk, folder, id);
  const auto loaded = worker::transcript::load(disk, folder, id, error);
  if (!loaded) return require(!error.empty(), "a refusal has a reason");
  const auto text = disk.read(json_path).value_or("");
  const auto after = parsed(text);
  if (before.is_object()) {
    require(after.is_object(), "what was JSON stays JSON", text);
    const auto kept = before.value("messages", json::array());
    const auto now = after.value("messages", json::array());
    require(now.size() >= kept.size() && std::equal(kept.begin(), kept.end(), now.begin()), "no message is lost", text);
  }
  const auto again = worker::transcript::load(disk, folder, id, error);
  require(again != nullptr, "it can be loaded again", error);
  require(again->record().state == loaded->record().state, "and says the same");
  require(disk.read(json_path).value_or("") == text, "and is left as it is");
}

void read_files(std::string_view input) {
  memory_files disk;
  constexpr std::string_view between = "\n----\n";
  const auto cut = input.find(between);
  disk.contents[json_path] = input.substr(0, cut);
  if (cut != std::string_view::npos) disk.contents[part_path] = input.substr(cut + between.size());
  load_and_check(disk);
}

/// The messages that are whole in the first `size` bytes of a turn that was being written.
std::size_t whole_lines(std::string_view part) {
  return static_cast<std::size_t>(std::count(part.begin(), part.end(), '\n'));
}

/// Writes the messages of the lines as a server does that is killed when so many bytes of them are on disk.
void write_and_kill(std::size_t killed_at, std::string_view input) {
  memory_files disk;
  transcript_record record;
  record.worker_id = id;
  record.state = "running";
  record.session_id = "s";
  record.turns.push_back({{"prompt", "one"}, {"state", "running"}});
  worker::transcript writing(disk, folder, std::move(record));
  require(!writing.save() && !writing.begin_turn("one"), "there is room");
  worker::line_parser parser;
  std::vector<json> expected{{{"role", "user"}, {"content", "one"}}};
  while (!input.empty()) {
    const auto text = take_line(input);
    std::vector<char> bytes(text.begin(), text.end());
    bytes.resize(text.size() + coro::line_buffer::padding);
    const auto line = parser.parse({bytes.data(), text.size()});
    const auto* const message = std::get_if<worker::message_line>(&line);
    if (message == nullptr) continue;
    writing.add(*message);
    // A message without an id stands alone, whatever comes before and after it.
    if (message->id.empty() && message->parent_tool_use_id.empty()) expected.push_back(parsed(message->raw));
  }
  require(!writing.flush(), "there is room");
  auto& part = disk.contents.at(part_path);
  part.resize(std::min(part.size(), killed_at));
  const auto lines = whole_lines(part);
  load_and_check(disk);
  const auto after = parsed(disk.read(json_path).value_or(""));
  require(after.is_object() && after["messages"].is_array(), "what a killed server wrote is JSON after it");
  const auto& messages = after["messages"];
  require(after["state"] == "interrupted", "it says that it was interrupted");
  // The opening of the file is a line of its own.
  require(lines <= 1 || messages.size() > 0, "a whole message is kept");
  if (killed_at < 1'000'000) return;
  // Nothing was cut, so that all that stands alone is there, in its order.
  auto next = messages.begin();
  for (const auto& message : expected) {
    next = std::find(next, messages.end(), message);
    require(next != messages.end(), "every message that was received is kept, in order",
            message.dump(-1, ' ', false, json::error_handler_t::replace));
    ++next;
  }
}

void check_repair(std::string_view text) {
  const auto repaired = worker::repaired_json(text);
  require(worker::repaired_json(repaired) == repaired, "what is repaired stays as it is", repaired);
  if (!json::accept(text)) return;
  require(json::accept(repaired), "JSON stays JSON", repaired);
}

}  // namespace

void transcript(std::string_view input) {
  const auto first = take_line(input);
  std::size_t killed_at = 1'000'000;
  std::from_chars(first.data(), first.data() + first.size(), killed_at);
  check_repair(input);
  auto rest = input;
  if (take_line(rest) == "file") return read_files(rest);
  write_and_kill(killed_at, input);
}

}  // namespace awm::fuzz
