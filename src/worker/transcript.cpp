#include "worker/transcript.hpp"

#include "coro/line_buffer.hpp"
#include "text/json_text.hpp"

#include <simdjson.h>

#include <algorithm>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace awm::worker {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view opening = "{\"messages\":[\n";
// Messages hold no raw newline and the rest is escaped, so this occurs once: where the messages end.
constexpr std::string_view end_of_messages = "],\n\"worker_id\":";

// A larger one was needed for one burst.
constexpr std::size_t most_kept = std::size_t{256} * 1024;

/// What transcripts collect their messages in between two writes. All those of one read are added and written before
/// another worker's, so one buffer serves them all; who finds it taken begins one of its own.
class common_buffer {
 public:
  static void lend(std::string& to) {
    if (to.capacity() < buffer().capacity()) to.swap(buffer());
  }
  static void take_back(std::string& from) {
    from.clear();
    if (from.capacity() > buffer().capacity() && from.capacity() <= most_kept) from.swap(buffer());
    std::string().swap(from);
  }

 private:
  static std::string& buffer() {
    thread_local std::string one;
    return one;
  }
};

std::optional<std::string> text_or_nothing(const json& value) {
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

/// Writes the members of a JSON object, one a line, so that a person finds them with less and grep as well.
class member_writer {
 public:
  explicit member_writer(std::string& text) : text_(text) {}

  void add(std::string_view key, std::string_view value) {
    begin(key);
    text::append_json_string(text_, value);
  }

  void add(std::string_view key, const json& value) {
    begin(key);
    text::append_json(text_, value);
  }

  void add(std::string_view key, const std::vector<std::string>& value) {
    add(key, value.empty() ? json::array() : json(value));
  }

  void add_or_null(std::string_view key, const std::optional<std::string>& value) {
    value ? add(key, std::string_view(*value)) : add(key, json(nullptr));
  }

 private:
  void begin(std::string_view key) {
    if (!std::exchange(is_first_, false)) text_ += ",\n";
    text_ += '"';
    text_ += key;
    text_ += "\":";
  }

  std::string& text_;
  bool is_first_ = true;
};

std::optional<std::string> unless_empty(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

const json& checked(const json& value, const char* key, bool has_the_right_type) {
  if (!has_the_right_type) throw std::invalid_argument(std::string(key) + " has the wrong type");
  return value.at(key);
}

/// Throws std::exception when the file was not written by us.
transcript_record from_json(const json& value) {
  transcript_record record;
  record.worker_id = value.at("worker_id").get<std::string>();
  record.description = value.at("description").get<std::string>();
  record.agent_type = text_or_nothing(value.at("agent_type"));
  record.options = checked(value, "options", value.at("options").is_object());
  record.state = value.at("state").get<std::string>();
  record.session_id = text_or_nothing(value.at("session_id")).value_or("");
  record.model = text_or_nothing(value.at("model")).value_or("");
  record.cwd = value.at("cwd").get<std::string>();
  record.result = value.at("result").get<std::string>();
  record.total_cost_usd = value.at("total_cost_usd").get<double>();
  record.permission_denials = checked(value, "permission_denials", value.at("permission_denials").is_array());
  const auto& turns = value.at("turns");
  const auto is_object = [](const json& turn) { return turn.is_object(); };
  record.turns = checked(value, "turns", turns.is_array() && std::all_of(turns.begin(), turns.end(), is_object));
  record.warnings = value.at("warnings").get<std::vector<std::string>>();
  record.error = text_or_nothing(value.at("error"));
  // Transcripts of version 0.1 lack these.
  record.structured_output = value.value("structured_output", json(nullptr));
  record.files_written = value.value("files_written", std::vector<std::string>{});
  record.worktree = value.value("worktree", json(nullptr));
  return record;
}

bool is_in_flight(std::string_view state) {
  return state == "queued" || state == "starting" || state == "running" || state == "awaiting_permission";
}

/// One message line of a version that is being written, cut where its blocks are.
struct entry {
  std::string_view text;
  std::string key;  // of the reply that it belongs to; empty when it stands alone
  std::string_view before;
  std::string_view blocks;
  std::string_view after;
};

class entry_reader {
 public:
  bool is_valid(std::string_view line) {
    simdjson::dom::object object;
    return checker_.parse(line.data(), line.size()).get(object) == simdjson::SUCCESS;
  }

  entry read(std::string_view line);

 private:
  simdjson::dom::parser checker_;
  simdjson::ondemand::parser parser_;
  std::string padded_;
};

entry entry_reader::read(std::string_view line) {
  namespace ondemand = simdjson::ondemand;
  entry result;
  result.text = line;
  // The line lies in a mapped file that may end with its page, and the parser reads a little further.
  padded_.assign(line);
  padded_.reserve(line.size() + coro::line_buffer::padding);
  ondemand::document document;
  ondemand::object object;
  if (parser_.iterate(padded_.data(), padded_.size(), padded_.capacity()).get(document) ||
      document.get_object().get(object)) {
    return result;
  }
  std::string_view role;
  std::string_view id;
  std::string_view thread;
  std::string_view array;
  for (auto field : object) {
    std::string_view key;
    if (field.unescaped_key().get(key)) return result;
    ondemand::array content;
    if (key == "role") {
      if (field.value().get_string().get(role)) return result;
    } else if (key == "id") {
      if (field.value().get_string().get(id)) return result;
    } else if (key == "parent_tool_use_id") {
      if (field.value().get_string().get(thread)) return result;
    } else if (key == "content") {
      if (field.value().get_array().get(content) || content.raw_json().get(array)) return result;
    }
  }
  if (role != "assistant" || id.empty() || array.size() < 2) return result;
  result.key.append(thread).append(1, '\n').append(id);
  const auto begin = static_cast<std::size_t>(array.data() - padded_.data());
  const auto end = begin + array.find_last_of(']');
  result.before = line.substr(0, begin + 1);
  result.blocks = line.substr(begin + 1, end - begin - 1);
  result.after = line.substr(end);
  return result;
}

/// Appends the inside of a content array behind what is there; returns whether there is anything by then.
bool append_blocks(std::string& to, std::string_view blocks, bool any) {
  if (blocks.find_first_not_of(" \t") == std::string_view::npos) return any;
  if (any) to += ',';
  to += blocks;
  return true;
}

/// What a transcript's file says.
struct stored_transcript {
  transcript_record record;
  std::uint64_t messages_end = 0;
};

std::optional<stored_transcript> read(const files& files, const fs::path& path, const std::string& worker_id,
                                      std::string& error) {
  std::error_code failure;
  const auto file = files.view_own(path, failure);
  if (!file) {
    const bool is_there = failure && failure != std::errc::no_such_file_or_directory;
    error = is_there ? path.string() + " is not read (" + failure.message() +
                           "): it has to be a plain file of this user that nobody else can write"
                     : "there is no " + path.string();
    return std::nullopt;
  }
  const auto bytes = file->bytes();
  const auto end = bytes.rfind(end_of_messages);
  if (end == std::string_view::npos || !bytes.starts_with(opening)) {
    error = path.string() + " is not a transcript of this program";
    return std::nullopt;
  }
  stored_transcript found;
  found.messages_end = end;
  try {
    found.record = from_json(json::parse("{" + std::string(bytes.substr(end + 2))));
  } catch (const std::exception& broken) {
    error = path.string() + " is damaged: " + broken.what();
    return std::nullopt;
  }
  if (found.record.worker_id == worker_id) return found;
  error = path.string() + " belongs to worker " + found.record.worker_id;
  return std::nullopt;
}

/// Calls `visit(line)` for every full line of `text`, without the comma that separates it from the one before.
template <class Visit>
void each_entry(std::string_view text, Visit&& visit) {
  for (auto newline = text.find('\n'); newline != std::string_view::npos; newline = text.find('\n')) {
    auto line = text.substr(0, newline);
    text.remove_prefix(newline + 1);
    if (line.starts_with(',')) line.remove_prefix(1);
    visit(line);
  }
}

/// Calls `visit(line, entry)` for those that are JSON: after a power cut a part may hold lines that nobody wrote.
template <class Visit>
void each_message(std::string_view text, Visit&& visit) {
  entry_reader reader;
  each_entry(text, [&](std::string_view line) {
    if (reader.is_valid(line)) visit(line, reader.read(line));
  });
}

}  // namespace

transcript::transcript(files& files, const fs::path& directory, transcript_record record)
    : files_(files), path_(path_in(directory, record.worker_id)), record_(std::move(record)) {}

fs::path transcript::path_in(const fs::path& directory, const std::string& worker_id) {
  return directory / ("worker-" + worker_id + ".json");
}

fs::path transcript::sibling(std::string_view extension) const {
  auto path = path_;
  return path.replace_extension(extension);
}

std::optional<transcript_record> transcript::peek(const files& files, const fs::path& directory,
                                                  const std::string& worker_id) {
  std::string ignored;
  const auto found = read(files, path_in(directory, worker_id), worker_id, ignored);
  if (!found) return std::nullopt;
  return found->record;
}

std::unique_ptr<transcript> transcript::load(files& files, const fs::path& directory, const std::string& worker_id,
                                             std::string& error) {
  const auto path = path_in(directory, worker_id);
  auto found = read(files, path, worker_id, error);
  if (!found) return nullptr;
  auto loaded = std::make_unique<transcript>(files, directory, std::move(found->record));
  loaded->messages_end_ = found->messages_end;
  if (is_in_flight(loaded->record_.state)) {
    if (files.is_being_written(loaded->sibling(".part"))) {
      error = "another server process works on " + path.string();
      return nullptr;
    }
    if (const auto failure = loaded->recover()) {
      error = path.string() + " could not be recovered: " + failure.message();
      return nullptr;
    }
  }
  return loaded;
}

std::string transcript::rest() const {
  constexpr std::size_t ordinary_size = 1000;
  std::string text;
  text.reserve(ordinary_size + record_.result.size() * 2);  // it stands with its turn as well
  text += "],\n";
  member_writer members(text);
  members.add("worker_id", std::string_view(record_.worker_id));
  members.add("description", std::string_view(record_.description));
  members.add_or_null("agent_type", record_.agent_type);
  members.add("options", record_.options);
  members.add("state", std::string_view(record_.state));
  members.add_or_null("session_id", unless_empty(record_.session_id));
  members.add_or_null("model", unless_empty(record_.model));
  members.add("cwd", std::string_view(record_.cwd));
  members.add("result", std::string_view(record_.result));
  members.add("total_cost_usd", json(record_.total_cost_usd));
  members.add("permission_denials", record_.permission_denials);
  members.add("turns", record_.turns);
  members.add("warnings", record_.warnings);
  members.add_or_null("error", record_.error);
  members.add("structured_output", record_.structured_output);
  members.add("files_written", record_.files_written);
  members.add("worktree", record_.worktree);
  text += "}\n";
  return text;
}

std::error_code transcript::start_version(const fs::path& path, std::unique_ptr<output_file>& file) {
  std::error_code error;
  file = files_.create(path, error);
  if (error || is_first_turn()) return error;
  return file->append_from(path_, 0, messages_end_);
}

bool transcript::is_first_turn() const {
  return messages_end_ <= opening.size();
}

std::error_code transcript::save() {
  // Of a turn before: behind messages that are in place by now it would be taken for those of this turn, after a kill.
  if (!is_in_turn_) {
    if (const auto error = files_.remove(sibling(".part"))) return error;
  }
  if (!has_earlier_messages()) {
    std::string ignored;
    const auto changed = read(files_, path_, record_.worker_id, ignored);
    if (!changed) return std::make_error_code(std::errc::bad_message);
    messages_end_ = changed->messages_end;  // edited by hand, and still one of ours
  }
  const auto temporary = sibling(".tmp");
  std::unique_ptr<output_file> file;
  auto error = start_version(temporary, file);
  if (!error) error = file->append((is_first_turn() ? std::string(opening) : "") + rest());
  if (!error) error = files_.rename(temporary, path_);
  if (error) {
    files_.remove(temporary);  // the room may be what others wait for
    return error;
  }
  if (messages_end_ == 0) messages_end_ = opening.size();
  return {};
}

/// The messages of the turns before still end in the file at `path_` where they did.
bool transcript::has_earlier_messages() const {
  if (is_first_turn()) return true;
  const auto file = files_.view_own(path_);
  if (!file || file->bytes().size() < messages_end_) return false;
  return file->bytes().substr(messages_end_).starts_with(end_of_messages);
}

std::error_code transcript::begin_turn(std::string_view prompt) {
  is_in_turn_ = true;
  is_over_ = false;
  part_.reset();
  rest_size_ = 0;
  left_out_ = 0;
  first_entry_ = is_first_turn();
  unwritten_ = first_entry_ ? opening : "";
  last_reply_.clear();
  has_split_replies_ = false;
  trouble_.clear();
  add_prompt(prompt);
  return trouble_ = write_out();
}

void transcript::add_prompt(std::string_view text) {
  if (is_in_turn_) append_entry(text::json_text(text::json_object("role", "user", "content", text)));
}

/// While nothing can be written, memory is what limits the transcript.
bool transcript::has_room_for(std::string_view entry) {
  if (!trouble_ || unwritten_.size() + entry.size() <= most_unwritten) return true;
  ++left_out_;
  return false;
}

void transcript::append_entry(std::string_view entry) {
  if (!has_room_for(entry)) return;
  if (unwritten_.empty()) common_buffer::lend(unwritten_);
  if (!first_entry_) unwritten_ += ',';
  first_entry_ = false;
  unwritten_ += entry;
  unwritten_ += '\n';
}

void transcript::add(const message_line& message) {
  if (!is_in_turn_) return;
  if (!message.id.empty()) {
    const auto last = last_reply_.find(message.parent_tool_use_id);
    if (last == last_reply_.end()) {
      last_reply_.emplace(message.parent_tool_use_id, message.id);
    } else if (last->second == message.id) {
      has_split_replies_ = true;
    } else {
      last->second = message.id;
    }
  }
  if (message.parent_tool_use_id.empty()) {
    append_entry(message.raw);
  } else {
    const auto members = message.raw.substr(1);
    const bool is_empty = members.find_first_not_of(" \t\r") == members.find('}');
    append_entry("{\"parent_tool_use_id\":" + text::json_text(message.parent_tool_use_id) + (is_empty ? "" : ",") +
                 std::string(members));
  }
}

std::error_code transcript::flush() {
  if (!is_in_turn_ || unwritten_.empty()) return trouble_;
  // To begin the version means to copy the turns before, which is too much to be tried with every message.
  if (!part_) return trouble_;
  return trouble_ = write_out();
}

std::error_code transcript::write_out() {
  if (!part_) {
    if (!has_earlier_messages()) forget_earlier_messages();
    if (const auto error = start_version(sibling(".part"), part_)) {
      part_.reset();
      return error;
    }
    part_end_ = is_first_turn() ? 0 : messages_end_;
  } else if (trouble_) {
    if (const auto error = drop_what_was_written()) return error;
  }
  if (unwritten_.empty()) return {};
  if (const auto error = part_->append(unwritten_)) return error;
  part_end_ += unwritten_.size();
  common_buffer::take_back(unwritten_);
  return {};
}

/// After a write that failed: the file's length says how much of it got through.
std::error_code transcript::drop_what_was_written() {
  const auto part = sibling(".part");
  const auto file = files_.view_own(part);
  if (!file) {
    return files_.is_regular_file(part) ? trouble_ : std::make_error_code(std::errc::no_such_file_or_directory);
  }
  const auto size = file->bytes().size();
  if (size < part_end_ || size - part_end_ > unwritten_.size()) return std::make_error_code(std::errc::bad_message);
  unwritten_.erase(0, size - part_end_);
  part_end_ = size;
  return {};
}

/// Somebody changed or removed the file, before the version that replaces it was begun.
void transcript::forget_earlier_messages() {
  record_.warnings.push_back("The messages of the turns before the last one are gone: somebody changed or removed " +
                             path_.string() + " while the worker was running.");
  messages_end_ = 0;
  if (unwritten_.starts_with(',')) unwritten_.erase(0, 1);
  unwritten_.insert(0, opening);
}

std::error_code transcript::end_turn() {
  if (!is_in_turn_) return trouble_ = save();
  is_over_ = true;
  return catch_up();
}

std::error_code transcript::catch_up() {
  if (!is_in_turn_) return trouble_ = trouble_ ? save() : trouble_;
  trouble_ = is_over_ ? put_in_place() : write_out();
  if (!is_over_) return trouble_;
  const bool is_lost = trouble_ == std::errc::no_such_file_or_directory || trouble_ == std::errc::bad_message;
  if (is_lost) give_up_messages();
  if (trouble_ && !is_lost) return trouble_;
  is_in_turn_ = is_over_ = false;
  if (is_lost) trouble_ = save();
  return trouble_;
}

/// The file that the turn's messages were written to is not there any more: the record alone is left.
void transcript::give_up_messages() {
  part_.reset();
  std::string().swap(unwritten_);
  if (!has_earlier_messages()) messages_end_ = 0;
  record_.warnings.push_back("The messages of the last turn are gone: somebody changed or removed " +
                             sibling(".part").string() + " while the worker was running.");
}

std::error_code transcript::put_in_place() {
  const auto part = sibling(".part");
  if (has_split_replies_) {
    if (const auto error = write_out()) return error;
    const auto error = finish_merged(part);
    if (error) files_.remove(sibling(".tmp"));  // the room may be what others wait for
    return error;
  }
  if (rest_size_ == 0) {
    const auto end = rest();
    rest_size_ = end.size();
    unwritten_ += end;
  }
  if (const auto error = write_out()) return error;
  if (const auto error = files_.rename(part, path_)) return error;
  part_.reset();
  messages_end_ = part_end_ - rest_size_;
  return {};
}

/// Writes the transcript anew from what is in its `.part`. The messages of the turns before are the first
/// `messages_end_` bytes of `earlier_messages`.
std::error_code transcript::finish_merged(const fs::path& earlier_messages) {
  const auto part = sibling(".part");
  const auto temporary = sibling(".tmp");
  std::error_code failure;
  const auto written = files_.view_own(part, failure);
  if (failure && failure != std::errc::no_such_file_or_directory) return failure;
  if (!written) return std::make_error_code(std::errc::io_error);
  std::error_code error;
  const auto file = files_.create(temporary, error);
  if (error) return error;
  error = is_first_turn() ? file->append(opening) : file->append_from(earlier_messages, 0, messages_end_);
  if (error) return error;
  if (error = merge_replies(written->bytes(), *file); error) return error;
  const auto merged = files_.view_own(temporary);
  if (!merged) return std::make_error_code(std::errc::io_error);
  const auto end = merged->bytes().size();
  if (error = file->append(rest()); error) return error;
  if (error = files_.rename(temporary, path_); error) return error;
  messages_end_ = end;
  part_.reset();
  // It goes with the next version in any case.
  files_.remove(part);
  return {};
}

/// Writes the messages of the turn that `part` ends with: every reply once, where its first block stood, with all its
/// blocks.
std::error_code transcript::merge_replies(std::string_view part, output_file& to) const {
  const auto begin = messages_end_ == 0 ? opening.size() : static_cast<std::size_t>(messages_end_);
  if (part.size() < begin) return std::make_error_code(std::errc::io_error);
  const auto turn = part.substr(begin);
  std::unordered_map<std::string, std::vector<std::string_view>> more_blocks;  // of a reply, after its first line
  each_message(turn, [&](std::string_view, const entry& found) {
    if (found.key.empty()) return;
    const auto [reply, is_new] = more_blocks.try_emplace(found.key);
    if (!is_new) reply->second.push_back(found.blocks);
  });
  std::error_code error;
  bool first = is_first_turn();
  each_message(turn, [&](std::string_view line, const entry& found) {
    if (error) return;
    std::string text;
    if (found.key.empty()) {
      text = line;
    } else {
      const auto reply = more_blocks.find(found.key);
      if (reply == more_blocks.end()) return;  // already written with its first block
      text.append(found.before);
      bool any = append_blocks(text, found.blocks, false);
      for (const auto blocks : reply->second) any = append_blocks(text, blocks, any);
      text += found.after;
      more_blocks.erase(reply);
    }
    text += '\n';
    if (!first) text.insert(0, ",");
    first = false;
    error = to.append(text);
  });
  return error;
}

/// True when the turn in `part` holds a reply of the model.
bool transcript::has_reply() const {
  const auto written = files_.view_own(sibling(".part"));
  if (!written) return false;
  const auto begin = messages_end_ == 0 ? opening.size() : static_cast<std::size_t>(messages_end_);
  const auto part = written->bytes();
  bool has_one = false;
  each_message(part.substr(std::min(begin, part.size())),
               [&](std::string_view, const entry& found) { has_one = has_one || !found.key.empty(); });
  return has_one;
}

std::error_code transcript::recover() {
  record_.state = "interrupted";
  if (!record_.turns.empty()) record_.turns.back()["state"] = record_.state;
  // The id of a first turn was chosen before the CLI began a session by it. Without a reply there is nothing to resume,
  // and nothing to lose. A turn that is taken up again after a rate limit has begun before.
  const bool has_begun_before =
      record_.turns.size() > 1 || (!record_.turns.empty() && record_.turns.back().contains("retries"));
  if (!has_begun_before && !has_reply()) record_.session_id.clear();
  const auto what_to_do =
      record_.session_id.empty() ? "resume_worker starts it." : "resume_worker continues the session.";
  const bool has_begun = files_.is_regular_file(sibling(".part"));
  if (!record_.error) {
    record_.error = std::string("The manager ended ") +
                    (has_begun ? "while this turn was running. " : "before this turn began. ") + what_to_do;
  }
  if (!has_begun) {
    if (!record_.turns.empty()) record_.turns.back()["unstarted"] = true;
    return save();
  }
  const auto error = finish_merged(path_);
  // A part that never got as far as the messages before it holds nothing of its own.
  return error == std::errc::io_error ? save() : error;
}

}  // namespace awm::worker
