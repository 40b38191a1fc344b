#include "support/temporary_directory.hpp"
#include "worker/transcript.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace awm::worker {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// The real files on a disk that has room for so many bytes more, and that may refuse to rename and to create.
class narrow_files final : public files {
 public:
  std::size_t room = static_cast<std::size_t>(-1);
  bool refuses_names = false;

  bool is_directory(const fs::path& path) const override { return real_.is_directory(path); }
  bool is_regular_file(const fs::path& path) const override { return real_.is_regular_file(path); }
  bool is_executable(const fs::path& path) const override { return real_.is_executable(path); }
  std::string stamp(const fs::path& path) const override { return real_.stamp(path); }
  std::optional<std::string> read(const fs::path& path) const override { return real_.read(path); }
  std::unique_ptr<file_view> view(const fs::path& path) const override { return real_.view(path); }
  using files::view_own;
  std::unique_ptr<file_view> view_own(const fs::path& path, std::error_code& error) const override {
    return real_.view_own(path, error);
  }
  bool is_being_written(const fs::path& path) const override { return real_.is_being_written(path); }
  std::vector<fs::path> find(const fs::path& path, std::string_view suffix) const override {
    return real_.find(path, suffix);
  }
  std::vector<fs::path> list(const fs::path& path, std::string_view suffix) const override {
    return real_.list(path, suffix);
  }
  std::error_code create_directory(const fs::path& path) override { return real_.create_directory(path); }
  std::unique_ptr<output_file> create(const fs::path& path, std::error_code& error) override {
    if (refuses_names) {
      error = full();
      return nullptr;
    }
    auto file = real_.create(path, error);
    return file ? std::make_unique<narrow_file>(std::move(file), *this) : nullptr;
  }
  std::unique_ptr<output_file> open_append(const fs::path& path, std::error_code& error) override {
    return real_.open_append(path, error);
  }
  std::error_code rename(const fs::path& from, const fs::path& to) override {
    return refuses_names ? full() : real_.rename(from, to);
  }
  std::error_code remove(const fs::path& path) override { return real_.remove(path); }
  std::unique_ptr<file_lock> try_lock(const fs::path& path, std::uint64_t key, std::error_code& error) override {
    return real_.try_lock(path, key, error);
  }

 private:
  class narrow_file final : public output_file {
   public:
    narrow_file(std::unique_ptr<output_file> file, narrow_files& disk) : file_(std::move(file)), disk_(disk) {}
    std::error_code append(std::string_view bytes) override {
      const auto written = std::min(bytes.size(), disk_.room);
      disk_.room -= written;
      if (const auto error = file_->append(bytes.substr(0, written))) return error;
      return written == bytes.size() ? std::error_code{} : full();
    }
    std::error_code append_from(const fs::path& source, std::uint64_t begin, std::uint64_t end) override {
      const auto written = std::min<std::uint64_t>(end - begin, disk_.room);
      disk_.room -= written;
      if (const auto error = file_->append_from(source, begin, begin + written)) return error;
      return written == end - begin ? std::error_code{} : full();
    }

   private:
    std::unique_ptr<output_file> file_;
    narrow_files& disk_;
  };

  static std::error_code full() { return std::make_error_code(std::errc::no_space_on_device); }

  system_files real_;
};

constexpr auto all = static_cast<std::size_t>(-1);

class transcript_faults : public testing::Test {
 protected:
  fs::path file(const char* extension) const { return directory_ / ("worker-w1" + std::string(extension)); }

  static transcript_record record_of(const char* state) {
    transcript_record record;
    record.worker_id = "w1";
    record.description = "test";
    record.state = state;
    record.turns.push_back({{"prompt", "go"}, {"state", state}});
    return record;
  }

  /// Says `text` in a block of its own; blocks with the same `id` are of one reply.
  static void say(transcript& to, const std::string& id, const std::string& text) {
    const auto raw = json{{"id", id}, {"role", "assistant"}, {"content", {{{"type", "text"}, {"text", text}}}}}.dump();
    to.add({"assistant", raw, id, ""});
  }

  std::vector<std::string> said() const {
    std::vector<std::string> texts;
    const auto record = on_disk();
    for (const auto& message : record["messages"]) {
      if (message["role"] == "user") continue;
      for (const auto& block : message["content"]) texts.push_back(block["text"]);
    }
    return texts;
  }
  json on_disk() const { return json::parse(files_.read(file(".json")).value_or("null")); }

  narrow_files files_;
  test::temporary_directory temporary_;
  const fs::path directory_ = temporary_.path();
};

using texts = std::vector<std::string>;

TEST_F(transcript_faults, wherever_the_disk_was_full_nothing_is_lost_once_there_is_room) {
  for (const bool in_blocks : {false, true}) {
    for (std::size_t room = 0; room < 1200; room += 7) {
      SCOPED_TRACE(room);
      files_.room = all;
      fs::remove(file(".json"));
      transcript written(files_, directory_, record_of("running"));
      ASSERT_FALSE(written.save());
      files_.room = room;
      bool was_behind = static_cast<bool>(written.begin_turn("go"));
      texts expected;
      for (int number = 0; number < 8; ++number) {
        const auto text = "text " + std::to_string(number);
        say(written, std::to_string(in_blocks ? number / 2 : number), text);
        was_behind = static_cast<bool>(written.flush()) || was_behind;
        expected.push_back(text);
        EXPECT_EQ(on_disk()["state"], "running");
      }
      written.record().state = "completed";
      was_behind = static_cast<bool>(written.end_turn()) || was_behind;
      if (written.is_behind()) {
        EXPECT_EQ(written.trouble(), std::errc::no_space_on_device);
        EXPECT_EQ(on_disk()["state"], "running");
        EXPECT_TRUE(written.catch_up()) << "still full";
      }
      files_.room = all;
      EXPECT_FALSE(written.catch_up());
      EXPECT_FALSE(written.is_behind());
      EXPECT_EQ(on_disk()["state"], "completed");
      EXPECT_EQ(said(), expected);
      EXPECT_EQ(written.left_out(), 0U);
      EXPECT_FALSE(files_.is_regular_file(file(".part")) || files_.is_regular_file(file(".tmp")));
    }
  }
}

TEST_F(transcript_faults, a_second_turn_that_cannot_begin_follows_the_first_once_there_is_room) {
  transcript written(files_, directory_, record_of("running"));
  ASSERT_FALSE(written.save());
  ASSERT_FALSE(written.begin_turn("go"));
  say(written, "a", "one");
  ASSERT_FALSE(written.end_turn());
  files_.room = 10;
  EXPECT_TRUE(written.begin_turn("again"));
  say(written, "b", "two");
  EXPECT_TRUE(written.flush());
  EXPECT_TRUE(written.end_turn());
  EXPECT_EQ(said(), texts{"one"});
  files_.room = all;
  EXPECT_FALSE(written.catch_up());
  EXPECT_EQ(said(), (texts{"one", "two"}));
  ASSERT_FALSE(written.begin_turn("and on"));
  say(written, "c", "three");
  EXPECT_FALSE(written.end_turn());
  EXPECT_EQ(said(), (texts{"one", "two", "three"}));
}

TEST_F(transcript_faults, a_name_that_cannot_be_given_is_given_later) {
  transcript written(files_, directory_, record_of("running"));
  ASSERT_FALSE(written.save());
  ASSERT_FALSE(written.begin_turn("go"));
  say(written, "a", "one");
  files_.refuses_names = true;
  EXPECT_TRUE(written.end_turn());
  EXPECT_TRUE(written.catch_up());
  files_.refuses_names = false;
  EXPECT_FALSE(written.catch_up());
  EXPECT_EQ(said(), texts{"one"});
}

TEST_F(transcript_faults, memory_keeps_so_much_and_the_rest_is_counted) {
  transcript written(files_, directory_, record_of("running"));
  ASSERT_FALSE(written.save());
  ASSERT_FALSE(written.begin_turn("go"));
  files_.room = 0;
  const std::string text(transcript::most_unwritten / 4, 'x');
  for (int number = 0; number < 6; ++number) {
    say(written, std::to_string(number), text);
    EXPECT_TRUE(written.flush());
  }
  EXPECT_EQ(written.left_out(), 3U);
  files_.room = all;
  EXPECT_FALSE(written.end_turn());
  EXPECT_EQ(said().size(), 3U);
}

TEST_F(transcript_faults, a_part_that_a_kill_left_behind_does_not_come_back_as_messages_of_the_next_turn) {
  {
    transcript written(files_, directory_, record_of("running"));
    ASSERT_FALSE(written.save());
    ASSERT_FALSE(written.begin_turn("go"));
    for (int number = 0; number < 10; ++number) say(written, "a", "block " + std::to_string(number));
    ASSERT_FALSE(written.flush());
    const auto part = files_.read(file(".part")).value();
    written.record().state = "completed";
    ASSERT_FALSE(written.end_turn());
    // The kill comes between the new transcript and the removal of what it was made from.
    std::error_code error;
    ASSERT_FALSE(files_.create(file(".part"), error)->append(part));
  }
  const auto before = said();
  {
    std::string error;
    const auto next = transcript::load(files_, directory_, "w1", error);
    ASSERT_TRUE(next) << error;
    next->record().state = "running";
    next->record().turns.push_back({{"prompt", "again"}, {"state", "running"}});
    ASSERT_FALSE(next->save());
    // And once more, before the next turn has begun.
  }
  std::string error;
  ASSERT_TRUE(transcript::load(files_, directory_, "w1", error)) << error;
  EXPECT_EQ(on_disk()["state"], "interrupted");
  EXPECT_EQ(said(), before);
}

TEST_F(transcript_faults, a_transcript_that_was_changed_in_the_meantime_is_not_cut_in_its_middle) {
  transcript written(files_, directory_, record_of("running"));
  ASSERT_FALSE(written.save());
  ASSERT_FALSE(written.begin_turn("go"));
  say(written, "a", "one");
  ASSERT_FALSE(written.end_turn());
  auto text = files_.read(file(".json")).value();
  text.replace(text.find("\"one\""), 5, "\"one and a remark\"");
  std::error_code error;
  ASSERT_FALSE(files_.create(file(".json"), error)->append(text));
  ASSERT_FALSE(written.save());
  EXPECT_EQ(said(), texts{"one and a remark"});
  ASSERT_FALSE(files_.create(file(".json"), error)->append("nonsense"));
  EXPECT_EQ(written.save(), std::errc::bad_message);
  EXPECT_EQ(files_.read(file(".json")), "nonsense");
  // While a turn begins there is nobody to ask any more.
  ASSERT_FALSE(written.begin_turn("again"));
  say(written, "b", "two");
  EXPECT_FALSE(written.end_turn());
  EXPECT_EQ(said(), texts{"two"});
  EXPECT_NE(on_disk()["warnings"][0].get<std::string>().find("somebody changed or removed"), std::string::npos);
}

}  // namespace
}  // namespace awm::worker
