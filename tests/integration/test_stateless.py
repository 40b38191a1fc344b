"""The stateless era, MCP 2026-07-28: the same tools without a handshake, questions in answers, and waits as tasks."""

import json

from harness import Arena, async_test, spawn

FORMS = {"elicitation": {"form": {}}}
TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
ASKS = 'MOCK permission Bash {"command": "rm -r build"}\nMOCK say done'


def accept(decision: str) -> dict:
    return {"action": "accept", "content": {"decision": decision}}


async def call(server, tool: str, arguments: dict | None = None, **more) -> dict:
    """The raw result of a tools/call; `more` are further params."""
    return await server.request("tools/call", {"name": tool, "arguments": arguments or {}, **more})


async def retry(server, asked: dict, answer: dict) -> dict:
    """Sends a wait again with `answer` to the one question that it asked."""
    (key,) = asked["inputRequests"]
    return await call(server, "wait", inputResponses={key: answer}, requestState=asked["requestState"])


async def wait_for_one(server, gate) -> dict:
    """The task of a wait for a worker that goes on, and says hello, when the gate is opened."""
    await spawn(server, f"{gate}\nMOCK say hello")
    return await call(server, "wait")


async def get(server, task: dict) -> dict:
    return await server.request("tasks/get", {"taskId": task["taskId"]})


async def get_until(server, task: dict, status: str) -> dict:
    while (state := await get(server, task))["status"] != status:
        assert state["status"] in ("working", "input_required"), state
    return state


def completed(result: dict) -> list[dict]:
    return result["structuredContent"]["completed"]


@async_test
async def test_workers_run_without_a_handshake(arena: Arena):
    async with arena.session(stateless={}) as server:
        assert server.info["supportedVersions"] == ["2026-07-28"]
        spawned = await spawn(server, "MOCK say hello")
        done = await server.call("wait")
        assert [one["worker_id"] for one in done["completed"]] == [spawned["worker_id"]]
        assert done.raw["resultType"] == "complete"


@async_test
async def test_the_person_is_asked_by_the_answer_of_a_wait(arena: Arena):
    async with arena.session(stateless=FORMS) as server:
        await spawn(server, ASKS)
        asked = await call(server, "wait")
        assert asked["resultType"] == "input_required"
        (question,) = asked["inputRequests"].values()
        assert question["method"] == "elicitation/create"
        assert "rm -r build" in question["params"]["message"].splitlines()[1]
        done = await retry(server, asked, accept("Allow once"))
        assert [one["result_preview"] for one in completed(done)] == ["done"]
    (decision,) = [json.loads(line) for line in (arena.logs / "permissions.ndjson").read_text().splitlines()]
    assert (decision["decision"], decision["by"]) == ("allow", "human")


@async_test
async def test_a_question_waits_for_the_wait_that_carries_it_and_is_asked_again_until_it_is_answered(arena: Arena):
    async with arena.session(stateless=FORMS) as server:
        await spawn(server, ASKS)
        first = await call(server, "wait")
        again = await call(server, "wait")
        assert again["inputRequests"] == first["inputRequests"]
        done = await retry(server, again, accept("Deny"))
        assert len(completed(done)) == 1


@async_test
async def test_where_nobody_sits_the_model_is_asked(arena: Arena):
    async with arena.session(stateless=FORMS) as server:
        await spawn(server, ASKS)
        asked = await call(server, "wait")
        told = await retry(server, asked, {"action": "cancel"})
        (pending,) = told["structuredContent"]["pending_permissions"]
        await server.call("approve_permission", {"request_id": pending["request_id"], "allow": True})
        assert len(completed(await call(server, "wait"))) == 1


@async_test
async def test_a_client_without_forms_leaves_questions_to_the_model(arena: Arena):
    async with arena.session(stateless={}) as server:
        await spawn(server, ASKS)
        told = await call(server, "wait")
        assert [one["tool"] for one in told["structuredContent"]["pending_permissions"]] == ["Bash"]


@async_test
async def test_a_wait_is_a_task_that_tells_its_progress_and_delivers_once(arena: Arena):
    gate = arena.gate()
    async with arena.session(stateless=TASKS) as server:
        spawned = await spawn(server, f"{gate}\nMOCK say hello")
        task = await call(server, "wait")
        assert task["resultType"] == "task" and task["status"] == "working"
        assert "0 of 1 finished" in (await get(server, task))["statusMessage"]
        gate.open()
        done = await get_until(server, task, "completed")
        assert [one["worker_id"] for one in completed(done["result"])] == [spawned["worker_id"]]
        assert completed((await get(server, task))["result"]) == completed(done["result"])
        assert "No active workers" in await server.call_error("wait")


@async_test
async def test_what_is_there_already_needs_no_task(arena: Arena):
    async with arena.session(stateless=TASKS) as server:
        spawned = await spawn(server, "MOCK say hello")
        shown = await call(server, "worker_output", {"worker_id": spawned["worker_id"], "timeout": 600_000})
        if shown["resultType"] == "task":
            await get_until(server, shown, "completed")
        done = await call(server, "wait")
        assert done["resultType"] == "complete" and len(completed(done)) == 1
        shown = await call(server, "worker_output", {"worker_id": spawned["worker_id"]})
        assert shown["structuredContent"]["result"] == "hello"


@async_test
async def test_a_permission_makes_the_task_ask_and_the_update_answers_it(arena: Arena):
    gate = arena.gate()
    async with arena.session(stateless={**FORMS, **TASKS}) as server:
        await spawn(server, f"{gate}\n{ASKS}")
        task = await call(server, "wait")
        gate.open()
        state = await get_until(server, task, "input_required")
        ((key, question),) = state["inputRequests"].items()
        assert "rm -r build" in question["params"]["message"]
        answer = {"taskId": task["taskId"], "inputResponses": {key: accept("Allow for all workers")}}
        assert (await server.request("tasks/update", answer))["resultType"] == "complete"
        await server.request("tasks/update", answer)  # an old key is nobody's question
        assert len(completed((await get_until(server, task, "completed"))["result"])) == 1


@async_test
async def test_a_cancelled_task_stops_the_waiting_and_not_the_workers(arena: Arena):
    gate = arena.gate()
    async with arena.session(stateless=TASKS) as server:
        task = await wait_for_one(server, gate)
        for _ in range(2):
            await server.request("tasks/cancel", {"taskId": task["taskId"]})
        assert (await get(server, task))["status"] == "cancelled"
        again = await call(server, "wait")
        gate.open()
        assert len(completed((await get_until(server, again, "completed"))["result"])) == 1


@async_test
async def test_a_listener_hears_of_its_task(arena: Arena):
    gate = arena.gate()
    async with arena.session(stateless=TASKS) as server:
        task = await wait_for_one(server, gate)
        server.start_request("subscriptions/listen", {"notifications": {"taskIds": [task["taskId"]]}})
        heard = await server.notified("notifications/subscriptions/acknowledged")
        assert heard["notifications"] == {"taskIds": [task["taskId"]]}
        gate.open()
        told = await server.notified("notifications/tasks", lambda p: p["status"] == "completed")
        assert told["taskId"] == task["taskId"] and len(completed(told["result"])) == 1


@async_test
async def test_a_task_of_a_server_that_is_gone_has_failed_and_its_results_are_there(arena: Arena):
    gate = arena.gate()
    async with arena.session(stateless=TASKS) as server:
        task = await wait_for_one(server, gate)
        await server.kill()
    async with arena.session(stateless=TASKS) as server:
        state = await get(server, task)
        assert state["status"] == "failed" and "Call the tool again" in state["error"]["message"]
        done = await call(server, "wait")
        assert [one["state"] for one in done["structuredContent"]["failed"]] == ["interrupted"]


@async_test
async def test_both_eras_share_one_server(arena: Arena):
    async with arena.session() as server:
        spawned = await spawn(server, "MOCK say hello")
        await server.discover(TASKS)
        assert (await call(server, "list_workers"))["structuredContent"]["workers"][0]["worker_id"] == spawned["worker_id"]
        server.meta = {}
        assert len((await server.call("wait"))["completed"]) == 1
