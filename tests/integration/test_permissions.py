"""Questions that workers ask, and the answers that reach them."""

import json

import pytest
from harness import NEWER, OLDER, approve, async_test, resume, spawn, transcript

ASK = 'MOCK permission Bash {"command":"echo hello"}'


async def the_question(server) -> dict:
    """Waits for the one question that is open."""
    done = await server.call("wait")
    assert len(done["pending_permissions"]) == 1, done
    return done["pending_permissions"][0]


async def the_result(server) -> str:
    done = await server.call("wait")
    assert len(done["completed"]) == 1, done
    return transcript(done["completed"][0])["result"]


@pytest.mark.parametrize("version", [OLDER, NEWER])
@async_test
async def test_an_allowed_tool_runs_as_asked(arena, version):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        spawned = await spawn(server, ASK, description="asks")
        question = await the_question(server)
        assert question["worker_id"] == spawned["worker_id"] and question["description"] == "asks"
        assert (question["tool"], question["input"]) == ("Bash", {"command": "echo hello"})
        answer = await approve(server, question["request_id"])
        assert answer.structured == {
            "request_id": question["request_id"],
            "worker_id": spawned["worker_id"],
            "tool": "Bash",
            "decision": "allow",
        }
        assert await the_result(server) == "tool said: hello"


@pytest.mark.parametrize("version", [OLDER, NEWER])
@async_test
async def test_an_updated_input_is_what_runs(arena, version):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        await spawn(server, ASK)
        question = await the_question(server)
        await approve(server, question["request_id"], updated_input={"command": "echo changed"})
        assert await the_result(server) == "tool said: changed"


@async_test
async def test_the_reason_of_a_denial_reaches_the_worker(arena):
    async with arena.session() as server:
        spawned = await spawn(server, ASK)
        question = await the_question(server)
        answer = await approve(server, question["request_id"], allow=False, reason="not on a Sunday")
        assert answer["decision"] == "deny"
        assert await the_result(server) == "tool said: not on a Sunday"
        denials = transcript(spawned)["permission_denials"]
        assert [(d["tool_name"], d["tool_input"]) for d in denials] == [("Bash", {"command": "echo hello"})]


@async_test
async def test_a_denial_without_a_reason_still_says_something(arena):
    async with arena.session() as server:
        await spawn(server, ASK)
        await approve(server, (await the_question(server))["request_id"], allow=False)
        result = await the_result(server)
        assert result.startswith("tool said: ") and len(result) > len("tool said: ") + 5
        assert "invalid permission result" not in result


@async_test
async def test_a_question_to_the_user_is_answered_in_the_updated_input(arena):
    async with arena.session() as server:
        await spawn(server, 'MOCK ask "Which db?" Postgres SQLite')
        question = await the_question(server)
        assert question["tool"] == "AskUserQuestion"
        assert [o["label"] for o in question["input"]["questions"][0]["options"]] == ["Postgres", "SQLite"]
        answered = {**question["input"], "answers": {"Which db?": "SQLite"}}
        await approve(server, question["request_id"], updated_input=answered)
        assert '"Which db?"="SQLite"' in await the_result(server)


@async_test
async def test_a_question_to_the_user_can_be_refused(arena):
    async with arena.session() as server:
        await spawn(server, 'MOCK ask "Which db?" Postgres SQLite')
        await approve(server, (await the_question(server))["request_id"], allow=False, reason="decide yourself")
        assert await the_result(server) == "tool said: decide yourself"


@pytest.mark.parametrize("allow, words", [(True, "approved your plan"), (False, "too vague")])
@async_test
async def test_a_plan_is_approved_or_sent_back(arena, allow, words):
    async with arena.session() as server:
        await spawn(server, "MOCK plan first this, then that", permission_mode="plan")
        question = await the_question(server)
        assert question["tool"] == "ExitPlanMode" and question["input"]["plan"] == "first this, then that"
        await approve(server, question["request_id"], allow=allow, reason="too vague")
        assert words in await the_result(server)


@async_test
async def test_several_questions_of_one_worker_are_open_together_and_answered_in_any_order(arena):
    script = "\n".join(f'MOCK request Bash {{"command":"echo {n}"}}' for n in range(3))
    async with arena.session() as server:
        await spawn(server, f"{script}\nMOCK answers")
        # They come one by one: a wait is cut short by the first.
        pending: dict = {}
        while len(pending) < 3:
            done = await server.call("wait")
            pending = {p["input"]["command"]: p["request_id"] for p in done["pending_permissions"]}
        await approve(server, pending["echo 2"], updated_input={"command": "echo two"})
        await approve(server, pending["echo 0"], allow=False, reason="zero")
        await approve(server, pending["echo 1"])
        assert await the_result(server) == "tool said: two | zero | 1"


@async_test
async def test_a_question_cuts_a_wait_among_fifty_chatty_workers_short(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "60") as server:
        chatty = [await spawn(server, f"MOCK lines 200 500\n{gate}\nMOCK lines 50 500") for _ in range(50)]
        asking = await spawn(server, f"MOCK lines 20 500\n{ASK}")
        done = await server.call("wait")
        assert [p["worker_id"] for p in done["pending_permissions"]] == [asking["worker_id"]]
        assert done["completed"] == [] and done["failed"] == []
        assert done["outstanding"] == {"queued": 0, "running": 50, "awaiting_permission": 1}
        await approve(server, done["pending_permissions"][0]["request_id"])
        gate.open()
        rest = await server.call("wait")
        assert {e["worker_id"] for e in rest["completed"]} == {s["worker_id"] for s in [*chatty, asking]}


@async_test
async def test_a_question_that_comes_while_a_wait_is_in_flight_ends_it(arena):
    gate = arena.gate()
    async with arena.session() as server:
        await spawn(server, f"{gate}\n{ASK}")
        waiting = server.start_call("wait")
        await waiting.progress_until(lambda p: True)
        gate.open()
        done = await waiting
        assert len(done["pending_permissions"]) == 1
        await approve(server, done["pending_permissions"][0]["request_id"])
        assert await the_result(server) == "tool said: hello"


@async_test
async def test_an_open_question_is_listed_by_every_wait_until_it_is_answered(arena):
    async with arena.session() as server:
        await spawn(server, ASK)
        first, second = await the_question(server), await the_question(server)
        assert first == second
        await approve(server, first["request_id"])
        assert (await server.call("wait"))["pending_permissions"] == []


@async_test
async def test_what_finished_is_delivered_with_the_question(arena):
    bell = arena.bell()
    async with arena.session() as server:
        finished = await spawn(server, f"MOCK say early\nMOCK result\nMOCK eof\n{bell}")
        await bell.rings()
        await spawn(server, ASK)
        done = await server.call("wait")
        assert [e["worker_id"] for e in done["completed"]] == [finished["worker_id"]]
        question = done["pending_permissions"][0]
        await approve(server, question["request_id"])
        assert len((await server.call("wait"))["completed"]) == 1


@async_test
async def test_the_queue_counts_as_outstanding(arena):
    gate = arena.gate()
    async with arena.session("--max-workers", "2") as server:
        await spawn(server, ASK)
        await spawn(server, f"{gate}\nMOCK say x")
        await spawn(server, "MOCK say queued")
        done = await server.call("wait")
        assert done["outstanding"] == {"queued": 1, "running": 1, "awaiting_permission": 1}
        gate.open()
        await approve(server, done["pending_permissions"][0]["request_id"])
        assert len((await server.call("wait"))["completed"]) == 3


@async_test
async def test_an_unknown_question_is_an_error_that_names_the_open_ones(arena):
    async with arena.session() as server:
        await spawn(server, ASK)
        question = await the_question(server)
        wrong = {"request_id": "no-such-question", "allow": True}
        text = await server.call_error("approve_permission", wrong)
        assert "no-such-question" in text and question["request_id"] in text
        await approve(server, question["request_id"])
        text = await server.call_error("approve_permission", {"request_id": question["request_id"], "allow": True})
        assert question["request_id"] in text
        await server.call("wait")


@async_test
async def test_a_withdrawn_question_is_no_longer_open(arena):
    gate, bell = arena.gate(), arena.bell()
    leave = f"MOCK withdraw\nMOCK say moved on\nMOCK result\nMOCK eof\n{bell}"
    async with arena.session() as server:
        await spawn(server, f'MOCK request Bash {{"command":"echo a"}}\n{gate}\n{leave}')
        question = await the_question(server)
        gate.open()
        await bell.rings()
        done = await server.call("wait")
        assert done["pending_permissions"] == []
        assert done["completed"][0]["result_preview"] == "moved on"
        await server.call_error("approve_permission", {"request_id": question["request_id"], "allow": True})


@async_test
async def test_the_question_of_a_worker_that_died_is_no_longer_open(arena):
    gate = arena.gate()
    async with arena.session() as server:
        await spawn(server, f'MOCK request Bash {{"command":"echo a"}}\n{gate}\nMOCK crash')
        question = await the_question(server)
        gate.open()
        # A wait is cut short for as long as the question is open; the first that is not delivers the failure.
        while (done := await server.call("wait"))["pending_permissions"]:
            pass
        assert done["failed"][0]["returncode"] == -6
        await server.call_error("approve_permission", {"request_id": question["request_id"], "allow": True})


@async_test
async def test_a_question_carries_what_the_cli_says_about_it(arena):
    extra = json.dumps({"agent_id": "a17"})
    script = f'MOCK with {extra}\nMOCK request Read {{"file_path":"/etc/hosts"}}\nMOCK request Bash {{"command":"touch /x/y"}}\nMOCK answers'
    async with arena.session() as server:
        await spawn(server, script)
        pending: list = []
        while len(pending) < 2:
            pending = (await server.call("wait"))["pending_permissions"]
        by_tool = {p["tool"]: p for p in pending}
        assert "outside allowed working directories" in by_tool["Read"]["reason"]
        assert by_tool["Bash"]["blocked_path"] == "/x/y"
        assert {p["agent_id"] for p in pending} == {"a17"}
        for one in pending:
            await approve(server, one["request_id"])
        await server.call("wait")


@async_test
async def test_two_workers_ask_at_once(arena):
    async with arena.session() as server:
        spawned = {(await spawn(server, f'MOCK permission Bash {{"command":"echo {n}"}}'))["worker_id"]: str(n) for n in range(2)}
        pending: list = []
        while len(pending) < 2:
            pending = (await server.call("wait"))["pending_permissions"]
        for one in pending:
            await approve(server, one["request_id"])
        done = await server.call("wait")
        assert {e["worker_id"]: e["result_preview"] for e in done["completed"]} == {w: f"tool said: {n}" for w, n in spawned.items()}


@async_test
async def test_what_is_allowed_beforehand_is_not_asked(arena):
    async with arena.session() as server:
        await spawn(server, ASK, allowed_tools=["Bash"])
        assert await the_result(server) == "tool said: hello"


@async_test
async def test_a_resumed_turn_can_ask_again(arena):
    async with arena.session() as server:
        spawned = await spawn(server, ASK)
        await approve(server, (await the_question(server))["request_id"])
        await the_result(server)
        await resume(server, spawned["worker_id"], 'MOCK permission Bash {"command":"echo again"}')
        await approve(server, (await the_question(server))["request_id"])
        assert await the_result(server) == "tool said: again"
