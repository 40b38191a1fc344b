"""Streams that are full, slow, endless or held open, and a server that stands still. docs/reliability.md has the table."""

import json
import os
import resource
import signal
from pathlib import Path

from harness import approve, async_test, finish, guarded, spawn, texts, transcript

MIB = 1 << 20
WORKERS = 10
QUESTIONS = 1000  # as many as one worker may have open


# ---- the client's side ----


@async_test
async def test_a_client_that_reads_slowly_gets_everything_and_holds_nobody_up(arena):
    """Answers of several megabytes, far more than pipes hold, while workers begin and end."""
    gate, bell = arena.gate(), arena.bell()
    async with arena.session() as server:
        spawned = await spawn(server, f"{gate}\nMOCK lines 500 2000\nMOCK say done\nMOCK result\nMOCK eof\n{bell}")
        server.pause_reading()
        requests = [server.start_request("tools/list", {}) for _ in range(300)]
        gate.open()
        await bell.rings()  # the worker came to its end while nobody read
        server.resume_reading()
        first = (await requests[0])["tools"]
        for request in requests:
            assert (await request)["tools"] == first
        assert len(json.dumps(first)) * len(requests) > 2 * MIB
        (entry,) = (await server.call("wait"))["completed"]
        assert entry["worker_id"] == spawned["worker_id"] and len(texts(transcript(entry))) == 501


# ---- the workers' side ----


@async_test
async def test_a_hundred_megabytes_on_stderr_block_nobody_and_cost_no_memory(arena):
    async with arena.session() as server:
        await finish(server, "MOCK say warmed up")
        before = resident(server.pid)
        done = await finish(server, "MOCK stderr-lines 200000 500\nMOCK say dry")
        assert done["result_preview"] == "dry"
        assert resident(server.pid) - before < 20 * MIB
        await finish(server, "MOCK say next")


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def questions(number: int) -> str:
    return "\n".join(f'MOCK request Bash {{"command":"echo {number}-{n}"}}' for n in range(QUESTIONS))


@async_test
async def test_ten_thousand_open_questions_are_shown_in_parts_and_each_answered_once(arena):
    async with arena.session("--max-workers", str(WORKERS)) as server:
        for number in range(WORKERS):
            await spawn(server, f"{questions(number)}\nMOCK answers\nMOCK say answered")
        answered: set[str] = set()
        completed: list[dict] = []
        while len(completed) < WORKERS:
            done = await server.call("wait")
            assert len(done.text) < 40_000
            completed += done["completed"]
            assert done["failed"] == []
            shown = [asked["request_id"] for asked in done["pending_permissions"]]
            assert not answered & set(shown), "an answered question is not asked again"
            if shown:
                await approve(server, shown if len(shown) > 1 else shown[0])
                answered |= set(shown)
        assert len(answered) == WORKERS * QUESTIONS
        for entry in completed:
            said = texts(transcript(entry))
            assert said[-1] == "answered"
        log = (arena.logs / "permissions.ndjson").read_text().splitlines()
        decided = [json.loads(line) for line in log]
        assert {line["request_id"] for line in decided} == answered and len(decided) == len(answered)
        assert {line["decision"] for line in decided} == {"allow"}


@async_test
async def test_a_worker_that_asks_without_end_is_ended_and_its_questions_are_gone(arena):
    async with arena.session() as server:
        script = "\n".join('MOCK request Bash {"command":"echo x"}' for _ in range(QUESTIONS + 1))
        await spawn(server, f"{script}\nMOCK answers")
        while not (done := await server.call("wait"))["failed"]:
            pass
        assert str(QUESTIONS) in done["failed"][0]["error_hint"]
        assert done["pending_permissions"] == []
        assert (await finish(server, "MOCK say next"))["result_preview"] == "next"


# ---- a server that stands still ----


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def has_full_pipe(pid: int) -> bool:
    """The process waits for somebody to read what it writes."""
    return "pipe_write" in Path(f"/proc/{pid}/wchan").read_text() or Path(f"/proc/{pid}/syscall").read_text().split()[0] == "1"


@async_test
async def test_a_server_that_was_stopped_goes_on_as_if_nothing_had_been(arena):
    gate, bell, over = arena.gate(), arena.bell(), arena.bell("over")
    async with arena.session() as server:
        flood = [await spawn(server, f"{bell}\n{gate}\nMOCK lines 2000 1000\nMOCK say flooded") for _ in range(3)]
        asks = await spawn(server, f'{bell}\n{gate}\nMOCK request Bash {{"command":"echo x"}}\n{over}\nMOCK answers\nMOCK say asked')
        ends = await spawn(server, f"{bell}\n{gate}\nMOCK say ended\nMOCK result\n{over}")
        dies = await spawn(server, f"{bell}\n{gate}\nMOCK say dead\n{over}\nMOCK kill 9")
        workers = await bell.rings(6)
        await server.signal(signal.SIGSTOP)
        waiting = server.start_call("wait")
        gate.open()
        done = await over.rings(3)
        assert state_of(server.pid) == "T"
        floods = [pid for pid in workers if pid not in done]

        async def all_blocked() -> None:
            while not all(has_full_pipe(pid) for pid in floods):
                os.sched_yield()

        await guarded(all_blocked(), "workers whose pipes are full", server)
        await server.signal(signal.SIGCONT)
        found = {"completed": [], "failed": []}
        answer = await waiting
        while True:
            for kind, entries in found.items():
                entries += answer[kind]
            for asked in answer["pending_permissions"]:
                assert asked["worker_id"] == asks["worker_id"]
                await approve(server, asked["request_id"])
            if len(found["completed"]) + len(found["failed"]) == 6:
                break
            answer = await server.call("wait")
        assert {e["worker_id"] for e in found["completed"]} == {w["worker_id"] for w in (*flood, asks, ends)}
        assert [(e["worker_id"], e["returncode"]) for e in found["failed"]] == [(dies["worker_id"], -9)]
        for one in flood:
            assert len(texts(transcript(one))) == 2001
