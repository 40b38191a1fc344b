#include "worker/transcript.hpp"

#include "support/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <string>

namespace awm::worker {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

message_line assistant(std::string_view raw, std::string_view id, std::string_view thread = "") {
  return {"assistant", raw, id, thread};
}

class transcripts : public testing::Test {
 protected:
  transcript begun() {
    transcript_record record;
    record.worker_id = "w1";
    record.description = "test";
    record.state = "running";
    record.turns.push_back({{"prompt", "go"}, {"state", "running"}});
    transcript made(files_, directory_, std::move(record));
    EXPECT_FALSE(made.save());
    EXPECT_FALSE(made.begin_turn("go"));
    return made;
  }
  json on_disk() {
    const auto text = files_.read(directory_ / "worker-w1.json");
    EXPECT_TRUE(text);
    return json::parse(text.value_or("null"));
  }
  std::unique_ptr<transcript> loaded() {
    std::string error;
    auto found = transcript::load(files_, directory_, "w1", error);
    EXPECT_TRUE(found) << error;
    return found;
  }

  system_files files_;
  test::temporary_directory temporary_;
  const fs::path directory_ = temporary_.path();
};

TEST_F(transcripts, is_valid_json_from_the_start_and_at_every_completion) {
  auto written = begun();
  EXPECT_EQ(on_disk()["state"], "running");
  EXPECT_EQ(on_disk()["messages"], json::array());
  written.add(assistant(R"({"id":"a","role":"assistant","content":[{"type":"text","text":"hi"}]})", "a"));
  ASSERT_FALSE(written.flush());
  EXPECT_EQ(on_disk()["messages"], json::array()) << "the version before stays until the turn ends";
  written.record().state = "completed";
  written.record().result = "hi";
  ASSERT_FALSE(written.end_turn());
  EXPECT_EQ(on_disk()["state"], "completed");
  EXPECT_EQ(on_disk()["result"], "hi");
  EXPECT_EQ(on_disk()["messages"], json::parse(R"([{"role":"user","content":"go"},
      {"id":"a","role":"assistant","content":[{"type":"text","text":"hi"}]}])"));
  EXPECT_FALSE(files_.is_regular_file(directory_ / "worker-w1.part"));
}

TEST_F(transcripts, blocks_of_one_reply_become_one_message_whatever_came_between_them) {
  auto written = begun();
  written.add(assistant(R"({"id":"a","role":"assistant","content":[{"n":1}],"end":1})", "a"));
  written.add({"user", R"({"role":"user","content":[{"r":1}]})", "", ""});
  written.add(assistant(R"({"id":"s","role":"assistant","content":[{"n":9}]})", "s", "tool1"));
  ASSERT_FALSE(written.flush());
  written.add(assistant(R"({"id":"a","role":"assistant","content":[{"n":2},{"n":3}],"end":1})", "a"));
  written.add(assistant(R"({"id":"b","role":"assistant","content":[{"n":4}]})", "b"));
  ASSERT_FALSE(written.end_turn());
  EXPECT_EQ(on_disk()["messages"], json::parse(R"([{"role":"user","content":"go"},
      {"id":"a","role":"assistant","content":[{"n":1},{"n":2},{"n":3}],"end":1},
      {"role":"user","content":[{"r":1}]},
      {"parent_tool_use_id":"tool1","id":"s","role":"assistant","content":[{"n":9}]},
      {"id":"b","role":"assistant","content":[{"n":4}]}])"));
}

TEST_F(transcripts, empty_messages_and_empty_blocks_leave_valid_json) {
  auto written = begun();
  written.add({"assistant", "{}", "", "tool1"});
  written.add(assistant(R"({"id":"a","role":"assistant","content":[]})", "a"));
  written.add(assistant(R"({"id":"a","role":"assistant","content":[{"n":1}]})", "a"));
  written.add(assistant(R"({"id":"a","role":"assistant","content":[ ]})", "a"));
  ASSERT_FALSE(written.end_turn());
  EXPECT_EQ(on_disk()["messages"][1], json::parse(R"({"parent_tool_use_id":"tool1"})"));
  EXPECT_EQ(on_disk()["messages"][2]["content"], json::parse(R"([{"n":1}])"));
}

TEST_F(transcripts, lines_that_nobody_wrote_are_left_out_of_a_recovery) {
  {
    auto written = begun();
    written.add(assistant(R"({"id":"a","role":"assistant","content":[1]})", "a"));
    ASSERT_FALSE(written.flush());
  }
  const auto part = files_.read(directory_ / "worker-w1.part").value();
  std::error_code error;
  ASSERT_FALSE(
      files_.create(directory_ / "worker-w1.part", error)->append(part + std::string(20, '\0') + "\n,{\"x\":[}\n"));
  EXPECT_EQ(loaded()->record().state, "interrupted");
  EXPECT_EQ(on_disk()["messages"].size(), 2U);
}

// Found by the fuzzer: such a line's blocks went into the reply that it seemed to belong to.
TEST_F(transcripts, a_broken_line_adds_nothing_to_the_reply_that_it_seems_to_belong_to) {
  {
    auto written = begun();
    written.add(assistant(R"({"id":"a","role":"assistant","content":[1]})", "a"));
    ASSERT_FALSE(written.flush());
  }
  const auto part = files_.read(directory_ / "worker-w1.part").value();
  std::error_code error;
  ASSERT_FALSE(files_.create(directory_ / "worker-w1.part", error)
                   ->append(part + ",{\"id\":\"a\",\"role\":\"assistant\",\"content\":[{\"text\":\"2\"}rubbish]}\n"));
  EXPECT_EQ(loaded()->record().state, "interrupted");
  EXPECT_EQ(on_disk()["messages"][1]["content"], json::array({1}));
}

TEST_F(transcripts, messages_are_kept_as_they_were_received) {
  auto written = begun();
  const std::string raw = R"({"id":"a", "role":"assistant","content":[ {"text":"\u00e4","n":1.50,"x":1e2} ]})";
  const std::string more = R"({"id":"a", "role":"assistant","content":[{"text":"2"}]})";
  written.add(assistant(raw, "a"));
  written.add(assistant(more, "a"));
  ASSERT_FALSE(written.end_turn());
  const auto text = files_.read(directory_ / "worker-w1.json").value();
  EXPECT_NE(text.find(R"({"text":"\u00e4","n":1.50,"x":1e2} ,{"text":"2"}]})"), std::string::npos) << text;
}

TEST_F(transcripts, a_later_turn_keeps_the_earlier_ones_also_after_loading_and_also_when_both_are_merged) {
  {
    auto first = begun();
    first.add(assistant(R"({"id":"a","role":"assistant","content":[1]})", "a"));
    first.add(assistant(R"({"id":"a","role":"assistant","content":[2]})", "a"));
    first.record().state = "completed";
    ASSERT_FALSE(first.end_turn());
  }
  const auto second = loaded();
  second->record().state = "running";
  ASSERT_FALSE(second->begin_turn("more"));
  second->add(assistant(R"({"id":"b","role":"assistant","content":[3]})", "b"));
  second->add(assistant(R"({"id":"b","role":"assistant","content":[4]})", "b"));
  second->record().state = "completed";
  ASSERT_FALSE(second->end_turn());
  ASSERT_FALSE(second->begin_turn("third"));
  ASSERT_FALSE(second->end_turn());
  EXPECT_EQ(on_disk()["messages"], json::parse(R"([{"role":"user","content":"go"},
      {"id":"a","role":"assistant","content":[1,2]}, {"role":"user","content":"more"},
      {"id":"b","role":"assistant","content":[3,4]}, {"role":"user","content":"third"}])"));
}

TEST_F(transcripts, everything_in_the_record_survives_a_load) {
  {
    auto written = begun();
    auto& record = written.record();
    record.agent_type = "Explore";
    record.options = {{"model", "haiku"}};
    record.session_id = "s1";
    record.model = "claude-haiku";
    record.cwd = "/work";
    record.result = "multi\nline \"quoted\" ],\n\"worker_id\": fake";
    record.total_cost_usd = 0.25;
    record.permission_denials = json::array({"x"});
    record.warnings = {"w"};
    record.error = "e";
    record.state = "failed";
    ASSERT_FALSE(written.end_turn());
  }
  const auto found = loaded();
  const auto& record = found->record();
  EXPECT_EQ(record.agent_type, "Explore");
  EXPECT_EQ(record.options, json::parse(R"({"model":"haiku"})"));
  EXPECT_EQ(record.session_id, "s1");
  EXPECT_EQ(record.cwd, "/work");
  EXPECT_EQ(record.result, "multi\nline \"quoted\" ],\n\"worker_id\": fake");
  EXPECT_EQ(record.total_cost_usd, 0.25);
  EXPECT_EQ(record.permission_denials.size(), 1U);
  EXPECT_EQ(record.warnings, std::vector<std::string>{"w"});
  EXPECT_EQ(record.error, "e");
  EXPECT_EQ(record.state, "failed");
  EXPECT_EQ(record.turns.size(), 1U);
}

/// What a manager that is killed leaves behind: the part as it was, and half a line.
TEST_F(transcripts, after_a_kill_every_full_line_is_recovered_and_the_state_is_interrupted) {
  {
    auto written = begun();
    written.add(assistant(R"({"id":"a","role":"assistant","content":[1]})", "a"));
    written.add({"user", R"({"role":"user","content":"r"})", "", ""});
    written.add(assistant(R"({"id":"a","role":"assistant","content":[2]})", "a"));
    ASSERT_FALSE(written.flush());
  }
  const auto part = files_.read(directory_ / "worker-w1.part").value();
  for (std::size_t cut = part.size(); cut > part.rfind(",{"); --cut) {
    std::error_code error;
    ASSERT_FALSE(files_.create(directory_ / "worker-w1.part", error)->append(part.substr(0, cut)));
    const auto kept = files_.read(directory_ / "worker-w1.json").value();
    const auto found = loaded();
    EXPECT_EQ(found->record().state, "interrupted");
    EXPECT_EQ(found->record().turns.back()["state"], "interrupted");
    EXPECT_EQ(on_disk()["messages"].size(), 3U);
    EXPECT_EQ(on_disk()["messages"][1]["content"], cut == part.size() ? json({1, 2}) : json({1}));
    ASSERT_FALSE(files_.create(directory_ / "worker-w1.json", error)->append(kept));
  }
}

TEST_F(transcripts, a_kill_before_the_first_message_leaves_a_transcript_that_loads) {
  {
    transcript_record record;
    record.worker_id = "w1";
    record.state = "queued";
    transcript written(files_, directory_, std::move(record));
    ASSERT_FALSE(written.save());
  }
  EXPECT_EQ(loaded()->record().state, "interrupted");
  EXPECT_EQ(on_disk()["messages"], json::array());
}

TEST_F(transcripts, a_subagents_empty_message_is_json_whatever_blanks_are_in_it) {
  auto written = begun();
  for (const auto* const raw : {"{}", "{ }", "{\t}", "{\r}", "{ \r\t }"}) written.add({"user", raw, "", "tool1"});
  ASSERT_FALSE(written.end_turn());
  const auto messages = on_disk()["messages"];
  ASSERT_EQ(messages.size(), 6U);
  for (std::size_t at = 1; at < messages.size(); ++at) EXPECT_EQ(messages[at], (json{{"parent_tool_use_id", "tool1"}}));
}

TEST_F(transcripts, a_recovered_turn_without_a_reply_has_no_session_to_resume) {
  for (const auto* const raw : {"", R"({"id":"a","role":"assistant","content":[1]})"}) {
    {
      auto written = begun();
      written.record().session_id = "s1";
      ASSERT_FALSE(written.save());
      if (*raw != '\0') written.add(assistant(raw, "a"));
      ASSERT_FALSE(written.flush());
    }
    EXPECT_EQ(loaded()->record().session_id, *raw == '\0' ? "" : "s1");
  }
}

TEST_F(transcripts, a_worker_that_was_queued_when_its_manager_was_killed_has_no_session_to_resume) {
  for (const bool has_begun_before : {false, true}) {
    transcript_record record;
    record.worker_id = "w1";
    record.state = "queued";
    record.session_id = "a session";
    record.turns.push_back({{"prompt", "go"}, {"state", "queued"}});
    if (has_begun_before) record.turns.back()["retries"] = 1;
    transcript written(files_, directory_, std::move(record));
    ASSERT_FALSE(written.save());
    const auto found = loaded();
    EXPECT_EQ(found->record().session_id, has_begun_before ? "a session" : "");
    EXPECT_NE(found->record().error.value_or("").find("before this turn began"), std::string::npos);
  }
}

TEST_F(transcripts, what_a_killed_manager_left_of_an_ended_turn_is_not_taken_for_the_next_ones) {
  std::string left;
  {
    auto written = begun();
    written.add(assistant(R"({"id":"a","role":"assistant","content":[1]})", "a"));
    written.add(assistant(R"({"id":"a","role":"assistant","content":[2]})", "a"));
    ASSERT_FALSE(written.flush());
    left = files_.read(directory_ / "worker-w1.part").value();
    written.record().state = "completed";
    ASSERT_FALSE(written.end_turn());
  }
  // Killed between the two steps that end a turn: the messages are in place, and the part is still there.
  std::error_code error;
  ASSERT_FALSE(files_.create(directory_ / "worker-w1.part", error)->append(left));
  const auto messages = on_disk()["messages"];
  {
    const auto next = loaded();
    next->record().state = "queued";
    next->record().turns.push_back({{"prompt", "and on"}, {"state", "queued"}});
    ASSERT_FALSE(next->save());
  }
  EXPECT_NE(loaded()->record().error.value_or("").find("before this turn began"), std::string::npos);
  EXPECT_EQ(on_disk()["messages"], messages);
}

TEST_F(transcripts, one_that_another_process_is_writing_is_left_alone) {
  auto written = begun();
  std::string reason;
  EXPECT_FALSE(transcript::load(files_, directory_, "w1", reason));
  EXPECT_NE(reason.find("another server process"), std::string::npos) << reason;
  written.record().state = "completed";
  ASSERT_FALSE(written.end_turn());
  EXPECT_EQ(loaded()->record().state, "completed");
}

TEST_F(transcripts, a_file_that_is_none_of_ours_is_refused_with_a_reason) {
  for (const std::string content :
       {"", "{}", "{\"messages\":[\n],\n\"worker_id\":\"w1\"", "{\"messages\":[\n],\n\"worker_id\":5}",
        "{\"messages\":[\n],\n\"worker_id\":\"other\"}"}) {
    std::error_code error;
    ASSERT_FALSE(files_.create(directory_ / "worker-w1.json", error)->append(content));
    std::string reason;
    EXPECT_FALSE(transcript::load(files_, directory_, "w1", reason)) << content;
    EXPECT_FALSE(reason.empty());
  }
}

TEST_F(transcripts, files_are_private) {
  auto written = begun();
  EXPECT_EQ(fs::status(directory_ / "worker-w1.part").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(directory_ / "worker-w1.json").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

}  // namespace
}  // namespace awm::worker
