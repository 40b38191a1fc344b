#pragma once
// What must always hold. Whoever sees something happen tells it here; what contradicts what was told before is the
// failure that a seed is kept for.

#include "setting.hpp"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace awm::simulation {

class checks {
 public:
  explicit checks(setting& shared) : shared_(shared) {}

  /// The first failure counts.
  void fail(std::string what);
  bool failed() const { return failure_.has_value(); }
  const std::string& failure() const { return *failure_; }

  // ---- transcripts ----

  /// The file of that name is another one now.
  void transcript_replaced(const std::filesystem::path& path, const std::string& bytes);
  /// The disk refused something that belongs to this worker.
  void disk_refused(const std::string& worker_id);
  /// The server has read the line of a child that carries the message `id`, in a turn about `tag`. It counts when the
  /// step ends and the server is still alive.
  void message_read(const std::string& tag, std::string id);
  /// The client sent `tag` to that worker.
  void sent_to(const std::string& tag, const std::string& worker_id) { owners_.emplace(tag, worker_id); }
  /// How long a turn about `tag` may take; nothing: as long as it likes.
  std::optional<duration> time_limit(const std::string& tag) const;
  /// The server closes its books: what it reads from here on is not kept.
  void server_stops() { is_stopping_ = true; }
  void step_is_over(bool is_alive);

  // ---- deliveries ----

  /// The server wrote the whole of a response to `request`, of a wait.
  void response_written(std::uint64_t request, const nlohmann::json& answer);
  /// The client gave that request up; `position` is where its word ends in all that it sent on this connection.
  void request_cancelled(std::uint64_t request, std::uint64_t position);
  /// The server has read so much of the connection, and has nothing left to do.
  void input_processed(std::uint64_t position) { processed_ = position; }
  /// A server begins.
  void server_began();
  /// It is gone. `at_rest`: not in the middle of a step.
  void server_gone(bool at_rest);
  /// The disk took this for the journal of deliveries.
  void journal_written(std::string_view lines);
  /// The disk did not take a line of the journal.
  void journal_refused() { journal_is_complete_ = false; }

  // ---- permissions ----

  /// Where an answer may come from.
  enum class origin { model, rule, remembered };
  void question_asked(const std::string& tag, bool by_rule, bool allow_by_rule);
  /// The client decided.
  void decided(const std::string& tag, bool allow);
  /// The client decided for others of the same command as well.
  void decided_for_all(const std::string& command, bool allow);
  /// The child was told.
  void answered(const std::string& tag, const std::string& command, bool allow);

  // ---- the end ----

  /// Every turn that ended was delivered, and every message is where it belongs; files of the log folder.
  void at_the_end(const std::map<std::filesystem::path, std::string>& files);

 private:
  struct transcript {
    std::string messages;  // the text before the rest
    std::vector<nlohmann::json> turns;
    std::optional<double> timeout_s;
  };
  struct turn_key {
    std::string worker_id;
    std::size_t turn = 0;
    auto operator<=>(const turn_key&) const = default;
  };
  enum class fate { written, owed, uncertain };
  struct delivery {
    fate what = fate::written;
    std::uint64_t request = 0;
    std::size_t server = 0;
  };
  struct question {
    bool by_rule = false;
    bool allow_by_rule = false;
    std::optional<bool> decision;
    bool is_answered = false;
  };
  struct given_up {
    std::uint64_t position = 0;
  };

  void turn_written(std::uint64_t request, const nlohmann::json& entry);
  std::string owner_of(const std::string& tag) const;

  setting& shared_;
  std::optional<std::string> failure_;
  std::map<std::string, transcript> transcripts_;
  std::map<std::string, std::string> owners_;  // of tags
  std::set<std::string> refused_;              // workers
  std::vector<std::pair<std::string, std::string>> being_read_;
  std::vector<std::pair<std::string, std::string>> read_;  // tag and message
  std::map<turn_key, delivery> deliveries_;
  std::map<std::uint64_t, given_up> given_up_;
  std::set<turn_key> journal_;  // the deliveries that are on the disk
  std::size_t server_ = 0;
  std::uint64_t processed_ = 0;
  bool journal_is_complete_ = true;
  bool is_stopping_ = false;
  std::map<std::string, question> questions_;
  std::map<std::string, std::set<bool>> decisions_for_all_;
};

}  // namespace awm::simulation
