"""The log folder when it is full, read-only, missing, or in the hands of somebody else: workers go on, what is wrong is said,
and what was received is on disk as soon as that is possible. docs/reliability.md has the table."""

import json
import os
import resource
import stat
import subprocess
from pathlib import Path

import pytest
from harness import MOCK_CLAUDE, async_test, finish, guarded, resume, spawn, texts, transcript

MIB = 1 << 20
PAGE = 4096


class SmallDisk:
    """A file system of its own under the arena's log folder."""

    def __init__(self, arena, size: int):
        self.path = arena.logs
        self.filler = self.path / "filler"
        self.path.mkdir(mode=0o700)
        options = f"size={size},mode=0700"
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.path], capture_output=True, text=True)
        if made.returncode != 0:
            pytest.skip(f"a small disk needs root and mount: {made.stderr.strip()}")

    def fill(self) -> None:
        with open(self.filler, "ab", buffering=0) as file:
            try:
                while file.write(b"x" * PAGE) > 0:
                    pass
            except OSError:
                pass

    def make_room(self) -> None:
        self.filler.unlink()

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self.path], check=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def disk(arena):
    small = SmallDisk(arena, 4 * MIB)
    yield small
    small.close()


def left_over(arena) -> list[str]:
    return sorted(p.name for p in arena.logs.iterdir() if p.suffix in (".part", ".tmp"))


async def until(server, holds, what: str) -> None:
    """What the server does by itself is seen by asking it something and looking again."""

    async def wait() -> None:
        while not holds():
            await server.request("ping")

    await guarded(wait(), what, server)


async def caught_up(server) -> None:
    """Waits until everything is on disk that should be."""
    while "log_folder_problem" in (await server.call("list_workers")).structured:
        pass


async def spoke(server, arena, spawned, text: str) -> None:
    """Waits until the server has written what the worker said."""
    part = arena.logs / f"worker-{spawned['worker_id']}.part"
    await until(server, lambda: part.exists() and text in part.read_text(), f"{text} on disk")


# ---- full ----


PLAIN = "MOCK lines 300 1000\nMOCK say made it"
IN_BLOCKS = "MOCK think hm\nMOCK lines 300 1000\nMOCK think so\nMOCK say made it"


@pytest.mark.parametrize("script", [PLAIN, IN_BLOCKS], ids=["plain", "replies-in-blocks"])
@async_test
async def test_a_full_disk_stops_no_worker_is_reported_and_the_transcript_catches_up(arena, disk, script):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        first = await finish(server, "MOCK say before")
        spawned = await spawn(server, f"MOCK say begun\n{bell}\n{gate}\n{script}")
        await bell.rings()
        await spoke(server, arena, spawned, "begun")
        disk.fill()
        refused = await server.call_error("spawn_worker", {"description": "x", "prompt": "MOCK say x"})
        assert "No space left on device" in refused and "Nothing was started" in refused
        gate.open()
        done = await server.call("wait")
        (entry,) = done["completed"]
        assert "No space left on device" in entry["transcript_incomplete"]
        assert entry["result"] == "made it", "whole, as it is nowhere else"
        for told in (done, await server.call("list_workers")):
            assert str(arena.logs) in told["log_folder_problem"] and "of 1 transcripts" in told["log_folder_problem"]
        assert transcript(spawned)["state"] == "running", "what is on disk stays readable, and does not say more than is there"
        refused = await server.call_error("resume_worker", {"worker_id": spawned["worker_id"], "prompt": "MOCK say x"})
        assert "No space left on device" in refused
        assert texts(transcript(first)) == ["before"]

        disk.make_room()
        await until(server, lambda: transcript(spawned)["state"] == "completed", "the transcript")
        record = transcript(spawned)
        said = texts(record)
        assert (said[0], said[-1], len(said)) == ("begun", "made it", 302)
        assert [t.split(" ")[0] for t in said[1:-1]] == [str(n) for n in range(300)]
        assert record["result"] == "made it" and len(record["turns"]) == 1
        assert "log_folder_problem" not in (await server.call("list_workers")).structured
        assert left_over(arena) == []
        await resume(server, spawned["worker_id"], "MOCK say and on")
        (entry,) = (await server.call("wait"))["completed"]
        assert texts(transcript(entry)) == [*said, "and on"] and "transcript_incomplete" not in entry
        assert "cannot be written: No space left on device" in server.stderr
        assert "can be written again" in server.stderr


@async_test
async def test_room_that_comes_back_during_the_turn_leaves_no_trace_of_the_full_disk(arena, disk):
    bell, gates = arena.bell(), [arena.gate("one"), arena.gate("two")]
    async with arena.session() as server:
        script = f"MOCK say begun\n{bell}\n{gates[0]}\nMOCK lines 300 1000\n{bell}\n{gates[1]}\nMOCK say end"
        spawned = await spawn(server, script)
        await bell.rings()
        await spoke(server, arena, spawned, "begun")
        disk.fill()
        gates[0].open()
        await bell.rings()
        while "log_folder_problem" not in (listed := (await server.call("list_workers")).structured):
            pass
        assert listed["workers"][0]["state"] == "running"
        disk.make_room()
        await caught_up(server)  # by itself: the worker says nothing
        await spoke(server, arena, spawned, "299 ")
        gates[1].open()
        done = await server.call("wait")
        (entry,) = done["completed"]
        assert "transcript_incomplete" not in entry and "log_folder_problem" not in done.structured
        assert len(texts(transcript(entry))) == 302


@async_test
async def test_a_turn_that_is_on_disk_before_it_is_told_is_told_as_such(arena, disk):
    bell, gate, over = arena.bell(), arena.gate(), arena.bell("over")
    async with arena.session() as server:
        spawned = await spawn(server, f"MOCK say begun\n{bell}\n{gate}\nMOCK lines 100 1000\nMOCK result\nMOCK eof\n{over}")
        await bell.rings()
        await spoke(server, arena, spawned, "begun")
        disk.fill()
        gate.open()
        await over.rings()
        disk.make_room()
        await until(server, lambda: transcript(spawned)["state"] == "completed", "the transcript")
        (entry,) = (await server.call("wait"))["completed"]
        assert "transcript_incomplete" not in entry and "result" not in entry


@async_test
async def test_what_was_told_while_the_disk_was_full_is_not_told_again(arena, disk):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        spawned = await spawn(server, f"MOCK say begun\n{bell}\n{gate}\nMOCK lines 100 1000\nMOCK say end")
        await bell.rings()
        await spoke(server, arena, spawned, "begun")
        disk.fill()
        gate.open()
        assert len((await server.call("wait"))["completed"]) == 1
        await server.request("ping")  # what was delivered was to be noted by now
        disk.make_room()
        await caught_up(server)
        await server.kill()
    async with arena.session() as server:
        assert "No active workers" in await server.call_error("wait")
        assert transcript(spawned)["state"] == "completed"


@async_test
async def test_what_was_allowed_while_the_disk_was_full_is_logged_when_there_is_room(arena, disk):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        await spawn(server, f'MOCK say begun\n{bell}\n{gate}\nMOCK permission Bash {{"command":"echo {"x" * 3000}"}}\nMOCK say end')
        await bell.rings()
        disk.fill()
        gate.open()
        (asked,) = (await server.call("wait"))["pending_permissions"]
        await server.call("approve_permission", {"request_id": asked["request_id"], "allow": True})
        assert len((await server.call("wait"))["completed"]) == 1
        disk.make_room()
        await caught_up(server)
        lines = (arena.logs / "permissions.ndjson").read_text().splitlines()
        decided = [json.loads(line) for line in lines if line.endswith("}")]
        assert [line["request_id"] for line in decided] == [asked["request_id"]]


@async_test
async def test_a_server_that_ends_on_a_full_disk_leaves_readable_transcripts_with_what_was_there(arena, disk):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        spawned = await spawn(server, f"MOCK say begun\n{bell}\n{gate}\nMOCK lines 100 1000\nMOCK say end")
        await bell.rings()
        await spoke(server, arena, spawned, "begun")
        disk.fill()
        gate.open()
        await server.call("wait")
    disk.make_room()
    async with arena.session() as server:
        (entry,) = (await server.call("wait"))["failed"]
        assert entry["state"] == "interrupted" and texts(transcript(entry))[0] == "begun"
        await resume(server, spawned["worker_id"], "MOCK say and on")
        (entry,) = (await server.call("wait"))["completed"]
        assert texts(transcript(entry))[-1] == "and on"


@async_test
async def test_what_memory_does_not_hold_either_is_counted(arena, disk):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        spawned = await spawn(server, f"MOCK say begun\n{bell}\n{gate}\nMOCK lines 20000 1000\nMOCK say end")
        await bell.rings()
        await spoke(server, arena, spawned, "begun")
        disk.fill()
        gate.open()
        (entry,) = (await server.call("wait"))["completed"]
        assert entry["result_preview"] == "end"
        (warning,) = [w for w in entry["warnings"] if "not in the transcript" in w]
        left_out = int(warning.split(" ")[0])
        assert 3000 < left_out < 8000 and "16 MiB" in warning
        subprocess.run(["mount", "-o", f"remount,size={64 * MIB}", disk.path], check=True)
        await until(server, lambda: transcript(spawned)["state"] == "completed", "the transcript")
        record = transcript(spawned)
        assert len(texts(record)) + left_out == 20002 and warning in record["warnings"]


@async_test
async def test_a_limit_on_the_size_of_files_is_a_full_disk_and_not_the_end_of_the_server(arena):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        spawned = await spawn(server, f"MOCK say begun\n{bell}\n{gate}\nMOCK lines 300 1000\nMOCK say end")
        await bell.rings()
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (64 * 1024, resource.RLIM_INFINITY))
        gate.open()
        (entry,) = (await server.call("wait"))["completed"]
        assert "File too large" in entry["transcript_incomplete"]
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await until(server, lambda: transcript(spawned)["state"] == "completed", "the transcript")
        assert len(texts(transcript(spawned))) == 302


# ---- read-only, missing, a file ----


@async_test
async def test_a_folder_that_cannot_be_written_is_said_and_works_once_it_can(arena):
    if os.geteuid() == 0:
        disk = SmallDisk(arena, MIB)
        disk.remount("ro")
    else:
        arena.logs.mkdir(mode=0o500)
    try:
        async with arena.session() as server:
            text = await server.call_error("spawn_worker", {"description": "x", "prompt": "MOCK say x"})
            assert str(arena.logs) in text and ("Read-only file system" in text or "Permission denied" in text)
            assert "Nothing was started" in text
            if os.geteuid() == 0:
                disk.remount("rw")
            else:
                arena.logs.chmod(0o700)
            assert (await finish(server, "MOCK say x"))["result_preview"] == "x"
    finally:
        if os.geteuid() == 0:
            disk.close()


@async_test
async def test_a_refused_worker_leaves_no_file_behind(arena, disk):
    async with arena.session() as server:
        await finish(server, "MOCK say x")
        disk.fill()
        before = sorted(p.name for p in arena.logs.glob("worker-*"))
        servers = {"mcp": {"a": {"command": "/bin/true", "env": {"TOKEN": "secret" * 1000}}}}
        text = await server.call_error("spawn_worker", {"description": "x", "prompt": "MOCK say x", "options": servers})
        assert "No space left on device" in text
        assert sorted(p.name for p in arena.logs.glob("worker-*")) == before
        disk.make_room()


@async_test
async def test_a_missing_folder_is_made_with_its_parents(arena):
    deep = arena.root / "not" / "yet" / "there"
    async with arena.session("--claude", MOCK_CLAUDE, "--log-dir", str(deep), standard=False) as server:
        done = await finish(server, "MOCK say x")
        assert Path(done["conversation_history_file_path"]).parent == deep
        assert stat.S_IMODE(deep.stat().st_mode) == 0o700


@async_test
async def test_a_folder_that_is_removed_while_a_worker_runs_costs_its_messages_and_nothing_else(arena):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        spawned = await spawn(server, f"MOCK say begun\n{bell}\n{gate}\nMOCK say end")
        await bell.rings()
        await spoke(server, arena, spawned, "begun")
        arena.logs.rename(arena.root / "elsewhere")
        gate.open()
        (entry,) = (await server.call("wait"))["completed"]
        assert entry["result_preview"] == "end" and entry["result"] == "end"
        await until(server, lambda: Path(spawned["conversation_history_file_path"]).exists(), "the record")
        record = transcript(spawned)
        assert record["result"] == "end" and any("somebody changed or removed" in w for w in record["warnings"])
        assert (await finish(server, "MOCK say on"))["result_preview"] == "on"


@async_test
async def test_a_file_where_the_folder_should_be_is_an_error_that_names_it(arena):
    arena.logs.write_text("not a folder")
    async with arena.session() as server:
        text = await server.call_error("spawn_worker", {"description": "x", "prompt": "MOCK say x"})
        assert str(arena.logs) in text and "Not a directory" in text and "--log-dir" in text
    assert arena.logs.read_text() == "not a folder"


# ---- transcripts that somebody else had in hand ----


@pytest.mark.parametrize("warm", ["0", "300"], ids=["cold", "warm"])
@async_test
async def test_a_transcript_that_was_edited_is_resumed_as_it_is(arena, warm):
    async with arena.session(env={"AWM_KEEP_WARM": warm}) as server:
        done = await finish(server, "MOCK say one")
        path = Path(done["conversation_history_file_path"])
        path.write_text(path.read_text().replace('"text":"one"', '"text":"one, with a remark"'))
        await resume(server, done["worker_id"], "MOCK say two")
        (entry,) = (await server.call("wait"))["completed"]
        assert texts(transcript(entry)) == ["one, with a remark", "two"]


@pytest.mark.parametrize("warm", ["0", "300"], ids=["cold", "warm"])
@pytest.mark.parametrize("damage", ["truncated", "emptied", "removed", "foreign"])
@async_test
async def test_a_transcript_that_is_none_any_more_is_refused_and_nobody_else_suffers(arena, damage, warm):
    async with arena.session(env={"AWM_KEEP_WARM": warm}) as server:
        done = await finish(server, "MOCK lines 30 500\nMOCK say one")
        path = Path(done["conversation_history_file_path"])
        whole = path.read_bytes()
        if damage == "truncated":
            os.truncate(path, len(whole) // 2)
        elif damage == "emptied":
            os.truncate(path, 0)
        elif damage == "removed":
            path.unlink()
        else:
            path.write_text('{"messages":[],"worker_id":"somebody else"}\n')
        text = await server.call_error("resume_worker", {"worker_id": done["worker_id"], "prompt": "MOCK say two"})
        assert str(path) in text
        other = await finish(server, "MOCK say other")
        listed = await server.call("list_workers")
        assert other["worker_id"] in [w["worker_id"] for w in listed["workers"]]
        if damage != "removed":
            assert path.read_bytes() != whole, "what is there is not overwritten"
        path.write_bytes(whole)
        await resume(server, done["worker_id"], "MOCK say two")
        assert texts(transcript((await server.call("wait"))["completed"][0]))[-2:] == ["one", "two"]


@pytest.mark.parametrize("script", ["MOCK say two", "MOCK think hm\nMOCK say two"], ids=["plain", "in-blocks"])
@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe", "another's"])
@async_test
async def test_what_stands_where_the_manager_writes_is_replaced_and_never_written_through(arena, kind, script):
    if kind == "another's" and os.geteuid() != 0:
        pytest.skip("to make a file of another user needs root")
    bait = arena.root / "bait"
    bait.write_text("precious")
    async with arena.session() as server:
        done = await finish(server, "MOCK say one")
        for name in (f"worker-{done['worker_id']}.part", f"worker-{done['worker_id']}.tmp", "current-session.json.tmp"):
            path = arena.logs / name
            path.unlink(missing_ok=True)
            if kind == "link":
                path.symlink_to(bait)
            elif kind == "link to nothing":
                path.symlink_to(arena.root / "nothing")
            elif kind == "pipe":
                os.mkfifo(path)
            else:
                path.touch(mode=0o666)
                path.chmod(0o666)
                os.chown(path, 12345, 12345)
        await resume(server, done["worker_id"], script)
        (entry,) = (await server.call("wait"))["completed"]
        assert texts(transcript(entry)) == ["one", "two"]
        status = Path(entry["conversation_history_file_path"]).lstat()
        assert stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600 and status.st_uid == os.geteuid()
    assert bait.read_text() == "precious" and not (arena.root / "nothing").exists()
    assert left_over(arena) == []


@async_test
async def test_a_transcript_that_was_swapped_for_a_link_is_not_read(arena):
    async with arena.session() as server:
        done = await finish(server, "MOCK say one")
        path = Path(done["conversation_history_file_path"])
        elsewhere = arena.root / "elsewhere.json"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        text = await server.call_error("resume_worker", {"worker_id": done["worker_id"], "prompt": "MOCK say two"})
        assert str(path) in text
        before = elsewhere.read_bytes()
    async with arena.session() as server:
        assert (await server.call("list_workers"))["workers"] == []
        assert "There is no worker" in await server.call_error("worker_output", {"worker_id": done["worker_id"]})
        await finish(server, "MOCK say other")
    assert elsewhere.read_bytes() == before


@async_test
async def test_logs_that_were_swapped_for_a_link_are_not_written_through(arena):
    bait = arena.root / "bait"
    bait.write_text("precious")
    bait.chmod(0o644)
    arena.logs.mkdir(mode=0o700)
    for name in (".delivered.ndjson", "permissions.ndjson"):
        (arena.logs / name).symlink_to(bait)
    async with arena.session() as server:
        await spawn(server, 'MOCK permission Bash {"command":"echo x"}')
        asked = (await server.call("wait"))["pending_permissions"][0]
        await server.call("approve_permission", {"request_id": asked["request_id"], "allow": True})
        assert len((await server.call("wait"))["completed"]) == 1
        while "Too many levels of symbolic links" not in (await server.call("list_workers")).structured.get("log_folder_problem", ""):
            pass
    assert bait.read_text() == "precious" and stat.S_IMODE(bait.stat().st_mode) == 0o644


@async_test
async def test_what_signs_in_to_mcp_servers_does_not_stay_behind_a_killed_server(arena):
    bell = arena.bell()
    options = {"mcp": {"a": {"command": "/bin/true", "env": {"TOKEN": "secret"}}}}
    async with arena.session() as server:
        spawned = await spawn(server, f"{bell}\nMOCK hang", **options)
        config = arena.logs / f"worker-{spawned['worker_id']}.mcp.json"
        await bell.rings()
        assert "secret" in config.read_text() and stat.S_IMODE(config.stat().st_mode) == 0o600
        async with arena.session() as other:
            await other.call("list_workers")
            assert config.exists(), "a worker that another server runs still needs it"
        await server.kill()
    async with arena.session() as server:
        await server.call("list_workers")
        assert not config.exists()


# ---- umask and locale ----


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=["0000", "0777"])
@async_test
async def test_files_are_private_and_usable_whatever_the_umask(arena, umask):
    before = os.umask(umask)
    try:
        server = arena.server()
        async with server:
            os.umask(before)
            await server.initialize()
            await spawn(server, 'MOCK permission Bash {"command":"echo x"}')
            asked = (await server.call("wait"))["pending_permissions"][0]
            await server.call("approve_permission", {"request_id": asked["request_id"], "allow": True})
            (done,) = (await server.call("wait"))["completed"]
            if umask == 0 or os.geteuid() == 0:  # the worker's own files are its own affair
                await resume(server, done["worker_id"], "MOCK think hm\nMOCK say two")
                (done,) = (await server.call("wait"))["completed"]
                assert texts(transcript(done))[-1] == "two"
            bell = arena.bell()
            await spawn(server, f"{bell}\nMOCK hang")
            await bell.rings()
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in arena.logs.iterdir()}
            assert {p.split("-")[0] for p in modes} >= {"worker", ".manager", ".owners", "permissions.ndjson", ".delivered.ndjson"}
            assert set(modes.values()) == {0o600}, modes
            assert stat.S_IMODE(arena.logs.stat().st_mode) == 0o700
            await server.close()
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "env", [{"LC_ALL": "nonsense"}, {"LC_ALL": "C"}, {"LANG": "de_DE.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"}, {"LC_ALL": "tr_TR.ISO-8859-9"}]
)
@async_test
async def test_the_locale_changes_neither_text_nor_numbers_nor_paths(arena, env):
    name = "İstanbul – Füße 😀"
    folder = arena.root / name
    folder.mkdir()
    async with arena.session(env=env) as server:
        done = await finish(server, f"MOCK say {name}\nMOCK cost 0.5", description=name, cwd=str(folder), timeout_s=1000.5)
        record = transcript(done)
        assert (done["description"], done["result_preview"], done["cost_usd"]) == (name, name, 0.5)
        assert (record["description"], record["cwd"], record["result"]) == (name, str(folder), name)
        raw = Path(done["conversation_history_file_path"]).read_bytes()
        assert json.loads(raw)["total_cost_usd"] == 0.5
