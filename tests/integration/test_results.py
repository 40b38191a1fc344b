"""Results that can be believed: what was written and by whom, structured results, background tasks, worktrees."""

import json
import subprocess
from pathlib import Path

import pytest
from harness import NEWER, OLDER, async_test, fail, finish, resume, spawn, transcript

VERSIONS = pytest.mark.parametrize("version", [OLDER, NEWER])
FREE = {"permission_mode": "acceptEdits"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, env=environment, capture_output=True, check=True)
    return done.stdout.decode().strip()


def repository(arena) -> Path:
    git(arena.cwd, "init", "-q")
    (arena.cwd / "README").write_text("hello\n")
    git(arena.cwd, "add", ".")
    git(arena.cwd, "commit", "-q", "-m", "first")
    return arena.cwd


# ---- files ----


@async_test
async def test_the_files_that_were_written_are_listed_and_those_that_failed_are_not(arena):
    async with arena.session() as server:
        script = "MOCK write a.txt one\nMOCK write b.txt two\nMOCK write a.txt three\nMOCK write-fails c.txt no"
        done = await finish(server, script, **FREE)
        wanted = [str(arena.cwd / name) for name in ("a.txt", "b.txt")]
        assert done["files_written"] == wanted and done["files_written_count"] == 2
        assert transcript(done)["files_written"] == wanted
        assert "files_written" not in await finish(server, "MOCK say nothing written")
        await resume(server, done["worker_id"], "MOCK write d.txt four")
        again = (await server.call("wait"))["completed"][0]
        assert str(arena.cwd / "d.txt") in again["files_written"]


@async_test
async def test_two_workers_that_wrote_one_file_are_named(arena):
    async with arena.session() as server:
        first = (await spawn(server, "MOCK write same.txt one", "the first", **FREE))["worker_id"]
        assert "conflicts" not in (await server.call("wait")).structured
        second = (await spawn(server, f"MOCK write {arena.cwd}/./same.txt two", "the second", **FREE))["worker_id"]
        (conflict,) = (await server.call("wait"))["conflicts"]
        assert conflict["path"] == str(arena.cwd / "same.txt")
        assert set(conflict["worker_ids"]) == {first, second}
        assert "the first" in conflict["warning"] and "the second" in conflict["warning"]
    async with arena.session() as server:
        await server.call("list_workers")
        await spawn(server, "MOCK write same.txt three", "the third", **FREE)
        assert (await server.call("wait")).structured.get("conflicts"), "also across servers"


@async_test
async def test_denied_tools_stand_in_the_result(arena):
    async with arena.session() as server:
        script = 'MOCK permission Bash {"command":"echo a"}\nMOCK say done'
        done = await finish(server, script, permissions={"deny": ["Bash"]})
        assert done["denied_tools"] == ["Bash"]
        assert "denied_tools" not in await finish(server, "MOCK say fine")


# ---- structured results ----


@VERSIONS
@async_test
async def test_a_structured_result_stands_in_the_answer_and_the_transcript(arena, version):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        done = await finish(server, 'MOCK structured {"n":7}', json_schema=SCHEMA)
        assert done["structured_output"] == {"n": 7} == transcript(done)["structured_output"]
        shown = await server.call("worker_output", {"worker_id": done["worker_id"]})
        assert shown["structured_output"] == {"n": 7}


@VERSIONS
@async_test
async def test_a_missing_structured_result_is_a_failure(arena, version):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        failed = await fail(server, "MOCK say seven, I think", json_schema=SCHEMA)
        assert "json_schema" in failed["error_hint"] and "seven" in transcript(failed)["result"]
        await resume(server, failed["worker_id"], 'MOCK structured {"n":7}')
        assert (await server.call("wait"))["completed"][0]["structured_output"] == {"n": 7}


# ---- background tasks ----


@VERSIONS
@async_test
async def test_a_turn_with_background_work_completes_when_that_is_over(arena, version):
    task = arena.gate("task")
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        one = (await spawn(server, f"MOCK background t1 {task.path}\nMOCK say started", background=True))["worker_id"]
        waiting = server.start_call("wait")
        while (await server.call("worker_output", {"worker_id": one, "block": False}))["state"] != "background":
            await server.call("wait", {"timeout_s": 0})
        listed = (await server.call("list_workers"))["workers"][0]
        assert listed["background_tasks"] == 1
        assert (await server.call("wait", {"timeout_s": 0}))["outstanding"]["background"] == 1
        assert not waiting.done
        task.open()
        entry = (await waiting)["completed"][0]
        assert entry["worker_id"] == one and entry["turn"] == 1
        assert "t1 done" in transcript(entry)["result"]


@async_test
async def test_without_the_option_there_is_no_background(arena):
    task = arena.gate("task")
    async with arena.session() as server:
        await spawn(server, f"MOCK background t1 {task.path}\nMOCK say went on")
        task.open()
        done = (await server.call("wait"))["completed"]
        assert [e["result_preview"] for e in done] == ["went on"]


@VERSIONS
@async_test
async def test_background_work_is_cancelled_with_its_worker(arena, version):
    task = arena.gate("task")
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        one = (await spawn(server, f"MOCK background t1 {task.path}\nMOCK say started", background=True))["worker_id"]
        while (await server.call("worker_output", {"worker_id": one, "block": False}))["state"] != "background":
            await server.call("wait", {"timeout_s": 0})
        await server.call("cancel_worker", {"worker_id": one})
        assert [pid for pid in arena.processes() if pid != server.pid] == []
        assert len((await server.call("wait"))["cancelled"]) == 1


# ---- worktrees ----


@async_test
async def test_a_worktree_keeps_what_its_worker_wrote_and_the_checkout_is_untouched(arena):
    checkout = repository(arena)
    async with arena.session() as server:
        done = await finish(server, "MOCK write new.txt words", isolation="worktree", **FREE)
        tree = done["worktree"]
        assert tree["kept"] is True and tree["uncommitted_files"] == 1 and tree["note"]
        assert (Path(tree["path"]) / "new.txt").read_text().strip() == "words"
        assert done["files_written"] == [str(Path(tree["path"]) / "new.txt")]
        assert not (checkout / "new.txt").exists()
        assert git(checkout, "status", "--porcelain", "--untracked-files=no") == ""
        assert tree["branch"] in git(checkout, "branch", "--list", "--format=%(refname:short)").splitlines()
        await resume(server, done["worker_id"], "MOCK echo-options")
        again = (await server.call("wait"))["completed"][0]
        assert json.loads(transcript(again)["result"])["cwd"] == tree["path"], "and goes on in it"


@async_test
async def test_a_worktree_in_which_nothing_happened_is_removed_with_its_branch(arena):
    checkout = repository(arena)
    async with arena.session() as server:
        done = await finish(server, "MOCK say looked around", isolation="worktree")
        assert done["worktree"]["kept"] is False
        assert not Path(done["worktree"]["path"]).exists()
        assert git(checkout, "branch", "--format=%(refname:short)").splitlines() == ["main"]
        await resume(server, done["worker_id"], "MOCK history")
        again = await server.call("wait")
        assert "looked around" in again["completed"][0]["result_preview"], again


@async_test
async def test_two_workers_in_worktrees_do_not_write_over_each_other(arena):
    repository(arena)
    async with arena.session() as server:
        for n in range(2):
            await spawn(server, f"MOCK write same.txt {n}", isolation="worktree", **FREE)
        done = await server.call("wait")
        assert "conflicts" not in done.structured
        texts = {(Path(e["worktree"]["path"]) / "same.txt").read_text().strip() for e in done["completed"]}
        assert texts == {"0", "1"}


@async_test
async def test_isolation_without_a_repository_is_refused_and_leaves_nothing(arena):
    async with arena.session() as server:
        arguments = {"description": "x", "prompt": "x", "options": {"isolation": "worktree"}}
        text = await server.call_error("spawn_worker", arguments)
        assert "isolation" in text and str(arena.cwd) in text
        assert list(arena.logs.glob("worker-*")) == []
        assert "No active workers" in await server.call_error("wait")


@async_test
async def test_a_worker_that_is_refused_for_its_options_leaves_no_worktree(arena):
    checkout = repository(arena)
    async with arena.session() as server:
        options = {"isolation": "worktree", "permissions": {"allow": ["Bash("]}}
        arguments = {"description": "x", "prompt": "x", "options": options}
        assert "Bash(" in await server.call_error("spawn_worker", arguments)
        assert git(checkout, "branch", "--format=%(refname:short)").splitlines() == ["main"]
        assert len(git(checkout, "worktree", "list").splitlines()) == 1
        assert "No active workers" in await server.call_error("wait")


@async_test
async def test_a_worker_in_a_worktree_can_come_after_another(arena):
    repository(arena)
    gate = arena.gate()
    async with arena.session() as server:
        first = (await spawn(server, f"{gate}\nMOCK say first"))["worker_id"]
        calls = []
        for n in range(4):
            options = {"isolation": "worktree"}
            arguments = {"description": "x", "prompt": f"MOCK say {n}", "after": [first], "options": options}
            calls.append(server.start_call("spawn_worker", arguments))
        gate.open()  # the first may end while git still makes the worktrees
        followers = {(await call)["worker_id"] for call in calls}
        done = await server.call("wait")
        delivered = {e["worker_id"] for e in done["completed"]}
        assert delivered == followers | {first}
