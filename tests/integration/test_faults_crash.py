"""A server that is killed at random moments of a run with a hundred workers, and started again in the same folder: no turn
is lost, none is told twice but where the kill came between the answer and the note of it, no message that was on disk goes
away, and no process stays, tools in sessions of their own included."""

import asyncio
import os
import random
import signal
from collections import Counter, defaultdict
from pathlib import Path

from harness import SERVER, async_test, describe_process, ends_soon, spawn, texts, transcript
from mcp_client import ServerGone, ToolError
from test_shutdown import messages_in

WORKERS = 100
IS_SLOW = b"__asan_init" in Path(SERVER).read_bytes()
KILLS = 25 if IS_SLOW else 200
# A worker that ignores SIGINT costs the next server two seconds of patience.
STUBBORN_EVERY = 40
LOOKED_AT = 8  # transcripts compared over a kill; all of them at the end


class Run:
    """What the client knows: what it asked for, and what it was told."""

    def __init__(self, arena, dice: random.Random):
        self.arena = arena
        self.dice = dice
        self.bell = arena.bell()
        self.prompts: dict[str, list[str]] = defaultdict(list)  # accepted, by worker
        self.told: Counter = Counter()
        self.told_in: dict[tuple[str, int], int] = {}
        self.repeated = 0
        self.idle: set[str] = set()
        self.count = 0

    def script(self, round_: int) -> str:
        kind = self.dice.randrange(10)
        head = ""
        if kind == 0:
            head = "MOCK grandchild setsid\n"
        elif kind == 1 and round_ % STUBBORN_EVERY == 1:
            head = "MOCK ignore-signals\nMOCK deaf\nMOCK grandchild setsid\n"
        elif kind == 2:
            head = "MOCK think hm\n"
        self.count += 1
        return f"{head}MOCK say {self.count} begins\n{self.bell}\nMOCK lines 3 200\n{self.bell}\nMOCK say {self.count} ends"

    def take(self, done, round_: int) -> None:
        for kind in ("completed", "failed", "cancelled"):
            for entry in done.structured.get(kind, []):
                key = (entry["worker_id"], entry["turn"])
                self.told[key] += 1
                if self.told[key] > 1:
                    # The kill came between the answer and the note of it. Not every server after it lives long enough to tell.
                    assert self.told_in[key] < round_, f"{key} is told again by the same server"
                    self.repeated += 1
                self.told_in[key] = round_
                self.idle.add(entry["worker_id"])

    async def collect(self, server, round_: int) -> None:
        """What earlier servers left."""
        while True:
            done = await server.start_call("wait", {"timeout_s": 0})
            if done.is_error:
                assert "No active workers" in done.text, done.text
                return
            self.take(done, round_)
            if "more" not in done.structured:
                return

    async def start_all(self, server, round_: int) -> None:
        for worker_id in self.dice.sample(sorted(self.idle), len(self.idle)):
            script = self.script(round_)
            answer = await server.start_call("resume_worker", {"worker_id": worker_id, "prompt": script})
            assert not answer.is_error, answer.text
            self.idle.discard(worker_id)
            self.prompts[worker_id].append(script)
        while len(self.prompts) < WORKERS:
            script = self.script(round_)
            self.prompts[(await spawn(server, script))["worker_id"]].append(script)

    def kept(self, worker_id: str) -> list[str]:
        """The worker's texts that are on disk at this instant."""
        path = self.arena.logs / f"worker-{worker_id}.json"
        record = transcript({"conversation_history_file_path": path})
        part = path.with_suffix(".part")
        try:
            running = texts({"messages": messages_in(part.read_bytes())})
        except FileNotFoundError:
            running = []
        return max(texts(record), running, key=len)  # a part begins with a copy of the turns before

    async def waits(self, server, round_: int) -> None:
        """As a lead does: again and again, until the server dies."""
        while True:
            answer = await server.start_call("wait", {"mode": "any"})
            if answer.is_error:
                return  # everything is told
            self.take(answer, round_)


async def kill(server) -> None:
    """The kill, and then everything that the server had written by then."""
    os.kill(server.pid, signal.SIGKILL)
    await server.exited()
    await asyncio.wait([server._reading])


@async_test
async def test_nothing_is_lost_and_nothing_left_running_when_the_server_is_killed_again_and_again(arena):
    seed = int(os.environ.get("AWM_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"AWM_SEED={seed}")
    dice = random.Random(seed)
    run = Run(arena, dice)
    left: list[int] = []
    before: dict[str, list[str]] = {}
    for round_ in range(KILLS):
        async with arena.server("--max-workers", str(WORKERS), "--log-level", "warn") as server:
            await server.initialize()
            moment = dice.randrange(4)
            starting = asyncio.create_task(life(run, server, round_))
            # The first life is long enough for all workers to come to be.
            rings = WORKERS * 2 if round_ == 0 else dice.randint(1, WORKERS) if moment else 0
            ringing = asyncio.create_task(run.bell.rings(rings))
            # Some workers may not ring any more: then it is over when all is told.
            await asyncio.wait([ringing, starting], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(dice.random() * 0.02)
            assert all(ends_soon(pid) for pid in left), f"left by the server before: {[describe_process(p) for p in left]}"
            for worker_id, had in before.items():
                now = run.kept(worker_id)
                assert now[: len(had)] == had, f"messages of {worker_id} went away"
            await kill(server)
            ringing.cancel()
            await asyncio.gather(ringing, return_exceptions=True)
            try:
                await starting
            except ServerGone:
                pass
            left = [pid for pid in arena.processes() if pid != server.pid]
            known = sorted(run.prompts)
            before = {worker_id: run.kept(worker_id) for worker_id in dice.sample(known, min(LOOKED_AT, len(known)))}
    await at_last(run, left)


async def life(run: Run, server, round_: int) -> None:
    await run.collect(server, round_)
    await run.start_all(server, round_)
    await run.waits(server, round_)


async def at_last(run: Run, left: list[int]) -> None:
    """One more server, which nobody kills: everything that was ever accepted is told, done, and on disk."""
    arena = run.arena
    async with arena.session("--max-workers", str(WORKERS)) as server:
        await run.collect(server, KILLS)
        assert all(ends_soon(pid) for pid in left)
        # A call that was not answered before the kill may have been accepted.
        listed = (await server.call("list_workers", {"state": ["interrupted", "completed", "failed", "queued", "running"]})).structured
        assert sum(listed["counts"].values()) >= len(run.prompts) == WORKERS
        for worker_id in sorted(run.prompts):
            try:
                await server.call("resume_worker", {"worker_id": worker_id, "prompt": "MOCK say the end"})
            except ToolError as refused:
                raise AssertionError(f"{worker_id} is lost: {refused}") from refused
        ends: list[dict] = []
        while len(ends) < len(run.prompts):
            done = await server.call("wait")
            assert done["failed"] == [], done["failed"]
            ends += done["completed"]
    for entry in ends:
        record = transcript(entry)
        told = {turn for worker_id, turn in run.told if worker_id == entry["worker_id"]}
        assert told >= set(range(1, len(record["turns"]))), "a turn that nobody was told of"
        prompts = [turn["prompt"] for turn in record["turns"]]
        for script in run.prompts[entry["worker_id"]]:
            assert any(script in prompt for prompt in prompts), f"a prompt that was accepted is gone: {script}"
        said = texts(record)
        assert said[-1] == "the end"
        for turn in record["turns"]:
            if turn["state"] == "completed":
                assert turn["result"] in said
        assert len(said) == len(set(said)) or not repeated_text(said), "a message stands there twice"
    names = sorted(path.name for path in arena.logs.iterdir())
    assert [n for n in names if n.endswith((".part", ".tmp", ".mcp.json")) or n.startswith(".manager-")] == []
    print(f"{KILLS} kills, {len(run.prompts)} workers, {run.count} prompts, {sum(run.told.values())} told, {run.repeated} told twice")


def repeated_text(said: list[str]) -> list[str]:
    """Texts of a script that stand there more than once, but for what a turn that began anew says again."""
    counts = Counter(text for text in said if text.endswith((" begins", " ends")))
    return [text for text, count in counts.items() if count > 2]
