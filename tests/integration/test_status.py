"""logs/current-session.json: what any tool may read while the server runs."""

import asyncio
import json

from harness import Arena, async_test, finish, spawn

KEYS = {"id", "type", "description", "status", "started", "ended", "cost_usd", "activity"}


def status(arena: Arena) -> dict:
    return json.loads((arena.logs / "current-session.json").read_text())


def states(arena: Arena) -> dict[str, str]:
    return {agent["id"]: agent["status"] for agent in status(arena)["agents"]}


async def becomes(server, arena: Arena, wanted: dict[str, str]) -> None:
    """It is written at most some times a second; every read in between is valid too."""
    while states(arena) != wanted:
        await server.call("list_workers")


@async_test
async def test_it_tells_what_every_worker_does(arena):
    gate, bell = arena.gate(), arena.bell()
    async with arena.session("--max-workers", "2") as server:
        one = (await finish(server, "MOCK cost 0.5\nMOCK say one", description="the first"))["worker_id"]
        second = {"description": "the second", "prompt": f"{bell}\n{gate}\nMOCK say two", "agent_type": "Explore"}
        busy = (await server.call("spawn_worker", second))["worker_id"]
        asking = (await spawn(server, 'MOCK permission Bash {"command":"echo a"}'))["worker_id"]
        await bell.rings()
        assert len((await server.call("wait"))["pending_permissions"]) == 1
        queued = (await spawn(server, "MOCK say queued"))["worker_id"]
        now = {one: "completed", busy: "running", asking: "awaiting_permission", queued: "queued"}
        await becomes(server, arena, now)
        found = status(arena)
        agents = {agent["id"]: agent for agent in found["agents"]}
        assert all(KEYS <= set(agent) for agent in agents.values())
        assert agents[one]["description"] == "the first" and agents[one]["cost_usd"] == 0.5
        assert agents[busy]["type"] == "Explore" and agents[busy]["ended"] is None
        assert agents[asking]["pending_requests"] == 1 and agents[queued]["queue_position"] == 1
        assert found["session_id"] and found["cost_usd"] >= 0.5
        gate.open()
        await server.call("cancel_worker", {"worker_id": asking})
        await server.call("wait")
        await becomes(server, arena, {**dict.fromkeys(now, "completed"), asking: "cancelled"})


@async_test
async def test_every_read_is_valid_while_workers_come_and_go(arena):
    reads = 0
    async with arena.session("--max-workers", "20") as server:
        await finish(server, "MOCK say first")
        session = status(arena)["session_id"]
        calls = [server.start_call("spawn_worker", {"description": f"w{n}", "prompt": "MOCK lines 50 200"}) for n in range(100)]
        waiting = server.start_call("wait")
        while not waiting.done:
            assert status(arena)["session_id"] == session
            reads += 1
            await asyncio.sleep(0)
        for call in calls:
            await call
    assert reads > 0
    assert len(states(arena)) == 101


@async_test
async def test_what_stands_there_at_the_end_is_final(arena):
    bell = arena.bell()
    async with arena.session("--max-workers", "1") as server:
        done = (await finish(server, "MOCK say done"))["worker_id"]
        running = (await spawn(server, f"{bell}\nMOCK hang"))["worker_id"]
        await bell.rings()
        queued = (await spawn(server, "MOCK say never"))["worker_id"]
    assert states(arena) == {done: "completed", running: "interrupted", queued: "interrupted"}


@async_test
async def test_a_server_that_starts_nothing_writes_none(arena):
    async with arena.session() as server:
        await server.call("list_workers")
    assert not (arena.logs / "current-session.json").exists()
