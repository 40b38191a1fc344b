"""Who starts when: places, order, and workers that come after others."""

import pytest
from harness import async_test, finish, spawn, texts, transcript


async def follow(server, script: str, after: list[str], policy: str | None = None, description: str = "follows") -> str:
    arguments = {"description": description, "prompt": script, "after": after}
    if policy:
        arguments["after_policy"] = policy
    return (await server.call("spawn_worker", arguments))["worker_id"]


async def started(server, *workers: str) -> list[str]:
    found = {one["worker_id"]: one for one in (await server.call("list_workers"))["workers"]}
    return [found[worker]["started"] for worker in workers]


def prompt_of(entry) -> str:
    return texts(transcript(entry), "user")[0]


@async_test
async def test_the_queue_is_first_in_first_out_and_shows_positions(arena):
    gate, bell = arena.gate(), arena.bell()
    async with arena.session("--max-workers", "1") as server:
        await spawn(server, f"{gate}\nMOCK say first")
        queued = [await spawn(server, f"{bell}\nMOCK say {n}") for n in range(4)]
        assert {one["state"] for one in queued} == {"queued"}
        listed = {one["worker_id"]: one for one in (await server.call("list_workers"))["workers"]}
        assert [listed[one["worker_id"]]["queue_position"] for one in queued] == [1, 2, 3, 4]
        await server.call("cancel_worker", {"worker_id": queued[1]["worker_id"]})
        listed = {one["worker_id"]: one for one in (await server.call("list_workers"))["workers"]}
        assert listed[queued[3]["worker_id"]]["queue_position"] == 3
        gate.open()
        done = await server.call("wait")
        assert len(done["completed"]) == 4 and len(done["cancelled"]) == 1
        order = await started(server, *(one["worker_id"] for one in (queued[0], *queued[2:])))
        assert order == sorted(order)


@async_test
async def test_a_chain_runs_in_order_and_each_is_told_what_came_before(arena):
    gate = arena.gate()
    async with arena.session() as server:
        first = (await spawn(server, f"{gate}\nMOCK say found it", description="look for it"))["worker_id"]
        second = await follow(server, "MOCK say fixed it", [first], description="fix it")
        third = await follow(server, "MOCK say shipped it", [second])
        listed = {one["worker_id"]: one for one in (await server.call("list_workers"))["workers"]}
        assert listed[second]["state"] == listed[third]["state"] == "queued"
        assert listed[second]["held_by"] and "queue_position" not in listed[second]
        gate.open()
        done = {e["worker_id"]: e for e in (await server.call("wait"))["completed"]}
        assert set(done) == {first, second, third}
        path = done[first]["conversation_history_file_path"]
        for words in ("look for it", "completed", path):
            assert words in prompt_of(done[second])
        assert "fix it" in prompt_of(done[third]) and "look for it" not in prompt_of(done[third])
        turns = [transcript(done[one])["turns"][0] for one in (first, second, third)]
        for before, behind in zip(turns, turns[1:]):
            assert before["ended_at"] <= behind["started_at"]


@async_test
async def test_a_fan_in_starts_when_the_last_has_completed(arena):
    gates = [arena.gate(f"gate{n}") for n in range(3)]
    async with arena.session() as server:
        parts = [(await spawn(server, f"{gate}\nMOCK say x", description=f"part {n}"))["worker_id"] for n, gate in enumerate(gates)]
        whole = await follow(server, "MOCK say summed up", parts)
        for n in (2, 0):
            gates[n].open()
            await server.call("wait", {"worker_ids": [parts[n]]})
        assert (await server.call("worker_output", {"worker_id": whole, "block": False}))["state"] == "queued"
        gates[1].open()
        done = {e["worker_id"]: e for e in (await server.call("wait"))["completed"]}
        assert set(done) == {parts[1], whole}
        assert all(f"part {n}" in prompt_of(done[whole]) for n in range(3))


@async_test
async def test_one_that_comes_after_what_has_ended_starts_at_once(arena):
    async with arena.session() as server:
        first = await finish(server, "MOCK say done", description="long ago")
        second = await follow(server, "MOCK say next", [first["worker_id"]])
        done = (await server.call("wait"))["completed"]
        assert [e["worker_id"] for e in done] == [second] and "long ago" in prompt_of(done[0])


@async_test
async def test_a_worker_of_an_earlier_server_can_be_a_predecessor(arena):
    async with arena.session() as server:
        first = await finish(server, "MOCK say done", description="yesterday")
    async with arena.session() as server:
        await follow(server, "MOCK say next", [first["worker_id"]])
        assert "yesterday" in prompt_of((await server.call("wait"))["completed"][0])


@pytest.mark.parametrize("how", ["failed", "cancelled"])
@async_test
async def test_a_predecessor_that_did_not_complete_fails_the_whole_chain_with_its_reason(arena, how):
    gate = arena.gate()
    async with arena.session() as server:
        first = (await spawn(server, f"{gate}\nMOCK crash", description="shaky"))["worker_id"]
        second = await follow(server, "MOCK say never", [first], description="second")
        third = await follow(server, "MOCK say never", [second])
        if how == "cancelled":
            await server.call("cancel_worker", {"worker_id": first})
        else:
            gate.open()
        done = await server.call("wait")
        assert done["completed"] == []
        failed = {e["worker_id"]: e for e in done["failed"]}
        assert set(failed) == ({second, third} if how == "cancelled" else {first, second, third})
        assert "shaky" in failed[second]["error_hint"] and how in failed[second]["error_hint"]
        assert "second" in failed[third]["error_hint"]
        assert failed[second]["returncode"] is None and failed[second]["cost_usd"] == 0
        assert transcript(failed[second])["state"] == "failed"


@async_test
async def test_one_that_is_to_start_in_any_case_does_and_is_told_what_failed(arena):
    gate = arena.gate()
    async with arena.session() as server:
        good = (await spawn(server, f"{gate}\nMOCK say fine"))["worker_id"]
        bad = (await spawn(server, f"{gate}\nMOCK crash", description="shaky"))["worker_id"]
        last = await follow(server, "MOCK say cleaned up", [good, bad], "always")
        gate.open()
        done = await server.call("wait")
        entry = next(e for e in done["completed"] if e["worker_id"] == last)
        assert "shaky: failed" in prompt_of(entry)
        assert [e["worker_id"] for e in done["failed"]] == [bad]


@async_test
async def test_one_that_failed_with_its_predecessor_does_its_work_when_resumed(arena):
    async with arena.session() as server:
        first = (await spawn(server, "MOCK crash"))["worker_id"]
        second = await follow(server, "MOCK say what I was for", [first])
        await server.call("wait")
        await server.call("resume_worker", {"worker_id": second, "prompt": "Go on without it."})
        done = (await server.call("wait"))["completed"][0]
        assert done["worker_id"] == second and done["result_preview"] == "what I was for"


@async_test
async def test_the_predecessor_goes_on_with_its_messages_first(arena):
    gate = arena.gate()
    async with arena.session() as server:
        first = (await spawn(server, f"{gate}\nMOCK say turn one"))["worker_id"]
        await follow(server, "MOCK say after all of it", [first])
        await server.call("send_message", {"worker_id": first, "text": "MOCK say turn two", "mode": "queue"})
        gate.open()
        done = (await server.call("wait"))["completed"]
        assert [e["result_preview"] for e in done] == ["turn one", "turn two", "after all of it"]


@async_test
async def test_waiting_for_others_takes_no_place(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "2") as server:
        first = (await spawn(server, f"{gate}\nMOCK say first"))["worker_id"]
        late = await follow(server, "MOCK say late", [first])
        free = (await spawn(server, "MOCK say free"))["worker_id"]
        done = await server.call("wait", {"mode": "any"})
        assert [e["worker_id"] for e in done["completed"]] == [free]
        gate.open()
        assert {e["worker_id"] for e in (await server.call("wait"))["completed"]} == {first, late}
