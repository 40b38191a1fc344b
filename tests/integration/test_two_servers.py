"""Two servers in one log folder never own the same worker, and see what the other one does."""

from harness import async_test, finish, resume, spawn, transcript
from mcp_client import ToolError


async def state_of(server, worker_id: str) -> dict:
    listed = {one["worker_id"]: one for one in (await server.call("list_workers"))["workers"]}
    return listed[worker_id]


@async_test
async def test_the_running_worker_of_another_server_can_be_seen_and_not_touched(arena):
    gate, bell = arena.gate(), arena.bell()
    async with arena.session() as first:
        theirs = (await spawn(first, f"{bell}\n{gate}\nMOCK say theirs"))["worker_id"]
        await bell.rings()
        async with arena.session() as second:
            seen = await state_of(second, theirs)
            assert seen["state"] in ("running", "queued") and seen["runs_in_another_server"] is True
            for tool, arguments in (
                ("resume_worker", {"worker_id": theirs, "prompt": "MOCK say mine"}),
                ("cancel_worker", {"worker_id": theirs}),
                ("send_message", {"worker_id": theirs, "text": "x"}),
                ("wait", {"worker_ids": [theirs]}),
                ("spawn_worker", {"description": "x", "prompt": "x", "after": [theirs]}),
            ):
                text = await second.call_error(tool, arguments)
                assert theirs in text and "another server process" in text, tool
            assert (await second.call("worker_output", {"worker_id": theirs}))["finished"] is False
            assert (await second.call("cancel_worker", {"worker_id": "all"}))["cancelled"] == []
            assert "No active workers" in await second.call_error("wait")
            await finish(second, "MOCK say my own")
        gate.open()
        assert [e["result_preview"] for e in (await first.call("wait"))["completed"]] == ["theirs"]


async def resume_once_free(server, worker_id, prompt):
    """A server gives a worker up when its process is gone, a moment after the result was delivered."""
    while True:
        try:
            return await resume(server, worker_id, prompt)
        except ToolError as refused:
            assert "another server process" in str(refused)


@async_test
async def test_a_result_is_delivered_by_its_server_and_then_anybody_may_go_on(arena):
    gate, bell, over = arena.gate(), arena.bell(), arena.bell("over")
    async with arena.session() as first, arena.session() as second:
        one = (await spawn(first, f"{bell}\n{gate}\nMOCK say theirs\nMOCK result\nMOCK eof\n{over}"))["worker_id"]
        await bell.rings()
        assert (await state_of(second, one))["runs_in_another_server"] is True
        gate.open()
        await over.rings()
        text = await second.call_error("resume_worker", {"worker_id": one, "prompt": "MOCK say mine"})
        assert "another server process" in text, "its result is not collected yet"
        assert len((await first.call("wait"))["completed"]) == 1
        await first.request("ping")
        seen = await state_of(second, one)
        assert seen["state"] == "completed" and seen["delivered"] is True
        assert (await second.call("worker_output", {"worker_id": one}))["result"] == "theirs"
        assert "No active workers" in await second.call_error("wait"), "it is told once"
        await resume_once_free(second, one, "MOCK history")
        done = (await second.call("wait"))["completed"][0]
        assert done["turn"] == 2 and "theirs" in done["result_preview"]
        assert "No active workers" in await first.call_error("wait")
        await resume_once_free(first, one, "MOCK history")
        done = (await first.call("wait"))["completed"][0]
        assert done["turn"] == 3 and transcript(done)["turns"][1]["prompt"] == "MOCK history"


@async_test
async def test_what_a_server_left_that_was_killed_is_taken_over_by_one_that_runs(arena):
    bell = arena.bell()
    async with arena.session() as second:
        async with arena.session() as first:
            told = (await finish(first, "MOCK say told"))["worker_id"]
            one = (await spawn(first, f"MOCK say half of it\n{bell}\nMOCK hang"))["worker_id"]
            await bell.rings()
            assert (await state_of(second, one))["runs_in_another_server"] is True
            while not (await first.call("worker_output", {"worker_id": one, "block": False}))["recent"]:
                pass  # what the worker said is on its way to the server
            await first.kill()
        assert (await state_of(second, one))["state"] == "interrupted"
        assert (await state_of(second, told))["delivered"] is True
        done = await second.call("wait")
        assert [(e["worker_id"], e["state"]) for e in done["failed"]] == [(one, "interrupted")]
        assert done["completed"] == []
        await resume(second, one, "MOCK history")
        assert "half of it" in (await second.call("wait"))["completed"][0]["result_preview"]


@async_test
async def test_results_that_nobody_collected_go_to_one_of_two_new_servers(arena):
    over = arena.bell("over")
    async with arena.session() as server:
        workers = {(await spawn(server, f"MOCK say {n}\nMOCK result\nMOCK eof\n{over}"))["worker_id"] for n in range(20)}
        await over.rings(20)
    async with arena.session() as first, arena.session() as second:
        told: list[str] = []
        for server in (first, second):
            found = await server.start_call("wait")
            if not found.is_error:
                told += [entry["worker_id"] for entry in found["completed"]]
        assert sorted(told) == sorted(workers)
