"""The file that is left of a worker."""

import json
import stat
from pathlib import Path

from harness import async_test, finish, resume, spawn, texts, transcript

KEYS = {
    "messages", "worker_id", "description", "agent_type", "options", "state", "session_id", "model", "result",
    "total_cost_usd", "permission_denials", "turns", "warnings", "error",
}  # fmt: skip
TURN_KEYS = {
    "prompt", "started_at", "ended_at", "subtype", "is_error", "duration_ms", "num_turns", "cost_usd", "input_tokens",
    "output_tokens", "result",
}  # fmt: skip


@async_test
async def test_it_has_everything_about_the_worker(arena):
    async with arena.session() as server:
        done = await finish(server, "MOCK say hello", description="says hello", max_turns=3)
        record = transcript(done)
        assert KEYS <= set(record) and TURN_KEYS <= set(record["turns"][0])
        assert record["worker_id"] == done["worker_id"] and record["session_id"] == done["claude_session_id"]
        assert (record["description"], record["state"], record["result"]) == ("says hello", "completed", "hello")
        assert (record["agent_type"], record["error"], record["permission_denials"]) == (None, None, [])
        assert record["options"]["max_turns"] == 3
        assert "sonnet" in record["model"] and record["total_cost_usd"] > 0
        turn = record["turns"][0]
        assert (turn["prompt"], turn["subtype"], turn["is_error"], turn["num_turns"]) == ("MOCK say hello", "success", False, 1)
        assert (turn["input_tokens"], turn["output_tokens"]) == (100, 20)
        assert turn["started_at"] <= turn["ended_at"]


@async_test
async def test_blocks_of_one_reply_are_one_message_and_each_reply_is_its_own(arena):
    script = 'MOCK think hm\nMOCK say first\nMOCK tool Bash {"command":"echo x"} x\nMOCK say second'
    async with arena.session() as server:
        record = transcript(await finish(server, script))
        kinds = [(m["role"], [b["type"] for b in m["content"]] if isinstance(m["content"], list) else "text") for m in record["messages"]]
        replies = [k for k in kinds if k[0] == "assistant"]
        assert replies == [("assistant", ["thinking", "text", "tool_use"]), ("assistant", ["text"])]
        assert ("user", ["tool_result"]) in kinds
        assert kinds.index(("user", ["tool_result"])) == kinds.index(replies[1]) - 1


@async_test
async def test_messages_pass_through_as_they_came(arena):
    odd = '{"type":"assistant","message":{"id":"m1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"caf\\u00e9 \\ud83d\\ude00","of_tomorrow":{"n":1E3,"d":0.10}}],"usage":{}},"parent_tool_use_id":null,"session_id":"s","uuid":"u"}'
    async with arena.session() as server:
        done = await finish(server, f"MOCK raw {odd}\nMOCK say x")
        raw = Path(done["conversation_history_file_path"]).read_text()
        assert '"text":"caf\\u00e9 \\ud83d\\ude00","of_tomorrow":{"n":1E3,"d":0.10}' in raw


@async_test
async def test_while_a_turn_runs_the_file_is_valid_and_the_coming_messages_stand_beside_it(arena):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        first = await finish(server, "MOCK say one")
        path = Path(first["conversation_history_file_path"])
        part = path.with_suffix(".part")
        assert not part.exists()
        await resume(server, first["worker_id"], f"MOCK say two\n{bell}\n{gate}\nMOCK say three")
        await bell.rings()
        waiting = server.start_call("wait")
        await waiting.progress_until(lambda p: True)
        record = json.loads(path.read_text())
        assert texts(record)[0] == "one"
        assert part.exists()
        gate.open()
        await waiting
        assert not part.exists()
        assert texts(json.loads(path.read_text())) == ["one", "two", "three"]


@async_test
async def test_a_long_conversation_is_whole(arena):
    async with arena.session() as server:
        record = transcript(await finish(server, "MOCK lines 5000 1000\nMOCK say end"))
        said = texts(record)
        assert len(said) == 5001 and said[-1] == "end"
        assert [t.split(" ")[0] for t in said[:-1]] == [str(n) for n in range(5000)]


@async_test
async def test_the_transcript_of_a_queued_worker_is_there_from_the_start(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "1") as server:
        running = await spawn(server, f"{gate}\nMOCK say x")
        queued = await spawn(server, "MOCK say y")
        assert transcript(running)["state"] in ("queued", "running", "starting")
        assert transcript(queued)["state"] == "queued"
        gate.open()
        await server.call("wait")


@async_test
async def test_files_are_private_whatever_the_umask(arena):
    async with arena.session() as server:
        done = await finish(server, "MOCK say secret")
        path = Path(done["conversation_history_file_path"])
        assert path.parent == arena.logs
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert (path.parent / ".gitignore").read_text().strip() == "*"
