"""A prompt that waited in the queue of a server that was killed is not lost."""

import signal

from harness import async_test, resume, spawn, texts, transcript


@async_test
async def test_a_worker_that_was_queued_when_the_server_was_killed_is_started_by_a_resume(arena):
    gate, bell = arena.gate(), arena.bell()
    async with arena.server("--max-workers", "1") as killed:
        await killed.initialize()
        await spawn(killed, f"{bell}\n{gate}")
        await bell.rings()
        waiting = await spawn(killed, "MOCK say the-first-prompt")
        assert waiting["state"] == "queued"
        await killed.signal(signal.SIGKILL)
        await killed.exited()
    gate.open()
    async with arena.session() as server:
        found = {entry["worker_id"]: entry for entry in (await server.call("wait"))["failed"]}
        interrupted = found[waiting["worker_id"]]
        assert interrupted["state"] == "interrupted"
        assert "resume_worker starts it" in interrupted["error_hint"]
        await resume(server, waiting["worker_id"], "MOCK say the-second")
        (entry,) = (await server.call("wait"))["completed"]
        assert texts(transcript(entry)) == ["the-first-prompt", "the-second"]
