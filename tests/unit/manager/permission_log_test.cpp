#include "manager/permission_log.hpp"

#include "support/temporary_directory.hpp"
#include "worker/fake_files.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sys/stat.h>

#include <fstream>
#include <sstream>

namespace awm::manager {
namespace {

using nlohmann::json;
using worker::testing::fake_files;

const std::chrono::system_clock::time_point noon{std::chrono::seconds{1'700'000'000}};

logged_decision decision() {
  logged_decision made;
  made.worker_id = "w1";
  made.description = "tidy up";
  made.request_id = "q1";
  made.tool = "Bash";
  made.input = R"({"command":"ls"})";
  made.allowed = true;
  made.by = decided_by::rule;
  return made;
}

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line, nullptr, false));
  return lines;
}

std::string written(fake_files& files) {
  return files.contents["/logs/permissions.ndjson"];
}

TEST(permission_log, a_decision_is_one_line) {
  fake_files files;
  permission_log log(files, "/logs");
  EXPECT_EQ(log.path(), "/logs/permissions.ndjson");
  auto made = decision();
  EXPECT_FALSE(log.append(made, noon));
  made.rule = "Bash(ls:*)";
  made.scope = "worker";
  made.reason = "two\nlines";
  made.allowed = false;
  made.by = decided_by::human;
  EXPECT_FALSE(log.append(made, noon));
  const auto lines = lines_of(written(files));
  ASSERT_EQ(lines.size(), 2U);
  const json first{{"time", "2023-11-14T22:13:20.000Z"},
                   {"worker_id", "w1"},
                   {"description", "tidy up"},
                   {"request_id", "q1"},
                   {"tool", "Bash"},
                   {"input", {{"command", "ls"}}},
                   {"decision", "allow"},
                   {"by", "rule"}};
  EXPECT_EQ(lines[0], first);
  EXPECT_EQ(lines[1]["decision"], "deny");
  EXPECT_EQ(lines[1]["by"], "human");
  EXPECT_EQ(lines[1]["rule"], "Bash(ls:*)");
  EXPECT_EQ(lines[1]["scope"], "worker");
  EXPECT_EQ(lines[1]["reason"], "two\nlines");
}

TEST(permission_log, everyone_who_decides_has_a_name) {
  fake_files files;
  permission_log log(files, "/logs");
  for (const auto by :
       {decided_by::rule, decided_by::human, decided_by::model, decided_by::remembered, decided_by::withdrawn}) {
    auto made = decision();
    made.by = by;
    EXPECT_FALSE(log.append(made, noon));
  }
  std::vector<std::string> names;
  for (const auto& line : lines_of(written(files))) names.push_back(line["by"]);
  EXPECT_EQ(names, (std::vector<std::string>{"rule", "human", "model", "remembered", "withdrawn"}));
}

TEST(permission_log, long_strings_are_cut_between_characters_and_say_so) {
  fake_files files;
  permission_log log(files, "/logs");
  std::string umlauts;
  for (int i = 0; i < 4001; ++i) umlauts += "ä";
  auto made = decision();
  made.reason = std::string(5000, 'r');
  made.input = json{{"content", umlauts}, {"list", {std::string(4000, 'x')}}, {"n", 1}}.dump();
  EXPECT_FALSE(log.append(made, noon));
  const auto line = lines_of(written(files)).at(0);
  EXPECT_EQ(line["input"]["content"], umlauts.substr(0, 8000) + "… [cut: 4001 characters]");
  EXPECT_EQ(line["input"]["list"][0], std::string(4000, 'x'));
  EXPECT_EQ(line["input"]["n"], 1);
  EXPECT_EQ(line["reason"], std::string(4000, 'r') + "… [cut: 5000 characters]");
}

TEST(permission_log, what_is_no_json_or_no_utf8_is_logged_all_the_same) {
  fake_files files;
  permission_log log(files, "/logs");
  auto made = decision();
  made.input = "{broken";
  made.reason = "\xff";
  EXPECT_FALSE(log.append(made, noon));
  made.input = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_FALSE(log.append(made, noon));
  const auto lines = lines_of(written(files));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["input"], "{broken");
  EXPECT_TRUE(lines[1]["input"].is_string());
}

TEST(permission_log, a_disk_error_is_returned_and_what_it_kept_from_the_disk_follows_on_lines_of_its_own) {
  fake_files files;
  permission_log log(files, "/logs");
  files.open_error = std::make_error_code(std::errc::permission_denied);
  EXPECT_EQ(log.append(decision(), noon), std::errc::permission_denied);
  files.open_error = {};
  files.room = 20;
  EXPECT_EQ(log.append(decision(), noon), std::errc::no_space_on_device);
  files.room = 100'000;
  EXPECT_TRUE(log.is_behind());
  EXPECT_FALSE(log.append(decision(), noon));
  EXPECT_FALSE(log.is_behind());
  const auto lines = lines_of(written(files));
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_TRUE(lines[0].is_discarded());
  for (std::size_t line = 1; line < lines.size(); ++line) EXPECT_EQ(lines[line]["worker_id"], "w1");
}

TEST(permission_log, the_file_is_private_appended_to_and_no_link_is_followed) {
  test::temporary_directory directory;
  worker::system_files files;
  permission_log log(files, directory.path());
  std::ofstream(log.path()) << "earlier\n";
  EXPECT_FALSE(log.append(decision(), noon));
  EXPECT_FALSE(files.is_being_written(log.path()));
  EXPECT_TRUE(files.read(log.path()).value().starts_with("earlier\n{"));
  std::filesystem::rename(log.path(), directory.path() / "moved");
  EXPECT_FALSE(log.append(decision(), noon));
  struct stat status {};
  ASSERT_EQ(::stat(log.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  std::filesystem::remove(log.path());
  std::filesystem::create_symlink(directory.path() / "moved", log.path());
  EXPECT_TRUE(log.append(decision(), noon));
}

}  // namespace
}  // namespace awm::manager
