"""The arguments of wait: some workers, the first of them, a time; and an answer that stays bounded."""

from harness import LONGEST_ANSWER, async_test, collect, finish, resume, spawn

NOTHING = {"queued": 0, "running": 0, "awaiting_permission": 0}


def ids(entries) -> set[str]:
    return {entry["worker_id"] for entry in entries}


async def worker(server, script: str) -> str:
    return (await spawn(server, script))["worker_id"]


@async_test
async def test_a_subset_is_waited_for_and_the_others_stay_for_later(arena):
    gate, bell = arena.gate(), arena.bell()
    async with arena.session() as server:
        slow = await worker(server, f"{gate}\nMOCK say slow")
        other = await worker(server, f"MOCK say other\nMOCK result\nMOCK eof\n{bell}")
        await bell.rings()
        wanted = {await worker(server, "MOCK say one"), await worker(server, "MOCK say two")}
        done = await server.call("wait", {"worker_ids": sorted(wanted)})
        assert ids(done["completed"]) == wanted
        assert done["outstanding"] == NOTHING, "of those that were asked for"
        gate.open()
        assert ids((await server.call("wait"))["completed"]) == {slow, other}


@async_test
async def test_a_subset_waits_for_workers_that_are_queued(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "1") as server:
        first = await worker(server, f"{gate}\nMOCK say first")
        queued = await worker(server, "MOCK say second")
        waiting = server.start_call("wait", {"worker_ids": [queued]})
        progress = await waiting.progress_until(lambda p: True)
        assert progress["message"] == "0 of 1 finished; 0 running, 1 queued, 0 awaiting permission"
        gate.open()
        assert ids((await waiting)["completed"]) == {queued}
        assert ids((await server.call("wait"))["completed"]) == {first}


@async_test
async def test_any_returns_with_the_first_that_finishes(arena):
    gates = [arena.gate(f"gate{n}") for n in range(3)]
    async with arena.session() as server:
        workers = [await worker(server, f"{gate}\nMOCK say {n}") for n, gate in enumerate(gates)]
        waiting = server.start_call("wait", {"mode": "any"})
        await waiting.progress_until(lambda p: True)
        gates[1].open()
        done = await waiting
        assert ids(done["completed"]) == {workers[1]}
        assert done["outstanding"] == {**NOTHING, "running": 2}
        of_two = server.start_call("wait", {"mode": "any", "worker_ids": workers[1:]})
        gates[0].open()
        gates[2].open()
        assert ids((await of_two)["completed"]) == {workers[2]}
        assert ids((await server.call("wait"))["completed"]) == {workers[0]}


@async_test
async def test_any_returns_at_once_with_all_that_is_there(arena):
    gate, bell = arena.gate(), arena.bell()
    async with arena.session() as server:
        ready = {await worker(server, f"MOCK say {n}\nMOCK result\nMOCK eof\n{bell}") for n in range(3)}
        last = await worker(server, f"{gate}\nMOCK say last")
        await bell.rings(3)
        assert ids((await server.call("wait", {"mode": "any"}))["completed"]) == ready
        gate.open()
        assert ids((await server.call("wait", {"mode": "any"}))["completed"]) == {last}


@async_test
async def test_a_timeout_is_no_error_and_tells_what_is_there_and_the_state_of_the_rest(arena):
    gate, bell, here = arena.gate(), arena.bell(), arena.bell("here")
    async with arena.session("--max-workers", "3") as server:
        ready = await worker(server, f"MOCK say ready\nMOCK result\nMOCK eof\n{bell}")
        await bell.rings()
        running = {await worker(server, f"{here}\n{gate}\nMOCK say {n}") for n in range(3)}
        queued = await worker(server, "MOCK say queued")
        await here.rings(3)
        done = await server.call("wait", {"timeout_s": 0})
        assert done["timed_out"] is True and ids(done["completed"]) == {ready}
        assert done["outstanding"] == {"queued": 1, "running": 3, "awaiting_permission": 0}
        nothing_new = await server.call("wait", {"timeout_s": 0.01})
        assert nothing_new["timed_out"] is True and nothing_new["completed"] == []
        gate.open()
        done = await server.call("wait")
        assert "timed_out" not in done.structured
        assert ids(done["completed"]) == running | {queued}, "a timeout touches no worker"


@async_test
async def test_a_wait_that_is_over_at_once_has_not_timed_out(arena):
    bell = arena.bell()
    async with arena.session() as server:
        ready = await worker(server, f"MOCK say ready\nMOCK result\nMOCK eof\n{bell}")
        await bell.rings()
        done = await server.call("wait", {"timeout_s": 0})
        assert ids(done["completed"]) == {ready} and "timed_out" not in done.structured


@async_test
async def test_a_subset_whose_results_were_delivered_is_an_error_that_says_where_they_are(arena):
    gate = arena.gate()
    async with arena.session() as server:
        told = (await finish(server, "MOCK say told"))["worker_id"]
        await worker(server, f"{gate}\nMOCK say later")
        assert "worker_output" in await server.call_error("wait", {"worker_ids": [told]})
        gate.open()
        assert len((await server.call("wait"))["completed"]) == 1


@async_test
async def test_one_unknown_id_refuses_the_wait_and_collects_nothing(arena):
    bell = arena.bell()
    nobody = "00000000-0000-4000-8000-000000000000"
    async with arena.session() as server:
        ready = await worker(server, f"MOCK say ready\nMOCK result\nMOCK eof\n{bell}")
        await bell.rings()
        assert nobody in await server.call_error("wait", {"worker_ids": [ready, nobody]})
        assert ids((await server.call("wait"))["completed"]) == {ready}


@async_test
async def test_waits_for_different_workers_do_not_take_from_each_other(arena):
    gates = [arena.gate(f"gate{n}") for n in range(2)]
    async with arena.session() as server:
        workers = [await worker(server, f"{gate}\nMOCK say x") for gate in gates]
        waits = [server.start_call("wait", {"worker_ids": [one]}) for one in workers]
        for waiting in waits:
            await waiting.progress_until(lambda p: True)
        for gate, waiting, one in reversed(list(zip(gates, waits, workers))):
            gate.open()
            done = await waiting
            assert ids(done["completed"]) == {one} and "delivered_elsewhere" not in done.structured


@async_test
async def test_a_preview_is_cut_and_says_so(arena):
    text = "ä" * 5000
    async with arena.session() as server:
        preview = (await finish(server, f"MOCK say {text}"))["result_preview"]
        assert preview.startswith("ä" * 50) and len(preview) < 300
        assert "cut: 10000 bytes" in preview
        assert (await finish(server, "MOCK say short"))["result_preview"] == "short"


@async_test
async def test_hundreds_of_long_results_come_in_bounded_answers_each_once(arena):
    bell = arena.bell()
    async with arena.session("--max-workers", "8") as server:
        script = f"MOCK say {'x' * 3000}\nMOCK result\nMOCK eof\n{bell}"
        calls = [server.start_call("spawn_worker", {"description": "d" * 300, "prompt": script}) for _ in range(300)]
        spawned = {(await call)["worker_id"] for call in calls}
        await bell.rings(300)
        first = await server.call("wait")
        assert len(first.text) < LONGEST_ANSWER
        assert 30 < len(first["completed"]) < 300
        assert first["more"]["completed"] == 300 - len(first["completed"])
        assert "list_workers" in first["more"]["note"]
        rest = (await collect(server))["completed"]
        delivered = [entry["worker_id"] for entry in [*first["completed"], *rest]]
        assert len(delivered) == 300 and set(delivered) == spawned
        assert "delivered" in await server.call_error("wait")


@async_test
async def test_a_worker_named_twice_is_one_and_each_turn_is_delivered(arena):
    async with arena.session() as server:
        one = (await finish(server, "MOCK say 1"))["worker_id"]
        for turn in range(2, 4):
            await resume(server, one, f"MOCK say {turn}")
            done = await server.call("wait", {"worker_ids": [one, one]})
            assert [entry["turn"] for entry in done["completed"]] == [turn]
