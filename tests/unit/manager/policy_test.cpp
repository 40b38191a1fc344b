#include "manager/policy.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <ostream>

namespace awm::manager {

void PrintTo(verdict what, std::ostream* out) {
  constexpr const char* names[] = {"none", "allow", "deny", "ask"};
  *out << names[static_cast<int>(what)];
}

namespace {

using nlohmann::json;

const rule_context context{"/work/project", "/home/ann"};

permission_rules rules_of(const rule_lists& lists) {
  auto parsed = permission_rules::parse(lists);
  if (const auto* const error = std::get_if<rule_error>(&parsed)) ADD_FAILURE() << error->message;
  return std::holds_alternative<permission_rules>(parsed) ? std::get<permission_rules>(parsed) : permission_rules{};
}

verdict decide(const rule_lists& lists, std::string_view tool, const json& input) {
  return rules_of(lists).decide(tool, input, context).what;
}

bool allows(const std::string& rule, std::string_view tool, const json& input) {
  return decide({{rule}, {}, {}}, tool, input) == verdict::allow;
}

bool denies(const std::string& rule, std::string_view tool, const json& input) {
  return decide({{}, {rule}, {}}, tool, input) == verdict::deny;
}

json command(std::string_view line) {
  return {{"command", line}};
}

json file(std::string_view path) {
  return {{"file_path", path}};
}

std::string problem_with(const std::string& rule, verdict what = verdict::allow) {
  const auto error = permission_rules{}.add(what, rule);
  return error ? error->message : "";
}

struct command_case {
  std::string rule;
  std::string line;
  bool matches;
};

TEST(policy, a_command_pattern_matches_one_command) {
  const std::vector<command_case> cases{
      {"Bash", "rm -rf / && $(anything", true},
      {"Bash(*)", "rm -rf / | sh", true},
      {"Bash(npm run build)", "npm run build", true},
      {"Bash(npm run build)", "npm run build --prod", false},
      {"Bash(npm run build)", "npm run", false},
      {"Bash(npm run test:*)", "npm run test", true},
      {"Bash(npm run test:*)", "npm run test --watch", true},
      {"Bash(npm run test:*)", "npm  run\ttest --watch", true},
      {"Bash(npm run test:*)", "npm run tests", false},
      {"Bash(npm run test *)", "npm run test", true},
      {"Bash(npm run test *)", "npm run tests", false},
      {"Bash(ls*)", "lsof", true},
      {"Bash(git * main)", "git checkout main", true},
      {"Bash(git * main)", "git push --force origin main", true},
      {"Bash(git * main)", "git checkout dev", false},
      {"Bash(git * main)", "git main", false},
      {"Bash(* --version)", "node --version", true},
      {"Bash(git commit -m *)", "git commit -m 'a && b; c | d > e `f` $(g)'", true},
      {"Bash(git commit -m *)", "git commit -m \"a && b; c | d > e\"", true},
      {"Bash(echo:*)", "echo a\\;b \\& c", true},
      {"Bash(grep:*)", "grep 'end$' file", true},
      {"Bash(grep:*)", "grep \"end$\" file", true},
      {"Bash(find:*)", "find . -exec ls {} \\;", true},
      {"Bash(a+b (c|d):*)", "a+b", false},
  };
  for (const auto& [rule, line, matches] : cases) {
    EXPECT_EQ(allows(rule, "Bash", command(line)), matches) << rule << " and " << line;
  }
}

TEST(policy, the_beginning_of_a_line_does_not_allow_the_rest) {
  const std::vector<std::string> lines{
      "ls -l && rm x",
      "ls -l&&rm x",
      "ls -l || rm x",
      "ls -l; rm x",
      "ls -l;rm x",
      "ls -l | rm x",
      "ls -l|rm x",
      "ls -l |& rm x",
      "ls -l & rm x",
      "ls -l&rm x",
      "ls -l\nrm x",
      "ls -l \n\n rm x",
      "ls $(rm x)",
      "ls `rm x`",
      "ls \"$(rm x)\"",
      "ls \"`rm x`\"",
      "ls <(rm x)",
      "ls >(rm x)",
      "ls $((a[$(rm x)]))",
      "ls ${x:=$(rm x)}",
      "ls ${x@P}",
      "ls $[a]",
      "ls $HOME",
      "ls \"$HOME\"",
      "ls $'a'",
      "ls $\"a\"",
      "ls > file",
      "ls >file",
      "ls >> file",
      "ls >| file",
      "ls 2> file",
      "ls &> file",
      "ls >& file",
      "ls <> file",
      "ls < file",
      "ls <<< word",
      "ls << END\nrm x\nEND",
      "ls <<'END'\nx\nEND",
      "ls > /dev/nullx",
      "ls > /dev/null/../sda",
      "ls 2>&1file",
      "ls > /dev/null > f",
      "ls 'open",
      "ls \"open",
      "ls open\\",
      "ls \\\n&& rm x",
      "ls -l \\\n -a",
      "(ls)",
      "ls (rm x)",
      "ls () { rm x; }",
      "{ ls; }",
      "ls {a,b}",
      "ls # comment",
      "ls ; # comment\nrm x",
      "if ls; then ls; fi",
      "while ls; do ls; done",
      "! ls",
      "ls\r",
      "ls \x01",
      std::string("ls \0", 4),
      "X=1 ls",
      "LD_PRELOAD=./x ls",
      "ls; X=1 ls",
      "ls 'a' && rm 'b'",
      "ls 'a'\"b\" ; rm x",
      "ls \\\\; rm x",
      "ls \\' ; rm x ; '",
      "ls \"\\\"\" ; rm x ; \"",
      "ls '\\' ; rm x ; '",
      "",
      " ",
      ";",
      "rm x && ls",
      "timeout 5 rm x",
      "time { ls; }",
      "nohup ls && rm x",
      "timeout -k 5 ls",
      "env ls",
      "xargs ls",
      "sudo ls",
  };
  for (const auto& line : lines) {
    EXPECT_FALSE(allows("Bash(ls:*)", "Bash", command(line))) << line;
    EXPECT_FALSE(allows("Bash(ls *)", "Bash", command(line))) << line;
    EXPECT_FALSE(allows("Bash(ls)", "Bash", command(line))) << line;
  }
}

TEST(policy, a_compound_line_is_allowed_when_each_of_its_commands_is) {
  const permission_rules rules = rules_of({{"Bash(ls:*)", "Bash(npm test)", "Bash(head *)"}, {}, {}});
  for (const auto* const line : {"ls && npm test", "ls -l | head -5", "ls;ls;ls", "ls\nnpm test\n", "ls || npm test &",
                                 "ls |& head", "ls & ls"}) {
    EXPECT_EQ(rules.decide("Bash", command(line), context).what, verdict::allow) << line;
  }
  EXPECT_EQ(rules.decide("Bash", command("ls && npm test && cat x"), context).what, verdict::none);
  EXPECT_EQ(rules.decide("Bash", command("ls && npm test | ls"), context).rule, "Bash(ls:*), Bash(npm test)");
}

TEST(policy, a_redirection_that_writes_no_file_does_not_matter) {
  for (const auto* const line :
       {"make all 2>&1", "make all > /dev/null", "make all >/dev/null 2>&1", "make all &>/dev/null", "make 2>&1 all",
        "make all </dev/null", "make all 2>&-", "make all 2>&1 | make all"}) {
    EXPECT_TRUE(allows("Bash(make all)", "Bash", command(line))) << line;
  }
  EXPECT_TRUE(allows("Bash(make * 2>&1)", "Bash", command("make all 2>&1")));
}

TEST(policy, an_allowed_command_may_run_under_a_plain_wrapper) {
  for (const auto* const line : {"timeout 30 make", "timeout 5m make", "nohup make", "time make", "nice make",
                                 "nice -n 5 make", "nohup timeout 30 make", "nohup make 2>&1"}) {
    EXPECT_TRUE(allows("Bash(make)", "Bash", command(line))) << line;
  }
  EXPECT_FALSE(allows("Bash(make)", "Bash", command("'nohup' make")));
  EXPECT_FALSE(allows("Bash(make)", "Bash", command("nohup A=1 make")));
}

TEST(policy, a_line_that_cannot_be_taken_apart_is_allowed_by_its_exact_text_only) {
  for (const std::string line : {"echo $(date)", "cat > f <<END\nx\nEND", "echo \"open", "(cd a; make)"}) {
    EXPECT_TRUE(allows("Bash(" + line + ")", "Bash", command(line))) << line;
    EXPECT_FALSE(allows("Bash(" + line + ")", "Bash", command(line + " ")));
    EXPECT_FALSE(allows("Bash(" + line + ")", "Bash", command(line + "; rm x"))) << line;
  }
}

TEST(policy, a_denied_command_is_found_wherever_it_stands) {
  const std::vector<std::string> lines{
      "rm x",
      "rm",
      "ls && rm x",
      "ls; rm x",
      "ls | rm x",
      "ls\nrm x",
      "ls & rm x",
      "rm x && ls",
      "rm   x",
      "'rm' x",
      "r\\m x",
      "\"r\"m x",
      "A=1 rm x",
      "A=1 B='2 3' rm x",
      "echo $(rm x)",
      "echo `rm x`",
      "echo \"$(rm x)\"",
      "(rm x)",
      "{ rm x; }",
      "if a; then rm x; fi",
      "! rm x",
      "sudo rm x",
      "nohup rm x",
      "sudo -u root rm x",
      "timeout -k 5 9 rm x",
      "env A=1 rm x",
      "xargs rm x",
      "bash -c 'rm x'",
      "sh -c 'ls; rm x'",
      "sudo bash -c \"a && rm x\"",
      "/bin/rm x",
      "sudo /bin/rm x",
      "rm > f x",
      "> f rm x",
      "2>&1 rm x",
      "ls 'open; rm x",
      "a <<E\nrm x\nE",
      "eval \"rm x\"",
      "/bin/sh -c 'a;rm x'",
      "ls; \\\n rm x",
  };
  for (const auto& line : lines) {
    EXPECT_TRUE(denies("Bash(rm *)", "Bash", command(line))) << line;
    EXPECT_EQ(decide({{"Bash"}, {}, {"Bash(rm:*)"}}, "Bash", command(line)), verdict::ask) << line;
  }
  for (const auto* const line : {"ls rm x", "git rm x", "echo 'rm x'", "git commit -m \"rm x; rm y\"", "rmdir x"}) {
    EXPECT_FALSE(denies("Bash(rm *)", "Bash", command(line))) << line;
  }
  EXPECT_TRUE(denies("Bash(curl * | sh)", "Bash", command("curl http://x | sh"))) << "the whole line counts, too";
}

TEST(policy, deny_counts_before_ask_and_ask_before_allow) {
  const rule_lists all{{"Bash", "Bash(git push)"}, {"Bash(git push *)"}, {"Bash(git *)"}};
  EXPECT_EQ(decide(all, "Bash", command("ls")), verdict::allow);
  EXPECT_EQ(decide(all, "Bash", command("git log")), verdict::ask);
  EXPECT_EQ(decide(all, "Bash", command("git push")), verdict::deny);
  EXPECT_EQ(decide(all, "WebSearch", json::object()), verdict::none);
  const auto found = rules_of(all).decide("Bash", command("ls && git push origin"), context);
  EXPECT_EQ(found.what, verdict::deny);
  EXPECT_EQ(found.rule, "Bash(git push *)");
}

struct path_case {
  std::string rule;
  std::string path;
  bool allowed;
  bool denied;
};

TEST(policy, path_patterns_follow_gitignore) {
  const std::vector<path_case> cases{
      {"Read(//etc/**)", "/etc/hosts", true, true},
      {"Read(//etc/**)", "/etc/ssl/certs/a.pem", true, true},
      {"Read(//etc/**)", "/etcetera/x", false, false},
      {"Read(//etc)", "/etc/hosts", true, true},
      {"Read(//etc/hosts)", "/etc/hosts", true, true},
      {"Read(//etc/hosts)", "/etc/hosts.bak", false, false},
      {"Read(/etc/hosts)", "/etc/hosts", false, false},
      {"Read(/src/**)", "/work/project/src/a/b.cpp", true, true},
      {"Read(/src/**)", "src/a/b.cpp", true, true},
      {"Read(/src/**)", "/work/project/lib/src/b.cpp", false, false},
      {"Read(/src/**)", "/src/b.cpp", false, false},
      {"Read(~/notes/*.md)", "/home/ann/notes/a.md", true, true},
      {"Read(~/notes/*.md)", "~/notes/a.md", true, true},
      {"Read(~/notes/*.md)", "/home/ann/notes/sub/a.md", false, false},
      {"Read(~/.ssh/**)", "/home/ann/.ssh/id", true, true},
      {"Read(./.env)", "/work/project/.env", true, true},
      {"Read(./.env)", "/work/project/sub/.env", false, false},
      {"Read(.env)", "/work/project/.env", true, true},
      {"Read(.env)", "/work/project/sub/.env", true, true},
      {"Read(.env)", "/work/other/.env", false, false},
      {"Read(*.env)", "/work/project/a/b.env", true, true},
      {"Read(src/*.ts)", "/work/project/src/a.ts", true, true},
      {"Read(src/*.ts)", "/work/project/src/sub/a.ts", false, false},
      {"Read(src/**/*.ts)", "/work/project/src/a.ts", true, true},
      {"Read(src/**/*.ts)", "/work/project/src/x/y/a.ts", true, true},
      {"Read(**)", "/work/project/any/thing", true, true},
      {"Read(**)", "/work/else", false, false},
      {"Read(*)", "/work/project/any/thing", true, true},
      {"Read(*)", "/etc/hosts", false, true},
      {"Read(build/)", "/work/project/sub/build/x", true, true},
      {"Read(build/)", "/work/project/build", false, false},
      {"Read(/src/*)", "/work/project/src/a", true, true},
      {"Read(/src/*)", "/work/project/src/sub/a", false, true},
      {"Read(a[0-9]?.txt)", "/work/project/a1b.txt", true, true},
      {"Read(a[!0-9].txt)", "/work/project/a1.txt", false, false},
      {"Read(//**)", "/any/thing", true, true},
      // what leads elsewhere
      {"Read(**)", "/work/project/../secret", false, false},
      {"Read(**)", "../secret", false, false},
      {"Read(**)", "a/../../../etc/passwd", false, false},
      {"Read(//etc/**)", "../../etc/passwd", true, true},
      {"Read(//etc/**)", "/work/.././/etc/./passwd", true, true},
      {"Read(//etc/**)", "/../../etc/passwd", true, true},
      {"Read(**)", "~/secret", false, false},
      {"Read(**)", "~bob/secret", false, true},
      {"Read(**)", " /etc/passwd", false, false},
      {"Read(//etc/**)", " /etc/passwd", false, true},
      {"Read(//etc/**)", "/etc/pass\nwd", false, true},
      {"Read(**)", "", false, false},
  };
  for (const auto& [rule, path, allowed, denied] : cases) {
    EXPECT_EQ(allows(rule, "Read", file(path)), allowed) << rule << " and " << path;
    EXPECT_EQ(denies(rule, "Read", file(path)), denied) << rule << " and " << path;
  }
}

TEST(policy, read_speaks_for_all_that_reads_and_edit_for_all_that_edits) {
  const json notebook{{"notebook_path", "/work/project/a"}};
  const json search{{"path", "/work/project/a"}, {"pattern", "x"}};
  for (const std::string pattern : {"", "(/a)"}) {
    EXPECT_TRUE(allows("Edit" + pattern, "Write", file("/work/project/a")));
    EXPECT_TRUE(allows("Edit" + pattern, "NotebookEdit", notebook));
    EXPECT_FALSE(allows("Edit" + pattern, "Read", file("/work/project/a")));
    EXPECT_TRUE(allows("Read" + pattern, "Grep", search));
    EXPECT_FALSE(allows("Read" + pattern, "Edit", file("/work/project/a")));
    EXPECT_TRUE(allows("Write" + pattern, "Write", file("/work/project/a")));
    EXPECT_FALSE(allows("Write" + pattern, "Edit", file("/work/project/a")));
    EXPECT_FALSE(allows("Grep" + pattern, "Read", file("/work/project/a")));
  }
}

TEST(policy, a_search_needs_its_whole_directory) {
  const auto glob = [](const std::string& pattern) { return json{{"pattern", pattern}}; };
  const json below_src{{"pattern", "x"}, {"path", "src"}};
  EXPECT_TRUE(allows("Read(/src/**)", "Grep", below_src));
  EXPECT_TRUE(allows("Read(/src)", "Grep", below_src));
  EXPECT_TRUE(allows("Read(**)", "Grep", json{{"pattern", "x"}}));
  EXPECT_FALSE(allows("Read(/src/**)", "Grep", json{{"pattern", "x"}}));
  EXPECT_FALSE(allows("Read(/src/*.ts)", "Grep", below_src));
  EXPECT_FALSE(allows("Read(/src/*)", "Grep", below_src));
  EXPECT_TRUE(denies("Read(/src/**)", "Grep", below_src));
  EXPECT_TRUE(allows("Read(/src/**)", "Glob", glob("src/**/*.{ts,tsx}")));
  EXPECT_TRUE(denies("Read(//etc/**)", "Glob", glob("/etc/*.conf")));
  for (const auto* const pattern :
       {"/etc/*", "../*", "src/../../*", "*/../../x", "{/etc,src}/*", "~/*", "**/..", "a\\/b"}) {
    EXPECT_FALSE(allows("Read(**)", "Glob", glob(pattern))) << pattern;
  }
}

TEST(policy, a_domain_is_a_host_and_nothing_that_looks_like_one) {
  const auto url = [](const std::string& text) { return json{{"url", text}, {"prompt", "p"}}; };
  const std::string rule = "WebFetch(domain:example.com)";
  for (const auto* const text :
       {"https://example.com", "http://example.com/a?b#c", "https://EXAMPLE.com:8443/", "https://example.com."}) {
    EXPECT_TRUE(allows(rule, "WebFetch", url(text))) << text;
  }
  for (const auto* const text :
       {"https://example.com.evil.org/", "https://evil.org/example.com", "https://sub.example.com/",
        "https://evil.org#example.com", "https://evil.org?x=://example.com", "https://example.com@evil.org/",
        "https://evil.org\\@example.com/", "https://evil.org/@example.com", "ftp://example.com/", "example.com", "",
        "https://user@example.com/", "https:example.com", "https://exam\tple.com/", "https://example%2ecom/"}) {
    EXPECT_FALSE(allows(rule, "WebFetch", url(text))) << text;
  }
  for (const auto* const text :
       {"https://u:p@example.com/", "https:\\\\example.com\\x", "https://exam\tple.com/", "https:example.com"}) {
    EXPECT_TRUE(denies(rule, "WebFetch", url(text))) << text;
  }
  EXPECT_TRUE(allows("WebFetch(domain:*.example.com)", "WebFetch", url("https://a.b.example.com/")));
  EXPECT_FALSE(allows("WebFetch(domain:*.example.com)", "WebFetch", url("https://example.com/")));
  EXPECT_FALSE(allows("WebFetch(domain:*.example.com)", "WebFetch", url("https://badexample.com/")));
  EXPECT_TRUE(allows("WebFetch(domain:*)", "WebFetch", url("https://any.org/")));
  EXPECT_TRUE(allows("WebFetch", "WebFetch", url("gopher://x")));
}

TEST(policy, mcp_rules_name_a_server_its_tools_or_one_tool) {
  const json none = json::object();
  EXPECT_TRUE(allows("mcp__git", "mcp__git__log", none));
  EXPECT_TRUE(allows("mcp__git__*", "mcp__git__log", none));
  EXPECT_TRUE(allows("mcp__git__get_*", "mcp__git__get_x", none));
  EXPECT_TRUE(allows("mcp__git__log", "mcp__git__log", none));
  EXPECT_FALSE(allows("mcp__git", "mcp__github__log", none));
  EXPECT_FALSE(allows("mcp__git__*", "mcp__github__log", none));
  EXPECT_FALSE(allows("mcp__git__get_*", "mcp__git__set_x", none));
  EXPECT_FALSE(allows("mcp__git__log", "mcp__git__log__all", none));
  EXPECT_TRUE(denies("mcp__a__b", "mcp__a__b__c", none)) << "a__b may be a server";
  EXPECT_TRUE(denies("mcp__*", "mcp__git__log", none));
  EXPECT_TRUE(denies("*", "WebSearch", none));
}

TEST(policy, agents_are_known_by_their_type_under_both_names_of_the_tool) {
  const json explore{{"subagent_type", "Explore"}, {"prompt", "look"}};
  for (const std::string rule : {"Task", "Agent", "Task(*)"}) {
    for (const std::string tool : {"Task", "Agent"}) EXPECT_TRUE(allows(rule, tool, explore));
  }
  EXPECT_TRUE(allows("Task(Explore)", "Agent", explore));
  EXPECT_TRUE(denies("Agent(Explore)", "Task", explore));
  EXPECT_FALSE(allows("Agent(Plan)", "Agent", explore));
  EXPECT_FALSE(allows("Agent(Explore)", "Agent", json{{"prompt", "look"}}));
}

TEST(policy, what_needs_an_answer_is_never_allowed_by_a_rule) {
  for (const std::string tool : {"AskUserQuestion", "ExitPlanMode"}) {
    EXPECT_TRUE(requires_answer(tool));
    EXPECT_FALSE(allows(tool, tool, json::object()));
    EXPECT_FALSE(allows(tool + "({})", tool, json::object()));
    EXPECT_TRUE(denies(tool, tool, json::object()));
  }
  EXPECT_FALSE(requires_answer("Bash"));
}

TEST(policy, an_input_that_lacks_the_field_or_is_no_object_matches_no_pattern) {
  for (const auto& input :
       {json::object(), json{{"command", 3}, {"file_path", nullptr}, {"path", 1}, {"url", json::array()}}, json("text"),
        json(), json::array({1})}) {
    EXPECT_FALSE(allows("Bash(ls:*)", "Bash", input));
    EXPECT_FALSE(allows("Read(//**)", "Read", input));
    EXPECT_FALSE(allows("WebFetch(domain:*)", "WebFetch", input));
    EXPECT_FALSE(allows("Task(Explore)", "Task", input));
    EXPECT_TRUE(allows("Bash", "Bash", input));
  }
  EXPECT_FALSE(allows("Read(//**)", "Grep", json{{"path", 1}}));
}

TEST(policy, without_directories_no_relative_rule_allows) {
  const auto rules = rules_of({{"Read(**)", "Read(~/**)"}, {}, {}});
  for (const auto* const path : {"a", "~/a", "/a"}) {
    EXPECT_EQ(rules.decide("Read", file(path), rule_context{}).what, verdict::none) << path;
  }
}

TEST(policy, a_bad_rule_is_refused_with_its_name_and_the_fix) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "write Tool or Tool(pattern)"},
      {"(ls)", "write Tool or Tool(pattern)"},
      {"Bash(ls", "not closed"},
      {"Bash(ls) ", "not closed"},
      {"Bash()", "write Bash"},
      {"Bash(:*)", "write Bash"},
      {"Bash, Read", "one rule a string"},
      {"Bash Read", "one rule a string"},
      {"bash(ls)", "write Bash"},
      {"webfetch", "write WebFetch"},
      {"Bash(cd * && make)", "one rule for each command"},
      {"Read(!x)", "negated"},
      {"Read(../x)", "absolute path"},
      {"Read(/)", "//**"},
      {"WebFetch(example.com)", "domain:example.com"},
      {"WebFetch(domain:https://example.com/)", "without https://"},
      {"WebFetch(domain:exam*.com)", "*.example.com"},
      {"WebFetch(domain:)", "host"},
      {"Skill(deploy)", "write Skill"},
      {"mcp__git__log(x)", "write mcp__git__log"},
      {"mcp__git__*(x)", "without the brackets"},
      {"*", "mcp__server__*"},
      {"mcp__*", "mcp__server__*"},
      {"mcp__g*__log", "mcp__server__*"},
      {"B*", "mcp__server__*"},
  };
  for (const auto& [rule, words] : cases) {
    const auto problem = problem_with(rule);
    EXPECT_NE(problem.find(words), std::string::npos) << rule << ": " << problem;
    EXPECT_NE(problem.find("\"" + rule + "\""), std::string::npos) << problem;
  }
  for (const auto* const rule : {"*", "mcp__*", "B*", "Bash(cd * && make)"}) {
    EXPECT_EQ(problem_with(rule, verdict::deny), "") << rule;
    EXPECT_EQ(problem_with(rule, verdict::ask), "") << rule;
  }
  const auto parsed = permission_rules::parse({{"Bash"}, {"Read"}, {"Edit("}});
  ASSERT_TRUE(std::holds_alternative<rule_error>(parsed));
  EXPECT_EQ(std::get<rule_error>(parsed).rule, "Edit(");
}

TEST(policy, sets_are_merged_and_rules_added_without_touching_copies) {
  auto rules = rules_of({{"Bash(ls)"}, {}, {}});
  EXPECT_FALSE(rules.empty());
  EXPECT_TRUE(permission_rules{}.empty());
  const auto before = rules;
  rules.merge(rules_of({{"Bash(pwd)"}, {"Bash(rm *)"}, {"Read"}}));
  rules.merge(rules);
  EXPECT_FALSE(rules.add_allow("Bash(id)"));
  EXPECT_FALSE(rules.add_allow("Bash(id)"));
  EXPECT_TRUE(rules.add_allow("Bash("));
  EXPECT_EQ(rules.decide("Bash", command("ls && pwd && id"), context).rule, "Bash(ls), Bash(pwd), Bash(id)");
  EXPECT_EQ(rules.decide("Bash", command("rm x"), context).what, verdict::deny);
  EXPECT_EQ(rules.decide("Read", file("/x"), context).what, verdict::ask);
  EXPECT_EQ(before.decide("Bash", command("pwd"), context).what, verdict::none);
}

struct exact_case {
  std::string tool;
  json input;
  std::string rule;
  json other;
};

TEST(policy, the_exact_rule_covers_the_same_request_and_no_other) {
  const std::vector<exact_case> cases{
      {"Bash", {{"command", "npm test"}, {"description", "Run"}}, "Bash(npm test)", command("npm test x")},
      {"Bash", command("a && b $(c) > d"), "Bash(a && b $(c) > d)", command("a")},
      {"Bash", command("rm build/*"), R"(Bash({"command":"rm build/*"}))", command("rm build/ /")},
      {"Bash", command("ls:*"), R"(Bash({"command":"ls:*"}))", command("ls x")},
      {"Bash", command("*"), R"(Bash({"command":"*"}))", command("x")},
      {"Bash", command("{}"), R"(Bash({"command":"{}"}))", json::object()},
      {"Bash", command(""), R"(Bash({"command":""}))", command("x")},
      {"Bash",
       {{"command", "a"}, {"dangerouslyDisableSandbox", true}},
       R"(Bash({"command":"a","dangerouslyDisableSandbox":true}))",
       command("a")},
      {"Edit", {{"file_path", "/a/b.c"}, {"old_string", "x"}}, "Edit(//a/b.c)", file("/a/b.cc")},
      {"Write", file("/a/b.c"), "Write(//a/b.c)", file("/a/b")},
      {"Read", file("/etc/hosts"), "Read(//etc/hosts)", file("/etc/passwd")},
      {"NotebookEdit", {{"notebook_path", "/a.ipynb"}}, "NotebookEdit(//a.ipynb)", {{"notebook_path", "/b"}}},
      {"Read", file("/a/*"), R"(Read({"file_path":"/a/*"}))", file("/a/b")},
      {"Read", file("/a/../b"), R"(Read({"file_path":"/a/../b"}))", file("/b")},
      {"Read", file("a"), R"(Read({"file_path":"a"}))", file("b")},
      {"Read", file("/"), R"(Read({"file_path":"/"}))", file("/b")},
      {"WebFetch",
       {{"url", "https://a.b/"}, {"prompt", "p"}},
       R"(WebFetch({"prompt":"p","url":"https://a.b/"}))",
       {{"url", "https://a.b/"}, {"prompt", "q"}}},
      {"mcp__s__t", {{"b", 1}, {"a", {2, "(x)"}}}, R"-(mcp__s__t({"a":[2,"(x)"],"b":1}))-", {{"b", 1}}},
      {"Other", json::object(), "Other({})", {{"a", 1}}},
  };
  for (const auto& [tool, input, rule, other] : cases) {
    EXPECT_EQ(exact_rule_for(tool, input), rule);
    EXPECT_TRUE(allows(rule, tool, input)) << rule;
    EXPECT_FALSE(allows(rule, tool, other)) << rule << " and " << other;
    EXPECT_FALSE(allows(rule, tool + "x", input)) << rule;
  }
}

TEST(policy, a_tool_whose_made_up_name_would_be_another_tools_rule_has_none) {
  EXPECT_EQ(exact_rule_for("Bash(*", json::object()), "");
  EXPECT_EQ(exact_rule_for("Bash(rm:*)", json::object()), "");
  EXPECT_EQ(exact_rule_for("a b", json::object()), "");
  EXPECT_EQ(exact_rule_for("mcp__s__t", json::object()), "mcp__s__t({})");
}

TEST(policy, a_command_behind_a_wrapper_is_denied_by_the_text_by_which_it_can_be_allowed) {
  for (const char* const line : {"nice -n 5 \\time", "ls && timeout 5 nohup 'rm' x"}) {
    const std::string part = line[0] == 'n' ? "\\time" : "'rm' x";
    EXPECT_TRUE(denies("Bash(" + part + ")", "Bash", command(line))) << line;
    EXPECT_EQ(decide({{"Bash(ls)", "Bash(" + part + ")"}, {}, {}}, "Bash", command(line)), verdict::allow) << line;
  }
}

TEST(policy, an_input_of_any_depth_is_survived) {
  constexpr int levels = 100'000;
  const std::string text = R"({"a":)" + std::string(levels, '[') + std::string(levels, ']') + "}";
  const auto deep = json::parse(text);
  EXPECT_EQ(exact_rule_for("mcp__s__t", deep), "");
  EXPECT_FALSE(allows("mcp__s__t({})", "mcp__s__t", deep));
  worker::permission_line first;
  first.input = text;
  auto second = first;
  second.input += " ";
  EXPECT_FALSE(same_request(first, second));
  json suggestions = json::array();
  suggestions.push_back(json::object());
  suggestions[0]["a"] = json::parse(std::string(levels, '[') + std::string(levels, ']'));
  EXPECT_TRUE(session_suggestions(suggestions).empty());
}

TEST(policy, requests_are_the_same_when_tool_and_input_are) {
  const auto asks = [](std::string tool, std::string input) {
    worker::permission_line line;
    line.tool = std::move(tool);
    line.input = std::move(input);
    return line;
  };
  EXPECT_TRUE(same_request(asks("T", R"({"a":1,"b":{"c":2,"d":3}})"), asks("T", R"({ "b":{"d":3,"c":2}, "a":1 })")));
  EXPECT_FALSE(same_request(asks("T", R"({"a":1})"), asks("U", R"({"a":1})")));
  EXPECT_FALSE(same_request(asks("T", R"({"a":1})"), asks("T", R"({"a":"1"})")));
  EXPECT_FALSE(same_request(asks("T", R"({"a":[1,2]})"), asks("T", R"({"a":[2,1]})")));
  EXPECT_TRUE(same_request(asks("Bash", R"({"command":"ls","description":"List"})"),
                           asks("Bash", R"({"description":"Show files","command":"ls"})")));
  EXPECT_FALSE(same_request(asks("T", R"({"description":"a"})"), asks("T", R"({"description":"b"})")));
  EXPECT_FALSE(same_request(asks("T", "{broken"), asks("T", "{broken too")));
}

TEST(policy, suggestions_go_back_for_the_session_only) {
  const auto suggestions = json::parse(R"([
    {"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"touch *"},{"toolName":"Read"}],"behavior":"allow",
     "destination":"localSettings"},
    {"type":"addDirectories","directories":["/w"],"destination":"userSettings"},
    {"type":"setMode","mode":"acceptEdits"}])");
  auto expected = suggestions;
  for (auto& entry : expected) entry["destination"] = "session";
  EXPECT_EQ(session_suggestions(suggestions), expected);
}

TEST(policy, suggestions_that_are_malformed_or_lift_all_limits_are_dropped) {
  const auto suggestions = json::parse(R"([
    {"type":"setMode","mode":"bypassPermissions","destination":"session"}, {"type":"setMode","mode":7}, {"type":"setMode"},
    {"type":"addRules","rules":[],"behavior":"allow"}, {"type":"addRules","rules":[{"toolName":""}],"behavior":"allow"},
    {"type":"addRules","rules":[{"toolName":"Bash","ruleContent":null}],"behavior":"allow"},
    {"type":"addRules","rules":[{"toolName":"Bash"},3],"behavior":"allow"},
    {"type":"addRules","rules":[{"toolName":"Bash"}],"behavior":"maybe"}, {"type":"addRules","behavior":"allow"},
    {"type":"addDirectories","directories":[""]}, {"type":"addDirectories","directories":"/w"},
    {"type":"unknown"}, {}, null, 3, "text", []])");
  EXPECT_EQ(session_suggestions(suggestions), json::array());
  EXPECT_EQ(session_suggestions(json::object()), json::array());
  EXPECT_EQ(session_suggestions(nullptr), json::array());
}

}  // namespace
}  // namespace awm::manager
