"""What the integration tests stand on: an arena of its own for every test (HOME, working directory, log folder, a mark by
which its processes are found again), and two ways to order events between processes without sleeping.

    @async_test
    async def test_something(arena):
        async with arena.session("--max-workers", "3") as server:      # the real server, initialised, with mock workers
            spawned = await spawn(server, "MOCK say hello")
            done = await server.call("wait")
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import select
import signal
import sys
import uuid
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Coroutine, Mapping

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from mcp_client import GUARD, McpServer, ToolResult, guarded, run  # noqa: E402

BIN = Path(os.environ.get("AWM_BIN_DIR", Path(__file__).parents[2] / "build" / "release" / "bin"))
SERVER = str(BIN / "async-worker-manager")
MOCK_CLAUDE = str(BIN / "mock-claude")
MARK = "AWM_TEST_MARK"
LEFTOVER_GUARD = 60.0  # seconds in which what is dying has to be gone
LONGEST_ANSWER = 40_000  # characters; the client cuts what is much longer
OLDER, NEWER = "2.1.197", "2.1.329"


def async_test(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Lets pytest run a coroutine function as a test."""

    @functools.wraps(test)
    def sync(*args: Any, **fixtures: Any) -> None:
        run(test(*args, **fixtures))

    return sync


class Arena:
    """A test's own corner of the machine."""

    def __init__(self, root: Path):
        self.root = root
        self.home = root / "home"
        self.cwd = root / "work"
        self.logs = root / "logs"
        self.mark = str(uuid.uuid4())
        self.home.mkdir()
        self.cwd.mkdir()
        self._open: list[Any] = []

    def server(self, *flags: str, env: Mapping[str, str | None] | None = None, standard: bool = True) -> McpServer:
        """A server, not yet started. `standard`: with the mock as its CLI and the arena's log folder."""
        command = [SERVER]
        if standard:
            command += ["--claude", MOCK_CLAUDE, "--log-dir", str(self.logs)]
        # Cold, so that a worker's process ends with its turn; tests of warm ones say so.
        settings = {MARK: self.mark, "AWM_KEEP_WARM": "0"}
        return McpServer([*command, *flags], home=self.home, cwd=self.cwd, env={**settings, **(env or {})})

    @contextlib.asynccontextmanager
    async def session(self, *flags: str, stateless: Mapping | None = None, **how: Any) -> AsyncIterator[McpServer]:
        """A server that is initialised, or with `stateless`, the client's capabilities, spoken to in MCP 2026-07-28.
        At the end it is closed as by a client that is done, if it still runs."""
        async with self.server(*flags, **how) as server:
            await (server.initialize() if stateless is None else server.discover(stateless))
            yield server
            if server.returncode is None:
                code = await server.close()
                assert code == 0, f"exit code {code}; its stderr ends with:\n{server.stderr[-2000:]}"
            assert server.noise == [], "only MCP belongs on stdout"
            assert server.stray == []

    def gate(self, name: str = "gate") -> "Gate":
        self._open.append(gate := Gate(self.root / name))
        return gate

    def bell(self, name: str = "bell") -> "Bell":
        self._open.append(bell := Bell(self.root / name))
        return bell

    def processes(self) -> list[int]:
        """Every living process that carries the mark in its environment."""
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                        found.append(int(entry))
        return found

    def close(self) -> None:
        """Fails when a process is left; ends it then."""
        for one in self._open:
            one.close()
        left = [pid for pid in self.processes() if not ends_soon(pid)]
        names = [describe_process(pid) for pid in left]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert not names, f"processes are left: {names}"


def ends_soon(pid: int) -> bool:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(LEFTOVER_GUARD * 1000))
    finally:
        os.close(pidfd)


def describe_process(pid: int) -> str:
    with contextlib.suppress(OSError):
        return f"{pid} " + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    return str(pid)


class Gate:
    """Holds any number of workers at `MOCK wait-file <path>` until it is opened. Those that come later pass."""

    def __init__(self, path: Path):
        self.path = path
        os.mkfifo(path)
        self._fd: int | None = os.open(path, os.O_RDWR)

    def __str__(self) -> str:
        return f"MOCK wait-file {self.path}"

    def open(self) -> None:
        if self._fd is None:
            return
        plain = self.path.with_suffix(".open")
        plain.touch()
        os.rename(plain, self.path)  # first the file for those to come, then the release of those that wait
        os.close(self._fd)
        self._fd = None

    close = open


class Bell:
    """Tells when workers have come to `MOCK touch <path>`."""

    def __init__(self, path: Path):
        self.path = path
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._rung: list[int] = []

    def __str__(self) -> str:
        return f"MOCK touch {self.path}"

    async def rings(self, times: int = 1) -> list[int]:
        """Waits until it was rung so many times more; returns the pids of those who rang."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._fd, readable.set)

        async def wait() -> list[int]:
            while len(self._rung) < times:
                await readable.wait()
                readable.clear()
                with contextlib.suppress(BlockingIOError):
                    while data := os.read(self._fd, 65536):
                        self._rung += [int(pid) for pid in data.split()]
            rung, self._rung = self._rung[:times], self._rung[times:]
            return rung

        try:
            return await guarded(wait(), f"{times} rings of {self.path.name}")
        finally:
            loop.remove_reader(self._fd)

    def close(self) -> None:
        os.close(self._fd)


async def spawn(server: McpServer, script: str, description: str = "a test worker", **options: Any) -> ToolResult:
    arguments: dict[str, Any] = {"description": description, "prompt": script}
    if options:
        arguments["options"] = options
    return await server.call("spawn_worker", arguments)


async def resume(server: McpServer, worker_id: str, script: str, **options: Any) -> ToolResult:
    arguments: dict[str, Any] = {"worker_id": worker_id, "prompt": script}
    if options:
        arguments["options"] = options
    return await server.call("resume_worker", arguments)


async def approve(server: McpServer, request_id: str, allow: bool = True, **more: Any) -> ToolResult:
    return await server.call("approve_permission", {"request_id": request_id, "allow": allow, **more})


async def finish(server: McpServer, script: str, **how: Any) -> dict:
    """Runs one worker that is to complete; returns its entry of `wait`."""
    spawned = await spawn(server, script, **how)
    done = await server.call("wait")
    assert done["failed"] == [] and len(done["completed"]) == 1, done
    assert done["completed"][0]["worker_id"] == spawned["worker_id"]
    return done["completed"][0]


async def fail(server: McpServer, script: str, **how: Any) -> dict:
    """Runs one worker that is to fail; returns its entry of `wait`."""
    spawned = await spawn(server, script, **how)
    done = await server.call("wait")
    assert done["completed"] == [] and len(done["failed"]) == 1, done
    assert done["failed"][0]["worker_id"] == spawned["worker_id"]
    return done["failed"][0]


async def collect(server: McpServer, **arguments: Any) -> dict[str, list[dict]]:
    """Waits until everything is delivered, in as many answers as it takes."""
    found: dict[str, list[dict]] = {"completed": [], "failed": [], "cancelled": []}
    while True:
        done = await server.call("wait", arguments)
        assert len(done.text) < LONGEST_ANSWER
        assert done["pending_permissions"] == [], done
        for kind, entries in found.items():
            entries += done.structured.get(kind, [])
        if "more" not in done.structured:
            return found


async def what_the_worker_got(server: McpServer, **options: Any) -> dict:
    """What a worker started with these options was given: `MOCK echo-options`."""
    done = await finish(server, "MOCK echo-options", **options)
    return json.loads(transcript(done)["result"])


def transcript(entry: Mapping[str, Any] | ToolResult) -> dict:
    """The transcript that an entry of `wait`, or a spawn result, points to. Fails when it is not valid JSON."""
    path = Path(entry["conversation_history_file_path"])
    assert path.is_absolute()
    return json.loads(path.read_text())


def texts(record: Mapping[str, Any], role: str = "assistant") -> list[str]:
    """The text blocks of a transcript's messages."""
    found: list[str] = []
    for message in record["messages"]:
        if message["role"] == role:
            content = message["content"]
            if isinstance(content, str):
                found.append(content)
            else:
                found += [block["text"] for block in content if block.get("type") == "text"]
    return found


def option_values(argv: list[str], name: str) -> list[str]:
    """The words that follow an option, up to the next one."""
    values: list[str] = []
    for i, word in enumerate(argv):
        if word == name:
            for value in argv[i + 1 :]:
                if value.startswith("--"):
                    break
                values.append(value)
    return values


__all__ = [name for name in dir() if not name.startswith("_")]
