"""Caps of a worker and of the fleet, rate limits, and a sign-in that is refused."""

import time

import pytest
from harness import NEWER, OLDER, async_test, fail, finish, spawn, texts, transcript, what_the_worker_got

VERSIONS = pytest.mark.parametrize("version", [OLDER, NEWER])


@VERSIONS
@async_test
async def test_a_worker_that_takes_too_long_is_interrupted(arena, version):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        failed = await fail(server, "MOCK hang", timeout_s=0.5)
        assert failed["cap"] == "timeout_s" and "0.5 s" in failed["error_hint"]
        record = transcript(failed)
        assert record["state"] == "failed" and record["turns"][0]["cap"] == "timeout_s"


@async_test
async def test_the_time_that_is_nearly_over_is_said_to_a_worker_in_a_tool(arena):
    async with arena.session() as server:
        await spawn(server, "MOCK tool-until 1\nMOCK received", timeout_s=1)
        done = await server.call("wait")
        (entry,) = done["completed"] + done["failed"]  # there may be too little time left on a machine that is busy
        assert any("Your time is nearly over" in text for text in texts(transcript(entry), "user"))


@async_test
async def test_a_worker_at_its_last_reply_is_told_so(arena):
    async with arena.session() as server:
        done = await finish(server, "MOCK tool-until 1\nMOCK received", max_turns=2)
        assert "one reply left" in done["result_preview"]


@pytest.mark.parametrize(
    "script, options, cap",
    [("MOCK max-turns 2", {"max_turns": 2}, "max_turns"), ("MOCK max-budget 0.01", {"max_budget_usd": 0.01}, "max_budget_usd")],
)
@async_test
async def test_the_cap_that_was_reached_is_named(arena, script, options, cap):
    async with arena.session() as server:
        failed = await fail(server, script, **options)
        assert failed["cap"] == cap
        assert transcript(failed)["turns"][0]["cap"] == cap


@async_test
async def test_when_the_fleets_money_is_spent_the_queue_fails_and_nothing_new_starts(arena):
    gate = arena.gate()
    async with arena.session("--budget-usd", "0.05", "--max-workers", "1") as server:
        first = (await spawn(server, f"{gate}\nMOCK cost 0.06\nMOCK say expensive"))["worker_id"]
        queued = (await spawn(server, "MOCK say never"))["worker_id"]
        gate.open()
        done = await server.call("wait")
        assert [e["worker_id"] for e in done["completed"]] == [first]
        assert [e["worker_id"] for e in done["failed"]] == [queued]
        assert "budget" in done["failed"][0]["error_hint"] and "$0.05" in done["failed"][0]["error_hint"]
        for tool, arguments in (
            ("spawn_worker", {"description": "x", "prompt": "x"}),
            ("resume_worker", {"worker_id": first, "prompt": "x"}),
        ):
            text = await server.call_error(tool, arguments)
            assert "budget" in text and "--budget-usd" in text
        listed = await server.call("list_workers")
        assert listed["budget_usd"] == 0.05 and abs(listed["spent_usd"] - 0.06) < 1e-9


@async_test
async def test_the_rest_of_the_fleets_money_caps_every_worker(arena):
    async with arena.session("--budget-usd", "1") as server:
        await finish(server, "MOCK cost 0.25\nMOCK say x")
        argv = (await what_the_worker_got(server))["argv"]
        assert abs(float(argv[argv.index("--max-budget-usd") + 1]) - 0.75) < 1e-6


@async_test
async def test_running_workers_are_told_that_the_money_is_spent(arena):
    async with arena.session("--budget-usd", "0.05") as server:
        running = (await spawn(server, "MOCK tool-until 1\nMOCK received"))["worker_id"]
        await spawn(server, "MOCK cost 0.06\nMOCK say expensive")
        done = {e["worker_id"]: e for e in (await server.call("wait"))["completed"]}
        assert "money for all workers is spent" in done[running]["result_preview"]


@async_test
async def test_a_worker_starts_workers_only_as_deep_as_allowed(arena):
    async with arena.session() as server:
        given = (await what_the_worker_got(server))["env"]
    inner = {name: value for name, value in given.items() if "DEPTH" in name}
    assert inner, "the depth travels in the environment"
    async with arena.session(env=inner) as server:
        assert await server.list_tools() == [], "a worker's server has no tools"
    async with arena.session("--max-depth", "2") as server:
        given = (await what_the_worker_got(server))["env"]
    inner = {name: value for name, value in given.items() if "DEPTH" in name}
    async with arena.session("--max-depth", "9", env=inner) as server:
        assert len(await server.list_tools()) == 8
        given = (await what_the_worker_got(server))["env"]
    inner = {name: value for name, value in given.items() if "DEPTH" in name}
    async with arena.session("--max-depth", "9", env=inner) as server:
        assert await server.list_tools() == [], "an inner server does not raise what the outer one allows"


@VERSIONS
@async_test
async def test_a_turn_that_met_a_rate_limit_is_taken_up_again(arena, version):
    tries = arena.root / "tries"
    async with arena.session("--rate-limit-pause", "1", env={"MOCK_CLAUDE_VERSION": version}) as server:
        one = (await spawn(server, f"MOCK fail-first 1 429 {tries}\nMOCK say got through"))["worker_id"]
        done = await server.call("wait")
        assert done["failed"] == [] and [e["worker_id"] for e in done["completed"]] == [one]
        record = transcript(done["completed"][0])
        assert record["turns"][0]["retries"] == 1 and len(record["turns"]) == 1
        assert tries.read_bytes() == b".."


@async_test
async def test_a_turn_is_taken_up_again_as_often_as_told_and_no_more(arena):
    tries = arena.root / "tries"
    async with arena.session("--rate-limit-pause", "1") as server:
        failed = await fail(server, f"MOCK fail-first 9 529 {tries}\nMOCK say never", rate_limit_retries=1)
        assert "529" in failed["error_hint"] and tries.read_bytes() == b".."


@async_test
async def test_what_was_done_before_the_limit_is_not_done_again(arena):
    tries = arena.root / "tries"
    async with arena.session("--rate-limit-pause", "1") as server:
        done = await finish(server, f'MOCK tool Bash {{"command":"echo a"}}\nMOCK fail-first 1 429 {tries}\nMOCK say never')
        record = transcript(done)
        assert "rate limit" in record["result"], "the session goes on: the mock repeats a prompt without a script"
        assert tries.read_bytes() == b"."


@async_test
async def test_an_announced_limit_holds_new_starts_until_its_end(arena):
    gate, bell = arena.gate(), arena.bell()
    ends = int(time.time()) + 3600
    async with arena.session() as server:
        await spawn(server, f"MOCK rate-limit-event rejected {ends}\n{bell}\n{gate}\nMOCK say on")
        await bell.rings()
        while "rate_limited_until" not in (await server.call("wait", {"timeout_s": 0})).structured:
            pass
        spawned = await spawn(server, "MOCK say held")
        assert spawned["state"] == "queued"
        held = spawned["worker_id"]
        found = await server.call("list_workers")
        assert found["rate_limited_until"].endswith("Z")
        listed = {one["worker_id"]: one for one in found["workers"]}
        assert listed[held]["held_by"] == f"waiting for rate limit until {found['rate_limited_until']}"
        gate.open()
        assert len((await server.call("wait", {"mode": "any"}))["completed"]) == 1
        assert (await server.call("worker_output", {"worker_id": held, "block": False}))["state"] == "queued"
        await server.call("cancel_worker", {"worker_id": held})
        assert len((await server.call("wait"))["cancelled"]) == 1


@async_test
async def test_a_limit_that_is_only_near_holds_nothing(arena):
    ends = int(time.time()) + 3600
    async with arena.session() as server:
        await finish(server, f"MOCK rate-limit-event allowed_warning {ends} five_hour 0.9\nMOCK say on")
        assert (await finish(server, "MOCK say at once"))["result_preview"] == "at once"


@async_test
async def test_a_refused_sign_in_stops_the_queue_with_one_message(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "1") as server:
        first = (await spawn(server, f"{gate}\nMOCK error 401", description="unlucky"))["worker_id"]
        queued = {(await spawn(server, f"MOCK say {n}"))["worker_id"] for n in range(5)}
        waiting = server.start_call("wait")
        await waiting.progress_until(lambda p: True)
        gate.open()
        done = await waiting
        assert [e["worker_id"] for e in done["failed"]] == [first] and done["completed"] == []
        assert done["outstanding"]["queued"] == 5
        for words in ("unlucky", "5 queued", "sign in"):
            assert words in done["queue_stopped"]
        again = await server.call("wait")
        assert again["queue_stopped"] == done["queue_stopped"] and again["failed"] == [], "no wait blocks on it"
        assert (await server.call("list_workers"))["queue_stopped"] == done["queue_stopped"]
        last = (await spawn(server, "MOCK say signed in"))["worker_id"]
        done = await server.call("wait")
        assert {e["worker_id"] for e in done["completed"]} == queued | {last}
        assert "queue_stopped" not in done.structured


@async_test
async def test_the_queue_that_stands_still_can_be_cancelled(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "1") as server:
        await spawn(server, f"{gate}\nMOCK error 401")
        queued = (await spawn(server, "MOCK say x"))["worker_id"]
        gate.open()
        assert "queue_stopped" in (await server.call("wait")).structured
        assert (await server.call("cancel_worker", {"worker_id": "all"}))["cancelled"] == [queued]
        done = await server.call("wait")
        assert len(done["cancelled"]) == 1 and "queue_stopped" not in done.structured
