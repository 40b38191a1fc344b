"""What the examples share: starts async-worker-manager, calls its tools over MCP, and prints what came of it.

    with Fleet(settings) as fleet:
        fleet.spawn("explain coroutines", "Explain …", options={"model": "haiku"})
        for worker in fleet.finish():
            print(worker["result_preview"])

MCP over stdio is one JSON object a line in both directions: requests, their answers, and now and then a request of the
server to us. `call` sends one and reads until its answer is there, which is all that a client with one thread needs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

BINARIES = Path(__file__).resolve().parent.parent / "build" / "release" / "bin"


class Problem(Exception):
    """A tool refused a call, or an example did not turn out as it has to; the text says what to do."""


class Fleet:
    """A server of our own and everything it started; gone at the end of the `with`."""

    def __init__(self, settings: argparse.Namespace, ask_user: Callable[[dict], dict] | None = None):
        """`ask_user` answers the forms that the server shows a person (MCP elicitation); without it there are none."""
        self.mock = settings.mock
        self._ask_user = ask_user
        self._ids = itertools.count(1)
        self._folder = tempfile.TemporaryDirectory(prefix="awm-example-", ignore_cleanup_errors=True)
        root = Path(self._folder.name)
        self.work = root / "work"
        self.work.mkdir()
        self.logs = (settings.log_dir or root / "logs").resolve()
        command = [settings.bin / "async-worker-manager", "--claude", settings.claude, "--log-dir", self.logs]
        command += ["--default-model", settings.model, "--log-level", "error"]
        environment = dict(os.environ)
        if self.mock:  # which keeps its sessions below HOME, as the real one does
            environment = {**environment, "HOME": str(root), "CLAUDE_CONFIG_DIR": str(root / "claude")}
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self.work, env=environment, encoding="utf-8"
        )

    def __enter__(self) -> "Fleet":
        try:
            capabilities = {"elicitation": {}} if self._ask_user else {}
            client = {"name": "example", "version": "1"}
            self._request("initialize", protocolVersion="2025-11-25", capabilities=capabilities, clientInfo=client)
            self._send(method="notifications/initialized")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            self._server.stdin.close()  # on which the server ends its workers and itself
        except BrokenPipeError:
            pass  # it is gone already
        try:
            self._server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server.stdout.close()
        self._folder.cleanup()

    # -- the tools -----------------------------------------------------------------------------------------------------

    def call(self, tool: str, **arguments: Any) -> dict:
        """Calls a tool and returns its structured result; raises `Problem` with its words when it refuses."""
        result = self._request("tools/call", name=tool, arguments=arguments)
        if result.get("isError"):
            raise Problem(f"{tool}: {result['content'][0]['text']}")
        return result["structuredContent"]

    def task(self, text: str, mock: str) -> str:
        """A prompt. The real Claude gets `text` alone; mock-claude is told what to do by lines that begin with MOCK."""
        if not self.mock:
            return text
        return "\n".join([text, *("MOCK " + line for line in mock.splitlines())])

    def spawn(self, description: str, prompt: str, **more: Any) -> str:
        """Starts a worker and returns its id; says what the server chose or dropped."""
        accepted = self.call("spawn_worker", description=description, prompt=prompt, **more)
        print(f"  started: {description}")
        for warning in accepted.get("warnings", []):
            print(f"    note: {warning}")
        return accepted["worker_id"]

    def finish(self, answer: Callable[[dict], dict] | None = None) -> list[dict]:
        """Waits until nothing is outstanding and returns what completed, in that order; raises `Problem` when a worker
        failed. `answer` makes the arguments of approve_permission for a question; without it all are denied."""
        completed: list[dict] = []
        while True:
            found = self.call("wait")
            completed += found["completed"]
            if found["failed"]:
                raise Problem("\n".join(f"{one['description']} failed: {one['error_hint']}" for one in found["failed"]))
            if "queue_stopped" in found:
                raise Problem(found["queue_stopped"])
            for question in found["pending_permissions"]:
                if "same_as" not in question:  # those are answered along with the one that they repeat
                    self.call("approve_permission", request_id=question["request_id"], **(answer or denied)(question))
            if not any(found["outstanding"].values()) and "more" not in found:
                return completed

    def transcript(self, worker: dict) -> dict:
        """The worker's transcript: prompt, messages, result and cost of all its turns."""
        return json.loads(Path(worker["conversation_history_file_path"]).read_text())

    def result(self, worker: dict) -> str:
        """The whole text of the last result; `wait` shows its beginning."""
        return self.transcript(worker)["result"]

    # -- JSON-RPC ------------------------------------------------------------------------------------------------------

    def _send(self, **message: Any) -> None:
        try:
            self._server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            self._server.stdin.flush()
        except BrokenPipeError:
            raise Problem("The server is gone; what it said is above.") from None

    def _request(self, method: str, **params: Any) -> dict:
        number = next(self._ids)
        self._send(id=number, method=method, params=params)
        for line in self._server.stdout:
            message = json.loads(line)
            if "method" in message and "id" in message:
                self._answer(message)
            elif message.get("id") == number and "error" in message:
                raise Problem(f"{method}: {message['error']['message']}")
            elif message.get("id") == number:
                return message["result"]
        raise Problem(f"The server ended before it answered {method}.")

    def _answer(self, request: dict) -> None:
        if request["method"] == "elicitation/create" and self._ask_user:
            self._send(id=request["id"], result=self._ask_user(request["params"]))
        elif request["method"] == "ping":
            self._send(id=request["id"], result={})
        else:
            self._send(id=request["id"], error={"code": -32601, "message": "Method not found"})


def denied(question: dict) -> dict:
    print(f"  {question['description']} asks to use {question['tool']}: denied, this example needs no tools")
    return {"allow": False, "reason": "Answer without this tool."}


def line(text: str, width: int = 90) -> str:
    """One line of a text, cut at `width`."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def show(worker: dict) -> None:
    """A finished turn in one line: who, how long, what it cost, and how its result begins."""
    seconds, cost = worker["duration_ms"] / 1000, worker["cost_usd"]
    print(f"  {worker['description']} ({seconds:.1f} s, ${cost:.4f}): {line(worker['result_preview'])}")


def read_settings(doc: str, more: Callable[[argparse.ArgumentParser], Any] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--mock", action="store_true", help="workers are mock-claude: no account, no cost")
    parser.add_argument("--claude", help="the Claude Code CLI (default: claude in PATH)")
    parser.add_argument("--bin", type=Path, default=BINARIES, help="where the programs are (build/release/bin)")
    parser.add_argument("--model", default="haiku", help="where the example names none (default: haiku)")
    parser.add_argument("--log-dir", type=Path, help="keep the transcripts here (default: they go at the end)")
    if more:
        more(parser)
    settings = parser.parse_args()
    settings.bin = settings.bin.resolve()
    settings.claude = str(settings.bin / "mock-claude") if settings.mock else settings.claude or shutil.which("claude")
    if not (settings.bin / "async-worker-manager").is_file():
        parser.error(f"no async-worker-manager in {settings.bin}: build it with scripts/build release, or give --bin")
    if settings.claude is None:
        parser.error("there is no claude in PATH: install Claude Code, give --claude, or try the example with --mock")
    return settings


def run(
    example: Callable[[Fleet], None],
    doc: str,
    more_flags: Callable[[argparse.ArgumentParser], Any] | None = None,
    ask_user: Callable[[dict, argparse.Namespace], dict] | None = None,
) -> None:
    """The frame of every example: reads the flags, runs it, and ends the program with 1 when something failed."""
    settings = read_settings(doc, more_flags)
    try:
        with Fleet(settings, ask_user and (lambda form: ask_user(form, settings))) as fleet:
            example(fleet)
    except Problem as problem:
        sys.exit(f"\n{problem}")
