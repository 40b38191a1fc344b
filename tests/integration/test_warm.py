"""A finished worker's process stays for a while, and the next turn takes it: the same answer, without the start."""

import json
import os

from harness import NEWER, OLDER, Arena, async_test, ends_soon, finish, resume, spawn, transcript


def warm(*flags: str) -> tuple[str, ...]:
    return ("--keep-warm", "300", *flags)


async def next_turn(server, worker_id: str, script: str, **options) -> dict:
    await resume(server, worker_id, script, **options)
    done = await server.call("wait", {"worker_ids": [worker_id]})
    assert len(done["completed"]) == 1, done
    return done["completed"][0]


async def warm_ones(server) -> set[str]:
    return {one["worker_id"] for one in (await server.call("list_workers"))["workers"] if one.get("warm")}


def others(arena: Arena, server) -> list[int]:
    return [pid for pid in arena.processes() if pid != server.pid]


@async_test
async def test_a_resumed_worker_takes_the_same_process_and_remembers(arena):
    bell = arena.bell()
    async with arena.session(*warm()) as server:
        one = (await finish(server, f"{bell}\nMOCK say first"))["worker_id"]
        (pid,) = await bell.rings()
        assert others(arena, server) == [pid] and await warm_ones(server) == {one}
        second = await next_turn(server, one, f"{bell}\nMOCK history")
        assert await bell.rings() == [pid]
        assert second["turn"] == 2 and "say first" in second["result_preview"]
        record = transcript(second)
        assert [turn["state"] for turn in record["turns"]] == ["completed"] * 2
        assert record["total_cost_usd"] == sum(turn["cost_usd"] for turn in record["turns"])


@async_test
async def test_a_warm_and_a_cold_resume_tell_the_same(arena):
    told = []
    for seconds in ("300", "0"):
        async with arena.session("--keep-warm", seconds) as server:
            one = (await finish(server, "MOCK cost 0.5\nMOCK say first"))["worker_id"]
            entry = await next_turn(server, one, "MOCK cost 0.25\nMOCK history")
            record = transcript(entry)
            told.append((entry["result_preview"], entry["cost_usd"], entry["total_cost_usd"], len(record["messages"])))
    assert told[0] == told[1] and told[0][1:3] == (0.25, 0.75)


@async_test
async def test_other_options_need_another_process(arena):
    bell = arena.bell()
    async with arena.session(*warm()) as server:
        one = (await finish(server, f"{bell}\nMOCK say first"))["worker_id"]
        (before,) = await bell.rings()
        second = await next_turn(server, one, f"{bell}\nMOCK history", effort="high")
        (after,) = await bell.rings()
        assert after != before and ends_soon(before)
        assert "say first" in second["result_preview"]


@async_test
async def test_another_mode_is_told_to_the_process_that_is_there_and_another_model_is_not(arena):
    for version in (OLDER, NEWER):
        bell = arena.bell(f"bell {version}")
        async with arena.session(*warm(), env={"MOCK_CLAUDE_VERSION": version}) as server:
            one = (await finish(server, f"{bell}\nMOCK say first"))["worker_id"]
            pids = await bell.rings()
            await next_turn(server, one, f"{bell}\nMOCK say second", permission_mode="acceptEdits")
            assert await bell.rings() == pids
            told = await next_turn(server, one, "MOCK echo-options", model="opus")
            got = json.loads(transcript(told)["result"])
            assert got["pid"] not in pids
            assert got["model"].startswith("claude-opus") and got["permission_mode"] == "acceptEdits"


@async_test
async def test_the_one_that_was_used_longest_ago_goes_when_there_are_too_many(arena):
    bell = arena.bell()
    async with arena.session(*warm("--max-warm", "2")) as server:
        workers = [(await finish(server, f"{bell}\nMOCK say {n}"))["worker_id"] for n in range(2)]
        pids = await bell.rings(2)
        await next_turn(server, workers[0], "MOCK say used again")
        workers.append((await finish(server, f"{bell}\nMOCK say 2"))["worker_id"])
        (last,) = await bell.rings()
        assert ends_soon(pids[1])
        assert await warm_ones(server) == {workers[0], workers[2]}
        assert set(others(arena, server)) == {pids[0], last}
        again = await next_turn(server, workers[1], "MOCK history")
        assert "say 1" in again["result_preview"], "what went can be resumed cold"


@async_test
async def test_a_process_that_nobody_needs_goes_when_its_time_is_over(arena):
    bell = arena.bell()
    async with arena.session("--keep-warm", "1") as server:
        one = (await finish(server, f"{bell}\nMOCK say first"))["worker_id"]
        (pid,) = await bell.rings()
        assert ends_soon(pid)
        assert "say first" in (await next_turn(server, one, "MOCK history"))["result_preview"]


@async_test
async def test_without_warmth_no_process_stays(arena):
    for flags in (("--keep-warm", "0"), warm("--max-warm", "0")):
        bell = arena.bell(f"bell{len(flags)}")
        async with arena.session(*flags) as server:
            await finish(server, f"{bell}\nMOCK say first")
            assert ends_soon((await bell.rings())[0])
            assert await warm_ones(server) == set()


@async_test
async def test_warm_processes_take_no_place_and_end_with_the_server(arena):
    bell = arena.bell()
    async with arena.session(*warm("--max-workers", "1")) as server:
        for n in range(3):
            await finish(server, f"{bell}\nMOCK say {n}")
        pids = await bell.rings(3)
        assert set(others(arena, server)) == set(pids)
    assert all(ends_soon(pid) for pid in pids)


@async_test
async def test_a_failed_turn_leaves_no_process(arena):
    bell = arena.bell()
    async with arena.session(*warm()) as server:
        one = (await finish(server, "MOCK say fine"))["worker_id"]
        await resume(server, one, f"{bell}\nMOCK error 400")
        assert len((await server.call("wait"))["failed"]) == 1
        assert ends_soon((await bell.rings())[0])
        assert "say fine" in (await next_turn(server, one, "MOCK history"))["result_preview"]


@async_test
async def test_a_warm_process_that_dies_is_replaced(arena):
    bell = arena.bell()
    async with arena.session(*warm()) as server:
        one = (await finish(server, f"{bell}\nMOCK say first"))["worker_id"]
        (pid,) = await bell.rings()
        os.kill(pid, 9)
        assert ends_soon(pid)
        while await warm_ones(server):
            pass
        second = await next_turn(server, one, f"{bell}\nMOCK history")
        assert (await bell.rings())[0] != pid and "say first" in second["result_preview"]


@async_test
async def test_a_session_that_is_gone_is_said_to_be(arena):
    other = "22222222-2222-4222-8222-222222222222"
    async with arena.session() as server:
        one = (await finish(server, "MOCK say first"))["worker_id"]
        lost = await next_turn(server, one, f"MOCK resume-as {other}\nMOCK history")
        assert lost["context_lost"] is True and any(other in warning for warning in lost["warnings"])
        assert lost["claude_session_id"] == other == transcript(lost)["session_id"]
        again = await next_turn(server, one, "MOCK say on")
        assert "context_lost" not in again and again["claude_session_id"] == other


@async_test
async def test_a_queued_turn_of_a_warm_worker_waits_for_its_place(arena):
    gate = arena.gate()
    async with arena.session(*warm("--max-workers", "1")) as server:
        one = (await finish(server, "MOCK say first"))["worker_id"]
        await spawn(server, f"{gate}\nMOCK say busy")
        assert (await resume(server, one, "MOCK history"))["state"] == "queued"
        gate.open()
        assert len((await server.call("wait"))["completed"]) == 2
