#pragma once
// A worker's record on disk. It must be readable at any instant, also after a kill, and cost no memory however long it
// gets: messages are appended to `worker-{id}.part`, one a line, as they arrive; when the turn ends the rest of the
// record is written behind them and the file takes the name `worker-{id}.json` in one step. Until then that name holds
// the version before.
//
// The rest stands last, behind a line that no message can contain, so that it is found without reading the messages.
//
// A disk that is full does not stop a turn: what could not be written is kept in memory, and written behind what is
// there as soon as that is possible.

#include "worker/files.hpp"
#include "worker/protocol.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace awm::worker {

/// Everything of a transcript but its messages; the keys of the file in the file's order.
struct transcript_record {
  std::string worker_id;
  std::string description;
  /// What `spawn_worker` was given; null when it was not.
  std::optional<std::string> agent_type;
  /// The options of the last turn, as given.
  nlohmann::json options = nlohmann::json::object();
  /// queued, starting, running, awaiting_permission, completed, failed, cancelled or interrupted.
  std::string state;
  std::string session_id;
  std::string model;
  /// Where the child runs; a session belongs to its directory.
  std::string cwd;
  /// The text of the last turn that ended.
  std::string result;
  /// Over all turns and processes.
  double total_cost_usd = 0;
  nlohmann::json permission_denials = nlohmann::json::array();
  /// One object a turn, the running one last: prompt, state, started_at, ended_at, returncode, and of its result
  /// subtype, is_error, duration_ms, num_turns, input_tokens, output_tokens, cost_usd, result.
  nlohmann::json turns = nlohmann::json::array();
  std::vector<std::string> warnings;
  /// Why the last turn failed.
  std::optional<std::string> error;
  /// What `json_schema` asked for, of the last turn that had it; null: none.
  nlohmann::json structured_output = nullptr;
  /// Files that the worker wrote, over all turns.
  std::vector<std::string> files_written;
  /// The git worktree of its own, if it has one.
  nlohmann::json worktree = nullptr;
};

class transcript {
 public:
  /// A new worker's transcript in `directory`; writes nothing yet.
  transcript(files& files, const std::filesystem::path& directory, transcript_record record);

  /// Reads the record of `worker_id`. What a manager that died left behind in a `.part` file is put in place first: the
  /// messages that had been received in full lines stay, and the state becomes `interrupted`. Nothing when there is no
  /// such transcript, or another process is writing it; `error` then says why.
  static std::unique_ptr<transcript> load(files& files, const std::filesystem::path& directory,
                                          const std::string& worker_id, std::string& error);

  /// The record as it stands in the file, whatever state it is in; nothing is recovered. Nothing when there is no such
  /// transcript, or it is damaged.
  static std::optional<transcript_record> peek(const files& files, const std::filesystem::path& directory,
                                               const std::string& worker_id);

  static std::filesystem::path path_in(const std::filesystem::path& directory, const std::string& worker_id);

  const std::filesystem::path& path() const { return path_; }
  transcript_record& record() { return record_; }
  const transcript_record& record() const { return record_; }

  /// Puts the record as it is now on disk, with the messages of the turns before. `bad_message` when somebody removed
  /// the file, or made it none of ours.
  std::error_code save();

  /// Begins the version that the running turn will become, with all messages so far and the prompt. An error does not
  /// keep the turn from going on, see `is_behind`.
  std::error_code begin_turn(std::string_view prompt);

  /// Takes a message of the running turn; it reaches the disk with the next `flush()`.
  void add(const message_line& message);

  /// Takes a prompt that was sent into the running turn.
  void add_prompt(std::string_view text);

  /// Writes what was added. Called once for all lines that came together. What an error kept from the disk is tried
  /// again with the next call.
  std::error_code flush();

  /// Ends the running turn: the record goes behind the messages, and the version takes the transcript's name. Without a
  /// running turn the same as `save()`. After an error it is still to be done, by `catch_up()`, before anything else.
  std::error_code end_turn();

  /// Something is not on disk that should be: the last write failed.
  bool is_behind() const { return static_cast<bool>(trouble_); }
  /// Why it failed.
  std::error_code trouble() const { return trouble_; }

  /// Tries again to write what is not on disk.
  std::error_code catch_up();

  /// Of a turn's messages that cannot be written, so many bytes are kept; later ones are left out, and the record says
  /// how many. A worker is counted with 256 MiB of memory anyway (see `workers_that_fit`).
  static constexpr std::size_t most_unwritten = std::size_t{16} * 1024 * 1024;
  /// Messages of the running turn that were left out.
  std::size_t left_out() const { return left_out_; }

 private:
  std::filesystem::path sibling(std::string_view extension) const;
  bool is_first_turn() const;
  std::error_code start_version(const std::filesystem::path& path, std::unique_ptr<output_file>& file);
  std::error_code merge_replies(std::string_view part, output_file& to) const;
  bool has_room_for(std::string_view entry);
  bool has_earlier_messages() const;
  void forget_earlier_messages();
  std::error_code write_out();
  std::error_code drop_what_was_written();
  std::error_code put_in_place();
  void give_up_messages();
  std::error_code finish_merged(const std::filesystem::path& earlier_messages);
  bool has_reply() const;
  std::error_code recover();
  std::string rest() const;
  void append_entry(std::string_view entry);

  files& files_;
  std::filesystem::path path_;
  transcript_record record_;
  std::uint64_t messages_end_ = 0;  // in the file at `path_`; 0 while there is none
  std::uint64_t part_end_ = 0;      // of what was written to `part_`

  // The running turn's version.
  bool is_in_turn_ = false;
  bool is_over_ = false;               // it only has to be put in place
  std::unique_ptr<output_file> part_;  // null while it could not be begun
  std::string unwritten_;
  std::size_t rest_size_ = 0;  // of the record that stands last in `unwritten_`, or in the file; 0: it does not yet
  std::size_t left_out_ = 0;
  std::error_code trouble_;
  bool first_entry_ = true;
  bool has_split_replies_ = false;
  std::map<std::string, std::string, std::less<>> last_reply_;  // per subagent ("" for the main conversation), its id
};

}  // namespace awm::worker
