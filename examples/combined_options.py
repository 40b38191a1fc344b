"""Combined options: a worker that changes code in a git worktree of its own, with caps, and reports in a fixed form.

    spawn_worker {"description": "add a greeting", "prompt": "Write greeting.txt … Report what you did.",
                  "options": {"model": "sonnet", "effort": "low",
                              "cwd": "/…/project", "isolation": "worktree", "permission_mode": "acceptEdits",
                              "max_turns": 20, "max_budget_usd": 0.5, "timeout_s": 600,
                              "json_schema": {"type": "object", "properties": {"summary": {"type": "string"}}}}}
    wait {}
"""

import os
import subprocess

from fleet import Fleet, Problem, line, run

SUMMARY = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}


def make_project(path: os.PathLike) -> None:
    identity = ["-c", "user.name=Example", "-c", "user.email=example@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "init", "--quiet", path], check=True)
    subprocess.run(["git", "-C", path, *identity, "commit", "--quiet", "--allow-empty", "-m", "Begin"], check=True)


def combined_options(fleet: Fleet) -> None:
    project = fleet.work / "project"
    make_project(project)
    prompt = fleet.task(
        "Write a file greeting.txt with one line: hello. Commit nothing. Report what you did.",
        mock='write greeting.txt hello\nstructured {"summary": "greeting.txt says hello"}',
    )
    options = {
        "model": "sonnet",
        "effort": "low",
        "cwd": str(project),
        "isolation": "worktree",
        "permission_mode": "acceptEdits",
        "max_turns": 20,
        "max_budget_usd": 0.5,
        "timeout_s": 600,
        "json_schema": SUMMARY,
    }
    fleet.spawn("add a greeting", prompt, options=options)
    (worker,) = fleet.finish()
    worktree = worker["worktree"]
    print(f"\n  summary:  {worker['structured_output']['summary']}")
    print(f"  written:  {', '.join(worker['files_written'])}")
    print(f"  branch:   {worktree['branch']}, uncommitted files: {worktree['uncommitted_files']}")
    print(f"  worktree: {line(worktree['note'], 400)}")
    print(f"  cost:     ${worker['cost_usd']:.4f} of at most $0.50")
    if (project / "greeting.txt").exists():
        raise Problem("the worker wrote into the checkout and not into its worktree")


if __name__ == "__main__":
    run(combined_options, __doc__)
