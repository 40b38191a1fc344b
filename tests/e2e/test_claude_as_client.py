"""Claude Code itself as the client: its scripted model calls our tools and reacts to what they answer."""
import json
import subprocess

import leads
from scenes import scene
from stand_in_api import say, tool
from stream_json import Cli
from world import CLI_TIMEOUT_S

PREFIX = "mcp__awm__"


class Lead:
    """The lead's model. It goes by the results alone, as a model would: whatever comes first is handled first."""

    def __init__(self):
        self.completed = []
        self.resumed = False

    def __call__(self, turn):
        if not turn.rounds:
            return [self.call("spawn_worker", description="says one thing", prompt="SAY first answer"),
                    self.call("spawn_worker", description="says another thing", prompt="SAY second answer"),
                    self.call("spawn_worker", description="makes a file",
                              prompt='TOOL Bash {"command": "touch made-by-a-worker"}\nSAY third answer')]
        newest = turn.last_results
        assert not any(result.is_error for result in newest), newest
        if newest[0].name != PREFIX + "wait":
            return [self.call("wait")]
        answer = newest[0].json()
        assert not answer["failed"], answer
        self.completed += answer["completed"]
        if answer["pending_permissions"]:
            return [self.call("approve_permission", request_id=asked["request_id"], allow=True)
                    for asked in answer["pending_permissions"]]
        if len(self.completed) < 3:
            return [self.call("wait")]
        if not self.resumed:
            self.resumed = True
            return [self.call("resume_worker", worker_id=self.completed[0]["worker_id"], prompt="SAY fourth answer")]
        return [say("They said: " + ", ".join(sorted(entry["result_preview"] for entry in self.completed)))]

    @staticmethod
    def call(name, **arguments):
        return tool(PREFIX + name, arguments)


def test_the_lead_runs_workers_and_reads_their_answers(world):
    done = subprocess.run(
        [world.claude, "-p", "--model", "sonnet", "--output-format", "json", *leads.options(world)],
        input="run three workers, then ask one of them again", cwd=world.project, capture_output=True, text=True,
        env={**world.environment, **leads.model(world, Lead())}, timeout=CLI_TIMEOUT_S)
    lead = world.api.scenario("lead")

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["result"] == "They said: first answer, fourth answer, second answer, third answer"
    assert (world.project / "made-by-a-worker").exists()

    seen = lead.conversations[-1].conversation
    spawned = [result.json() for result in seen.rounds[0]]
    assert len({one["worker_id"] for one in spawned}) == 3
    assert all(one["state"] in ("running", "queued") for one in spawned)
    decision, = [result.json() for result in seen.results if result.name == PREFIX + "approve_permission"]
    assert decision["worker_id"] == spawned[2]["worker_id"] and decision["decision"] == "allow"
    collected = [entry for result in seen.results if result.name == PREFIX + "wait"
                 for entry in result.json()["completed"]]
    turns = sorted((entry["worker_id"], entry["turn"]) for entry in collected)
    assert len(turns) == len(set(turns)) == 4

    resumed = world.workers.conversation_about("SAY fourth answer")
    earlier, = [entry for entry in collected
                if entry["claude_session_id"] == resumed.session_id and entry["turn"] == 1]
    said = [message["content"] for message in resumed.body["messages"] if message["role"] == "assistant"]
    assert said[0][-1]["text"] == earlier["result_preview"]
    workers = {request.session_id for request in world.workers.conversations}
    assert workers == {entry["claude_session_id"] for entry in collected}
    assert not workers & {request.session_id for request in lead.conversations}


def host(world, lead):
    """The CLI with our server, driven by a program instead of a user."""
    return Cli(world, *leads.options(world), **leads.model(world, lead))


def calls_wait(line):
    return line["type"] == "assistant" and line["message"]["content"][0].get("name") == PREFIX + "wait"


def said(program, prompt):
    """What the lead says to a prompt. A call that meets the server's death fails; the next one finds a new server."""
    program.prompt(prompt)
    words = program.result()["result"]
    return said(program, prompt) if words.startswith("It failed: ") and "onnection closed" in words else words


@scene
def test_a_wait_that_the_host_interrupts_loses_nothing(world):
    with host(world, leads.Lead("HOLD gate\nSAY the late answer")) as program:
        program.prompt("begin")
        program.until(calls_wait)
        program.request("interrupt")
        assert program.result()["subtype"] == "error_during_execution"
        world.workers.release("gate")
        assert said(program, "wait") == "They ended so: completed the late answer."
        program.end()


@scene
def test_a_server_that_was_killed_is_followed_by_one_that_knows_everything(world):
    """Without a terminal the CLI starts a server anew with the next call, whether it died in a call or between two."""
    lead = leads.Lead("SAY an early answer", "HOLD gate\nSAY back again")
    with host(world, lead) as program:
        assert said(program, "spawn") == "The first has ended."
        program.prompt("wait")
        program.until(calls_wait)
        leads.kill_server(world)
        world.workers.release("gate")
        program.result()
        if not lead.waits:  # the call had reached the server that was killed
            said(program, "wait")
        answer, = lead.waits
        assert [entry["result_preview"] for entry in answer["completed"]] == ["an early answer"]
        assert [entry["state"] for entry in answer["failed"]] == ["interrupted"]
        leads.kill_server(world)
        assert said(program, "resume") == "They ended so: completed back again."
        program.end()
