"""However the server ends, its workers and the tools that they run end with it."""
import asyncio
import json
import os
import select
import signal
from pathlib import Path

import pytest

from world import leftovers, marked


# Only bounds how long a broken test hangs.
START_TIMEOUT_S = 90


class Started:
    """A named pipe into which a worker's tool writes its pid: the event that it runs, and who it is."""

    def __init__(self, path):
        os.mkfifo(path)
        # Open for writing too: the end of a writer must not read as the end of the file.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    async def tools(self, count):
        seen = b""
        while seen.count(b"\n") < count:
            readable = await asyncio.to_thread(select.select, [self._descriptor], [], [], START_TIMEOUT_S)
            assert readable[0], f"only {seen.count(10)} of {count} tools started"
            seen += os.read(self._descriptor, 4096)
        os.close(self._descriptor)
        return {int(pid) for pid in seen.split()}


@pytest.mark.parametrize("ending", ["EOF", "SIGINT", "SIGTERM", "SIGKILL"])
async def test_nothing_is_left_when_the_server_ends(world, ending):
    started = Started(world.project / "started")
    prompt = "TOOL Bash " + json.dumps({"command": "echo $$ > started; tail -f /dev/null"})
    async with world.manager() as manager:
        spawned = [await manager.spawn(prompt, allowed_tools=["Bash"]) for _ in range(2)]
        assert await started.tools(2) <= {pid for pid, _ in marked(world.root)}
        if ending == "EOF":
            manager.server.end_stdin()
        else:
            await manager.server.signal(getattr(signal, ending))
        await manager.server.exited()
        assert not await asyncio.to_thread(leftovers, world.root)

    for worker in spawned:
        path = Path(worker["conversation_history_file_path"])
        if ending != "SIGKILL" or path.exists():
            assert json.loads(path.read_text())["worker_id"] == worker["worker_id"]
