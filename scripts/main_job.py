"""The main job, as an MCP client does it: spawn three workers, wait, answer a permission, resume one, show what happened."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

import mcp_client  # noqa: E402
from mcp_client import McpServer, run  # noqa: E402

mcp_client.GUARD = 600.0  # seconds for one answer: real models think longer than the tests' mocks

BINARIES = ROOT / "build" / "release" / "bin"

# What each worker is asked: in words for the real CLI, in directives for the mock.
TASKS = [
    ("explain coroutines", "Explain in one sentence what a coroutine is.", 'MOCK say "A function that can pause and go on later."'),
    (
        "ask for a permission",
        "Use the Bash tool to run exactly this command, then report what it printed: touch permission-was-given && echo written",
        'MOCK permission Bash {"command": "touch permission-was-given && echo written"}',
    ),
    ("remember a number", "Remember the number 42 and answer only: remembered.", "MOCK say remembered"),
]
FOLLOW_UP = ("Which number did I ask you to remember? Answer with the number only.", "MOCK history")


def signed_in(claude: str) -> bool:
    """`claude auth status` exits with 0 when there are credentials; whether they are valid only a request can tell."""
    try:
        return subprocess.run([claude, "auth", "status"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def choose_cli(want_mock: bool) -> tuple[str, bool]:
    claude = shutil.which("claude")
    if want_mock:
        print("Workers: mock-claude, as asked.")
    elif claude is None:
        print("Workers: mock-claude, since there is no `claude` in PATH.")
    elif not signed_in(claude):
        print(f"Workers: mock-claude, since {claude} is not signed in (claude auth login).")
    else:
        print(f"Workers: the real Claude Code CLI, {claude} (model haiku; this costs a few cents at most).")
        return claude, False
    return str(BINARIES / "mock-claude"), True


class Table:
    """One line for each finished turn."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = [("worker", "turn", "state", "cost", "result", "transcript")]

    def add(self, answer: dict) -> None:
        for entry in answer["completed"]:
            self.row(entry, "completed", f"${entry['cost_usd']:.4f}", entry["result_preview"])
        for entry in answer["failed"]:
            self.row(entry, "failed", "-", entry["error_hint"])

    def row(self, entry: dict, state: str, cost: str, text: str) -> None:
        text = " ".join(text.split())
        shown = text if len(text) <= 60 else text[:59] + "…"
        path = Path(entry["conversation_history_file_path"])
        path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        self.rows.append((entry["description"], str(entry["turn"]), state, cost, shown, str(path)))

    def show(self) -> None:
        widths = [max(len(row[column]) for row in self.rows) for column in range(len(self.rows[0]))]
        for number, row in enumerate(self.rows):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
            if number == 0:
                print("  ".join("-" * width for width in widths))


async def wait_for_all(server: McpServer, table: Table) -> bool:
    """Waits, allowing what is asked, until nothing is outstanding; returns whether all turns completed."""
    well = True
    while True:
        answer = (await server.call("wait", {})).structured
        table.add(answer)
        well = well and not answer["failed"]
        for question in answer["pending_permissions"]:
            print(f"  {question['description']} wants to use {question['tool']}: {question['input']} - allowed")
            await server.call("approve_permission", {"request_id": question["request_id"], "allow": True})
        if not answer["pending_permissions"]:
            return well


async def main_job(claude: str, mock: bool, log_dir: Path, work: Path) -> bool:
    command = [str(BINARIES / "async-worker-manager"), "--claude", claude, "--log-dir", str(log_dir), "--log-level", "warn"]
    table = Table()
    # The mock keeps its sessions in a HOME of its own; the real CLI is signed in in the user's.
    environment = {} if mock else dict(os.environ)
    async with McpServer(command, env=environment, home=work) as server:
        await server.initialize()
        ids = []
        for description, words, directives in TASKS:
            arguments = {"description": description, "prompt": directives if mock else words, "options": {"model": "haiku"}}
            spawned = await server.call("spawn_worker", arguments)
            ids.append(spawned["worker_id"])
            print(f"  spawned: {description} ({spawned['state']})")
        well = await wait_for_all(server, table)
        print("  resumed: " + TASKS[2][0])
        await server.call("resume_worker", {"worker_id": ids[2], "prompt": FOLLOW_UP[1 if mock else 0]})
        well = await wait_for_all(server, table) and well
    print()
    table.show()
    print(f"\nTranscripts: {log_dir}/worker-*.json (jq -r .result FILE)")
    return well


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/start", description=__doc__)
    parser.add_argument("--mock", action="store_true", help="use mock-claude even if the real CLI is there")
    parser.add_argument("--log-dir", type=Path, default=ROOT / "logs", help="where the transcripts go (default: logs)")
    arguments = parser.parse_args()
    claude, mock = choose_cli(arguments.mock)
    with tempfile.TemporaryDirectory(prefix="awm-main-job-") as work:
        hours = 3600.0
        return 0 if run(main_job(claude, mock, arguments.log_dir.resolve(), Path(work)), guard=hours) else 1


if __name__ == "__main__":
    sys.exit(main())
