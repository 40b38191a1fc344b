"""Workers that are killed at every stage, a system that gives no descriptor, process or time of day, and programs that are
not the CLI. docs/reliability.md has the table."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness import MOCK_CLAUDE, SERVER, Arena, async_test, ends_soon, fail, finish, guarded, resume, spawn, texts, transcript
from mcp_client import McpServer

DAY = 86400


# ---- workers ----


def session_with(arena, claude: str):
    """A server with another program as its CLI."""
    return arena.session("--claude", claude, "--log-dir", str(arena.logs), standard=False)


def executable(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


STAGES = {
    "running": "{bell}\nMOCK hang",
    "in a tool": '{bell}\nMOCK hang-tool Bash {{"command":"sleep 1000"}}',
    "in the midst of a line": "MOCK say begun\n{bell}\nMOCK giant 30000000\nMOCK hang",
    "asking": '{bell}\nMOCK permission Bash {{"command":"echo x"}}',
    "with a tool in a session of its own": "MOCK grandchild setsid\n{bell}\nMOCK hang",
    "deaf and ignoring signals": "MOCK ignore-signals\nMOCK deaf\n{bell}\nMOCK hang",
}


@pytest.mark.parametrize("stage", STAGES)
@async_test
async def test_a_worker_that_is_killed_fails_is_named_and_goes_on_when_resumed(arena, stage):
    bell = arena.bell()
    async with arena.session() as server:
        spawned = await spawn(server, STAGES[stage].format(bell=bell))
        (pid,) = await bell.rings()
        os.kill(pid, signal.SIGKILL)
        while not (done := await server.call("wait"))["failed"]:
            pass  # a question may have cut it short
        (entry,) = done["failed"]
        assert (entry["worker_id"], entry["returncode"]) == (spawned["worker_id"], -9)
        assert "signal 9" in entry["error_hint"] and done["pending_permissions"] == []
        assert transcript(entry)["state"] == "failed"
        assert all(ends_soon(pid) for pid in arena.processes() if pid != server.pid)
        await resume(server, spawned["worker_id"], "MOCK say again")
        (entry,) = (await server.call("wait"))["completed"]
        assert entry["turn"] == 2 and texts(transcript(entry))[-1] == "again"


@async_test
async def test_a_worker_that_is_killed_before_it_says_anything_fails(arena):
    bell = arena.bell()
    slow = f'case "$1" in --version) exec {MOCK_CLAUDE} "$@";; esac\necho $$ > {bell.path}\nexec sleep 1000'
    async with session_with(arena, executable(arena.root / "claude", slow)) as server:
        spawned = await spawn(server, "MOCK say never")
        (pid,) = await bell.rings()
        os.kill(pid, signal.SIGKILL)
        (entry,) = (await server.call("wait"))["failed"]
        assert (entry["worker_id"], entry["returncode"]) == (spawned["worker_id"], -9)


@async_test
async def test_a_worker_that_is_killed_in_the_background_or_after_its_result(arena):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session() as server:
        background = await spawn(server, f"MOCK background b1 {gate.path}\nMOCK say begun\nMOCK result\n{bell}\nMOCK hang", background=True)
        ended = await spawn(server, f"MOCK say complete\nMOCK result\n{bell}\nMOCK hang")
        for pid in await bell.rings(2):
            os.kill(pid, signal.SIGKILL)
        done = await server.call("wait")
        assert ended["worker_id"] in [e["worker_id"] for e in done["completed"]]
        told = {e["worker_id"]: e for e in [*done["completed"], *done["failed"]]}
        assert set(told) == {background["worker_id"], ended["worker_id"]}


@async_test
async def test_a_warm_worker_and_a_spare_that_are_killed_cost_nothing(arena):
    async with arena.session("--prewarm", "1", env={"AWM_KEEP_WARM": "300"}) as server:
        done = await finish(server, "MOCK say one")
        for pid in arena.processes():
            if pid != server.pid:
                os.kill(pid, signal.SIGKILL)
        await resume(server, done["worker_id"], "MOCK say two")
        (entry,) = (await server.call("wait"))["completed"]
        assert texts(transcript(entry)) == ["one", "two"]
        assert (await finish(server, "MOCK say other"))["result_preview"] == "other"


# ---- programs that are not the CLI (missing, vanished, failing ones: test_failures.py) ----


@async_test
async def test_a_cli_that_may_not_be_executed_is_an_error_that_names_it(arena):
    claude = arena.root / "claude"
    shutil.copy(MOCK_CLAUDE, claude)
    claude.chmod(0o644)
    async with session_with(arena, str(claude)) as server:
        text = await server.call_error("spawn_worker", {"description": "x", "prompt": "x"})
        assert str(claude) in text and "--claude" in text


@pytest.mark.parametrize("program", ["yes", "exec sleep 1000", "echo something else", "kill -9 $$", "echo x > /dev/full"])
@async_test
async def test_a_program_that_is_another_is_an_error_and_is_gone(arena, program):
    claude = executable(arena.root / "claude", program)
    async with session_with(arena, claude) as server:
        text = await server.call_error("spawn_worker", {"description": "x", "prompt": "x"})
        assert claude in text and "--claude" in text
        assert await server.request("ping") == {}
    # the arena checks that no process is left


@async_test
async def test_a_program_that_only_has_a_version_fails_its_worker_with_what_it_says(arena):
    other = 'case "$1" in --version) echo 20.1.0;; *) echo "node: bad option: -p" >&2; exit 9;; esac'
    async with session_with(arena, executable(arena.root / "node", other)) as server:
        failed = await fail(server, "MOCK say x")
        assert failed["returncode"] == 9 and "bad option" in failed["error_hint"]


@async_test
async def test_a_file_that_is_no_program_is_an_error(arena):
    claude = arena.root / "claude"
    claude.write_bytes(b"\x7fELF and no more")
    claude.chmod(0o755)
    async with session_with(arena, str(claude)) as server:
        text = await server.call_error("spawn_worker", {"description": "x", "prompt": "x"})
        assert str(claude) in text


# ---- a system that gives nothing more ----


@async_test
async def test_without_descriptors_a_start_fails_and_says_so_and_the_next_one_may_succeed(arena):
    bell, gate = arena.bell(), arena.gate()
    async with arena.session("--max-workers", "20") as server:
        held = [await spawn(server, f"{bell}\n{gate}\nMOCK say held") for _ in range(5)]
        await bell.rings(5)
        soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        in_use = max(int(fd) for fd in os.listdir(f"/proc/{server.pid}/fd")) + 1
        # One is left for the transcript; three pipes need six.
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (in_use + 2, hard))
        answer = await server.start_call("spawn_worker", {"description": "x", "prompt": "MOCK say never"})
        if answer.is_error:
            assert "Too many open files" in answer.text
        else:
            (entry,) = (await server.call("wait", {"mode": "any"}))["failed"]
            assert "Too many open files" in entry["error_hint"] and "--max-workers" in entry["error_hint"]
            assert entry["returncode"] is None
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
        gate.open()
        await spawn(server, "MOCK say again")
        done = await server.call("wait")
        assert sorted(e["result_preview"] for e in done["completed"]) == sorted(["held"] * len(held) + ["again"])
        assert done["failed"] == []


@async_test
async def test_more_workers_than_descriptors_wait_in_the_queue(arena):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[0], limits[1]))
    command = ["prlimit", "--nofile=100:100", SERVER, "--claude", MOCK_CLAUDE, "--log-dir", str(arena.logs), "--max-workers", "50"]
    settings = {"AWM_TEST_MARK": arena.mark, "AWM_KEEP_WARM": "0"}
    async with McpServer(command, home=arena.home, cwd=arena.cwd, env=settings) as server:
        await server.initialize()
        for number in range(30):
            await spawn(server, f"MOCK say {number}")
        done = await server.call("wait")
        assert len(done["completed"]) == 30 and done["failed"] == []
        assert "limit of open files" in server.stderr
        await server.close()


@contextlib.contextmanager
def arena_for_anybody():
    """pytest's folders are closed to other users."""
    root = Path(tempfile.mkdtemp(prefix="awm-faults-"))
    root.chmod(0o755)
    arena = Arena(root)
    try:
        yield arena
        arena.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


# Nobody else on the machine has it, and so only the server's processes count.
LONELY_USER = 61739


@async_test
async def test_when_no_process_can_be_made_a_start_fails_and_says_so_and_the_next_one_may_succeed():
    """EAGAIN from clone: RLIMIT_NPROC, which does not bind root."""
    if os.geteuid() != 0:
        pytest.skip("to run the server as a user with no other process needs root")
    with arena_for_anybody() as arena:
        for name in ("async-worker-manager", "mock-claude"):
            shutil.copy(Path(SERVER).with_name(name), arena.root / name)
        for path in (arena.root, arena.home, arena.cwd):
            os.chown(path, LONELY_USER, LONELY_USER)
        as_user = ["setpriv", f"--reuid={LONELY_USER}", f"--regid={LONELY_USER}", "--clear-groups"]
        command = [*as_user, str(arena.root / "async-worker-manager"), "--claude", str(arena.root / "mock-claude"), "--log-dir", str(arena.logs)]
        settings = {"AWM_TEST_MARK": arena.mark, "AWM_KEEP_WARM": "0"}
        async with McpServer(command, home=arena.home, cwd=arena.cwd, env=settings) as server:
            await server.initialize()
            done = await finish(server, "MOCK say before")
            limit = [*as_user, "prlimit", f"--pid={server.pid}"]
            subprocess.run([*limit, "--nproc=1:1000"], check=True)
            failed = await fail(server, "MOCK say never")
            assert "Resource temporarily unavailable" in failed["error_hint"] and "--max-workers" in failed["error_hint"]
            subprocess.run([*limit, "--nproc=1000:1000"], check=True)
            await resume(server, failed["worker_id"], "MOCK say after")
            (entry,) = (await server.call("wait"))["completed"]
            assert texts(transcript(entry))[-1] == "after"
            assert texts(transcript(done)) == ["before"]
            await server.close()


# ---- memory ----

GIB = 1 << 30


def may_be_limited() -> bool:
    """AddressSanitizer reserves more than any RLIMIT_DATA allows."""
    return b"__asan_init" not in Path(MOCK_CLAUDE).read_bytes()


@pytest.mark.parametrize("how", ["flag", "file", "environment"])
@async_test
async def test_a_worker_that_uses_more_than_its_memory_fails_with_a_hint_that_names_the_option(arena, how):
    if not may_be_limited():
        pytest.skip("AddressSanitizer reserves more than any RLIMIT_DATA allows")
    file = arena.root / "config.toml"
    file.write_text('worker_memory = "1G"\n' if how == "file" else "")
    flags = ["--worker-memory", "1GiB"] if how == "flag" else []
    env = {"AWM_WORKER_MEMORY": "1024m"} if how == "environment" else {}
    async with arena.session(*flags, "--config", str(file), env=env) as server:
        await spawn(server, f"MOCK allocate {100 << 20}\nMOCK say modest")
        await spawn(server, f"MOCK say begun\nMOCK allocate {GIB + (100 << 20)}\nMOCK say greedy")
        done = await server.call("wait")
        assert [e["result_preview"] for e in done["completed"]] == ["modest"]
        (entry,) = done["failed"]
        assert entry["returncode"] in (-signal.SIGABRT, -signal.SIGKILL)
        assert "--worker-memory allows 1 GiB" in entry["error_hint"]
        assert texts(transcript(entry)) == ["begun"]
        assert "RLIMIT_DATA" in server.stderr or "by a cgroup in" in server.stderr, "how it is kept is said"


@async_test
async def test_without_the_option_memory_is_not_limited(arena):
    async with arena.session() as server:
        assert (await finish(server, f"MOCK allocate {GIB + (100 << 20)}\nMOCK say greedy"))["result_preview"] == "greedy"


@async_test
async def test_a_limit_that_cannot_be_kept_ends_the_start_with_words(arena):
    async with arena.server("--worker-memory", "512M") as server:
        async def ended_or_limited() -> None:
            while server.returncode is None and "by a cgroup in" not in server.stderr:
                await asyncio.sleep(0)

        await guarded(ended_or_limited(), "the end of the start, or a cgroup", server)
        if server.returncode is not None:
            assert server.returncode == 2
            assert "--worker-memory 512 MiB" in server.stderr and "1G or more" in server.stderr


# ---- what the C library is told to say ----

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* No pipe can be had while the file NO_PIPES exists. */
int pipe2(int fds[2], int flags) {
  static int (*real)(int[2], int);
  if (!real) real = (int (*)(int[2], int))dlsym(RTLD_NEXT, "pipe2");
  const char* path = getenv("NO_PIPES");
  if (path && access(path, F_OK) == 0) { errno = ENFILE; return -1; }
  return real(fds, flags);
}

/* The time of day is off by so many seconds as the file CLOCK_OFFSET says. */
int clock_gettime(clockid_t id, struct timespec* now) {
  static int (*real)(clockid_t, struct timespec*);
  if (!real) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, now);
  const char* path = getenv("CLOCK_OFFSET");
  if (id != CLOCK_REALTIME || result != 0 || !path) return result;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return result;
  char text[32] = {0};
  if (read(fd, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
  close(fd);
  return result;
}
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang-16")
    if compiler is None:
        pytest.skip("needs a C compiler for what is preloaded")
    if b"__asan_init" in Path(SERVER).read_bytes():
        pytest.skip("AddressSanitizer wants to be the first that is preloaded")
    folder = tmp_path_factory.mktemp("shim")
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return str(library)


@async_test
async def test_a_full_table_of_files_fails_a_start_and_says_so_and_the_next_one_may_succeed(arena, shim):
    """ENFILE: fs.file-max is the whole machine's, and does not bind root, so the C library says it instead of the kernel."""
    none_left = arena.root / "no-pipes"
    async with arena.session(env={"LD_PRELOAD": shim, "NO_PIPES": str(none_left)}) as server:
        done = await finish(server, "MOCK say before")
        none_left.touch()
        failed = await fail(server, "MOCK say never")
        assert "Too many open files in system" in failed["error_hint"] and "--max-workers" in failed["error_hint"]
        none_left.unlink()
        for worker_id in (failed["worker_id"], done["worker_id"]):
            await resume(server, worker_id, "MOCK say after")
        assert [e["result_preview"] for e in (await server.call("wait"))["completed"]] == ["after"] * 2


@pytest.mark.parametrize("jump", [DAY, -DAY, 50 * 365 * DAY, -40 * 365 * DAY])
@async_test
async def test_a_jump_of_the_time_of_day_ends_nothing_early_or_late(arena, shim, jump):
    """Deadlines are on the monotonic clock, which nobody can set; the time of day is only written down."""
    offset, bell, gate = arena.root / "offset", arena.bell(), arena.gate()
    async with arena.session(env={"LD_PRELOAD": shim, "CLOCK_OFFSET": str(offset)}) as server:
        spawned = await spawn(server, f"{bell}\n{gate}\nMOCK say in time", timeout_s=1000)
        short = await spawn(server, f"{bell}\nMOCK hang", timeout_s=3)
        await bell.rings(2)
        waiting = server.start_call("wait", {"timeout_s": 1000})
        await waiting.progress_until(lambda p: True)
        offset.write_text(str(jump))
        await waiting.progress_until(lambda p: p["progress"] >= 1)
        gate.open()
        done = await waiting
        assert "timed_out" not in done.structured
        assert [e["worker_id"] for e in done["completed"]] == [spawned["worker_id"]]
        assert [(e["worker_id"], e["cap"]) for e in done["failed"]] == [(short["worker_id"], "timeout_s")]
        turn = transcript(done["completed"][0])["turns"][0]
        assert turn["started_at"][:4] != turn["ended_at"][:4] or turn["started_at"][:10] != turn["ended_at"][:10]
        assert turn["duration_ms"] < 1000 * DAY
        listed = await server.call("list_workers")
        assert len(listed["workers"]) == 2
        assert (await finish(server, "MOCK say next"))["result_preview"] == "next"


@async_test
async def test_a_monotonic_clock_that_began_elsewhere_changes_nothing(arena):
    """Another time namespace, as in a container that was moved: the ledger's start times are on its clock."""
    offsets = ["unshare", "--time", "--monotonic=864000", "--boottime=864000", "--fork", "--kill-child"]
    if subprocess.run([*offsets, "true"], capture_output=True).returncode != 0:
        pytest.skip("a time namespace needs root")
    bell = arena.bell()
    command = [*offsets, SERVER, "--claude", MOCK_CLAUDE, "--log-dir", str(arena.logs)]
    settings = {"AWM_TEST_MARK": arena.mark, "AWM_KEEP_WARM": "0"}
    async with McpServer(command, home=arena.home, cwd=arena.cwd, env=settings) as server:
        await server.initialize()
        failed = await fail(server, "MOCK hang", timeout_s=0.5)
        assert failed["cap"] == "timeout_s"
        await spawn(server, f"MOCK ignore-signals\nMOCK deaf\nMOCK grandchild setsid\n{bell}\nMOCK hang")
        await bell.rings()
        left = [pid for pid in arena.processes() if pid != server.pid]
        await server.kill()
    async with arena.session() as server:
        assert all(ends_soon(pid) for pid in left)
        (entry,) = (await server.call("wait"))["failed"]
        assert entry["state"] == "interrupted"
