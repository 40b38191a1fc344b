"""Every way in which a worker fails: named, with its exit code and a useful sentence, and never fatal to the server."""

import shutil

import pytest
from harness import MOCK_CLAUDE, NEWER, OLDER, async_test, fail, finish, resume, spawn, transcript

MIB = 1 << 20


@pytest.mark.parametrize(
    "script, returncode, words",
    [
        ("MOCK crash", -6, "signal"),
        ("MOCK kill 9", -9, "signal"),
        ("MOCK kill 11", -11, "signal"),
        ("MOCK kill 15", -15, "signal"),
        ("MOCK exit 0", 0, "result"),
        ("MOCK exit 3", 3, "3"),
        ("MOCK say half of it\nMOCK half-line 0", 0, "result"),
        ("MOCK half-line 1", 1, "1"),
        ("MOCK stderr Error: the disk is full\nMOCK exit 3", 3, "the disk is full"),
        ("MOCK garbage 3\nMOCK exit 0", 0, "result"),
    ],
)
@async_test
async def test_an_end_before_the_result_is_a_failure_that_says_how(arena, script, returncode, words):
    async with arena.session() as server:
        failed = await fail(server, script, description="doomed")
        assert failed["returncode"] == returncode
        assert words in failed["error_hint"] and len(failed["error_hint"]) > 20
        assert (failed["description"], failed["turn"]) == ("doomed", 1)
        record = transcript(failed)
        assert record["state"] == "failed" and record["error"]
        assert record["turns"][0]["ended_at"]
        assert (await finish(server, "MOCK say still here"))["result_preview"] == "still here"


@async_test
async def test_what_a_worker_said_before_it_crashed_is_in_the_transcript(arena):
    async with arena.session() as server:
        failed = await fail(server, "MOCK lines 20 300\nMOCK crash")
        replies = [m for m in transcript(failed)["messages"] if m["role"] == "assistant"]
        assert len(replies) == 20


@pytest.mark.parametrize("version", [OLDER, NEWER])
@pytest.mark.parametrize(
    "code, words",
    [
        ("400", "API Error: 400"),
        ("401", "401"),
        ("403", "API Error: 403"),
        ("404", "selected model"),
        ("413", "Request too large"),
        ("429", "Request rejected (429)"),
        ("500", "API Error: 500"),
        ("529", "529 Overloaded"),
        ("toolong", "Prompt is too long"),
        ("network", "API Error"),
    ],
)
@async_test
async def test_an_api_error_is_a_failure_although_its_subtype_says_success(arena, code, words, version):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        failed = await fail(server, f"MOCK error {code}", rate_limit_retries=0)
        assert words in failed["error_hint"]
        assert len(failed["error_hint"]) > len(words) + 20, "and what to do about it"
        assert failed["returncode"] in (1, None)  # None: the turn was over before the process
        record = transcript(failed)
        assert record["state"] == "failed" and record["turns"][0]["is_error"] is True
        assert record["turns"][0]["subtype"] == "success"


@async_test
async def test_retries_before_the_failure_do_not_disturb(arena):
    async with arena.session() as server:
        failed = await fail(server, "MOCK retry 2 529\nMOCK error 529", rate_limit_retries=0)
        assert "529" in failed["error_hint"]


@async_test
async def test_a_worker_that_is_not_signed_in_is_not_left_to_retry_for_minutes(arena):
    async with arena.session() as server:
        failed = await fail(server, "MOCK retry 3 401\nMOCK hang")
        assert "sign" in failed["error_hint"].lower() and "401" in failed["error_hint"]


@pytest.mark.parametrize("script, subtype", [("MOCK max-turns 2", "error_max_turns"), ("MOCK max-budget 0.01", "error_max_budget_usd")])
@async_test
async def test_a_limit_reached_is_a_failure_that_names_the_limit(arena, script, subtype):
    async with arena.session() as server:
        failed = await fail(server, script)
        assert "Reached maximum" in failed["error_hint"]
        assert transcript(failed)["turns"][0]["subtype"] == subtype


@async_test
async def test_broken_lines_are_counted_and_named_and_the_turn_goes_on(arena):
    async with arena.session() as server:
        done = await finish(server, "MOCK garbage 3\nMOCK say fine")
        assert done["result_preview"] == "fine"
        assert "3" in " ".join(done["warnings"])
        assert any("3" in warning for warning in transcript(done)["warnings"])


@pytest.mark.parametrize("line", ['{"type":"result"}x', '{"type":"control_request","request_id":"z","request":{"subt'])
@async_test
async def test_a_broken_line_that_somebody_waits_for_fails_the_worker_and_hangs_nothing(arena, line):
    async with arena.session() as server:
        failed = await fail(server, f"MOCK raw {line}\nMOCK hang")
        assert "cannot be read" in failed["error_hint"]


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"a_type_of_tomorrow","x":1}',
        '{"type":"system","subtype":"of_tomorrow"}',
        '{"type":"assistant"}',
        "[1]",
        "{}",
        "null",
        '{"type":7}',
        '{"type":"control_request"}',
        '{"type":"control_request","request_id":"z","request":{"subtype":"of_tomorrow"}}',
        '{"type":"control_cancel_request","request_id":"never asked"}',
        '{"type":"control_response","response":{"subtype":"success","request_id":"never asked"}}',
        '{"type":"user","message":{"role":"user","content":7}}',
    ],
)
@async_test
async def test_lines_that_make_no_sense_are_passed_over(arena, line):
    async with arena.session() as server:
        assert (await finish(server, f"MOCK raw {line}\nMOCK say fine"))["result_preview"] == "fine"


@async_test
async def test_a_line_of_64_mib_is_read(arena):
    async with arena.session() as server:
        done = await finish(server, f"MOCK giant {64 * MIB}\nMOCK say survived")
        assert done["result_preview"] == "survived"
        giant = [m for m in transcript(done)["messages"] if m["role"] == "assistant"][0]
        assert len(giant["content"][0]["text"]) == 64 * MIB


@async_test
async def test_a_line_beyond_the_limit_fails_its_worker_and_no_other(arena):
    gate = arena.gate()
    async with arena.session() as server:
        other = await spawn(server, f"{gate}\nMOCK say other")
        await spawn(server, f"MOCK giant {129 * MIB}\nMOCK say never")
        waiting = server.start_call("wait")
        await waiting.progress_until(lambda p: p["progress"] == 1)
        gate.open()
        done = await waiting
        assert [e["worker_id"] for e in done["completed"]] == [other["worker_id"]]
        assert "MiB" in done["failed"][0]["error_hint"]


@async_test
async def test_a_flood_on_stderr_blocks_nobody(arena):
    async with arena.session() as server:
        assert (await finish(server, "MOCK stderr-lines 20000 500\nMOCK say dry"))["result_preview"] == "dry"


@async_test
async def test_a_grandchild_that_holds_the_pipe_hangs_nothing(arena):
    async with arena.session() as server:
        assert (await finish(server, "MOCK grandchild\nMOCK say gone"))["result_preview"] == "gone"
        failed = await fail(server, "MOCK grandchild\nMOCK exit 4")
        assert failed["returncode"] == 4


@async_test
async def test_a_worker_that_lingers_after_its_result_is_delivered_at_once(arena):
    gate = arena.gate()
    async with arena.session() as server:
        done = await finish(server, f"MOCK say in time\nMOCK slow-exit {gate.path}")
        assert done["result_preview"] == "in time"


@async_test
async def test_a_crash_after_the_result_changes_nothing_about_the_turn(arena):
    async with arena.session() as server:
        done = await finish(server, "MOCK say complete\nMOCK result\nMOCK eof\nMOCK crash")
        assert done["result_preview"] == "complete"


@async_test
async def test_a_cli_that_is_not_there_is_an_error_that_names_it(arena):
    async with arena.session("--claude", "/nowhere/claude", "--log-dir", str(arena.logs), standard=False) as server:
        text = await server.call_error("spawn_worker", {"description": "x", "prompt": "x"})
        assert "/nowhere/claude" in text


@async_test
async def test_a_program_that_is_not_the_cli_is_an_error(arena):
    async with arena.session("--claude", "/bin/false", "--log-dir", str(arena.logs), standard=False) as server:
        text = await server.call_error("spawn_worker", {"description": "x", "prompt": "x"})
        assert "/bin/false" in text


@async_test
async def test_a_cli_that_disappears_while_the_server_runs_fails_the_turn_or_the_call(arena):
    claude = arena.root / "claude"
    shutil.copy(MOCK_CLAUDE, claude)
    async with arena.session("--claude", str(claude), "--log-dir", str(arena.logs), standard=False) as server:
        await finish(server, "MOCK say x")
        claude.unlink()
        call = await server.start_call("spawn_worker", {"description": "x", "prompt": "x"})
        text = call.text
        if not call.is_error:
            text = (await server.call("wait"))["failed"][0]["error_hint"]
        assert str(claude) in text or "No such file" in text


@async_test
async def test_a_session_that_is_gone_fails_the_resumed_turn(arena):
    bell = arena.bell()
    async with arena.session() as server:
        done = await finish(server, f"MOCK say x\nMOCK result\nMOCK eof\n{bell}\nMOCK exit 0")
        await bell.rings()  # nothing is written to the session any more
        shutil.rmtree(arena.home / ".claude")
        await resume(server, done["worker_id"], "again")
        failed = (await server.call("wait"))["failed"][0]
        assert "No conversation found" in failed["error_hint"]
        assert (failed["turn"], failed["worker_id"]) == (2, done["worker_id"])


@async_test
async def test_an_older_cli_is_named_in_a_warning(arena):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": "2.1.150"}) as server:
        spawned = await spawn(server, "MOCK say old")
        assert any("2.1.150" in warning for warning in spawned["warnings"])
        assert len((await server.call("wait"))["completed"]) == 1


@async_test
async def test_an_unknown_newer_cli_is_treated_as_the_newest_known(arena):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": "2.9.0"}) as server:
        assert (await finish(server, "MOCK say new"))["result_preview"] == "new"
