"""However the server ends, no process stays and every transcript is readable."""

import contextlib
import itertools
import json
import os
import random
import select
import signal
import subprocess

import pytest
from harness import Arena, async_test, resume, spawn, texts, transcript
from mcp_client import GUARD, guarded

SAY_AND_HANG = "MOCK say begun"


async def end(server, how: str) -> int:
    if how == "eof":
        server.end_stdin()
    elif how == "stdout":
        await server.close_stdout()
        server.send({"jsonrpc": "2.0", "id": "into the void", "method": "ping"})
        await server.drained()
    else:
        await server.signal(getattr(signal, how))
    return await server.exited()


def kept(arena, one) -> list[str]:
    """The worker's texts that are on disk at this instant."""
    record = transcript(one)  # always valid JSON
    part = arena.logs / f"worker-{one['worker_id']}.part"
    with contextlib.suppress(FileNotFoundError):  # the transcript is complete, and was read before or after that
        return texts({"messages": messages_in(part.read_bytes())})
    return texts(record)


async def has_words_of(server, arena, spawned) -> None:
    """Waits until the server has read what the workers said first."""

    async def wait() -> None:
        while not all("begun" in kept(arena, one) for one in spawned):
            await server.request("ping")

    await guarded(wait(), "the workers' first words", server)


async def records_after_the_end(arena, spawned) -> list[dict]:
    """What the next server makes of the transcripts; a server that ends has little time, and may leave it that work."""
    async with arena.session() as server:
        await server.call("list_workers")
    records = [transcript(one) for one in spawned]
    for one, record in zip(spawned, records):
        assert record["worker_id"] == one["worker_id"]
        assert record["state"] not in ("queued", "running", "awaiting_permission", "completed")
    return records


@pytest.mark.parametrize("how", ["eof", "SIGINT", "SIGTERM", "stdout"])
@async_test
async def test_working_workers_end_with_the_server(arena: Arena, how):
    bell = arena.bell()
    async with arena.session("--max-workers", "5") as server:
        scripts = [
            f"{SAY_AND_HANG}\n{bell}\nMOCK hang",
            f'{SAY_AND_HANG}\n{bell}\nMOCK hang-tool Bash {{"command":"sleep 1000"}}',
            f'{SAY_AND_HANG}\n{bell}\nMOCK permission Bash {{"command":"echo x"}}',
            f"{SAY_AND_HANG}\n{bell}\nMOCK rate 1000\nMOCK lines 1000000 100",
            f"{SAY_AND_HANG}\nMOCK result\nMOCK eof\n{bell}\nMOCK hang",
        ]
        spawned = [await spawn(server, script) for script in scripts]
        queued = await spawn(server, "MOCK say never")
        await bell.rings(5)
        await has_words_of(server, arena, spawned)
        await server.call("worker_output", {"worker_id": spawned[4]["worker_id"], "timeout": 600_000})
        assert await end(server, how) == 0 or how != "eof"
    assert texts(transcript(spawned[4])) == ["begun"] and transcript(spawned[4])["state"] == "completed"
    for record in await records_after_the_end(arena, spawned[:4]):
        assert texts(record)[0] == "begun"
    await records_after_the_end(arena, [queued])
    # the arena checks that no process is left


@pytest.mark.parametrize("how", ["eof", "SIGINT", "SIGTERM", "stdout"])
@async_test
async def test_workers_that_do_not_want_to_end_are_ended(arena, how):
    bell = arena.bell()
    async with arena.session() as server:
        scripts = [
            f"MOCK ignore-signals\n{bell}\nMOCK hang",
            f"MOCK grandchild\n{bell}\nMOCK hang",
            f"MOCK deaf\n{bell}\nMOCK hang",
            f"MOCK deaf\nMOCK ignore-signals\nMOCK say x\nMOCK result\n{bell}\nMOCK hang",
            f"MOCK say x\nMOCK result\n{bell}\nMOCK eof\nMOCK ignore-signals\nMOCK hang",
        ]
        for script in scripts:
            await spawn(server, script)
        await bell.rings(5)
        await end(server, how)


@async_test
async def test_a_client_that_sends_sigint_and_then_sigterm_finds_everything_in_order(arena):
    bell = arena.bell()
    async with arena.session() as server:
        spawned = [await spawn(server, f"{SAY_AND_HANG}\n{bell}\nMOCK hang") for _ in range(8)]
        await bell.rings(8)
        await has_words_of(server, arena, spawned)
        await server.signal(signal.SIGINT)
        await server.signal(signal.SIGTERM)
        await server.exited()
    for record in await records_after_the_end(arena, spawned):
        assert texts(record)[0] == "begun"


@async_test
async def test_a_wait_in_flight_does_not_keep_the_server(arena):
    bell = arena.bell()
    async with arena.session() as server:
        await spawn(server, f"{bell}\nMOCK hang")
        await bell.rings()
        waiting = server.start_call("wait")
        await waiting.progress_until(lambda p: True)
        assert await end(server, "eof") == 0


@async_test
async def test_a_server_without_workers_ends_at_once(arena):
    async with arena.session() as server:
        assert await end(server, "eof") == 0


@async_test
async def test_a_worker_that_was_ended_with_the_server_can_be_resumed_by_the_next(arena):
    bell = arena.bell()
    async with arena.session() as server:
        spawned = await spawn(server, f"{SAY_AND_HANG}\n{bell}\nMOCK hang")
        await bell.rings()
        await has_words_of(server, arena, [spawned])
        await end(server, "SIGTERM")
    async with arena.session() as server:
        await resume(server, spawned["worker_id"], "MOCK say back again")
        done = await server.call("wait")
        assert done["completed"][0]["turn"] == 2
        assert texts(transcript(done["completed"][0]))[0] == "begun"


@pytest.mark.parametrize("seed", range(6))
@async_test
async def test_a_server_killed_at_any_moment_leaves_readable_transcripts_and_loses_no_line_it_had(arena, seed):
    dice = random.Random(seed)
    bell = arena.bell()
    step = f"MOCK lines {dice.randint(1, 40)} {dice.choice([50, 3000, 70000])}\n{bell}\n"
    script = "MOCK say begun\n" + step * 10
    async with arena.session("--max-workers", "4") as server:
        spawned = [await spawn(server, script) for _ in range(6)]
        await bell.rings(dice.randint(1, 30))
        await has_words_of(server, arena, spawned[:1])
        await server.kill()
    had = {one["worker_id"]: kept(arena, one) for one in spawned}
    async with arena.session() as server:
        for one in spawned:
            record = transcript(one)
            if record["session_id"] is None and not had[one["worker_id"]]:
                continue  # it had not begun
            answer = await server.start_call("resume_worker", {"worker_id": one["worker_id"], "prompt": "MOCK say recovered"})
            if answer.is_error:
                assert not had[one["worker_id"]], answer.text
                continue
            done = await server.call("wait")
            after = texts(transcript(one))
            assert after[: len(had[one["worker_id"]])] == had[one["worker_id"]]
            assert not (arena.logs / f"worker-{one['worker_id']}.part").exists()
            assert done["completed"] or "No conversation found" in done["failed"][0]["error_hint"]
    assert any(had.values())


def messages_in(part: bytes) -> list[dict]:
    """The messages in whole lines of a .part file: a transcript, one message a line, that lacks its end until the moment
    before it takes the transcript's name."""
    lines = part.split(b"\n")[:-1]
    assert lines[:1] in ([], [b'{"messages":['])
    messages = itertools.takewhile(lambda line: line != b"],", lines[1:])
    return [json.loads(line.strip(b",")) for line in messages if line.strip(b",")]


@async_test
async def test_workers_die_with_a_killed_server(arena):
    bell = arena.bell()
    async with arena.session() as server:
        for _ in range(10):
            await spawn(server, f"{bell}\nMOCK hang")
        await bell.rings(10)
        await server.kill()
    # the arena checks that no process is left


@pytest.mark.parametrize("how", ["eof", "SIGINT"])
def test_a_client_that_does_not_read_does_not_keep_the_server(arena, how):
    """Far more answers than a pipe holds, and nobody takes them."""
    opening = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "deaf", "version": "1"}}
    requests = [{"jsonrpc": "2.0", "id": "open", "method": "initialize", "params": opening}]
    requests += [{"jsonrpc": "2.0", "id": number, "method": "tools/list"} for number in range(100)]
    ours = arena.server()
    unread, answers = os.pipe()
    with open(arena.root / "stderr", "wb") as errors:
        process = subprocess.Popen(ours.command, stdin=subprocess.PIPE, stdout=answers, stderr=errors, env=ours.env, cwd=ours.cwd)
    os.close(answers)
    process.stdin.write("".join(json.dumps(request) + "\n" for request in requests).encode())
    process.stdin.flush()
    select.select([unread], [], [], GUARD)  # it answers: from here on the pipe fills
    if how == "eof":
        process.stdin.close()
    else:
        process.send_signal(getattr(signal, how))
    try:
        assert process.wait(GUARD) == 0
    finally:
        process.kill()
        os.close(unread)
