"""The main job on the real CLI: spawn a batch, wait for it, resume, answer permissions, hear of every failure."""
import asyncio
import json
import os
import signal

import pytest

from world import ToolError, marked, transcript


async def test_a_batch_of_five_is_collected_by_one_wait(world):
    async with world.manager() as manager:
        spawned = [await manager.spawn(f"HOLD go\nSAY answer {n}", description=f"worker {n}") for n in range(5)]
        collected = asyncio.create_task(manager.wait())
        for n in range(5):
            await asyncio.to_thread(world.workers.wait_for, lambda r, n=n: f"SAY answer {n}" in r.prompt)
        assert not collected.done()
        world.workers.release("go")
        answer = await collected
        with pytest.raises(ToolError, match="No active workers to wait for"):
            await manager.wait()

    assert not answer["failed"] and not answer["pending_permissions"]
    by_id = {entry["worker_id"]: entry for entry in answer["completed"]}
    assert set(by_id) == {one["worker_id"] for one in spawned}
    for n, one in enumerate(spawned):
        entry = by_id[one["worker_id"]]
        record = transcript(entry)
        assert entry["result_preview"] == record["result"] == f"answer {n}"
        assert entry["claude_session_id"] == record["session_id"]
        assert entry["claude_session_id"] == world.workers.conversation_about(f"SAY answer {n}").session_id
        assert record["total_cost_usd"] > 0
        assert [message["role"] for message in record["messages"]] == ["user", "assistant"]


async def test_a_worker_is_resumed_by_its_server_and_by_the_next_one(world):
    async with world.manager() as manager:
        worker = (await manager.spawn("first prompt\nSAY one", model="claude-haiku-4-5", system="OLD PROMPT"))
        first = await manager.wait_for_one()
        await manager.resume(worker["worker_id"], "second prompt\nSAY two", system="NEW PROMPT")
        second = await manager.wait_for_one()
    async with world.manager() as manager:
        await manager.resume(worker["worker_id"], "third prompt\nSAY three")
        third = await manager.wait_for_one()

    requests = world.workers.conversations
    assert [request.system.splitlines()[-1] for request in requests] == ["OLD PROMPT", "NEW PROMPT", "NEW PROMPT"]
    assert {request.body["model"] for request in requests} == {"claude-haiku-4-5"}
    assert {request.session_id for request in requests} == {first["claude_session_id"]}
    history = json.dumps(requests[2].body["messages"])
    assert all(text in history for text in ("first prompt", "second prompt", '"one"', '"two"'))

    assert [entry["turn"] for entry in (first, second, third)] == [1, 2, 3]
    assert [entry["result_preview"] for entry in (first, second, third)] == ["one", "two", "three"]
    record = transcript(third)
    assert [turn["result"] for turn in record["turns"]] == ["one", "two", "three"]
    assert [message["role"] for message in record["messages"]] == ["user", "assistant"] * 3
    assert record["total_cost_usd"] == pytest.approx(sum(turn["cost_usd"] for turn in record["turns"]))


async def test_a_worker_that_runs_cannot_be_resumed(world):
    async with world.manager() as manager:
        worker = await manager.spawn("HOLD go\nSAY done")
        with pytest.raises(ToolError, match=worker["worker_id"]):
            await manager.resume(worker["worker_id"], "now")
        world.workers.release("go")
        await manager.wait_for_one()


async def test_permissions_are_answered(world):
    """Four workers ask at the same time; each gets another kind of answer, and its model sees that one."""
    def touch(name):
        return 'TOOL Bash ' + json.dumps({"command": f"touch {name}"})

    prompts = {"allow": touch("allowed"), "deny": touch("denied"), "change": touch("asked"),
               "ask": "ASK Which colour?|red|blue"}
    answers = {
        "allow": lambda asked: dict(allow=True),
        "deny": lambda asked: dict(allow=False, reason="not on a Sunday"),
        "change": lambda asked: dict(allow=True, updated_input={"command": "touch changed"}),
        "ask": lambda asked: dict(allow=True, updated_input={**asked["input"], "answers": {"Which colour?": "blue"}}),
    }
    tools, finished, names = {}, {}, {}
    async with world.manager() as manager:
        for name, prompt in prompts.items():
            names[(await manager.spawn(prompt, description=name))["worker_id"]] = name
        while len(finished) < len(prompts):
            answer = await manager.wait()
            assert not answer["failed"]
            finished.update({names[entry["worker_id"]]: entry for entry in answer["completed"]})
            for asked in answer["pending_permissions"]:
                name = names[asked["worker_id"]]
                assert name not in tools, "a question that was answered is pending again"
                tools[name] = asked["tool"]
                decision = await manager.approve(asked["request_id"], **answers[name](asked))
                assert decision["worker_id"] == asked["worker_id"]
                assert decision["decision"] == ("deny" if name == "deny" else "allow")
        with pytest.raises(ToolError):
            await manager.approve(asked["request_id"], True)

    assert tools == {"allow": "Bash", "deny": "Bash", "change": "Bash", "ask": "AskUserQuestion"}
    made = {name for name in ("allowed", "denied", "asked", "changed") if (world.project / name).exists()}
    assert made == {"allowed", "changed"}
    seen = {}
    for name, entry in finished.items():
        requests = [r for r in world.workers.conversations if r.session_id == entry["claude_session_id"]]
        seen[name], = requests[-1].conversation.last_results
    assert not seen["allow"].is_error and not seen["change"].is_error
    assert seen["deny"].is_error and seen["deny"].text == "not on a Sunday"
    assert '"Which colour?"="blue"' in seen["ask"].text
    denial, = transcript(finished["deny"])["permission_denials"]
    assert denial["tool_name"] == "Bash"


async def test_failures_are_told_with_a_hint_and_hide_nobody(world):
    at_once = dict(env={"CLAUDE_CODE_MAX_RETRIES": "1"}, rate_limit_retries=0)
    errors = {
        400: "ERROR 400 {}",
        429: 'ERROR 429 {"headers": {"x-should-retry": "false"}}',
        529: "ERROR 529 {}",
    }
    expected = {}
    async with world.manager("--rate-limit-pause", "1") as manager:
        good = await manager.spawn("SAY fine")
        for status, prompt in errors.items():
            expected[(await manager.spawn(prompt, **at_once))["worker_id"]] = str(status)
        killed = await manager.spawn("HOLD for ever\nSAY never")
        expected[killed["worker_id"]] = "signal"
        request = await asyncio.to_thread(world.workers.wait_for, lambda request: "HOLD" in request.prompt)
        child, = (pid for pid, command in marked(world.root) if request.session_id in command)
        os.kill(child, signal.SIGKILL)
        # Last, when all the others have started: nothing starts behind a refused key.
        for prompt in errors.values():
            await asyncio.to_thread(world.workers.wait_for, lambda request, prompt=prompt: request.prompt == prompt)
        expected[(await manager.spawn("ERROR 401 {}", **at_once))["worker_id"]] = "401"
        finished = await manager.wait_for_all(len(expected) + 1)

    assert finished[good["worker_id"]][1]
    for worker_id, word in expected.items():
        entry, completed = finished[worker_id]
        assert not completed
        assert word in entry["error_hint"], entry
        assert entry["returncode"] == (-signal.SIGKILL if word == "signal" else 1)
        record = transcript(entry)
        assert record["state"] == "failed" and record["error"]


async def test_a_failed_worker_can_be_resumed(world):
    async with world.manager() as manager:
        worker = await manager.spawn("ERROR 400 {}")
        (entry, completed), = (await manager.wait_for_all(1)).values()
        assert not completed
        await manager.resume(worker["worker_id"], "SAY better now")
        better = await manager.wait_for_one()
    assert better["result_preview"] == "better now"
    assert better["claude_session_id"] == entry["claude_session_id"]


async def test_the_configuration_changes_models_and_what_they_take(world):
    config = world.root / "config.toml"
    config.write_text('default_model = "claude-opus-4-8"\nsampling_model = "claude-opus-4-5"\n'
                      '[sampling]\n"claude-sonnet-5" = "both"\n')
    async with world.manager("--config", str(config)) as manager:
        await manager.spawn("by default")
        await manager.spawn("sampled", temperature=0.5)
        await manager.spawn("told otherwise", model="claude-sonnet-5", temperature=0.5, top_p=0.9)
        await manager.wait_for_all(3)

    default, sampled, told = (world.workers.conversation_about(text).body
                              for text in ("by default", "sampled", "told otherwise"))
    assert default["model"] == "claude-opus-4-8"
    assert sampled["model"] == "claude-opus-4-5" and sampled["temperature"] == 0.5
    assert told["model"] == "claude-sonnet-5" and (told["temperature"], told["top_p"]) == (0.5, 0.9)
