"""send_message: into the running turn, behind it, or instead of what the worker does; and what became of it."""

import json

import pytest
from harness import NEWER, OLDER, async_test, finish, resume, spawn, texts, transcript

VERSIONS = pytest.mark.parametrize("version", [OLDER, NEWER])


def message(worker_id: str, text: str, mode: str | None = None) -> dict:
    return {"worker_id": worker_id, "text": text, **({"mode": mode} if mode else {})}


@VERSIONS
@async_test
async def test_a_steering_message_is_read_behind_the_tool_that_runs(arena, version):
    bell = arena.bell()
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        one = (await spawn(server, f"{bell}\nMOCK tool-until 1\nMOCK received"))["worker_id"]
        await bell.rings()
        receipt = await server.call("send_message", message(one, "mind the gap"))
        assert receipt["outcome"] == "delivered" and receipt["worker_id"] == one
        done = await server.call("wait")
        assert len(done["completed"]) == 1 and done["completed"][0]["turn"] == 1
        record = transcript(done["completed"][0])
        assert json.loads(record["result"]) == ["mind the gap"]
        assert "mind the gap" in texts(record, "user"), "the transcript has it too"


@VERSIONS
@async_test
async def test_several_steering_messages_arrive_once_and_in_order(arena, version):
    words = ["one", "two", "three"]
    bell = arena.bell()
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        one = (await spawn(server, f"{bell}\nMOCK tool-until 3\nMOCK received"))["worker_id"]
        await bell.rings()
        sent = [server.start_call("send_message", message(one, word, "steer")) for word in words]
        assert [(await call)["outcome"] for call in sent] == ["delivered"] * 3
        done = (await server.call("wait"))["completed"]
        assert len(done) == 1 and json.loads(transcript(done[0])["result"]) == words


@VERSIONS
@async_test
async def test_a_steering_message_that_comes_too_late_begins_the_next_turn(arena, version):
    gate, bell = arena.gate(), arena.bell()
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        one = (await spawn(server, f"{bell}\n{gate}\nMOCK say no tool here"))["worker_id"]
        await bell.rings()
        sent = server.start_call("send_message", message(one, "MOCK say from the message"))
        await server.request("ping")
        gate.open()
        assert (await sent)["outcome"] == "next_turn"
        done = await server.call("wait")
        told = [(e["worker_id"], e["turn"], e["result_preview"]) for e in done["completed"]]
        assert told == [(one, 1, "no tool here"), (one, 2, "from the message")]
        assert transcript(done["completed"][1])["turns"][1]["prompt"] == "MOCK say from the message"


@VERSIONS
@async_test
async def test_an_interrupt_ends_what_it_does_and_the_same_turn_goes_on(arena, version):
    bell = arena.bell()
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        one = (await spawn(server, f"MOCK say the old way\n{bell}\nMOCK hang"))["worker_id"]
        await bell.rings()
        receipt = await server.call("send_message", message(one, "MOCK say the new way", "interrupt"))
        assert receipt["outcome"] == "after_interrupt"
        done = await server.call("wait")
        assert [(e["turn"], e["result_preview"]) for e in done["completed"]] == [(1, "the new way")]
        record = transcript(done["completed"][0])
        assert "the old way" in texts(record) and "MOCK say the new way" in texts(record, "user")
        assert record["state"] == "completed" and len(record["turns"]) == 1


@VERSIONS
@async_test
async def test_queued_messages_are_the_next_turn_in_one(arena, version):
    gate = arena.gate()
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        one = (await spawn(server, f"{gate}\nMOCK say first"))["worker_id"]
        for word in ("a", "b"):
            receipt = await server.call("send_message", message(one, f"MOCK say {word}", "queue"))
            assert receipt["outcome"] == "next_turn" and receipt["note"]
        gate.open()
        done = await server.call("wait")
        assert [(e["turn"], e["result_preview"]) for e in done["completed"]] == [(1, "first"), (2, "b")]
        assert texts(transcript(done["completed"][1]))[-2:] == ["a", "b"]


@async_test
async def test_a_queued_worker_reads_its_message_in_the_turn_after_its_first(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "1") as server:
        await spawn(server, f"{gate}\nMOCK say first")
        queued = (await spawn(server, "MOCK say mine"))["worker_id"]
        receipt = await server.call("send_message", message(queued, "MOCK say then this"))
        assert receipt["outcome"] == "next_turn"
        gate.open()
        done = (await server.call("wait", {"worker_ids": [queued]}))["completed"]
        assert [e["result_preview"] for e in done] == ["mine", "then this"]
        await server.call("wait")


@async_test
async def test_a_warm_worker_takes_its_messages_in_the_same_process(arena):
    gate, bell = arena.gate(), arena.bell()
    async with arena.session("--keep-warm", "300") as server:
        one = (await spawn(server, f"{bell}\n{gate}\nMOCK say first"))["worker_id"]
        await server.call("send_message", message(one, f"{bell}\nMOCK say second", "queue"))
        gate.open()
        done = (await server.call("wait"))["completed"]
        assert [e["result_preview"] for e in done] == ["first", "second"]
        pids = await bell.rings(2)
        assert pids[0] == pids[1]


@async_test
async def test_a_message_to_a_worker_that_ended_is_refused_and_says_what_to_do(arena):
    async with arena.session() as server:
        one = (await finish(server, "MOCK say done"))["worker_id"]
        text = await server.call_error("send_message", message(one, "hello?"))
        assert one in text and "resume_worker" in text and "completed" in text
        await resume(server, one, "MOCK say again")
        assert len((await server.call("wait"))["completed"]) == 1


@async_test
async def test_the_messages_of_a_cancelled_worker_are_dropped(arena):
    bell = arena.bell()
    async with arena.session() as server:
        one = (await spawn(server, f"{bell}\nMOCK hang"))["worker_id"]
        await bell.rings()
        await server.call("send_message", message(one, "MOCK say later", "queue"))
        sent = server.start_call("send_message", message(one, "MOCK say now", "steer"))
        await server.request("ping")
        await server.call("cancel_worker", {"worker_id": one})
        assert (await sent)["outcome"] == "dropped"
        done = await server.call("wait")
        assert len(done["cancelled"]) == 1 and done["completed"] == []
        assert "No active workers" in await server.call_error("wait")


@async_test
async def test_an_interrupt_reaches_a_worker_that_asks_for_a_permission(arena):
    async with arena.session() as server:
        one = (await spawn(server, 'MOCK permission Bash {"command":"echo a"}\nMOCK say unreached'))["worker_id"]
        assert len((await server.call("wait"))["pending_permissions"]) == 1
        receipt = await server.call("send_message", message(one, "MOCK say something else", "interrupt"))
        assert receipt["outcome"] == "after_interrupt"
        done = await server.call("wait")
        assert done["pending_permissions"] == []
        assert [e["result_preview"] for e in done["completed"]] == ["something else"]
