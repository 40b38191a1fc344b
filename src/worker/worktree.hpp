#pragma once
// Workers that write side by side in one checkout write over each other. With `isolation: "worktree"` a worker gets a
// git worktree of its own, on a branch of its own, and its caller merges what it likes.
//
// The hard part is the end. A worktree goes by itself only when nothing can be lost with it; whatever is not proven to
// be elsewhere stays, with a sentence that says what it is and how to get at it. Nothing here uses `--force`.

#include "coro/clock.hpp"
#include "worker/environment.hpp"
#include "worker/files.hpp"
#include "worker/launcher.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace awm::worker {

/// A worker's own worktree, as the transcript keeps it.
struct worktree {
  /// Its root: absolute, without symbolic links.
  std::string path;
  /// Where the worker starts: the same folder in it that `cwd` was in the checkout.
  std::string cwd;
  /// Its branch, without `refs/heads/`.
  std::string branch;
  /// The commit it began with: HEAD of the checkout at that time.
  std::string base_commit;
  /// The root of the checkout that it was made from, which may itself be a linked worktree or a submodule.
  std::string repository;
  /// What the worker's caller should know: what the checkout has and the worktree has not. Not part of the JSON.
  std::vector<std::string> notes;

  bool operator==(const worktree&) const = default;
};

nlohmann::json worktree_to_json(const worktree& made);
/// Nothing when `json` is no worktree that `add_worktree` can have made: a transcript may have been tampered with.
std::optional<worktree> worktree_from_json(const nlohmann::json& json);

/// How git is run.
struct git_program {
  /// Absolute path; empty when there is no git.
  std::string path;
  /// The environment. `GIT_DIR`, `GIT_INDEX_FILE` and their like, which would turn git to another repository, are taken
  /// out of it; hooks do not run.
  environment variables;
};

struct worktree_request {
  /// Absolute: where the worker would work without isolation.
  std::string cwd;
  /// Absolute. The worktree becomes `<log_dir>/worktrees/worker-<worker_id>`; git is told to ignore that folder.
  std::filesystem::path log_dir;
  /// A UUID. The branch becomes `worker/<its first 8 digits>`, or a longer name where that one is taken.
  std::string worker_id;
};

/// Makes a worktree of the repository that `cwd` lies in, from its HEAD. Uncommitted changes stay where they are.
///
/// Returns why not, as a sentence with the fix, when `cwd` is in no repository, in a bare one or in one without a
/// commit, when git is missing, or when git fails; then nothing is left behind. Cancellation ends git, undoes what was
/// done, and is such a sentence as well. `launcher`, `clock` and `files` must outlive the coroutine.
asio::awaitable<std::variant<worktree, std::string>> add_worktree(launcher& launcher, coro::clock& clock, files& files,
                                                                  git_program git, worktree_request request);

struct worktree_state {
  enum class outcome { removed, kept };
  outcome what = outcome::kept;
  /// Changed and untracked files, without ignored ones.
  std::size_t uncommitted_files = 0;
  /// Commits that are in the worktree and not in the HEAD of the checkout it was made from.
  std::size_t commits_ahead = 0;
  /// What became of it; when it was kept: why, and the commands to look at it, to merge it and to remove it.
  std::string sentence;
};

/// Removes the worktree and its branch when that provably loses nothing, and keeps both otherwise. To be called once no
/// process works in it any more.
///
/// It is removed when there are
///  - no changed, staged or untracked files, and none that git was told not to look at (`git update-index
///    --assume-unchanged`, `--skip-worktree`);
///  - no ignored files either: a `.env` or a result may exist nowhere else. Only what tools make anew counts as
///    nothing: `node_modules`, `__pycache__`, `.pytest_cache`, `.mypy_cache`, `.ruff_cache`, `.gradle`, `*.pyc`,
///    `.DS_Store`;
///  - no commits on its branch but those that the branch checked out in `repository` has, or the base commit has. HEAD
///    of a checkout that is on no branch proves nothing;
///  - no other branch checked out in it, no merge or the like under way, no lock.
/// Commits that the worker itself took off its branch again (`commit --amend`, `reset`) count as thrown away. Git
/// itself does not remove a worktree of a repository that has submodules; it is kept.
///
/// Never fails: what cannot be proven is a reason to keep. Cancellation ends git, and keeps.
asio::awaitable<worktree_state> settle_worktree(launcher& launcher, coro::clock& clock, const files& files,
                                                git_program git, worktree made);

/// What `git status --porcelain -z --ignored` printed.
struct status_summary {
  std::size_t uncommitted = 0;
  /// The first ignored file or folder that no tool makes anew; empty when there is none.
  std::string precious;
};
status_summary summarize_status(std::string_view output);

}  // namespace awm::worker
