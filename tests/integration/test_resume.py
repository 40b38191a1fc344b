"""Further turns of a worker: the same id, the same transcript, the session's memory."""

import json
import uuid
from pathlib import Path

import pytest
from harness import NEWER, OLDER, async_test, fail, finish, option_values, resume, spawn, texts, transcript


async def next_turn(server, worker_id: str, script: str, **options) -> dict:
    await resume(server, worker_id, script, **options)
    done = await server.call("wait")
    assert done["failed"] == [] and len(done["completed"]) == 1, done
    return done["completed"][0]


@pytest.mark.parametrize("version", [OLDER, NEWER])
@async_test
async def test_a_worker_resumed_twice_remembers_and_keeps_its_transcript(arena, version):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        first = await finish(server, "MOCK say one")
        second = await next_turn(server, first["worker_id"], "MOCK history")
        third = await next_turn(server, first["worker_id"], "MOCK history\nMOCK think done")
        assert [e["turn"] for e in (first, second, third)] == [1, 2, 3]
        for key in ("worker_id", "conversation_history_file_path", "claude_session_id"):
            assert first[key] == second[key] == third[key]
        record = transcript(third)
        said = [turn["result"] for turn in record["turns"]]
        assert said[0] == "one" and json.loads(said[1]) == ["MOCK say one"]
        assert json.loads(said[2]) == ["MOCK say one", "MOCK history"]
        assert [t["prompt"] for t in record["turns"]] == ["MOCK say one", "MOCK history", "MOCK history\nMOCK think done"]
        assert texts(record)[0] == "one", "earlier turns are kept"
        assert record["result"] == said[2]


@pytest.mark.parametrize("version, price", [(OLDER, 0.001), (NEWER, 0.0008)])
@async_test
async def test_cost_is_summed_over_processes_whether_the_cli_goes_on_counting_or_starts_anew(arena, version, price):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        first = await finish(server, "MOCK say one")
        second = await next_turn(server, first["worker_id"], "MOCK tool Bash {} x\nMOCK say two")
        third = await next_turn(server, first["worker_id"], "MOCK say three")
        assert second["cost_usd"] == pytest.approx(2 * price)
        assert third["total_cost_usd"] == pytest.approx(4 * price)
        assert transcript(third)["total_cost_usd"] == pytest.approx(4 * price)


@async_test
async def test_a_fresh_server_resumes_from_the_transcript_alone(arena):
    async with arena.session() as server:
        first = await finish(server, "MOCK say one", description="outlives its server", system="be brief")
    async with arena.session() as server:
        second = await next_turn(server, first["worker_id"], "MOCK history")
        assert (second["turn"], second["description"]) == (2, "outlives its server")
        assert json.loads(second["result_preview"]) == ["MOCK say one"]
        record = transcript(second)
        assert len(record["turns"]) == 2 and texts(record)[0] == "one"
        assert record["options"]["system"] == "be brief"
        assert record["total_cost_usd"] == pytest.approx(0.0016)


@async_test
async def test_a_worker_that_still_runs_cannot_be_resumed(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "1") as server:
        running = await spawn(server, f"{gate}\nMOCK say x")
        queued = await spawn(server, "MOCK say y")
        for one in (running, queued):
            text = await server.call_error("resume_worker", {"worker_id": one["worker_id"], "prompt": "more"})
            assert one["worker_id"] in text
        text = await server.call_error("resume_worker", {"worker_id": running["worker_id"], "prompt": "more"})
        assert "still" in text
        gate.open()
        assert len((await server.call("wait"))["completed"]) == 2


@pytest.mark.parametrize("worker_id", [str(uuid.uuid4()), "nobody", "../../etc/passwd", "", "a/b", "x" * 5000])
@async_test
async def test_an_unknown_worker_is_an_error_and_no_path(arena, worker_id):
    async with arena.session() as server:
        text = await server.call_error("resume_worker", {"worker_id": worker_id, "prompt": "more"})
        assert worker_id[:36] in text
        assert "No active workers" in await server.call_error("wait")


@pytest.mark.parametrize("script", ["MOCK error 529", "MOCK crash", "MOCK kill 9", "MOCK max-turns 1"])
@async_test
async def test_a_failed_worker_goes_on_when_resumed(arena, script):
    async with arena.session("--rate-limit-pause", "1") as server:
        failed = await fail(server, script, rate_limit_retries=0)
        second = await next_turn(server, failed["worker_id"], "MOCK history")
        assert second["turn"] == 2 and json.loads(second["result_preview"]) == [script]
        record = transcript(second)
        assert record["state"] == "completed" and record["error"] is None
        assert record["turns"][0].get("is_error", True) is not False and record["turns"][1]["is_error"] is False


@async_test
async def test_options_of_the_last_turn_stay_and_given_ones_replace_them(arena):
    async with arena.session() as server:
        first = await finish(server, "MOCK say x", model="opus", system="old words", max_turns=7)
        argv_and_more = json.loads(transcript(await next_turn(server, first["worker_id"], "MOCK echo-options"))["result"])
        assert option_values(argv_and_more["argv"], "--model") == ["opus"]
        assert option_values(argv_and_more["argv"], "--max-turns") == ["7"]
        assert argv_and_more["initialize"]["systemPrompt"] == ["old words"]
        changed = await next_turn(server, first["worker_id"], "MOCK echo-options", system="new words")
        argv_and_more = json.loads(transcript(changed)["result"])
        assert argv_and_more["initialize"]["systemPrompt"] == ["new words"]
        assert option_values(argv_and_more["argv"], "--model") == ["opus"]
        assert option_values(argv_and_more["argv"], "--resume") == [first["claude_session_id"]]
        assert "--session-id" not in argv_and_more["argv"]


@async_test
async def test_a_turn_that_was_not_collected_is_delivered_beside_the_next(arena):
    bell = arena.bell()
    async with arena.session() as server:
        spawned = await spawn(server, f"MOCK say one\nMOCK result\nMOCK eof\n{bell}")
        await bell.rings()
        await resume(server, spawned["worker_id"], "MOCK say two")
        done = await server.call("wait")
        assert [(e["turn"], e["result_preview"]) for e in sorted(done["completed"], key=lambda e: e["turn"])] == [(1, "one"), (2, "two")]


@async_test
async def test_resuming_many_at_once(arena):
    async with arena.session() as server:
        for _ in range(10):
            await spawn(server, "MOCK say one")
        first = (await server.call("wait"))["completed"]
        for entry in first:
            await resume(server, entry["worker_id"], "MOCK say two")
        second = (await server.call("wait"))["completed"]
        assert {e["worker_id"] for e in first} == {e["worker_id"] for e in second}
        assert {e["turn"] for e in second} == {2}


@async_test
async def test_a_damaged_transcript_is_an_error_that_names_the_file(arena):
    async with arena.session() as server:
        first = await finish(server, "MOCK say one")
    path = Path(first["conversation_history_file_path"])
    path.write_text(path.read_text()[:50])
    async with arena.session() as server:
        text = await server.call_error("resume_worker", {"worker_id": first["worker_id"], "prompt": "more"})
        assert path.name in text
        assert path.read_text(), "it is left as it is"
