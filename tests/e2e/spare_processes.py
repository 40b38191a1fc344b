"""Spares of a running server, as a test sees them from outside."""
import asyncio
import json
from pathlib import Path

from world import marked


def sessions(world):
    """The sessions of the CLI processes that run, by pid."""
    found = {}
    for pid, command in marked(world.root):
        words = command.split()
        if "--session-id" in words:
            found[pid] = words[words.index("--session-id") + 1]
    return found


async def ready(manager, logs, count):
    """Waits until so many spares are ready."""
    path = Path(logs) / "current-session.json"
    while not path.exists() or json.loads(path.read_text()).get("spares") != {"ready": count, "starting": 0}:
        await manager.call("list_workers", {})
        await asyncio.sleep(0.02)  # nothing depends on it: it leaves the machine to the CLI that starts
