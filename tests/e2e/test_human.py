"""Who answers a worker's question, with the real CLI on both sides: rules, the user in the lead's client, the lead."""
import json
import re
import subprocess

import pytest

import leads
from stand_in_api import say, tool
from stories import story
from stream_json import Cli
from world import CLI_TIMEOUT_S, ToolError

PREFIX = "mcp__awm__"


def touch(name):
    return "TOOL Bash " + json.dumps({"command": f"touch {name}"})


@story
async def test_rules_answer_without_anybody(stage):
    async with stage.server():
        worker = await stage.spawn("\n".join([touch("allowed"), touch("denied"), "SAY done"]),
                                   permissions={"allow": ["Bash(touch *)"], "deny": ["Bash(touch denied)"]})
        entry = await stage.completed(worker)  # which fails when a question comes
    allowed, denied = stage.requests[-1].conversation.results
    assert not allowed.is_error and (stage.folder / "allowed").exists()
    assert denied.is_error and "Bash(touch denied)" in denied.text and not (stage.folder / "denied").exists()
    assert [(one["decision"], one["by"]) for one in stage.decisions(worker)] == [("allow", "rule"), ("deny", "rule")]
    assert entry["denied_tools"] == ["Bash"]


@story
async def test_what_is_allowed_for_a_worker_is_not_asked_again_by_its_cli(stage):
    async with stage.server() as manager:
        worker = await stage.spawn("\n".join([touch("file"), touch("file"), "SAY done"]))
        asked = await manager.wait_for_permission()
        assert asked["input"]["command"] == "touch file"
        await manager.approve(asked["request_id"], True, scope="worker")
        await stage.completed(worker)
    assert [result.is_error for result in stage.requests[-1].conversation.results] == [False, False]
    # A second question would stand here too, as one that was answered from memory.
    decision, = stage.decisions(worker)
    assert (decision["decision"], decision["by"], decision["scope"]) == ("allow", "model", "worker")
    assert not list(stage.folder.glob(".claude/settings*")), "the CLI wrote its settings"


@story
async def test_an_approved_plan_is_carried_out_as_it_was(stage):
    def model(turn):
        if turn.step == 0:
            path = re.search(r"/\S*/\.claude/plans/[\w-]+\.md", json.dumps(turn.body["messages"])).group()
            return [tool("Write", {"file_path": path, "content": "first this, then that"})]
        return [tool("ExitPlanMode") if turn.step == 1 else say("approved")]

    stage.api.script = model
    async with stage.server() as manager:
        worker = await stage.spawn("make a plan", permission_mode="plan")
        asked = await manager.wait_for_permission()
        assert asked["tool"] == "ExitPlanMode" and asked["input"]["plan"] == "first this, then that"
        await manager.approve(asked["request_id"], True)
        await stage.completed(worker)
    _, result = stage.requests[-1].conversation.results
    assert not result.is_error and result.text.endswith("## Approved Plan:\nfirst this, then that")


@story
async def test_the_question_of_a_tool_that_is_interrupted_is_withdrawn(stage):
    async with stage.server() as manager:
        worker = await stage.spawn(touch("file"))
        asked = await manager.wait_for_permission()
        assert await stage.send(worker, "SAY something else", "interrupt") in ("after_interrupt", "pending")
        assert (await stage.completed(worker))["result_preview"] == "something else"  # fails when a question is open
        with pytest.raises(ToolError, match="is not pending"):
            await manager.approve(asked["request_id"], True)
    assert not (stage.folder / "file").exists()


class Lead:
    """The lead's model: spawns workers that ask something, and answers what `wait` tells it to answer."""

    def __init__(self, prompts):
        self.prompts = prompts
        self.finished = []

    def __call__(self, turn):
        if not turn.rounds:
            return [tool(PREFIX + "spawn_worker", {"description": "asks", "prompt": prompt}) for prompt in self.prompts]
        newest = turn.last_results
        assert not any(result.is_error for result in newest), newest
        if newest[0].name == PREFIX + "wait":
            answer = newest[0].json()
            assert not answer["failed"], answer
            self.finished += [entry["result_preview"] for entry in answer["completed"]]
            if answer["pending_permissions"]:
                return [tool(PREFIX + "approve_permission", {"request_id": asked["request_id"], "allow": True})
                        for asked in answer["pending_permissions"]]
        if len(self.finished) == len(self.prompts):
            return [say("They said: " + ", ".join(sorted(self.finished)))]
        return [tool(PREFIX + "wait")]


@pytest.fixture
def lead(world):
    """The lead's scenario, and the options that give it the server."""
    scenario = world.api.scenario("lead")
    scenario.options = leads.options(world)
    return scenario


def calls_of(lead, name):
    return [result for result in lead.conversations[-1].conversation.results if result.name == PREFIX + name]


def decisions(world):
    lines = (world.logs / "permissions.ndjson").read_text().splitlines()
    return [(line["decision"], line["by"]) for line in map(json.loads, lines)]


def test_the_user_answers_while_the_lead_waits(world, lead):
    """Each question is answered after the lead's call of `wait`, which goes on over all of them."""
    lead.script = leads.patient(Lead([touch("allowed"), touch("denied"), "ASK Which colour?|red|blue"]))
    forms, unanswered, waits = [], [], False

    def wants_something(line):
        is_question = line["type"] == "control_request" and line["request"]["subtype"] == "elicitation"
        is_wait = line["type"] == "assistant" and line["message"]["content"][0].get("name") == PREFIX + "wait"
        return is_question or is_wait or line["type"] == "result"

    def answer_to(form):
        if "Which colour?" in form["message"]:
            return {"answer_1": "blue"}
        if "touch denied" in form["message"]:
            return {"decision": "Deny", "reason": "not on a Sunday"}
        return {"decision": "Allow once"}

    with Cli(world, *lead.options, ANTHROPIC_BASE_URL=lead.base_url) as host:
        host.prompt("run three workers")
        while True:
            line = host.until(wants_something)
            if line["type"] == "result":
                break
            if line["type"] == "assistant":
                waits = True
            else:
                unanswered.append(line)
            while waits and unanswered:
                question = unanswered.pop()
                forms.append(question["request"])
                host.send({"type": "control_response", "response": {
                    "subtype": "success", "request_id": question["request_id"],
                    "response": {"action": "accept", "content": answer_to(question["request"])}}})
        host.end()

    assert len(forms) == 3
    for form in forms:
        assert form["mcp_server_name"] == "awm" and form["mode"] == "form" and "\"asks\"" in form["message"]
    schema, = [form["requested_schema"] for form in forms if "touch allowed" in form["message"]]
    assert schema["properties"]["decision"]["enum"] == [
        "Allow once", "Allow for this worker", "Allow for all workers", "Deny"]
    waited, = calls_of(lead, "wait")
    assert len(waited.json()["completed"]) == 3 and not waited.json()["pending_permissions"]
    assert not calls_of(lead, "approve_permission")
    assert (world.project / "allowed").exists() and not (world.project / "denied").exists()
    said = {request.prompt: request.conversation.last_results for request in world.workers.conversations}
    denied, = said[touch("denied")]
    assert denied.is_error and denied.text == "not on a Sunday"
    chosen, = said["ASK Which colour?|red|blue"]
    assert '"Which colour?"="blue"' in chosen.text
    assert sorted(decisions(world)) == [("allow", "human"), ("allow", "human"), ("deny", "human")]


def test_where_no_user_sits_the_lead_answers(world, lead):
    model = Lead([touch("one"), touch("two")])
    lead.script = leads.patient(model)
    done = subprocess.run([world.claude, "-p", "--model", "sonnet", "--output-format", "json", *lead.options],
                          input="run two workers", cwd=world.project, capture_output=True, text=True,
                          env={**world.environment, "ANTHROPIC_BASE_URL": lead.base_url}, timeout=CLI_TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(model.finished) == 2
    assert all((world.project / name).exists() for name in ("one", "two"))
    assert any(result.json()["pending_permissions"] for result in calls_of(lead, "wait"))
    assert len(calls_of(lead, "approve_permission")) == 2
    assert decisions(world) == [("allow", "model")] * 2
