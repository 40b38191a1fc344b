"""What a lead reads that has lost its ids: list_workers, and worker_output of one."""

from harness import LONGEST_ANSWER, async_test, finish, resume, spawn, transcript


async def listed(server, **arguments) -> dict[str, dict]:
    return {one["worker_id"]: one for one in (await server.call("list_workers", arguments))["workers"]}


async def output(server, worker_id: str, **arguments):
    return await server.call("worker_output", {"worker_id": worker_id, **arguments})


@async_test
async def test_an_empty_folder_has_no_workers(arena):
    async with arena.session() as server:
        found = await server.call("list_workers")
        assert found["workers"] == [] and found["counts"] == {}


@async_test
async def test_every_worker_is_listed_with_what_it_does(arena):
    gate, bell, ready = arena.gate(), arena.bell(), arena.bell("ready")
    async with arena.session("--max-workers", "2") as server:
        done = await finish(server, "MOCK usage 300 40\nMOCK cost 0.25\nMOCK say done", description="the first")
        early = await spawn(server, f"MOCK say early\nMOCK result\nMOCK eof\n{ready}")
        await ready.rings()
        busy = await spawn(server, f'{bell}\nMOCK hang-tool Bash {{"command":"make"}}')
        await bell.rings()
        asking = await spawn(server, 'MOCK permission Bash {"command":"echo a"}')
        await server.call("wait", {"worker_ids": [asking["worker_id"]]})
        queued = [await spawn(server, f"MOCK say {n}") for n in range(2)]
        found = await listed(server)
        assert found[done["worker_id"]]["description"] == "the first"
        assert found[done["worker_id"]]["state"] == "completed" and found[done["worker_id"]]["delivered"] is True
        assert found[done["worker_id"]]["tokens"] == {"input": 300, "output": 40}
        assert found[done["worker_id"]]["cost_usd"] == 0.25 and found[done["worker_id"]]["turns"] == 1
        assert found[early["worker_id"]]["state"] == "completed" and found[early["worker_id"]]["delivered"] is False
        assert found[busy["worker_id"]]["state"] == "running" and found[busy["worker_id"]]["idle_seconds"] >= 0
        assert found[asking["worker_id"]]["state"] == "awaiting_permission"
        assert found[asking["worker_id"]]["pending_requests"] == 1
        assert [found[one["worker_id"]]["queue_position"] for one in queued] == [1, 2]
        assert all(found[one["worker_id"]]["state"] == "queued" for one in queued)
        # The tool is on record as soon as the output that names it was read.
        while "activity" not in (shown := (await output(server, busy["worker_id"], block=False)).structured):
            await server.call("wait", {"timeout_s": 0})
        assert "make" in shown["activity"] and shown["activity_seconds"] >= 0
        await server.call("cancel_worker", {"worker_id": "all"})
        states = {one["state"] for one in (await listed(server)).values()}
        assert states == {"completed", "cancelled"}


@async_test
async def test_the_states_and_the_time_filter(arena):
    async with arena.session() as server:
        good = (await finish(server, "MOCK say good"))["worker_id"]
        await spawn(server, "MOCK crash")
        bad = (await server.call("wait"))["failed"][0]["worker_id"]
        assert set(await listed(server)) == {good, bad}
        assert set(await listed(server, state="completed")) == {good}
        assert set(await listed(server, state=["failed", "queued"])) == {bad}
        assert await listed(server, state="running") == {}
        assert (await server.call("list_workers", {"state": "failed"}))["counts"] == {"failed": 1}
        assert set(await listed(server, since="2020-01-01T00:00:00Z")) == {good, bad}
        assert await listed(server, since="2999-01-01T00:00:00Z") == {}
        ended = (await listed(server))[bad]["ended"]
        assert bad in await listed(server, since=ended)
        assert set(await listed(server, since="2020-01-01T12:00:00+14:00")) == {good, bad}
        for wrong in ("2020-01-01T12:00:00 Moscow", "tomorrow, at ten"):
            assert wrong in await server.call_error("list_workers", {"since": wrong})


@async_test
async def test_the_one_that_changed_last_comes_first(arena):
    async with arena.session() as server:
        workers = [(await finish(server, f"MOCK say {n}"))["worker_id"] for n in range(3)]
        assert list(await listed(server)) == workers[::-1]
        await resume(server, workers[0], "MOCK say again")
        await server.call("wait")
        assert list(await listed(server)) == [workers[0], workers[2], workers[1]]


@async_test
async def test_a_new_server_lists_what_was_left_and_delivers_it(arena):
    ready, bell = arena.bell("ready"), arena.bell()
    async with arena.session() as server:
        told = (await finish(server, "MOCK say told"))["worker_id"]
        untold = (await spawn(server, f"MOCK say untold\nMOCK result\nMOCK eof\n{ready}"))["worker_id"]
        await ready.rings()
        running = (await spawn(server, f"MOCK say half of it\n{bell}\nMOCK hang", description="cut off"))["worker_id"]
        await bell.rings()
    async with arena.session() as server:
        found = await listed(server)
        assert {worker: (one["state"], one["delivered"]) for worker, one in found.items()} == {
            told: ("completed", True),
            untold: ("completed", False),
            running: ("interrupted", False),
        }
        assert found[running]["description"] == "cut off"
        assert (await output(server, told))["result"] == "told"
        done = await server.call("wait")
        assert [(e["worker_id"], e["result_preview"]) for e in done["completed"]] == [(untold, "untold")]
        assert [(e["worker_id"], e["state"]) for e in done["failed"]] == [(running, "interrupted")]
        assert all(one["delivered"] for one in (await listed(server)).values())
    async with arena.session() as server:
        assert all(one["delivered"] for one in (await listed(server)).values())
        assert "No active workers" in await server.call_error("wait")
        await resume(server, running, "MOCK history")
        done = (await server.call("wait"))["completed"][0]
        assert done["turn"] == 2 and "half of it" in transcript(done)["result"]


@async_test
async def test_a_list_of_hundreds_stays_bounded_and_counts_the_rest(arena):
    async with arena.session("--max-workers", "8") as server:
        calls = [server.start_call("spawn_worker", {"description": "d" * 300, "prompt": "MOCK say x"}) for _ in range(200)]
        for call in calls:
            await call
        while "more" in (await server.call("wait")).structured:
            pass
        found = await server.call("list_workers")
        assert len(found.text) < LONGEST_ANSWER
        assert found["counts"] == {"completed": 200}
        assert found["not_shown"] == 200 - len(found["workers"]) > 0


@async_test
async def test_output_blocks_until_the_worker_has_ended_and_collects_nothing(arena):
    gate = arena.gate()
    async with arena.session() as server:
        one = (await spawn(server, f"{gate}\nMOCK say the end"))["worker_id"]
        now = await output(server, one, block=False)
        assert now["finished"] is False and "result" not in now.structured
        late = await output(server, one, timeout=1)
        assert late["finished"] is False
        blocked = server.start_call("worker_output", {"worker_id": one})
        await server.request("ping")
        assert not blocked.done
        gate.open()
        shown = await blocked
        assert shown["finished"] is True and shown["state"] == "completed" and shown["result"] == "the end"
        assert shown["delivered"] is False
        assert len((await server.call("wait"))["completed"]) == 1


@async_test
async def test_output_of_a_worker_at_work_is_the_last_lines_of_its_activity(arena):
    bell = arena.bell()
    async with arena.session() as server:
        script = f'MOCK say looking around\nMOCK tool Read {{"file_path":"/etc/hosts"}}\n{bell}\nMOCK hang'
        one = (await spawn(server, script))["worker_id"]
        await bell.rings()
        while len(recent := (await output(server, one, block=False))["recent"]) < 2:
            await server.call("wait", {"timeout_s": 0})
        assert recent[0] == "said: looking around" and "Read" in recent[1] and "/etc/hosts" in recent[1]
        await server.call("cancel_worker", {"worker_id": one})


@async_test
async def test_a_long_output_is_cut_and_names_its_file(arena):
    async with arena.session() as server:
        one = (await finish(server, f"MOCK say {'x' * 100_000}"))["worker_id"]
        shown = await output(server, one)
        assert len(shown.text) < 100_000  # what the tool announces: anthropic/maxResultSizeChars
        assert shown["result_bytes"] == 100_000 and shown["result"].startswith("x" * 1000)
        assert transcript(shown)["result"] == "x" * 100_000


@async_test
async def test_output_of_a_failed_worker_says_why(arena):
    async with arena.session() as server:
        one = (await spawn(server, "MOCK say almost\nMOCK crash"))["worker_id"]
        shown = await output(server, one)
        assert shown["state"] == "failed" and shown["finished"] is True and shown["error"]
        assert len((await server.call("wait"))["failed"]) == 1
