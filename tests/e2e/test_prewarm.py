"""What a worker is told reaches the API all the same, whether its process was started for it or was there before."""
import asyncio
import json
import re
import signal
import subprocess

import pytest

import spare_processes
from world import leftovers

REVIEWER = "---\nname: reviewer\ndescription: an agent of the test\ntools: Read, Grep\n---\nThe PROJECT AGENT of the test.\n"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

# What `spawn_worker` is given, and which versions serve it from a spare. A new model leaves a trace in 2.1.197.
BOTH, NEWER, NEITHER = ("2.1.197", "2.1.329"), ("2.1.329",), ()
CASES = {
    "plain": (BOTH, {}),
    "system": (BOTH, dict(system="The SYSTEM PROMPT of the test.")),
    "role": (BOTH, dict(agent_type="You are the ROLE of the test, a careful one.")),
    "schema": (BOTH, dict(json_schema=SCHEMA)),
    "edits": (BOTH, dict(permission_mode="acceptEdits", system="The SYSTEM PROMPT of the test.")),
    "dont_ask": (BOTH, dict(permission_mode="dontAsk")),
    "planning": (NEITHER, dict(permission_mode="plan")),
    "alias": (NEWER, dict(model="opus", permission_mode="acceptEdits")),
    "full_name": (NEWER, dict(model="claude-sonnet-4-6")),
    "agent": (NEITHER, dict(agent_type="reviewer")),
    "allowed": (NEITHER, dict(allowed_tools=["Bash(touch *)"])),
    "sampling": (NEITHER, dict(temperature=0.3)),
}


def furnish(world):
    """A repository with a memory and an agent: what a process reads when it starts."""
    agents = world.project / ".claude/agents"
    agents.mkdir(parents=True)
    (agents / "reviewer.md").write_text(REVIEWER)
    (world.project / "CLAUDE.md").write_text("The first MEMORY of the test.\n")
    commit(world, "a first commit")


def commit(world, message):
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", message]):
        subprocess.run(["git", *identity, *command], cwd=world.project, env=world.environment, check=True)


def prompt_of(case):
    return f"Case {case}.\n" + ('TOOL StructuredOutput {"n": 3}' if case == "schema" else "SAY done")


def comparable(request):
    """All of a request that may not differ."""
    text = json.dumps(request.body, indent=1, sort_keys=True)
    text = re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"cch=[0-9a-f]+|cc_version=[^;]+;", "BILLING", text)
    text = re.sub(r"device_id[^,]*", "DEVICE", text)  # each of several that start at once in a new HOME makes one up
    text = re.sub(r"plans/[a-z-]+\.md", "PLAN", text)  # a name by chance
    return text.splitlines(), request.headers.get("anthropic-beta")


async def test_the_request_is_the_same_from_a_process_that_was_there(world):
    furnish(world)
    fresh, spare = world.api.scenario("fresh"), world.api.scenario("spare")
    async with world.manager(ANTHROPIC_BASE_URL=fresh.base_url) as manager:
        for case, (_, options) in CASES.items():
            await manager.spawn(prompt_of(case), **options)
        assert all(completed for _, completed in (await manager.wait_for_all(len(CASES))).values())

    logs, served = world.root / "logs of spares", {}
    known = set()
    async with world.manager("--prewarm", "1", logs=logs, ANTHROPIC_BASE_URL=spare.base_url) as manager:
        for case, (_, options) in CASES.items():
            waiting = await spare_processes.ready(world, manager, logs, 1, but=known)
            await manager.spawn(prompt_of(case), **options)
            entry = await manager.wait_for_one()
            known.add(entry["claude_session_id"])
            assert "warnings" not in entry, entry
            served[case] = entry["claude_session_id"] in waiting
            assert spare.conversation_about(f"Case {case}.").session_id == entry["claude_session_id"]
            if case == "schema":
                assert entry["structured_output"] == {"n": 3}

    assert served == {case: world.version in versions for case, (versions, _) in CASES.items()}
    for case in CASES:
        one, other = (comparable(api.conversation_about(f"Case {case}.")) for api in (fresh, spare))
        assert one == other, case
    assert [request.path for request in spare.requests if request.conversation and not request.is_conversation] == []


async def test_nobody_is_told_what_has_changed_since(world):
    furnish(world)
    known = set()
    async with world.manager("--prewarm", "1") as manager:
        for number, change in enumerate(("memory", "commit", "settings")):
            waiting = await spare_processes.ready(world, manager, world.logs, 1, but=known)
            if change == "memory":
                (world.project / "CLAUDE.md").write_text("The second MEMORY of the test.\n")
            elif change == "commit":
                commit(world, "a second commit")
            else:
                (world.project / ".claude/settings.json").write_text(
                    json.dumps({"env": {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "1234"}}))
            await manager.spawn(f"Number {number}.\nSAY done")
            entry = await manager.wait_for_one()
            assert entry["claude_session_id"] not in waiting
            known.add(entry["claude_session_id"])
            body = world.workers.conversation_about(f"Number {number}.").body
            assert "The second MEMORY" in json.dumps(body)
            assert ("a second commit" in json.dumps(body)) == (number >= 1)
            assert (body["max_tokens"] == 1234) == (number >= 2)


async def test_a_worker_that_took_a_spare_goes_on_warm_and_cold(world):
    for seconds in ("300", "0"):
        logs = world.root / f"logs {seconds}"
        async with world.manager("--prewarm", "1", "--keep-warm", seconds, logs=logs) as manager:
            await spare_processes.ready(world, manager, logs, 1)
            worker = await manager.spawn(f"Remember {seconds}.\nSAY first")
            await manager.wait_for_one()
            await manager.resume(worker["worker_id"], f"Go on {seconds}.\nSAY second", model="opus")
            entry = await manager.wait_for_one()
            assert "context_lost" not in entry
            request = world.workers.conversation_about(f"Go on {seconds}.")
            assert f"Remember {seconds}." in json.dumps(request.body["messages"])
            assert "opus" in request.body["model"]
            assert "local-command" not in json.dumps(request.body["messages"])


@pytest.mark.parametrize("ending", ["EOF", "SIGINT", "SIGTERM", "SIGKILL"])
async def test_no_spare_is_left_when_the_server_ends(world, ending):
    async with world.manager("--prewarm", "2") as manager:
        await spare_processes.ready(world, manager, world.logs, 2)
        assert len(spare_processes.sessions(world)) == 2
        if ending == "EOF":
            manager.server.end_stdin()
        else:
            await manager.server.signal(getattr(signal, ending))
        await manager.server.exited()
        assert not await asyncio.to_thread(leftovers, world.root)
    assert world.workers.requests == [] or all(not request.conversation for request in world.workers.requests)
