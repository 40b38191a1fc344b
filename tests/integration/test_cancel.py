"""cancel_worker: what is cancelled ends with all its processes, keeps what it had, and can go on later."""

import json

import pytest
from harness import NEWER, OLDER, Arena, async_test, ends_soon, finish, resume, spawn, texts, transcript

VERSIONS = pytest.mark.parametrize("version", [OLDER, NEWER])


async def cancel(server, worker_id: str, **more):
    return await server.call("cancel_worker", {"worker_id": worker_id, **more})


def others(arena: Arena, server) -> list[int]:
    return [pid for pid in arena.processes() if pid != server.pid]


@VERSIONS
@async_test
async def test_a_running_worker_is_interrupted_keeps_its_transcript_and_can_be_resumed(arena, version):
    bell = arena.bell()
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        one = (await spawn(server, f"MOCK say part one\n{bell}\nMOCK hang"))["worker_id"]
        await bell.rings()
        assert (await cancel(server, one, reason="the plan changed")).structured == {"cancelled": [one]}
        assert others(arena, server) == [], "it returns when the processes are gone"
        done = await server.call("wait")
        assert done["completed"] == [] and done["failed"] == []
        entry = done["cancelled"][0]
        assert entry["worker_id"] == one and "the plan changed" in entry["error_hint"]
        record = transcript(entry)
        assert record["state"] == "cancelled" and record["turns"][0]["state"] == "cancelled"
        assert "part one" in texts(record) and "the plan changed" in record["error"]
        await resume(server, one, "MOCK history")
        again = (await server.call("wait"))["completed"][0]
        assert again["turn"] == 2 and "part one" in json.loads(again["result_preview"])[0]


@async_test
async def test_a_queued_worker_costs_nothing_and_starts_when_resumed(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "1") as server:
        first = (await spawn(server, f"{gate}\nMOCK say first"))["worker_id"]
        queued = (await spawn(server, "MOCK say what I was for"))["worker_id"]
        assert (await cancel(server, queued))["cancelled"] == [queued]
        entry = (await server.call("wait", {"worker_ids": [queued]}))["cancelled"][0]
        assert entry["returncode"] is None and entry["cost_usd"] == 0 and entry["num_turns"] == 0
        gate.open()
        assert [e["worker_id"] for e in (await server.call("wait"))["completed"]] == [first]
        await resume(server, queued, "MOCK say and more")
        again = (await server.call("wait"))["completed"][0]
        assert again["turn"] == 2 and "what I was for" in texts(transcript(again), "user")[-1]
        assert again["result_preview"] == "and more"


@async_test
async def test_one_that_ended_is_left_as_it_is(arena):
    async with arena.session() as server:
        one = (await finish(server, "MOCK say done"))["worker_id"]
        assert (await cancel(server, one)).structured == {"cancelled": [], "not_at_work": [one]}
        assert (await server.call("worker_output", {"worker_id": one}))["state"] == "completed"


@async_test
async def test_a_waiting_lead_is_told(arena):
    bell = arena.bell()
    async with arena.session() as server:
        one = (await spawn(server, f"{bell}\nMOCK hang"))["worker_id"]
        await bell.rings()
        waiting = server.start_call("wait")
        await waiting.progress_until(lambda p: True)
        await cancel(server, one)
        assert [e["worker_id"] for e in (await waiting)["cancelled"]] == [one]


@async_test
async def test_one_that_asks_is_cancelled_and_its_question_is_gone(arena):
    async with arena.session() as server:
        one = (await spawn(server, 'MOCK permission Bash {"command":"echo a"}'))["worker_id"]
        question = (await server.call("wait"))["pending_permissions"][0]
        assert (await cancel(server, one))["cancelled"] == [one]
        done = await server.call("wait")
        assert done["pending_permissions"] == [] and len(done["cancelled"]) == 1
        late = {"request_id": question["request_id"], "allow": True}
        assert "not pending" in await server.call_error("approve_permission", late)


@async_test
async def test_all_ends_the_queue_the_running_and_those_that_resist_with_their_children(arena):
    bell, asked = arena.bell(), arena.bell("asked")
    async with arena.session("--max-workers", "4") as server:
        done = (await finish(server, "MOCK say done"))["worker_id"]
        stubborn = f"MOCK ignore-signals\nMOCK deaf\nMOCK grandchild setsid\nMOCK grandchild\n{bell}\nMOCK hang"
        busy = f'MOCK grandchild setsid\n{bell}\nMOCK hang-tool Bash {{"command":"sleep 1000"}}'
        scripts = [stubborn, stubborn, busy, f"{bell}\nMOCK hang", "MOCK say queued", "MOCK say queued"]
        workers = {(await spawn(server, script))["worker_id"] for script in scripts}
        await bell.rings(4)
        processes = others(arena, server)
        assert len(processes) == 9
        answer = await cancel(server, "all", reason="enough")
        assert set(answer["cancelled"]) == workers and "not_at_work" not in answer.structured
        assert all(ends_soon(pid) for pid in processes) and others(arena, server) == []
        told = (await server.call("wait"))["cancelled"]
        assert {e["worker_id"] for e in told} == workers and len(told) == 6
        for entry in told:
            record = transcript(entry)
            assert record["state"] == "cancelled" and "enough" in record["error"]
        assert "No active workers" in await server.call_error("wait")
        assert (await server.call("worker_output", {"worker_id": done}))["state"] == "completed"
        for worker in workers:
            await resume(server, worker, "MOCK say back again")
        back = (await server.call("wait"))["completed"]
        assert {(e["worker_id"], e["result_preview"]) for e in back} == {(w, "back again") for w in workers}


@async_test
async def test_one_that_still_starts_is_cancelled_too(arena):
    async with arena.session() as server:
        spawned = [server.start_call("spawn_worker", {"description": "x", "prompt": "MOCK hang"}) for _ in range(8)]
        workers = {(await call)["worker_id"] for call in spawned}
        assert set((await cancel(server, "all"))["cancelled"]) == workers
        assert others(arena, server) == []
        assert {e["worker_id"] for e in (await server.call("wait"))["cancelled"]} == workers


@async_test
async def test_a_place_becomes_free_for_the_queue(arena):
    bell = arena.bell()
    async with arena.session("--max-workers", "1") as server:
        one = (await spawn(server, f"{bell}\nMOCK hang"))["worker_id"]
        next_one = (await spawn(server, "MOCK say mine"))["worker_id"]
        await bell.rings()
        await cancel(server, one)
        done = await server.call("wait")
        assert [e["worker_id"] for e in done["completed"]] == [next_one]


@async_test
async def test_a_race_is_won_by_the_first_and_the_losers_are_cancelled(arena):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        winner = (await spawn(server, f"{gate}\nMOCK say first"))["worker_id"]
        losers = {(await spawn(server, f"{bell}\nMOCK hang"))["worker_id"] for _ in range(2)}
        await bell.rings(2)
        gate.open()
        done = await server.call("wait", {"mode": "any"})
        assert [e["worker_id"] for e in done["completed"]] == [winner]
        for loser in losers:
            await cancel(server, loser)
        assert {e["worker_id"] for e in (await server.call("wait"))["cancelled"]} == losers


@async_test
async def test_an_answer_to_a_question_does_not_revive_what_was_cancelled(arena):
    async with arena.session() as server:
        one = (await spawn(server, 'MOCK permission Bash {"command":"echo a"}\nMOCK hang'))["worker_id"]
        question = (await server.call("wait"))["pending_permissions"][0]
        cancelling = server.start_call("cancel_worker", {"worker_id": one})
        answering = server.start_call("approve_permission", {"request_id": question["request_id"], "allow": True})
        assert (await cancelling)["cancelled"] == [one]
        await answering
        assert len((await server.call("wait"))["cancelled"]) == 1
