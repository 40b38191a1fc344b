"""However the server ends, its workers and the tools that they run end with it."""
import asyncio
import json
import signal
from pathlib import Path

import pytest

from shells import Started
from world import leftovers, marked


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
