// With a real git, in a temporary directory.
#include "worker/worktree.hpp"

#include "support/run.hpp"
#include "support/temporary_directory.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>

namespace awm::worker {
namespace {

namespace fs = std::filesystem;
using added = std::variant<worktree, std::string>;

constexpr const char* id = "0123abcd-1111-4222-8333-444455556666";
constexpr const char* other_id = "89abcdef-1111-4222-8333-444455556666";

/// Starts children of this machine, and tells before it starts one.
class watched_launcher final : public launcher {
 public:
  explicit watched_launcher(const asio::any_io_executor& executor) : real_(executor) {}
  std::unique_ptr<child> start(const launch_spec& spec, std::error_code& error) override {
    if (before) before(spec);
    return real_.start(spec, error);
  }
  std::function<void(const launch_spec&)> before;

 private:
  local_launcher real_;
};

/// A repository with one commit: `kept`, `sub/file` and a `.gitignore` for `*.log` and `node_modules`.
class stage {
 public:
  explicit stage(asio::any_io_executor on) : executor(on), launcher(on), clock(on) {
    root = fs::canonical(directory_.path());
    repository = root / "repo";
    fs::create_directories(repository);
    git.path = "/usr/bin/git";
    git.variables = {{"PATH", "/usr/bin:/bin"}, {"HOME", root.string()}, {"GIT_CONFIG_NOSYSTEM", "1"}};
    request = {repository.string(), root / "logs", id};
    shell(root,
          "printf '[user]\\nname=t\\nemail=t@e\\n[init]\\ndefaultBranch=main\\n[protocol \"file\"]\\nallow=always\\n' "
          "> .gitconfig");
    shell(repository,
          "git init -q && mkdir sub && echo 1 > kept && echo 1 > sub/file && printf '*.log\\nnode_modules\\n' > "
          ".gitignore && git add . && git commit -qm first");
  }

  void shell(const fs::path& where, const std::string& script) const {
    std::ofstream(root / "script") << "cd \"$1\" || exit 1\n" << script << "\n";
    const auto command = "env -i PATH=/usr/bin:/bin HOME='" + root.string() + "' sh '" + (root / "script").string() +
                         "' '" + where.string() + "' > '" + (root / "output").string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << script;
  }
  std::string answer(const fs::path& where, const std::string& script) const {
    shell(where, script);
    std::ifstream file(root / "output");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }
  bool has_branch(const std::string& name) const {
    return answer(repository, "git for-each-ref --format=x 'refs/heads/" + name + "'") == "x";
  }

  asio::awaitable<added> add() { return add_worktree(launcher, clock, files, git, request); }
  asio::awaitable<worktree> made() {
    auto result = co_await add();
    if (const auto* reason = std::get_if<std::string>(&result)) {
      ADD_FAILURE() << *reason;
      co_return worktree{};
    }
    co_return std::get<worktree>(result);
  }
  asio::awaitable<std::string> refused() {
    auto result = co_await add();
    EXPECT_TRUE(std::holds_alternative<std::string>(result));
    if (std::holds_alternative<worktree>(result)) co_return std::string{};
    co_return std::get<std::string>(result);
  }
  asio::awaitable<worktree_state> settled(const worktree& tree) {
    return settle_worktree(launcher, clock, files, git, tree);
  }
  /// Kept, with all that is in it, and the sentence says why.
  asio::awaitable<worktree_state> expect_kept(worktree tree, std::string why) {
    auto state = co_await settled(tree);
    EXPECT_EQ(state.what, worktree_state::outcome::kept);
    EXPECT_NE(state.sentence.find(why), std::string::npos) << state.sentence;
    EXPECT_TRUE(fs::exists(tree.path));
    co_return state;
  }
  asio::awaitable<void> expect_removed(worktree tree) {
    const auto state = co_await settled(tree);
    EXPECT_EQ(state.what, worktree_state::outcome::removed) << state.sentence;
    EXPECT_FALSE(fs::exists(tree.path));
    EXPECT_FALSE(has_branch(tree.branch)) << state.sentence;
    EXPECT_NE(state.sentence.find("was deleted"), std::string::npos) << state.sentence;
  }

  asio::any_io_executor executor;
  fs::path root;
  fs::path repository;
  watched_launcher launcher;
  coro::system_clock clock;
  system_files files;
  git_program git;
  worktree_request request;

 private:
  test::temporary_directory directory_;
};

template <class Body>
void run(Body body) {
  test::run([&body](asio::any_io_executor executor) -> asio::awaitable<void> {
    stage stage(executor);
    co_await body(stage);
  });
}

TEST(worktree, is_a_checkout_of_HEAD_on_a_branch_of_its_own) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.cwd = (stage.repository / "sub").string();
    const auto tree = co_await stage.made();
    EXPECT_EQ(tree.path, (stage.root / "logs/worktrees" / (std::string("worker-") + id)).string());
    EXPECT_EQ(tree.cwd, tree.path + "/sub");
    EXPECT_EQ(tree.branch, "worker/0123abcd");
    EXPECT_EQ(tree.repository, stage.repository.string());
    EXPECT_EQ(tree.base_commit, stage.answer(stage.repository, "git rev-parse HEAD"));
    EXPECT_EQ(stage.answer(tree.path, "git symbolic-ref HEAD; cat sub/file"), "refs/heads/worker/0123abcd\n1");
    EXPECT_TRUE(tree.notes.empty());
    EXPECT_EQ(worktree_from_json(worktree_to_json(tree)), tree);
    co_await stage.expect_removed(tree);
  });
}

TEST(worktree, is_made_as_soon_as_another_git_is_out_of_the_way) {
  run([](stage& stage) -> asio::awaitable<void> {
    // What git 2.39 says while another one makes a branch or a worktree: twice for each of our steps.
    const auto tried = (stage.root / "tried").string();
    const auto wrapper = stage.root / "git";
    std::ofstream(wrapper)
        << "#!/bin/sh\ncase \"$*\" in\n"
        << "*' branch '*|*' worktree add '*|*' worktree remove '*) echo x >> " << tried << ";;\n"
        << "*) exec /usr/bin/git \"$@\";;\nesac\n"
        << "case $(($(wc -l < " << tried << ") % 3)) in\n"
        << "1) echo 'fatal: failed to read .git/worktrees/other/commondir: Success' >&2; exit 128;;\n"
        << "2) echo \"fatal: Unable to create 'packed-refs.lock': File exists.\" >&2; exit 128;;\n"
        << "esac\nexec /usr/bin/git \"$@\"\n";
    fs::permissions(wrapper, fs::perms::owner_all);
    stage.git.path = wrapper.string();
    const auto tree = co_await stage.made();
    EXPECT_EQ(stage.answer(stage.root, "wc -l < tried"), "6");
    co_await stage.expect_removed(tree);
    EXPECT_EQ(stage.answer(stage.root, "wc -l < tried"), "12");
  });
}

TEST(worktree, says_what_is_not_in_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.shell(stage.repository, "echo 2 > kept; mkdir new; echo 1 > new/file");
    stage.request.cwd = (stage.repository / "new").string();
    const auto tree = co_await stage.made();
    EXPECT_EQ(tree.notes.size(), 1U);
    EXPECT_NE(tree.notes.at(0).find("1 uncommitted change in"), std::string::npos);
    EXPECT_EQ(stage.answer(tree.path, "cat kept"), "1");
    EXPECT_TRUE(fs::is_directory(tree.cwd)) << "the worker's directory is there even if HEAD has none";
    co_await stage.expect_removed(tree);
    EXPECT_EQ(stage.answer(stage.repository, "cat kept"), "2");
  });
}

TEST(worktree, inside_of_the_checkout_is_not_seen_by_it) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.log_dir = stage.repository / "logs";
    const auto tree = co_await stage.made();
    EXPECT_EQ(stage.answer(stage.repository, "git status --porcelain"), "");
    fs::remove(fs::path(tree.path) / ".git");  // git now finds the checkout around it, which is clean
    co_await stage.expect_kept(tree, "does not find it");
    EXPECT_TRUE(fs::exists(fs::path(tree.path) / "kept"));
  });
}

TEST(worktree, paths_with_spaces_quotes_and_line_ends_work) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto odd = stage.root / "a b\n\"c\"\n";
    fs::rename(stage.repository, odd);
    stage.repository = odd;
    stage.request.cwd = (odd / "sub").string();
    stage.request.log_dir = stage.root / "lo gs\n";
    const auto tree = co_await stage.made();
    EXPECT_EQ(tree.repository, odd.string());
    EXPECT_TRUE(fs::exists(tree.cwd + "/file"));
    std::ofstream(fs::path(tree.path) / "new\nfile") << "x";
    const auto state = co_await stage.expect_kept(tree, "git -C '" + tree.path + "' status");
    EXPECT_EQ(state.uncommitted_files, 1U);
    fs::remove(fs::path(tree.path) / "new\nfile");
    const auto end = co_await stage.settled(tree);
    EXPECT_EQ(end.what, worktree_state::outcome::removed) << end.sentence;
  });
}

TEST(worktree, needs_a_repository_with_a_commit_and_a_git) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto branches = stage.answer(stage.repository, "git for-each-ref");
    fs::create_directories(stage.root / "plain");
    stage.request.cwd = (stage.root / "plain").string();
    const auto plain = co_await stage.refused();
    EXPECT_NE(plain.find("in no git repository"), std::string::npos) << plain;

    stage.shell(stage.root, "git clone -q --bare repo bare.git && git init -q empty");
    stage.request.cwd = (stage.root / "bare.git").string();
    const auto bare = co_await stage.refused();
    EXPECT_NE(bare.find("bare repository"), std::string::npos) << bare;

    stage.request.cwd = (stage.root / "empty").string();
    const auto empty = co_await stage.refused();
    EXPECT_NE(empty.find("no commit yet"), std::string::npos) << empty;

    stage.request.cwd = (stage.root / "nowhere").string();
    const auto nowhere = co_await stage.refused();
    EXPECT_NE(nowhere.find("existing directory"), std::string::npos) << nowhere;

    stage.request.cwd = stage.repository.string();
    stage.git.path = "";
    const auto missing = co_await stage.refused();
    EXPECT_NE(missing.find("needs git"), std::string::npos) << missing;
    stage.git.path = "/nonexistent/git";
    const auto broken = co_await stage.refused();
    EXPECT_NE(broken.find("could not be started"), std::string::npos) << broken;
    EXPECT_EQ(stage.answer(stage.repository, "git for-each-ref"), branches);
  });
}

TEST(worktree, a_log_folder_that_cannot_be_used_leaves_no_branch) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.request.log_dir = stage.repository / "kept";
    const auto reason = co_await stage.refused();
    EXPECT_NE(reason.find("--log-dir"), std::string::npos) << reason;
    EXPECT_FALSE(stage.has_branch("worker/*"));
  });
}

TEST(worktree, a_path_that_is_taken_is_a_refusal_that_leaves_no_branch) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto path = stage.request.log_dir / "worktrees" / (std::string("worker-") + id);
    fs::create_directories(path);
    std::ofstream(path / "theirs") << "x";
    const auto reason = co_await stage.refused();
    EXPECT_NE(reason.find("already exists"), std::string::npos) << reason;
    EXPECT_TRUE(fs::exists(path / "theirs"));
    EXPECT_FALSE(stage.has_branch("worker/*"));
  });
}

TEST(worktree, takes_another_name_where_its_branch_is_taken) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.shell(stage.repository, "git branch worker");  // so that there can be no worker/…
    const auto tree = co_await stage.made();
    EXPECT_EQ(tree.branch, "worker-0123abcd");
    EXPECT_EQ(worktree_from_json(worktree_to_json(tree)), tree);
    co_await stage.expect_removed(tree);
  });
}

TEST(worktree, the_environment_does_not_lead_git_astray_and_hooks_do_not_run) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.shell(stage.root, "git init -q other");
    stage.shell(stage.repository,
                "for hook in post-checkout reference-transaction post-index-change; do printf '#!/bin/sh\\ntouch "
                "'\"$HOME\"'/hooked\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook; done");
    stage.git.variables["GIT_DIR"] = (stage.root / "other/.git").string();
    stage.git.variables["GIT_INDEX_FILE"] = (stage.root / "other/index").string();
    stage.git.variables["GIT_WORK_TREE"] = (stage.root / "other").string();
    stage.git.variables["GIT_CONFIG_COUNT"] = "1";
    stage.git.variables["GIT_CONFIG_KEY_0"] = "core.bare";
    stage.git.variables["GIT_CONFIG_VALUE_0"] = "true";
    const auto tree = co_await stage.made();
    EXPECT_EQ(tree.repository, stage.repository.string());
    co_await stage.expect_removed(tree);
    EXPECT_FALSE(fs::exists(stage.root / "hooked"));
    EXPECT_FALSE(fs::exists(stage.root / "other/index"));
  });
}

TEST(worktree, works_from_a_linked_worktree_a_submodule_and_a_detached_HEAD) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.shell(stage.repository,
                "git worktree add -q -b linked ../linked && git -C ../linked commit -q --allow-empty -m x");
    stage.request.cwd = (stage.root / "linked/sub").string();
    const auto linked = co_await stage.made();
    EXPECT_EQ(linked.repository, (stage.root / "linked").string());
    EXPECT_EQ(linked.base_commit, stage.answer(stage.root / "linked", "git rev-parse HEAD"));
    co_await stage.expect_removed(linked);

    stage.shell(stage.root,
                "git init -q super && cd super && git submodule --quiet add ../repo module && git commit -qm x");
    stage.request.cwd = (stage.root / "super/module/sub").string();
    const auto module = co_await stage.made();
    EXPECT_EQ(module.repository, (stage.root / "super/module").string());
    EXPECT_TRUE(fs::exists(module.cwd + "/file"));
    const auto end = co_await stage.settled(module);
    EXPECT_EQ(end.what, worktree_state::outcome::removed) << end.sentence;

    stage.shell(stage.repository, "git checkout -q --detach");
    stage.request.cwd = stage.repository.string();
    const auto detached = co_await stage.made();
    co_await stage.expect_removed(detached);
  });
}

TEST(worktree, a_locked_index_of_the_checkout_is_in_nobodys_way) {
  run([](stage& stage) -> asio::awaitable<void> {
    stage.shell(stage.repository, "touch .git/index.lock");
    const auto tree = co_await stage.made();
    co_await stage.expect_removed(tree);
  });
}

TEST(worktree, with_files_that_are_nowhere_else_is_kept) {
  struct deed {
    const char* script;
    const char* why;
  };
  // One at a time, each taken back by the next line.
  const std::vector<deed> deeds{
      {"echo 2 > kept", "1 uncommitted file"},
      {"git checkout -q kept; echo 2 > kept; git add kept; echo 1 > kept", "1 uncommitted file"},
      {"git reset -q --hard; git config status.showUntrackedFiles no; echo x > new", "1 uncommitted file"},
      {"rm new; git config --unset status.showUntrackedFiles; echo x > result.log", "ignored files (result.log)"},
      {"rm result.log; git update-index --assume-unchanged kept; echo 2 > kept", "assume-unchanged"},
      {"git update-index --no-assume-unchanged kept; git checkout -q kept; git update-index --skip-worktree kept; echo "
       "2 > kept",
       "skip-worktree"},
      {"git update-index --no-skip-worktree kept; git checkout -q kept; touch \"$(git rev-parse "
       "--absolute-git-dir)/index.lock\"",
       "index.lock"},
      {"rm \"$(git rev-parse --absolute-git-dir)/index.lock\"; git worktree lock .", "did not remove it"},
  };
  run([&deeds](stage& stage) -> asio::awaitable<void> {
    const auto tree = co_await stage.made();
    for (const auto& [script, why] : deeds) {
      stage.shell(tree.path, script);
      const auto state = co_await stage.expect_kept(tree, why);
      EXPECT_EQ(state.uncommitted_files, std::string(why).find("uncommitted") == std::string::npos ? 0U : 1U) << script;
    }
    stage.shell(tree.path, "git worktree unlock .; mkdir -p sub/node_modules/a; echo x > sub/node_modules/a/b");
    co_await stage.expect_removed(tree);
  });
}

TEST(worktree, with_commits_is_kept_until_they_are_merged) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto tree = co_await stage.made();
    stage.shell(tree.path, "echo 2 > kept; git commit -qam two; echo 3 > kept; git commit -qam three");
    const auto ahead = co_await stage.expect_kept(tree, "2 commits");
    EXPECT_EQ(ahead.commits_ahead, 2U);
    EXPECT_TRUE(stage.has_branch(tree.branch));
    stage.shell(stage.repository, "git commit -q --allow-empty -m other; git merge -q --no-edit " + tree.branch);
    co_await stage.expect_removed(tree);
    EXPECT_EQ(stage.answer(stage.repository, "cat kept"), "3");
  });
}

TEST(worktree, merged_into_a_detached_HEAD_only_is_kept) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto tree = co_await stage.made();
    stage.shell(tree.path, "echo 2 > kept; git commit -qam two");
    stage.shell(stage.repository, "git checkout -q --detach; git merge -q " + tree.branch);
    co_await stage.expect_kept(tree, "1 commit");
    EXPECT_TRUE(stage.has_branch(tree.branch));
  });
}

TEST(worktree, in_which_the_worker_left_its_branch_is_kept) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto tree = co_await stage.made();
    stage.shell(tree.path, "git checkout -q --detach; git commit -q --allow-empty -m lost");
    const auto state = co_await stage.expect_kept(tree, "not the one checked out");
    EXPECT_EQ(state.commits_ahead, 1U);
    stage.shell(tree.path, "git checkout -q -b elsewhere");
    co_await stage.expect_kept(tree, "not the one checked out");
  });
}

TEST(worktree, that_is_gone_or_whose_checkout_is_gone_is_told_so) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto tree = co_await stage.made();
    stage.shell(stage.repository, "git worktree remove '" + tree.path + "'");
    const auto gone = co_await stage.settled(tree);
    EXPECT_EQ(gone.what, worktree_state::outcome::kept);
    EXPECT_NE(gone.sentence.find("does not find it"), std::string::npos);

    stage.request.worker_id = other_id;
    const auto orphan = co_await stage.made();
    fs::rename(stage.repository, stage.root / "moved");
    co_await stage.expect_kept(orphan, "does not find it");
  });
}

TEST(worktree, cancelling_at_any_git_command_leaves_nothing_behind) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto before = stage.answer(stage.repository, "git for-each-ref; git worktree list");
    int commands = 0;
    for (int at = 1;; ++at) {
      asio::cancellation_signal cancel;
      commands = 0;
      // Cancelled once the command is under way.
      stage.launcher.before = [&stage, &cancel, &commands, at](const launch_spec&) {
        if (++commands != at) return;
        asio::post(stage.executor, [&cancel] { cancel.emit(asio::cancellation_type::terminal); });
      };
      coro::event done(stage.executor);
      std::optional<added> result;
      asio::co_spawn(stage.executor, stage.add(),
                     asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr, added finished) {
                       result = std::move(finished);
                       done.set();
                     }));
      co_await done.async_wait(coro::as_value);
      stage.launcher.before = nullptr;
      if (commands < at) break;  // it was through before
      if (std::holds_alternative<worktree>(*result)) {
        // The command was faster than its cancellation, as the last one may be.
        const auto state = co_await stage.settled(std::get<worktree>(*result));
        EXPECT_EQ(state.what, worktree_state::outcome::removed);
      }
      EXPECT_EQ(stage.answer(stage.repository, "git for-each-ref; git worktree list"), before) << at;
      EXPECT_FALSE(fs::exists(stage.request.log_dir / "worktrees" / (std::string("worker-") + id)));
    }
    EXPECT_GT(commands, 7);
  });
}

TEST(worktree, a_cancelled_settling_keeps) {
  run([](stage& stage) -> asio::awaitable<void> {
    const auto tree = co_await stage.made();
    asio::cancellation_signal cancel;
    int commands = 0;
    stage.launcher.before = [&](const launch_spec& spec) {
      ++commands;
      asio::post(stage.executor, [&cancel] { cancel.emit(asio::cancellation_type::terminal); });
      // So slow that the cancellation comes first.
      EXPECT_EQ(spec.program, "/bin/sleep");
    };
    stage.git.path = "/bin/sleep";  // refuses git's arguments or sleeps: no proof either way
    coro::event done(stage.executor);
    worktree_state state;
    asio::co_spawn(stage.executor, stage.settled(tree),
                   asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr, worktree_state finished) {
                     state = std::move(finished);
                     done.set();
                   }));
    co_await done.async_wait(coro::as_value);
    EXPECT_EQ(state.what, worktree_state::outcome::kept);
    EXPECT_EQ(commands, 1);
    EXPECT_TRUE(fs::exists(tree.path));
  });
}

TEST(worktree, json_that_cannot_be_ours_is_none) {
  const nlohmann::json good = {{"path", std::string("/logs/worktrees/worker-") + id},
                               {"cwd", std::string("/logs/worktrees/worker-") + id + "/sub"},
                               {"branch", "worker/0123abcd"},
                               {"base_commit", std::string(40, 'a')},
                               {"repository", "/repo"}};
  EXPECT_TRUE(worktree_from_json(good));
  EXPECT_FALSE(worktree_from_json("text"));
  EXPECT_FALSE(worktree_from_json(nullptr));
  const std::vector<std::pair<const char*, nlohmann::json>> bad{
      {"path", "/home/me/work"}, {"path", 1},
      {"cwd", "/etc"},           {"cwd", good.at("path").get<std::string>() + "/../x"},
      {"branch", "main"},        {"branch", "worker/--x y"},
      {"branch", "worker/"},     {"base_commit", "--all"},
      {"repository", "repo"}};
  for (const auto& [name, value] : bad) {
    auto json = good;
    json[name] = value;
    EXPECT_FALSE(worktree_from_json(json)) << name << " " << value;
    json.erase(name);
    EXPECT_FALSE(worktree_from_json(json)) << name;
  }
}

TEST(worktree, status_tells_precious_ignored_files_from_those_made_anew) {
  using namespace std::string_literals;
  const auto summary = summarize_status(
      " M a\0?? b\0!! x/node_modules/\0!! y.pyc\0!! z/__pycache__/\0!! .DS_Store\0!! my_node_modules\0!! .env\0"s);
  EXPECT_EQ(summary.uncommitted, 2U);
  EXPECT_EQ(summary.precious, "my_node_modules");
  EXPECT_EQ(summarize_status("").uncommitted, 0U);
}

}  // namespace
}  // namespace awm::worker
