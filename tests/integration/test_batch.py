"""Many workers, one wait."""

import asyncio
import json
import re

import pytest
from harness import async_test, collect, finish, spawn, transcript

UUID4 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
NOTHING = {"queued": 0, "running": 0, "awaiting_permission": 0}


def ids(entries) -> set[str]:
    return {entry["worker_id"] for entry in entries}


@async_test
async def test_one_wait_delivers_a_whole_batch(arena):
    async with arena.session() as server:
        spawned = [await spawn(server, f"MOCK say answer {n}", f"count to {n}") for n in range(5)]
        done = await server.call("wait")
        assert (done["failed"], done["pending_permissions"], done["outstanding"]) == ([], [], NOTHING)
        assert ids(done["completed"]) == {s["worker_id"] for s in spawned} and len(done["completed"]) == 5
        by_id = {entry["worker_id"]: entry for entry in done["completed"]}
        for n, one in enumerate(spawned):
            entry = by_id[one["worker_id"]]
            assert UUID4.match(one["worker_id"]) and UUID4.match(entry["claude_session_id"])
            assert entry["description"] == f"count to {n}"
            assert entry["turn"] == 1 and entry["num_turns"] == 1 and entry["duration_ms"] >= 0
            assert entry["result_preview"] == f"answer {n}" == transcript(entry)["result"]
            assert entry["cost_usd"] == entry["total_cost_usd"] > 0
            assert entry["conversation_history_file_path"] == one["conversation_history_file_path"]


@async_test
async def test_a_result_is_structured_and_the_same_as_text(arena):
    async with arena.session() as server:
        spawned = await spawn(server, "MOCK say hello")
        assert json.loads(spawned.text) == spawned.structured
        done = await server.call("wait")
        assert json.loads(done.text) == done.structured


@async_test
async def test_workers_can_run_one_after_another(arena):
    async with arena.session() as server:
        for n in range(3):
            entry = await finish(server, f"MOCK say {n}")
            assert entry["result_preview"] == str(n)


@async_test
async def test_wait_delivers_what_finished_before_it_was_called(arena):
    bell = arena.bell()
    async with arena.session() as server:
        # The worker's stdin ends only after its result was read: when the bell rings, the turn is over.
        spawned = await spawn(server, f"MOCK say early\nMOCK result\nMOCK eof\n{bell}")
        await bell.rings()
        done = await server.call("wait")
        assert ids(done["completed"]) == {spawned["worker_id"]}


@async_test
async def test_wait_without_anything_to_wait_for_is_an_error_and_a_turn_is_delivered_once(arena):
    async with arena.session() as server:
        assert "No active workers to wait for" in await server.call_error("wait")
        await finish(server, "MOCK say once")
        assert "No active workers to wait for" in await server.call_error("wait")


@async_test
async def test_wait_blocks_until_the_last_worker_has_finished(arena):
    gate = arena.gate()
    async with arena.session() as server:
        quick = await spawn(server, "MOCK say quick")
        slow = await spawn(server, f"{gate}\nMOCK say slow")
        waiting = server.start_call("wait")
        await waiting.progress_until(lambda p: p["progress"] == 1)
        await server.request("ping")
        assert not waiting.done
        gate.open()
        assert ids((await waiting)["completed"]) == {quick["worker_id"], slow["worker_id"]}


@async_test
async def test_one_failed_worker_hides_no_other(arena):
    async with arena.session() as server:
        good = [await spawn(server, "MOCK say fine") for _ in range(3)]
        bad = [await spawn(server, "MOCK crash"), await spawn(server, "MOCK error 400")]
        done = await server.call("wait")
        assert ids(done["completed"]) == {s["worker_id"] for s in good}
        assert ids(done["failed"]) == {s["worker_id"] for s in bad}


@async_test
async def test_progress_counts_every_worker_in_words(arena):
    gates = [arena.gate(f"gate{n}") for n in range(3)]
    async with arena.session("--max-workers", "2") as server:
        for gate in gates:
            await spawn(server, f"{gate}\nMOCK say x")
        waiting = server.start_call("wait")
        first = await waiting.progress_until(lambda p: True)
        assert (first["message"], first["total"]) == ("0 of 3 finished; 2 running, 1 queued, 0 awaiting permission", 3)
        gates[0].open()
        await waiting.progress_until(lambda p: p["message"] == "1 of 3 finished; 2 running, 0 queued, 0 awaiting permission")
        gates[1].open()
        await waiting.progress_until(lambda p: p["message"] == "2 of 3 finished; 1 running, 0 queued, 0 awaiting permission")
        gates[2].open()
        assert len((await waiting)["completed"]) == 3
        steps = [p["progress"] for p in waiting.progress]
        assert steps == sorted(steps)


@async_test
async def test_without_a_token_there_is_no_progress(arena):
    gate = arena.gate()
    async with arena.session() as server:
        await spawn(server, "MOCK say x")
        await spawn(server, f"{gate}\nMOCK say y")
        waiting = server.start_call("wait", progress=False)
        await server.request("ping")
        gate.open()
        await waiting
        assert waiting.progress == []


@async_test
async def test_a_wait_in_flight_blocks_nothing(arena):
    gate = arena.gate()
    async with arena.session() as server:
        await spawn(server, f"{gate}\nMOCK say x")
        waiting = server.start_call("wait")
        assert await server.request("ping") == {}
        assert len(await server.list_tools()) == 8
        second = await spawn(server, "MOCK say second")
        assert not waiting.done
        gate.open()
        assert second["worker_id"] in ids((await waiting)["completed"])


@async_test
async def test_a_cancelled_wait_is_not_answered_and_loses_nothing(arena):
    gate = arena.gate()
    async with arena.session() as server:
        first = await spawn(server, "MOCK say first")
        second = await spawn(server, f"{gate}\nMOCK say second")
        waiting = server.start_call("wait")
        await waiting.progress_until(lambda p: p["progress"] == 1)
        await waiting.cancel()
        await server.request("ping")  # the server knows of the cancellation; what it said before is read by now
        crossed = list(waiting.late)
        gate.open()
        done = await server.call("wait")
        assert ids(done["completed"]) == {first["worker_id"], second["worker_id"]}
        assert waiting.late == crossed and not any("result" in message for message in crossed)


@async_test
async def test_several_waits_share_the_same_truth(arena):
    gate = arena.gate()
    async with arena.session() as server:
        everyone = {(await spawn(server, f"{gate}\nMOCK say {n}"))["worker_id"] for n in range(4)}
        waits = [server.start_call("wait") for _ in range(3)]
        for waiting in waits:
            await waiting.progress_until(lambda p: True)
        gate.open()
        answers = [await waiting for waiting in waits]
        delivered = [entry["worker_id"] for answer in answers for entry in answer["completed"]]
        assert sorted(delivered) == sorted(everyone), "each turn is delivered by one of them"
        for answer in answers:
            assert ids(answer["completed"]) | set(answer.structured.get("delivered_elsewhere", [])) == everyone


@async_test
async def test_no_more_than_max_workers_run_and_the_rest_is_queued_in_order(arena):
    gate, bell = arena.gate(), arena.bell()
    async with arena.session("--max-workers", "3") as server:
        spawned = [await spawn(server, f"{bell}\n{gate}\nMOCK say {n}") for n in range(9)]
        running = await bell.rings(3)
        assert (await server.call("list_workers"))["counts"] == {"running": 3, "queued": 6}
        assert sorted(set(arena.processes()) - {server.pid}) == sorted(running)
        gate.open()
        done = await server.call("wait")
        turns = [transcript(s)["turns"][0] for s in spawned]
        assert len(done["completed"]) == 9
        assert [t["started_at"] for t in turns] == sorted(t["started_at"] for t in turns)


@async_test
async def test_three_hundred_workers_run_at_once(arena):
    gate, bell = arena.gate(), arena.bell()
    async with arena.session("--max-workers", "300") as server:
        calls = [server.start_call("spawn_worker", {"description": "one of many", "prompt": f"{bell}\n{gate}\nMOCK say {n}"}) for n in range(300)]
        spawned = [await call for call in calls]
        # Some are queued at first: only about as many as there are cores start at the same time.
        assert len(set(await bell.rings(300))) == 300, "all of them at the same time"
        gate.open()
        completed = (await collect(server))["completed"]
        assert len(completed) == 300 and ids(completed) == {s["worker_id"] for s in spawned}
        assert {transcript(e)["result"] for e in completed} == {str(n) for n in range(300)}


@pytest.mark.parametrize("places", ["1", "8"])
@async_test
async def test_three_hundred_workers_pass_through_few_places(arena, places):
    async with arena.session("--max-workers", places) as server:
        calls = [server.start_call("spawn_worker", {"description": "one of many", "prompt": f"MOCK lines 3 200\nMOCK say {n}"}) for n in range(300)]
        spawned = [await call for call in calls]
        completed = (await collect(server))["completed"]
        assert len(completed) == 300 and ids(completed) == {s["worker_id"] for s in spawned}
        results = {transcript(s)["result"] for s in spawned}
        assert results == {str(n) for n in range(300)}


@async_test
async def test_spawns_that_come_together_get_ids_of_their_own(arena):
    async with arena.session() as server:
        spawned = await asyncio.gather(*(spawn(server, "MOCK say x") for _ in range(20)))
        assert len({s["worker_id"] for s in spawned}) == 20
        assert len((await server.call("wait"))["completed"]) == 20


@async_test
async def test_a_wait_that_is_cancelled_when_it_was_just_answered_delivers_again(arena):
    async with arena.session() as server:
        spawned = await spawn(server, "MOCK say hello")
        waiting = server.start_call("wait")
        await waiting
        await waiting.cancel()  # crosses the answer, which a client throws away then
        done = await server.call("wait")
        assert ids(done["completed"]) == {spawned["worker_id"]}
        assert "nothing" in (await server.call_error("wait")).lower()
