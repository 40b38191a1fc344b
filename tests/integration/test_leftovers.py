"""No process is left behind: neither tools by their worker, nor workers by a server that was killed."""

import signal

import pytest
from harness import Arena, async_test, ends_soon, finish, spawn


def ledgers(arena: Arena) -> list[str]:
    return [path.name for path in arena.logs.glob(".manager-*")]


def others(arena: Arena, server) -> list[int]:
    """The test's processes but for the server."""
    return [pid for pid in arena.processes() if pid != server.pid]


def stubborn(bell) -> str:
    return f"MOCK ignore-signals\nMOCK deaf\nMOCK grandchild setsid\n{bell}\nMOCK hang"


@async_test
async def test_what_a_killed_server_left_behind_is_ended_by_the_next(arena):
    bell = arena.bell()
    async with arena.session() as server:
        for _ in range(2):
            await spawn(server, stubborn(bell))
        await bell.rings(2)
        left = others(arena, server)
        assert len(left) == 4
        await server.kill()
    assert sorted(arena.processes()) == sorted(left), "they survive the server: otherwise this tests nothing"
    assert len(ledgers(arena)) == 1
    async with arena.session() as server:
        assert all(ends_soon(pid) for pid in left)
        meanwhile = await spawn(server, "MOCK say meanwhile")
        done = await server.call("wait")
        assert [e["worker_id"] for e in done["completed"]] == [meanwhile["worker_id"]]
        assert [e["state"] for e in done["failed"]] == ["interrupted"] * 2, "and what they left is told"
    assert ledgers(arena) == []
    assert "ended 4 processes" in server.stderr


@async_test
async def test_a_server_that_ends_at_once_takes_the_leftovers_along(arena):
    bell = arena.bell()
    async with arena.session() as server:
        await spawn(server, stubborn(bell))
        await bell.rings()
        await server.kill()
    async with arena.session():
        pass
    # the arena checks that no process is left


@async_test
async def test_the_tools_of_a_worker_that_died_with_its_server_are_ended_by_the_next(arena):
    bell = arena.bell()
    async with arena.session() as server:
        await spawn(server, f"MOCK grandchild setsid\n{bell}\nMOCK hang")
        (worker,) = await bell.rings()
        left = others(arena, server)
        await server.kill()
    assert ends_soon(worker)
    assert len(arena.processes()) == 1
    async with arena.session():
        assert all(ends_soon(pid) for pid in left)


@async_test
async def test_the_workers_of_a_server_that_lives_are_left_alone(arena):
    bell = arena.bell()
    async with arena.session() as first:
        await spawn(first, stubborn(bell))
        await bell.rings()
        theirs = others(arena, first)
        async with arena.session() as second:
            await finish(second, "MOCK say hello")
        assert set(theirs) <= set(arena.processes())
        await first.signal(signal.SIGTERM)
        await first.exited()


@async_test
async def test_what_a_worker_leaves_behind_in_a_session_of_its_own_ends_with_it(arena):
    async with arena.session() as server:
        await finish(server, "MOCK grandchild setsid\nMOCK say done\nMOCK result\nMOCK eof\nMOCK exit 0")
        assert all(ends_soon(pid) for pid in others(arena, server))


@pytest.mark.parametrize("how", ["eof", "SIGINT", "SIGTERM"])
@async_test
async def test_a_server_that_ends_leaves_neither_tools_nor_a_ledger(arena, how):
    bell = arena.bell()
    async with arena.session() as server:
        await spawn(server, f"MOCK grandchild setsid\n{bell}\nMOCK hang")
        await spawn(server, stubborn(bell))
        await bell.rings(2)
        left = others(arena, server)
        if how == "eof":
            server.end_stdin()
        else:
            await server.signal(getattr(signal, how))
        await server.exited()
    # A watch stays for the stubborn one, and removes the ledger as the last thing it does.
    assert all(ends_soon(pid) for pid in [*left, *arena.processes()])
    assert ledgers(arena) == []
