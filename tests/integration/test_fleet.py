"""Five hundred workers that finish in any order, waits that are given up, a server that is killed: no result is lost and
none is delivered twice."""

import random
from collections import Counter

from harness import async_test, collect, resume, transcript

WORKERS = 500
GATES = 25


@async_test
async def test_nothing_is_lost_and_nothing_told_twice_when_the_server_is_killed(arena):
    chance = random.Random(7)
    gates = [arena.gate(f"gate{n}") for n in range(GATES)]
    delivered: Counter = Counter()
    told: dict[str, dict] = {}

    def take(done) -> None:
        for kind in ("completed", "failed", "cancelled"):
            for entry in done.get(kind, []):
                delivered[(entry["worker_id"], entry["turn"])] += 1
                told[entry["worker_id"]] = entry

    order = list(range(GATES))
    chance.shuffle(order)
    async with arena.session("--max-workers", "150") as server:
        calls = []
        for n in range(WORKERS):
            prompt = f"{gates[n % GATES]}\nMOCK say answer {n}"
            calls.append(server.start_call("spawn_worker", {"description": f"number {n}", "prompt": prompt}))
        spawned = {(await call)["worker_id"]: n for n, call in enumerate(calls)}
        for step, opened in enumerate(order[: GATES // 2]):
            waiting = server.start_call("wait", {"mode": "any"} if step % 3 == 1 else {})
            gates[opened].open()
            if step % 3 == 1:
                take((await waiting).structured)
            else:
                await waiting.cancel()
                await server.request("ping")
                for late in waiting.late:
                    assert "result" not in late
            if step % 4 == 0:
                take((await server.call("wait", {"timeout_s": 0})).structured)
        await server.request("ping")  # what was delivered is noted by now
        before = dict(delivered)
        await server.kill()
    for gate in gates:
        gate.open()

    async with arena.session("--max-workers", "150") as server:
        again = await collect(server)
        take(again)
        assert set(again) and all(entry["state"] == "interrupted" for entry in again["failed"])
        assert {worker for worker, _ in delivered} == set(spawned), "nothing is lost"
        assert set(delivered.values()) == {1}, "nothing is told twice"
        assert 0 < len(before) < WORKERS
        records = {worker: transcript(entry) for worker, entry in told.items()}
        finished = [worker for worker, record in records.items() if record["state"] == "completed"]
        interrupted = [worker for worker, record in records.items() if record["state"] == "interrupted"]
        assert len(finished) + len(interrupted) == WORKERS and interrupted
        assert sorted(finished) == sorted(w for w, entry in told.items() if "returncode" not in entry)
        for worker in finished:
            assert records[worker]["result"] == f"answer {spawned[worker]}"
        assert "No active workers" in await server.call_error("wait")

        some = chance.sample(interrupted, 20)
        for worker in some:
            await resume(server, worker, "MOCK say resumed")
        rest = await collect(server)
        assert rest["failed"] == []
        assert {entry["worker_id"] for entry in rest["completed"]} == set(some)
