"""What an end-to-end test works in: a folder, a stand-in API, one version of the CLI, and servers started between them.

Everything a test starts inherits the path of the test's folder in its environment. By that mark `leftovers()` finds
every process that the test caused, also those that moved to a session of their own or lost their parent.
"""
import contextlib
import json
import os
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path

# Nothing here is timed: these only bound how long a broken test may hang. A `wait` lasts as long as a whole batch of
# real CLIs, so the client's patience with one answer has to be greater than elsewhere.
os.environ.setdefault("AWM_TEST_GUARD", "180")
EXIT_TIMEOUT_S = 20
CLI_TIMEOUT_S = 180

import claude_cli  # noqa: E402
from mcp_client import McpServer, ToolError  # noqa: E402,F401
from stand_in_api import StandInApi  # noqa: E402


class World:
    def __init__(self, version, claude):
        self.version, self.claude = version, claude
        self.root = Path(tempfile.mkdtemp(prefix="awm-"))
        self.project = self.root / "project"
        self.project.mkdir()
        self.logs = self.root / "logs"
        self.api = StandInApi()
        self.workers = self.api.scenario("workers")
        self.environment = claude_cli.environment(self.root, self.workers.base_url)
        self.home = Path(self.environment["HOME"])

    @property
    def is_197(self):
        return self.version == "2.1.197"

    def command(self, logs):
        return [str(server_binary()), "--claude", str(self.claude), "--log-dir", str(logs)]

    @property
    def server_command(self):
        return self.command(self.logs)

    @contextlib.asynccontextmanager
    async def manager(self, *flags, logs=None, **environment):
        """A running server with an initialized client. Leaving the block ends its stdin and awaits its exit."""
        command, variables = self.command(logs or self.logs) + list(flags), {**self.environment, **environment}
        async with McpServer(command, home=self.home, cwd=self.project, env=variables) as server:
            try:
                await server.initialize()
                yield Manager(server)
                await server.close()
            except BaseException:
                print(server.stderr)
                raise

    def close(self):
        """Clears the test's traces away. Returns what it should not have left, as lines."""
        complaints = list(self.api.failures)
        for pid, command in leftovers(self.root):
            complaints.append(f"left running: {pid} {command}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)
        return complaints


class Manager:
    """The four tools of one server, as calls that raise `ToolError` where the tool says `isError`."""

    def __init__(self, server):
        self.server = server

    async def call(self, name, arguments):
        result = await self.server.call(name, arguments)
        assert json.loads(result.text) == result.structured
        return result.structured

    async def spawn(self, prompt, description="an end-to-end worker", agent_type=None, **options):
        arguments = {"description": description, "prompt": prompt}
        if agent_type is not None:
            arguments["agent_type"] = agent_type
        if options:
            arguments["options"] = options
        return await self.call("spawn_worker", arguments)

    async def resume(self, worker_id, prompt, **options):
        arguments = {"worker_id": worker_id, "prompt": prompt}
        if options:
            arguments["options"] = options
        return await self.call("resume_worker", arguments)

    async def wait(self, **arguments):
        return await self.call("wait", arguments)

    async def approve(self, request_id, allow, **more):
        return await self.call("approve_permission", {"request_id": request_id, "allow": allow, **more})

    async def wait_for_all(self, count):
        """Waits until `count` turns were delivered. Returns them by worker id: (entry, whether it completed)."""
        finished = {}
        while len(finished) < count:
            answer = await self.wait()
            assert not answer["pending_permissions"], answer
            finished.update({entry["worker_id"]: (entry, True) for entry in answer["completed"]})
            finished.update({entry["worker_id"]: (entry, False) for entry in answer["failed"]})
        return finished

    async def wait_for_one(self):
        """Waits for one turn, which must complete. Returns its entry."""
        (entry, completed), = (await self.wait_for_all(1)).values()
        assert completed, entry
        return entry

    async def wait_for_permission(self):
        """Waits until one permission is pending, and returns it."""
        answer = await self.wait()
        assert not answer["failed"], answer
        pending, = answer["pending_permissions"]
        return pending


def transcript(entry):
    """The transcript that an answer of a tool points to."""
    return json.loads(Path(entry["conversation_history_file_path"]).read_text())


def server_binary():
    folder = os.environ.get("AWM_BIN_DIR") or claude_cli.REPOSITORY / "build" / "release" / "bin"
    return Path(folder) / "async-worker-manager"


def marked(root):
    """The processes (pid, command line) whose environment holds the path `root`. A zombie has none."""
    mark, found = os.fsencode(str(root)), []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            if mark in Path(f"/proc/{entry}/environ").read_bytes():
                command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(entry), command.strip()))
        except OSError:
            pass  # it is gone, or it is not ours
    return found


def leftovers(root, timeout=EXIT_TIMEOUT_S):
    """The processes of a test that do not end by themselves within `timeout` seconds; waits on their exit."""
    deadline = time.monotonic() + timeout
    while True:
        found = marked(root)
        if not found or time.monotonic() >= deadline:
            return found
        try:
            descriptor = os.pidfd_open(found[0][0])
        except ProcessLookupError:
            continue
        try:
            select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
        finally:
            os.close(descriptor)
