"""Tests that run beside each other in one server, as the workers of a user do.

A worker of the real CLI costs a second of CPU, and most of what a test does with it is to wait: so the stories of a
file are all told at once, and each test then asks how its own one ended. A story is an async function of a `Stage`:

    @story
    async def test_something(stage):
        worker = await stage.spawn("SAY hello")
        entry, = await stage.finish(worker)

Each has its own folder for its workers, its own script and record at the stand-in, and its own mark by which its
processes are found. What would disturb others (questions to the model, rate limits, budgets) runs in a server of its
own: `stage.server(...)`.
"""
import asyncio
import contextlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from world import leftovers, marked

# A thread for each story that waits for something outside of the event loop.
THREADS = 64


def story(tell):
    """Makes a test of a story."""
    def test(told):
        told(tell)

    test.__name__, test.__doc__, test.story = tell.__name__, tell.__doc__, tell
    return test


def tell(world, stories):
    """Tells them all at once. Returns, for each, the exception that ended it, or None."""
    return asyncio.run(_tell(world, list(dict.fromkeys(stories))))


async def _tell(world, stories):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    # A warm child of one story would be driven out by another's.
    async with world.manager("--keep-warm", "0") as manager:
        stages = [Stage(world, manager, one.__name__.removeprefix("test_")) for one in stories]
        ends = await asyncio.gather(*(one(stage) for one, stage in zip(stories, stages)), return_exceptions=True)
    return dict(zip(stories, ends))


class Stage:
    def __init__(self, world, manager, name):
        self.world, self.manager = world, manager
        self.folder = world.root / "stories" / name
        self.folder.mkdir(parents=True)
        self.logs = self.folder / "logs"
        self.api = world.api.scenario(name)
        self.mark = f"{self.folder}#"

    @contextlib.asynccontextmanager
    async def server(self, *flags, logs=None):
        """A server of the story's own; `stage.manager` in the block."""
        shared = self.manager
        async with self.world.manager(*flags, logs=logs or self.logs) as self.manager:
            try:
                yield self.manager
            finally:
                self.manager = shared

    async def spawn(self, prompt, after=None, **options):
        """Returns the worker's id."""
        options.setdefault("cwd", str(self.folder))
        options["env"] = {"ANTHROPIC_BASE_URL": self.api.base_url, "AWM_STORY": self.mark, **options.get("env", {})}
        arguments = {"description": f"a worker of {self.folder.name}", "prompt": prompt, "options": options}
        if after:
            arguments["after"] = after
        return (await self.manager.call("spawn_worker", arguments))["worker_id"]

    async def resume(self, worker, prompt):
        await self.manager.resume(worker, prompt)

    async def send(self, worker, text, mode):
        """Returns what became of the message."""
        arguments = {"worker_id": worker, "text": text, "mode": mode}
        return (await self.manager.call("send_message", arguments))["outcome"]

    async def finish(self, *workers, turns=None):
        """Waits until so many turns of these workers (by default one each) were delivered. Returns their entries, in
        the order of the workers; each has its `state`."""
        found = []
        while len(found) < (turns or len(workers)):
            answer = await self.manager.wait(worker_ids=list(workers))
            assert not answer["pending_permissions"], answer
            for state in ("completed", "failed", "cancelled"):
                found += [{"state": state, **entry} for entry in answer.get(state, [])]
            self.conflicts = answer.get("conflicts", [])
        return sorted(found, key=lambda entry: (workers.index(entry["worker_id"]), entry["turn"]))

    async def completed(self, worker):
        """Waits for one turn, which must complete. Returns its entry."""
        entry, = await self.finish(worker)
        assert entry["state"] == "completed", entry
        return entry

    async def asked(self, holds):
        """Waits for a request of the story's workers."""
        return await asyncio.to_thread(self.api.wait_for, holds)

    @property
    def requests(self):
        return self.api.conversations

    def processes(self):
        """The processes (pid, command line) of the story's workers that run now."""
        return marked(self.mark)

    async def leftovers(self):
        return await asyncio.to_thread(leftovers, self.mark)

    def decisions(self, worker, logs=None):
        """What the log of permissions says about a worker."""
        path = Path(logs or self.logs) / "permissions.ndjson"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if line["worker_id"] == worker]
