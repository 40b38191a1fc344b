"""The examples do what they say, with mock-claude, and end with an error when something failed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import BIN, GUARD, MARK, MOCK_CLAUDE

EXAMPLES = Path(__file__).parents[2] / "examples"
ALL = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "fleet")


class Outcome:
    def __init__(self, done: subprocess.CompletedProcess):
        self.code = done.returncode
        self.out = done.stdout
        self.lines = [line.strip() for line in done.stdout.splitlines()]
        self.err = done.stderr


def run_example(arena, name: str, *flags: str, env: dict | None = None) -> Outcome:
    """Runs an example in the arena. Nothing of it is left in the temporary folder."""
    temporary = arena.root / "tmp"
    temporary.mkdir()
    clean = {"PATH": os.defpath, "HOME": str(arena.home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", "--bin", BIN, *flags],
        env={**clean, MARK: arena.mark, **(env or {})},
        cwd=arena.cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    assert list(temporary.iterdir()) == []
    return Outcome(done)


def with_mock(arena, name: str, *flags: str) -> Outcome:
    outcome = run_example(arena, name, "--mock", *flags)
    assert (outcome.code, outcome.err) == (0, "")
    return outcome


def test_every_example_is_tested_and_listed():
    tests = {name.removeprefix("test_example_") for name in globals() if name.startswith("test_example_")}
    assert len(ALL) == 10
    assert {name for name in ALL if not any(test.startswith(name) for test in tests)} == set()
    listed = (EXAMPLES / "README.md").read_text()
    assert [name for name in ALL if f"[{name}.py]({name}.py)" not in listed] == []


def test_example_parallel(arena):
    out = with_mock(arena, "parallel").out
    assert "3 answers:" in out
    assert "explain mutex (" in out and "Lets one thread at a time into a piece of code." in out
    assert "explain barrier (" in out and "Together: $0.00" in out


def test_example_temperature_sweep(arena):
    outcome = with_mock(arena, "temperature_sweep")
    assert outcome.lines[-3:] == [
        "0.0: Fresh bread, every day.   (claude-sonnet-4-5)",
        "0.5: Bread worth waking up for.   (claude-sonnet-4-5)",
        "1.0: Crumbs of yesterday's moonlight.   (claude-sonnet-4-5)",
    ]
    assert outcome.out.count('"claude-sonnet-4-5" was chosen') == 3


def test_example_sampling_control(arena):
    out = with_mock(arena, "sampling_control").out
    assert '"claude-sonnet-4-5" takes temperature or top_p but not both; temperature was kept.' in out
    assert 'note: top_p: dropped, because the model "opus"' in out
    assert "did you mean options.temperature?" in out
    assert out.count("Gamboge") == 3


def test_example_thinking_comparison(arena):
    outcome = with_mock(arena, "thinking_comparison")
    assert [line.split(" (")[0] for line in outcome.lines if "): 0." in line] == [
        "no thinking",
        "up to 2000 tokens",
        "up to 16000 tokens",
    ]
    assert outcome.out.count("it thought: The ball is x") == 2
    assert "note:" not in outcome.out, "this model takes every one of these options"


def test_example_multi_perspective_review(arena):
    assert with_mock(arena, "multi_perspective_review").lines[-3:] == [
        "login.py:2: [security] The name is put into the SQL text: injection.",
        "login.py:3: [performance] All rows are copied before the first is looked at.",
        "login.py:3: [readability] x says nothing about what it is.",
    ]


def test_example_conversation(arena):
    outcome = with_mock(arena, "conversation")
    answers = [line.removeprefix("worker: ") for line in outcome.lines if line.startswith("worker: ")]
    assert answers == ["Meridian", "Stella Maris", "Meridian and Stella Maris."]
    assert "One worker, one session, 3 turns" in outcome.out


def test_example_combined_options(arena):
    out = with_mock(arena, "combined_options").out
    assert "summary:  greeting.txt says hello" in out
    assert "/greeting.txt\n" in out
    assert "branch:   worker/" in out and "uncommitted files: 1" in out
    assert "was kept" in out


def test_example_permission_approval_with_a_yes(arena):
    outcome = with_mock(arena, "permission_approval", "--answer", "yes")
    assert 'Worker "ask the user"' in outcome.out and "touch from-the-user" in outcome.out
    assert outcome.out.count("tool said: allowed") == 3
    decisions = [line.split(":")[0] for line in outcome.lines if " by " in line]
    assert decisions == ["allow by human", "allow by model", "allow by remembered"]


def test_example_permission_approval_with_a_no(arena):
    outcome = with_mock(arena, "permission_approval", "--answer", "no")
    assert "denied: Bash" in outcome.lines
    decisions = [line.split(":")[0] for line in outcome.lines if " by " in line]
    assert decisions == ["deny by human", "allow by model", "allow by remembered"]


def test_example_permission_approval_asks_the_model_when_nobody_is_at_the_terminal(arena):
    outcome = with_mock(arena, "permission_approval")
    assert "allow by human" not in outcome.out
    assert outcome.out.count("tool said: allowed") == 3


def test_example_model_racing(arena):
    outcome = with_mock(arena, "model_racing")
    assert "Because blue light is scattered most." in outcome.out
    assert sorted(outcome.lines[-2:]) == ["opus: cancelled", "sonnet: cancelled"]


def test_example_pipeline(arena):
    outcome = with_mock(arena, "pipeline")
    finished = [line.split(" (")[0] for line in outcome.lines if " s, $" in line]
    assert finished[0] == "outline" and finished[-1] == "edit"
    assert sorted(finished[1:3]) == ["write part one", "write part two"]
    told = [line for line in outcome.lines if line.startswith("- ")]
    assert [line.split(",")[0] for line in told] == ["- write part one: completed", "- write part two: completed"]


def test_without_mock_the_prompts_are_words_only(arena):
    outcome = run_example(arena, "parallel", "--claude", MOCK_CLAUDE)  # which echoes what it is asked
    assert outcome.code == 0, outcome.err
    assert "Explain in one sentence what a mutex is" in outcome.out
    assert "MOCK" not in outcome.out


@pytest.mark.parametrize("name", ALL)
def test_an_example_whose_workers_fail_ends_with_an_error(arena, name):
    failing = {"MOCK_CLAUDE_SCRIPT": "MOCK error 400 not-today"}
    outcome = run_example(arena, name, "--claude", MOCK_CLAUDE, env=failing)
    assert outcome.code == 1
    assert "not-today" in outcome.err and "Traceback" not in outcome.err


def test_an_example_without_a_cli_says_so(arena):
    outcome = run_example(arena, "parallel", "--claude", "/nowhere/claude")
    assert outcome.code == 1
    assert "The Claude Code CLI was not found: /nowhere/claude" in outcome.err


def test_an_example_keeps_the_transcripts_where_it_is_told_to(arena):
    with_mock(arena, "conversation", "--log-dir", str(arena.logs))
    assert len(list(arena.logs.glob("worker-*.json"))) == 1
