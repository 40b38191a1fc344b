#include "worker/agents.hpp"

#include "worker/fake_files.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace awm::worker {
namespace {

using testing::fake_files;

const agent_places places{"/work/app/sub", "/home/me/.claude", "/home/me"};

agent_definition parsed(std::string_view text) {
  auto result = parse_agent_file("/a/file.md", text);
  if (const auto* error = std::get_if<option_error>(&result)) {
    ADD_FAILURE() << to_string(*error);
    return {};
  }
  return std::get<agent_definition>(result);
}

std::string parse_error(std::string_view text) {
  const auto result = parse_agent_file("/a/file.md", text);
  const auto* error = std::get_if<option_error>(&result);
  return error ? to_string(*error) : std::string{};
}

resolved_agent resolved(std::string_view agent_type, const fake_files& disk = {}) {
  auto result = resolve_agent(agent_type, places, disk);
  if (const auto* error = std::get_if<option_error>(&result)) {
    ADD_FAILURE() << to_string(*error);
    return {};
  }
  return std::get<resolved_agent>(result);
}

std::string resolve_error(std::string_view agent_type, const fake_files& disk = {}) {
  const auto result = resolve_agent(agent_type, places, disk);
  const auto* error = std::get_if<option_error>(&result);
  return error ? to_string(*error) : std::string{};
}

bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

using names = std::vector<std::string>;

TEST(agent_file, gives_front_matter_and_prompt) {
  const agent_definition agent = parsed(
      "---\nname: reviewer\ndescription: \"Reviews code\"\ntools: Read, Bash(git log, git diff)\nmodel: haiku\n"
      "color: red\nskills: x\n---\n\nYou review.\n\nTwice.\n");
  EXPECT_EQ(agent.name, "reviewer");
  EXPECT_EQ(agent.description, "Reviews code");
  EXPECT_EQ(agent.prompt, "You review.\n\nTwice.");
  EXPECT_EQ(agent.tools, (names{"Read", "Bash(git log, git diff)"}));
  EXPECT_EQ(agent.model, "haiku");
  EXPECT_EQ(agent.other_keys, names{"skills"});
}

TEST(agent_file, takes_every_form_of_list_and_text) {
  EXPECT_EQ(parsed("---\ntools: [Read, \"Write\"]\n---\nx").tools, (names{"Read", "Write"}));
  EXPECT_EQ(parsed("---\ntools:\n  - Read\n  - Write\n---\nx").tools, (names{"Read", "Write"}));
  EXPECT_EQ(parsed("---\ndisallowedTools: Bash\n---\nx").disallowed_tools, names{"Bash"});
  EXPECT_EQ(parsed("---\ndescription: |\n  one\n  two\n---\nx").description, "one\ntwo");
  EXPECT_EQ(parsed("---\ndescription: >\n  one\n  two\n---\nx").description, "one two");
  EXPECT_EQ(parsed("\xEF\xBB\xBF---\r\nname: crlf\r\n---\r\nbody\r\n").name, "crlf");
}

TEST(agent_file, without_limits_has_every_tool_and_the_usual_model) {
  for (const char* text :
       {"---\ntools:\n---\nx", "---\ntools: '*'\n---\nx", "---\nmodel: inherit\n---\nx", "just a prompt"}) {
    EXPECT_EQ(parsed(text).tools, std::nullopt) << text;
    EXPECT_EQ(parsed(text).model, std::nullopt) << text;
  }
  EXPECT_EQ(parsed("just a prompt").prompt, "just a prompt");
}

TEST(agent_file, takes_plain_text_with_a_colon_as_claude_code_does) {
  const agent_definition agent =
      parsed("---\nname: r\ndescription: Use it so: user: 'hi' \\n<example>\ntools: [Read]\n---\nx");
  EXPECT_EQ(agent.description, "Use it so: user: 'hi' \\n<example>");
  EXPECT_EQ(agent.tools, names{"Read"});
}

TEST(agent_file, that_is_broken_is_an_error_with_file_and_line) {
  struct row {
    const char* text;
    const char* line;
  };
  for (const row& r :
       {row{"---\nname: a\ntools: [Read\n---\nx", "line "}, row{"---\nname: a\n", "line 1 of"},
        row{"---\n- a\n- b\n---\nx", "line 2 of"}, row{"---\nname: a\ndescription: {b: c}\n---\nx", "line 3 of"},
        row{"---\nname: a\ntools: {b: c}\n---\nx", "line 3 of"}, row{"---\nname: two words\n---\nx", "two words"},
        row{"---\nname: --verbose\n---\nx", "--verbose"}}) {
    const std::string error = parse_error(r.text);
    EXPECT_TRUE(says(error, r.line)) << r.text << " -> " << error;
    EXPECT_TRUE(says(error, "/a/file.md")) << error;
    EXPECT_TRUE(says(error, "agent_type")) << error;
  }
}

TEST(agent_type, of_nothing_changes_nothing) {
  const resolved_agent agent = resolved("  ");
  EXPECT_EQ(agent.name, std::nullopt);
  EXPECT_EQ(agent.append_prompt, "");
}

TEST(agent_type, of_a_builtin_is_given_to_the_cli_with_a_prompt_of_ours) {
  for (const char* name : {"general-purpose", "Explore", "Plan", "statusline-setup"}) {
    const resolved_agent agent = resolved(name);
    EXPECT_EQ(agent.name, name);
    EXPECT_EQ(agent.definition, std::nullopt) << name;
    EXPECT_GT(agent.append_prompt.size(), 100u) << name;
    EXPECT_TRUE(agent.warnings.empty()) << name;
  }
}

TEST(agent_type, of_explore_and_plan_cannot_write) {
  for (const char* name : {"Explore", "Plan"}) {
    EXPECT_EQ(resolved(name).disallowed_tools, (names{"Write", "Edit", "NotebookEdit"})) << name;
    EXPECT_TRUE(says(resolved(name).append_prompt, "only read")) << name;
  }
  EXPECT_TRUE(resolved("general-purpose").disallowed_tools.empty());
}

TEST(agent_type, of_output_style_setup_brings_its_own_definition) {
  const resolved_agent agent = resolved("output-style-setup");
  ASSERT_TRUE(agent.definition);
  const nlohmann::json entry = to_initialize_agents(*agent.definition);
  EXPECT_EQ(entry["output-style-setup"]["tools"], (nlohmann::json{"Read", "Write", "Edit"}));
  EXPECT_EQ(agent.name, "output-style-setup");
}

TEST(agent_type, of_a_project_is_found_in_the_folder_and_its_parents_nearest_first) {
  fake_files disk;
  disk.contents["/work/.claude/agents/deep/far.md"] = "---\nname: far\ndescription: d\nmodel: opus\n---\nFAR";
  disk.contents["/work/app/.claude/agents/both.md"] = "---\nname: both\ndescription: d\nmodel: near\n---\nx";
  disk.contents["/work/.claude/agents/both.md"] = "---\nname: both\ndescription: d\nmodel: far\n---\nx";
  EXPECT_EQ(resolved("far", disk).name, "far");
  EXPECT_EQ(resolved("far", disk).model, "opus");
  EXPECT_EQ(resolved("far", disk).definition, std::nullopt) << "the CLI reads it itself";
  EXPECT_EQ(resolved("both", disk).model, "near");
}

TEST(agent_type, of_the_user_counts_after_the_project) {
  fake_files disk;
  disk.contents["/home/me/.claude/agents/mine.md"] = "---\nname: mine\ndescription: d\nmodel: user\n---\nx";
  EXPECT_EQ(resolved("mine", disk).model, "user");
  disk.contents["/work/.claude/agents/mine.md"] = "---\nname: mine\ndescription: d\nmodel: project\n---\nx";
  EXPECT_EQ(resolved("mine", disk).model, "project");
}

TEST(agent_type, of_a_file_hides_a_builtin_of_that_name) {
  fake_files disk;
  disk.contents["/work/.claude/agents/e.md"] = "---\nname: Explore\ndescription: d\n---\nOURS";
  EXPECT_EQ(resolved("Explore", disk).append_prompt, "");
  EXPECT_TRUE(resolved("Explore", disk).disallowed_tools.empty());
}

TEST(agent_type, of_a_broken_file_is_an_error_only_when_that_file_is_meant) {
  fake_files disk;
  disk.contents["/work/.claude/agents/bad.md"] = "---\nname: bad\ntools: [Read\n---\nx";
  disk.contents["/work/.claude/agents/nameless.md"] = "---\ndescription: d\n---\nx";
  disk.contents["/work/.claude/agents/README.md"] = "about these agents";
  EXPECT_TRUE(says(resolve_error("bad", disk), "/work/.claude/agents/bad.md"));
  EXPECT_TRUE(says(resolve_error("nameless", disk), "needs a name"));
  EXPECT_EQ(resolved("Explore", disk).name, "Explore");
}

TEST(agent_type, of_a_plugin_is_passed_through) {
  EXPECT_EQ(resolved("my-plug:bar").name, "my-plug:bar");
  EXPECT_TRUE(resolved("my-plug:bar").model_unknown);
  EXPECT_EQ(resolved("a:b:c").name, "a:b:c");
  EXPECT_EQ(resolved("Note: be brief").name, std::nullopt) << "a sentence";
  EXPECT_EQ(resolved("--flag:x").name, std::nullopt);
}

TEST(agent_type, of_a_path_travels_with_its_definition) {
  fake_files disk;
  disk.contents["/work/app/sub/agents/r.md"] =
      "---\nname: rev\ndescription: d\ntools: Read\nmodel: haiku\npermissionMode: plan\n---\nBODY";
  const resolved_agent agent = resolved("./agents/r.md", disk);
  ASSERT_TRUE(agent.definition);
  EXPECT_EQ(agent.name, "rev");
  EXPECT_EQ(agent.model, "haiku");
  EXPECT_EQ(
      to_initialize_agents(*agent.definition),
      (nlohmann::json{{"rev", {{"description", "d"}, {"prompt", "BODY"}, {"tools", {"Read"}}, {"model", "haiku"}}}}));
  ASSERT_EQ(agent.warnings.size(), 1u);
  EXPECT_TRUE(says(agent.warnings[0], "permissionMode"));
}

TEST(agent_type, of_a_path_may_be_absolute_in_the_home_or_without_front_matter) {
  fake_files disk;
  disk.contents["/abs/My Agent.md"] = "PLAIN";
  disk.contents["/home/me/x.md"] = "HOME";
  disk.contents["/abs/Plan.md"] = "OWN PLAN";
  EXPECT_EQ(resolved("/abs/My Agent.md", disk).definition->prompt, "PLAIN");
  EXPECT_EQ(resolved("/abs/My Agent.md", disk).name, "My-Agent");
  EXPECT_EQ(resolved("~/x.md", disk).definition->prompt, "HOME");
  EXPECT_EQ(resolved("/abs/Plan.md", disk).name, "awm-Plan") << "2.1.197 would take its own Plan";
}

TEST(agent_type, of_a_path_that_is_not_there_or_empty_is_an_error) {
  fake_files disk;
  disk.contents["/empty.md"] = "---\nname: e\n---\n\n";
  EXPECT_TRUE(says(resolve_error("nowhere.md"), "/work/app/sub/nowhere.md"));
  EXPECT_TRUE(says(resolve_error("agents/none"), "/work/app/sub/agents/none"));
  EXPECT_TRUE(says(resolve_error("/empty.md", disk), "no prompt"));
}

TEST(agent_type, of_other_text_is_a_role) {
  const resolved_agent agent = resolved("You are a CI/CD expert.");
  EXPECT_EQ(agent.name, std::nullopt);
  EXPECT_EQ(agent.append_prompt, "You are a CI/CD expert.");
  EXPECT_TRUE(agent.warnings.empty());
}

TEST(agent_type, that_looks_like_a_name_is_a_role_with_a_warning) {
  fake_files disk;
  disk.contents["/work/.claude/agents/r.md"] = "---\nname: reviewer\ndescription: d\n---\nx";
  const resolved_agent agent = resolved("reveiwer", disk);
  EXPECT_EQ(agent.append_prompt, "reveiwer");
  ASSERT_EQ(agent.warnings.size(), 1u);
  EXPECT_TRUE(says(agent.warnings[0], "Did you mean \"reviewer\"?"));
  EXPECT_TRUE(says(agent.warnings[0], "general-purpose"));
  EXPECT_TRUE(says(resolved("explore").warnings.at(0), "\"Explore\""));
}

}  // namespace
}  // namespace awm::worker
