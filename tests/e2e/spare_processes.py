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


async def ready(world, manager, logs, count, but=()):
    """Waits until so many spares are ready. Returns their sessions, among which are none of `but`: those that are known
    already, since the status file says for a moment still that a spare is ready which was taken."""
    path = Path(logs) / "current-session.json"
    while True:
        status = json.loads(path.read_text()) if path.exists() else {}
        found = set(sessions(world).values()) - set(but)
        if status.get("spares") == {"ready": count, "starting": 0} and len(found) == count:
            return found
        await manager.call("list_workers", {})
        await asyncio.sleep(0.02)  # nothing depends on it: it leaves the machine to the CLI that starts
