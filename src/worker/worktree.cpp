#include "worker/worktree.hpp"

#include "coro/sleep.hpp"
#include "text/words.hpp"
#include "worker/command.hpp"
#include "worker/uuid.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

namespace awm::worker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// A question reads a few files; `status` reads all of the worktree's; a checkout writes them, and may fetch large ones.
constexpr std::chrono::seconds question_time = 30s;
constexpr std::chrono::seconds status_time = 120s;
constexpr std::chrono::seconds checkout_time = 600s;
// On SIGTERM git removes its locks and what it had begun.
constexpr std::chrono::seconds tidy_time = 3s;

// Another git that makes or removes a worktree of the repository is in the way for milliseconds.
constexpr int most_tries = 20;
constexpr std::chrono::milliseconds pause_between_tries = 100ms;

constexpr std::size_t short_output = std::size_t{64} * 1024;
// Names of some 200 000 files; where there are more, nothing is proven and everything is kept.
constexpr std::size_t long_output = std::size_t{16} * 1024 * 1024;

constexpr std::size_t longest_quotation = 400;

const std::vector<std::string> no_operands;

// Where the user keeps their settings and where git stops looking; every other GIT_ variable is about one repository or
// one command, and the manager may well run below a hook or an alias of git that set some.
constexpr std::array<std::string_view, 4> kept_variables{"GIT_CEILING_DIRECTORIES", "GIT_CONFIG_GLOBAL",
                                                         "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM"};

constexpr std::array<std::string_view, 6> made_anew{"node_modules", "__pycache__", ".pytest_cache",
                                                    ".mypy_cache",  ".ruff_cache", ".gradle"};

// In the git directory of a worktree: something is under way there.
constexpr std::array<std::string_view, 5> signs_of_work{"index.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD",
                                                        "BISECT_LOG"};

std::vector<std::string> git_environment(environment variables) {
  std::erase_if(variables, [](const auto& variable) {
    return variable.first.starts_with("GIT_") &&
           std::ranges::find(kept_variables, variable.first) == kept_variables.end();
  });
  variables.insert_or_assign("LC_ALL", "C");
  variables.insert_or_assign("GIT_TERMINAL_PROMPT", "0");
  variables.insert_or_assign("GIT_OPTIONAL_LOCKS", "0");
  return to_assignments(variables);
}

/// Whether git failed only because another one was at work: it holds a lock, or has begun a worktree whose files are
/// not all there yet (git reads those of every worktree before it touches a branch).
bool was_in_the_way(const command_result& result) {
  const bool is_locked = result.error_tail.find(".lock': File exists") != std::string::npos;
  const bool is_unfinished = result.error_tail.find("/worktrees/") != std::string::npos &&
                             result.error_tail.find("failed to read") != std::string::npos;
  return !result.succeeded() && !result.failure && (is_locked || is_unfinished);
}

/// Runs git, with what no configuration may turn on or off.
class git_runner {
 public:
  git_runner(launcher& launcher, coro::clock& clock, git_program program)
      : launcher_(launcher),
        clock_(clock),
        path_(std::move(program.path)),
        environment_(git_environment(std::move(program.variables))) {}

  /// `words`, split at spaces, and then `operands` are what follows `git`.
  asio::awaitable<command_result> run(const std::string& directory, std::string_view words,
                                      const std::vector<std::string>& operands,
                                      std::chrono::seconds time = question_time, std::size_t output = short_output) {
    launch_spec spec{path_, {"--no-pager"}, environment_, directory};
    for (const char* setting : {"core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0",
                                "maintenance.auto=false", "status.showUntrackedFiles=all", "core.quotePath=false"}) {
      spec.arguments.emplace_back("-c");
      spec.arguments.emplace_back(setting);
    }
    while (!words.empty()) {
      const auto space = words.find(' ');
      spec.arguments.emplace_back(words.substr(0, space));
      words.remove_prefix(space == std::string_view::npos ? words.size() : space + 1);
    }
    spec.arguments.insert(spec.arguments.end(), operands.begin(), operands.end());
    const command_limits limits{
        .time = time, .grace = tidy_time, .output = output, .despite_cancellation = despite_cancellation_};
    return run_command(launcher_, clock_, std::move(spec), limits);
  }

  asio::awaitable<command_result> run(const std::string& directory, std::string_view words) {
    return run(directory, words, no_operands);
  }

  /// The same for a command that changes branches or worktrees: tried again while another git is in its way.
  asio::awaitable<command_result> change(const std::string& directory, std::string_view words,
                                         const std::vector<std::string>& operands,
                                         std::chrono::seconds time = question_time) {
    command_result result = co_await run(directory, words, operands, time);
    for (int tries = 1; tries < most_tries && was_in_the_way(result); ++tries) {
      const auto cancelled = co_await coro::sleep(clock_, pause_between_tries);
      if (cancelled) break;
      result = co_await run(directory, words, operands, time);
    }
    co_return result;
  }

  /// From now on cancelled coroutines are served as well: what was begun is to be brought to an end.
  void ignore_cancellation() { despite_cancellation_ = true; }

 private:
  launcher& launcher_;
  coro::clock& clock_;
  std::string path_;
  std::vector<std::string> environment_;
  bool despite_cancellation_ = false;
};

/// Without the line end that git puts behind it; a path may itself end in others.
std::string answer_of(const command_result& result) {
  std::string text = result.output;
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

/// Why a command did not do what it was to do.
std::string complaint_of(const command_result& result) {
  if (result.failure) return *result.failure;
  std::string text = result.error_tail;
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  if (text.empty()) return "git exited with " + std::to_string(result.code.value_or(0));
  return text::shortened(text, longest_quotation);
}

/// As a word for a shell.
std::string quoted(const std::string& word) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("/._-+,:@").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  std::string text = "'";
  for (const char c : word) {
    if (c == '\'') {
      text += R"('\'')";
    } else {
      text += c;
    }
  }
  return text + "'";
}

std::string counted(std::size_t number, std::string_view thing) {
  return std::to_string(number) + " " + std::string(thing) + (number == 1 ? "" : "s");
}

/// Makes one worktree, step by step; each step returns what went wrong, or nothing.
class worktree_maker {
 public:
  worktree_maker(launcher& launcher, coro::clock& clock, files& files, git_program git, worktree_request request)
      : git_(launcher, clock, std::move(git)), files_(files), request_(std::move(request)) {}

  asio::awaitable<std::variant<worktree, std::string>> make() {
    std::string problem = co_await look_at_repository();
    if (problem.empty()) problem = prepare_folder();
    // Last of all the questions: from here on a cancellation must undo something.
    if (problem.empty()) co_await note_uncommitted();
    if (problem.empty()) problem = co_await make_branch();
    if (problem.empty()) problem = co_await check_out();
    if (!problem.empty()) {
      co_await undo();
      co_return "isolation: \"worktree\" is not possible for cwd " + request_.cwd + ": " + problem;
    }
    co_return made_;
  }

 private:
  asio::awaitable<std::string> look_at_repository() {
    const auto inside = co_await git_.run(request_.cwd, "rev-parse --is-inside-work-tree");
    if (inside.failure) co_return *inside.failure + ".";
    if (!inside.succeeded()) {
      co_return "it is in no git repository (" + complaint_of(inside) +
          "). Give a cwd inside of one, run git init there, or leave isolation out.";
    }
    if (answer_of(inside) != "true") {
      co_return "it is a bare repository or lies inside a .git folder. Give a cwd in a checkout.";
    }
    const auto top = co_await git_.run(request_.cwd, "rev-parse --show-toplevel");
    if (!top.succeeded()) co_return complaint_of(top) + ".";
    made_.repository = answer_of(top);
    const auto prefix = co_await git_.run(request_.cwd, "rev-parse --show-prefix");
    if (!prefix.succeeded()) co_return complaint_of(prefix) + ".";
    prefix_ = answer_of(prefix);
    while (prefix_.ends_with('/')) prefix_.pop_back();
    const auto head = co_await git_.run(request_.cwd, "rev-parse --verify --quiet HEAD^{commit}");
    if (head.failure) co_return *head.failure + ".";
    if (!head.succeeded()) {
      co_return "the repository " + made_.repository + " has no commit yet. Commit something first.";
    }
    made_.base_commit = answer_of(head);
    co_return std::string{};
  }

  /// The folder that all worktrees lie in; when it is itself inside of a checkout, its git is not to see them.
  std::string prepare_folder() {
    const auto folder = request_.log_dir / "worktrees";
    auto error = files_.create_directory(folder);
    const auto ignore = folder / ".gitignore";
    if (!error && !files_.is_regular_file(ignore)) {
      const auto file = files_.create(ignore, error);
      if (!error) error = file->append("*\n");
    }
    made_.path = (folder / ("worker-" + request_.worker_id)).string();
    if (!error) return {};
    return "the folder " + folder.string() + " cannot be used: " + error.message() + ". Give another --log-dir.";
  }

  /// Creating a branch fails when there is one of that name, or one called `worker`.
  asio::awaitable<std::string> make_branch() {
    const std::string digits = request_.worker_id.substr(0, 8);
    const std::array<std::string, 3> names{"worker/" + digits, "worker-" + digits, "worker-" + request_.worker_id};
    std::string problem;
    for (const std::string& name : names) {
      const std::vector<std::string> operands{name, made_.base_commit};
      const auto created = co_await git_.change(made_.repository, "branch --quiet --no-track --", operands);
      // A git that was ended in the middle may have made it, and is to be undone as well.
      if (created.succeeded() || created.failure) made_.branch = name;
      if (created.succeeded()) co_return std::string{};
      problem = complaint_of(created) + ".";
      if (created.failure) break;
    }
    co_return problem;
  }

  asio::awaitable<std::string> check_out() {
    const std::vector<std::string> operands{made_.path, made_.branch};
    const auto added = co_await git_.change(made_.repository, "worktree add --quiet --", operands, checkout_time);
    if (!added.succeeded()) co_return complaint_of(added) + ".";
    is_checked_out_ = true;
    const auto top = co_await git_.run(made_.path, "rev-parse --show-toplevel");
    if (!top.succeeded()) co_return complaint_of(top) + ".";
    made_.path = answer_of(top);
    co_return co_await enter_folder();
  }

  /// HEAD may lack the folder, or have a link to somewhere else in its place.
  asio::awaitable<std::string> enter_folder() {
    made_.cwd = prefix_.empty() ? made_.path : made_.path + "/" + prefix_;
    if (!files_.is_directory(made_.cwd)) {
      if (const auto error = files_.create_directory(made_.cwd)) {
        co_return "the commit HEAD has no folder " + prefix_ + ", and it cannot be made: " + error.message() + ".";
      }
    }
    const auto top = co_await git_.run(made_.cwd, "rev-parse --show-toplevel");
    if (!top.succeeded()) co_return complaint_of(top) + ".";
    if (answer_of(top) != made_.path) co_return "in the commit HEAD, " + prefix_ + " leads out of the repository.";
    co_return std::string{};
  }

  asio::awaitable<void> note_uncommitted() {
    const auto status = co_await git_.run(
        made_.repository, "status --porcelain -z --no-renames --untracked-files=no --ignore-submodules=none", {},
        status_time, long_output);
    const auto changed = status.succeeded() ? summarize_status(status.output).uncommitted : 0;
    if (changed == 0) co_return;
    made_.notes.push_back("isolation: the worktree has the last commit; " + counted(changed, "uncommitted change") +
                          " in " + made_.repository + (changed == 1 ? " is" : " are") + " not in it.");
  }

  /// Takes back only what this made, and only while it is as it was made.
  asio::awaitable<void> undo() {
    git_.ignore_cancellation();
    if (is_checked_out_) {
      const std::vector<std::string> operands{made_.path};
      co_await git_.change(made_.repository, "worktree remove --", operands, status_time);
    }
    if (!made_.branch.empty()) {
      const std::vector<std::string> operands{made_.branch};
      co_await git_.change(made_.repository, "branch --quiet -d --", operands);
    }
  }

  git_runner git_;
  files& files_;
  worktree_request request_;
  std::string prefix_;
  bool is_checked_out_ = false;
  worktree made_;
};

/// What speaks against removing a worktree.
struct objections {
  std::vector<std::string> reasons;
  std::size_t uncommitted_files = 0;
  std::size_t commits_ahead = 0;
};

class worktree_examiner {
 public:
  worktree_examiner(git_runner& git, const files& files, const worktree& made)
      : git_(git), files_(files), made_(made) {}

  asio::awaitable<objections> examine() {
    const auto top = co_await git_.run(made_.path, "rev-parse --show-toplevel");
    if (!top.succeeded() || answer_of(top) != made_.path) {
      // Git goes on looking above: further answers would be about another checkout.
      object("git does not find it there any more" +
             (top.succeeded() ? std::string() : " (" + complaint_of(top) + ")"));
      co_return std::move(found_);
    }
    co_await look_at_files();
    co_await look_for_hidden_changes();
    co_await look_for_work_under_way();
    co_await look_at_commits();
    co_return std::move(found_);
  }

 private:
  void object(std::string reason) { found_.reasons.push_back(std::move(reason)); }

  /// False, and an objection, when the answer is not to be had.
  bool is_answered(const command_result& result) {
    if (result.succeeded() && !result.output_cut) return true;
    object(result.output_cut ? "it has too many files to look at" : complaint_of(result));
    return false;
  }

  asio::awaitable<void> look_at_files() {
    const auto status = co_await git_.run(made_.path,
                                          "status --porcelain -z --no-renames --untracked-files=all --ignored=matching "
                                          "--ignore-submodules=none",
                                          no_operands, status_time, long_output);
    const auto summary = summarize_status(status.output);
    found_.uncommitted_files = summary.uncommitted;
    if (summary.uncommitted > 0) object("it has " + counted(summary.uncommitted, "uncommitted file"));
    if (!summary.precious.empty()) object("it has ignored files (" + summary.precious + ")");
    is_answered(status);
  }

  asio::awaitable<void> look_for_hidden_changes() {
    const auto listed = co_await git_.run(made_.path, "ls-files -v -z", no_operands, status_time, long_output);
    if (!is_answered(listed)) co_return;
    bool is_skipped = false;
    for (std::size_t at = 0; at < listed.output.size(); at = listed.output.find('\0', at) + 1) {
      const char tag = listed.output[at];
      is_skipped = is_skipped || tag == 'S';
      if (std::islower(static_cast<unsigned char>(tag)) == 0) continue;
      object("git was told not to look at some of its files (assume-unchanged)");
      co_return;
    }
    if (!is_skipped) co_return;
    // In a sparse checkout such files are absent, and git itself looks at those that are not.
    const auto sparse = co_await git_.run(made_.path, "config --type=bool core.sparseCheckout");
    if (answer_of(sparse) != "true") object("git was told not to look at some of its files (skip-worktree)");
  }

  asio::awaitable<void> look_for_work_under_way() {
    const auto folder = co_await git_.run(made_.path, "rev-parse --absolute-git-dir");
    if (!is_answered(folder)) co_return;
    for (const auto sign : signs_of_work) {
      if (!files_.is_regular_file(std::filesystem::path(answer_of(folder)) / sign)) continue;
      object("a git command is under way in it (" + std::string(sign) + ")");
    }
  }

  asio::awaitable<void> look_at_commits() {
    const auto branch = co_await git_.run(made_.path, "symbolic-ref --quiet HEAD");
    if (!branch.succeeded() || answer_of(branch) != "refs/heads/" + made_.branch) {
      object("its branch " + made_.branch + " is not the one checked out in it");
    }
    // Whatever these have is safe: what the worker began with, and the checkout's branch as it is now.
    std::vector<std::string> operands{"HEAD", "refs/heads/" + made_.branch, "^" + made_.base_commit};
    const auto target = co_await git_.run(made_.repository, "symbolic-ref --quiet HEAD");
    const auto target_commit = co_await git_.run(made_.repository, "rev-parse --verify --quiet HEAD^{commit}");
    const bool is_own = answer_of(target) == "refs/heads/" + made_.branch;
    if (target.succeeded() && target_commit.succeeded() && !is_own) operands.push_back("^" + answer_of(target_commit));
    const auto ahead = co_await git_.run(made_.path, "rev-list --count", operands, status_time);
    if (!is_answered(ahead)) co_return;
    const auto& digits = ahead.output;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), found_.commits_ahead);
    if (error != std::errc{}) object("git counts its commits as \"" + answer_of(ahead) + "\"");
    if (found_.commits_ahead == 0) co_return;
    object("it has " + counted(found_.commits_ahead, "commit") + " that " +
           (operands.size() > 3 ? "the branch of " + made_.repository + " has not"
                                : "no branch checked out in " + made_.repository + " has"));
  }

  git_runner& git_;
  const files& files_;
  const worktree& made_;
  objections found_;
};

std::string kept_sentence(const worktree& made, const std::vector<std::string>& reasons) {
  const auto in_worktree = "git -C " + quoted(made.path);
  const auto in_repository = "git -C " + quoted(made.repository);
  return "The worktree " + made.path + " was kept, on the branch " + made.branch + ": " + text::joined(reasons, "; ") +
         ". To look at it: " + in_worktree + " status, " + in_worktree + " diff " + made.base_commit.substr(0, 12) +
         ". To take its commits: " + in_repository + " merge " + made.branch + ". To remove it then: " + in_repository +
         " worktree remove " + quoted(made.path) + " && " + in_repository + " branch -d " + made.branch + ".";
}

asio::awaitable<worktree_state> settle(git_runner& git, const files& files, const worktree& made) {
  worktree_examiner examiner(git, files, made);
  auto found = co_await examiner.examine();
  worktree_state state{worktree_state::outcome::kept, found.uncommitted_files, found.commits_ahead, {}};
  if (found.reasons.empty()) {
    git.ignore_cancellation();
    const std::vector<std::string> operands{made.path};
    // From elsewhere, because git refuses to remove the folder it stands in.
    const auto removed = co_await git.change(made.repository, "worktree remove --", operands, status_time);
    if (!removed.succeeded()) found.reasons.push_back("git did not remove it: " + complaint_of(removed));
  }
  if (!found.reasons.empty()) {
    state.sentence = kept_sentence(made, found.reasons);
    co_return state;
  }
  state.what = worktree_state::outcome::removed;
  const std::vector<std::string> branch{made.branch};
  const auto deleted = co_await git.change(made.repository, "branch --quiet -d --", branch);
  state.sentence = "The worktree " + made.path + " was removed: there was nothing in it that " + made.repository +
                   " does not have. ";
  state.sentence += deleted.succeeded() ? "Its branch " + made.branch + " was deleted."
                                        : "Its branch " + made.branch + " was left: " + complaint_of(deleted) + ".";
  co_return state;
}

bool is_commit(std::string_view text) {
  const auto is_digit = [](unsigned char c) { return std::isxdigit(c) != 0; };
  return (text.size() == 40 || text.size() == 64) && std::ranges::all_of(text, is_digit);
}

bool is_plain_absolute(const std::string& path) {
  return path.starts_with('/') && path.find('\0') == std::string::npos &&
         std::filesystem::path(path).lexically_normal() == path;
}

bool is_own_branch(std::string_view name) {
  const auto is_plain = [](unsigned char c) { return std::isxdigit(c) != 0 || c == '-'; };
  return (name.starts_with("worker/") || name.starts_with("worker-")) && name.size() > 7 &&
         std::ranges::all_of(name.substr(7), is_plain);
}

bool is_made_anew(std::string_view path) {
  if (path.ends_with(".pyc") || path == ".DS_Store" || path.ends_with("/.DS_Store")) return true;
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (std::ranges::find(made_anew, path.substr(0, slash)) != made_anew.end()) return true;
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return false;
}

}  // namespace

nlohmann::json worktree_to_json(const worktree& made) {
  json result = json::object();
  result["path"] = made.path;
  result["cwd"] = made.cwd;
  result["branch"] = made.branch;
  result["base_commit"] = made.base_commit;
  result["repository"] = made.repository;
  return result;
}

std::optional<worktree> worktree_from_json(const nlohmann::json& json) {
  const auto text = [&json](const char* name) {
    const auto found = json.is_object() ? json.find(name) : json.end();
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  const worktree made{text("path"), text("cwd"), text("branch"), text("base_commit"), text("repository"), {}};
  const auto name = std::filesystem::path(made.path).filename().string();
  const bool is_ours = name.starts_with("worker-") && is_uuid(std::string_view(name).substr(7));
  const bool is_inside = made.cwd == made.path || made.cwd.starts_with(made.path + "/");
  if (!is_plain_absolute(made.path) || !is_plain_absolute(made.cwd) || !is_plain_absolute(made.repository) ||
      !is_ours || !is_inside || !is_own_branch(made.branch) || !is_commit(made.base_commit)) {
    return std::nullopt;
  }
  return made;
}

status_summary summarize_status(std::string_view output) {
  constexpr std::size_t mark_size = 3;  // two letters and a space (git-status(1), "Short Format")
  status_summary summary;
  while (!output.empty()) {
    const auto entry = output.substr(0, output.find('\0'));
    output.remove_prefix(std::min(output.size(), entry.size() + 1));
    if (!entry.starts_with("!! ")) {
      ++summary.uncommitted;
    } else if (const auto path = entry.substr(mark_size); summary.precious.empty() && !is_made_anew(path)) {
      summary.precious = text::shortened(path, longest_quotation);
    }
  }
  return summary;
}

asio::awaitable<std::variant<worktree, std::string>> add_worktree(launcher& launcher, coro::clock& clock, files& files,
                                                                  git_program git, worktree_request request) {
  std::variant<worktree, std::string> result;
  if (git.path.empty()) {
    result = "isolation: \"worktree\" needs git, and there is none in PATH. Install it, or leave isolation out.";
  } else if (!is_uuid(request.worker_id)) {
    result = "worker_id " + request.worker_id + " must be a UUID.";
  } else if (!request.log_dir.is_absolute() || !files.is_directory(request.cwd)) {
    result = "cwd " + request.cwd + " must be an existing directory, and the log folder " + request.log_dir.string() +
             " an absolute path.";
  } else {
    worktree_maker maker(launcher, clock, files, std::move(git), std::move(request));
    // What was begun is undone also when whoever asked has gone.
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    result = co_await maker.make();
    co_await asio::this_coro::throw_if_cancelled(throws);
  }
  co_return result;
}

asio::awaitable<worktree_state> settle_worktree(launcher& launcher, coro::clock& clock, const files& files,
                                                git_program git, worktree made) {
  if (git.path.empty()) {
    const std::vector<std::string> reasons{"there is no git in PATH any more"};
    worktree_state state;
    state.sentence = kept_sentence(made, reasons);
    co_return state;
  }
  git_runner runner(launcher, clock, std::move(git));
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  auto state = co_await settle(runner, files, made);
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return state;
}

}  // namespace awm::worker
