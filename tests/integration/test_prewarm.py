"""Processes that are started before a worker needs one: the same answers, without the start."""

import json
import os
import signal

from harness import NEWER, OLDER, Arena, async_test, ends_soon, finish, resume, spawn, transcript


def spares_of(arena: Arena) -> dict:
    try:
        return json.loads((arena.logs / "current-session.json").read_text()).get("spares", {})
    except FileNotFoundError:
        return {}


async def wait_for_spares(arena: Arena, server, ready: int, but: set[int] = frozenset()) -> set[int]:
    """Waits until so many are ready and no other process is left; returns them, among which are none of `but`: those that
    were used, since the status file says for a moment still that they are ready."""
    while True:
        found = set(others(arena, server))
        if spares_of(arena) == {"ready": ready, "starting": 0} and len(found) == ready and not found & but:
            return found
        await server.call("list_workers")


def others(arena: Arena, server) -> list[int]:
    return [pid for pid in arena.processes() if pid != server.pid]


def given(entry: dict) -> dict:
    """What `MOCK echo-options` told."""
    return json.loads(transcript(entry)["result"])


@async_test
async def test_the_first_prompt_takes_a_process_that_was_there(arena):
    async with arena.session("--prewarm", "2") as server:
        pids = await wait_for_spares(arena, server, 2)
        assert len(pids) == 2
        entry = await finish(server, "MOCK echo-options")
        told = given(entry)
        assert told["pid"] in pids
        assert told["session_id"] == entry["claude_session_id"] == transcript(entry)["session_id"]
        assert "warnings" not in entry
        assert len(await wait_for_spares(arena, server, 2, but={told["pid"]})) == 2


@async_test
async def test_what_a_process_can_be_told_reaches_it_and_all_else_gets_a_process_of_its_own(arena):
    async with arena.session("--prewarm", "1") as server:
        elsewhere = arena.root / "elsewhere"
        elsewhere.mkdir()
        used = set()
        for options, is_served in (
            ({"model": "opus", "permission_mode": "acceptEdits", "system": "be brief"}, True),
            ({"json_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}, True),
            ({"cwd": str(elsewhere)}, False),
            ({"env": {"A": "b"}}, False),
            ({"allowed_tools": ["Read"]}, False),
            ({"max_tokens": 1000}, False),
        ):
            (spare,) = await wait_for_spares(arena, server, 1, but=used)
            if "json_schema" in options:
                await spawn(server, 'MOCK structured {"n": 1}', **options)
                done = await server.call("wait")
                assert done["completed"][0]["structured_output"] == {"n": 1}, done
                assert ends_soon(spare)
                used.add(spare)
                continue
            told = given(await finish(server, "MOCK echo-options", **options))
            used.add(told["pid"])
            assert (told["pid"] == spare) is is_served, options
            if is_served:
                assert told["model"].startswith("claude-opus")
                assert told["permission_mode"] == "acceptEdits"
                assert told["initialize"]["systemPrompt"] == ["be brief"]
            assert told["cwd"] == options.get("cwd", str(arena.cwd))
            assert told["env"].get("A") == options.get("env", {}).get("A")


@async_test
async def test_an_agent_type_gets_a_process_of_its_own(arena):
    async with arena.session("--prewarm", "1") as server:
        (spare,) = await wait_for_spares(arena, server, 1)
        arguments = {"description": "a", "prompt": "MOCK echo-options", "agent_type": "Explore"}
        await server.call("spawn_worker", arguments)
        (entry,) = (await server.call("wait"))["completed"]
        told = given(entry)
        assert told["pid"] != spare and told["argv"][told["argv"].index("--agent") + 1] == "Explore"


@async_test
async def test_a_spare_that_dies_is_replaced_and_no_worker_notices(arena):
    async with arena.session("--prewarm", "1") as server:
        (spare,) = await wait_for_spares(arena, server, 1)
        os.kill(spare, signal.SIGKILL)
        assert ends_soon(spare)
        told = given(await finish(server, "MOCK echo-options"))
        assert told["pid"] != spare
        assert len(await wait_for_spares(arena, server, 1, but={spare, told["pid"]})) == 1


@async_test
async def test_a_worker_that_took_a_spare_is_resumed_like_any_other(arena):
    for seconds in ("0", "300"):
        async with arena.session("--prewarm", "1", "--keep-warm", seconds) as server:
            await wait_for_spares(arena, server, 1)
            one = (await finish(server, "MOCK say first"))["worker_id"]
            await resume(server, one, "MOCK history")
            (entry,) = (await server.call("wait", {"worker_ids": [one]}))["completed"]
            assert "say first" in entry["result_preview"] and "context_lost" not in entry


@async_test
async def test_the_newest_memory_counts(arena):
    async with arena.session("--prewarm", "1") as server:
        (spare,) = await wait_for_spares(arena, server, 1)
        (arena.cwd / "CLAUDE.md").write_text("Be kind.\n")
        assert given(await finish(server, "MOCK echo-options"))["pid"] != spare
        assert ends_soon(spare)


@async_test
async def test_spares_end_with_the_server_however_it_ends(arena):
    for ending in (None, signal.SIGINT, signal.SIGKILL):
        async with arena.server("--prewarm", "2") as server:
            await server.initialize()
            pids = await wait_for_spares(arena, server, 2)
            if ending is None:
                await server.close()
            else:
                await server.signal(ending)
                await server.exited()
            assert all(ends_soon(pid) for pid in pids)


@async_test
async def test_nothing_is_started_for_nobody(arena):
    for flags, more in ((("--prewarm", "0"), {}), (("--prewarm", "2", "--budget-usd", "1"), {}),
                        (("--prewarm", "2"), {"AWM_DEPTH": "1"})):
        async with arena.session(*flags, env=more) as server:
            assert all(ends_soon(pid) for pid in others(arena, server)), "only the question for the version"
            if "AWM_DEPTH" not in more:
                await finish(server, "MOCK say fine")
                assert all(ends_soon(pid) for pid in others(arena, server))
            assert others(arena, server) == []


@async_test
async def test_two_versions_take_what_each_can(arena):
    for version, is_served in ((OLDER, False), (NEWER, True)):
        async with arena.session("--prewarm", "1", env={"MOCK_CLAUDE_VERSION": version}) as server:
            (spare,) = await wait_for_spares(arena, server, 1)
            told = given(await finish(server, "MOCK echo-options", model="opus"))
            assert (told["pid"] == spare) is is_served, version
            assert told["model"].startswith("claude-opus")
