"""The side of a user whose Claude Code has our server: how it is started, and a scripted model that leads workers."""
import json
import os
import re
import signal

from stand_in_api import say, tool
from world import marked

PREFIX = "mcp__awm__"
WAIT_TOOL = "WaitForMcpServers"


class Lead:
    """A model that does what the user's prompt says, and goes on by the results.

    "ready 1": says whether it has our tools. "begin": spawns its workers, then waits. "spawn": spawns them, then waits
    for the first without taking its result. "wait": waits. "resume": resumes what was interrupted, then waits. What
    came of it is said in words, and so is the end of a wait that became a task. Every answer of a wait is in `waits`.
    """

    def __init__(self, *prompts):
        self.prompts = prompts
        self.waits = []

    def __call__(self, turn):
        newest = turn.last_results
        failed = [result.text for result in newest if result.is_error]
        if failed:
            return [say("It failed: " + ", ".join(failed))]
        if not newest and turn.notification is not None:
            return [say(self.end_of_task(turn.notification))]
        if not newest and turn.prompt in ("begin", "spawn"):
            return [self.call("spawn_worker", description="a worker", prompt=prompt) for prompt in self.prompts]
        if not newest and turn.prompt == "resume":
            return [self.call("resume_worker", worker_id=entry["worker_id"], prompt="SAY back again")
                    for entry in self.waits[-1]["failed"]]
        if newest and newest[0].name == PREFIX + "wait":
            is_task = "started server-side task" in newest[0].text
            return [say("The wait is a task." if is_task else self.told(newest[0].json()))]
        if newest and newest[0].name == PREFIX + "worker_output":
            return [say("The first has ended.")]
        if newest and turn.prompt == "spawn":
            return [self.call("worker_output", worker_id=newest[0].json()["worker_id"], block=True)]
        if newest or turn.prompt == "wait":
            return [self.call("wait")]
        if turn.prompt.startswith("ready "):
            has_tools = PREFIX + "wait" in [one["name"] for one in turn.body["tools"]]
            return [say(f"{'Yes' if has_tools else 'No'}, {turn.prompt.removeprefix('ready ')}.")]
        return [say(f"You said {turn.prompt}.")]

    def end_of_task(self, notification):
        text = "".join(block["text"] for block in json.loads(notification))
        status, result = re.search(r"<status>(.*?)</status>.*<result>\n(.*)\n</result>", text, re.S).groups()
        return self.told(json.loads(result)) if status == "completed" else f"A task {status}: {result}."

    def told(self, answer):
        self.waits.append(answer)
        ends = [" ".join(filter(None, [entry.get("state", name), entry.get("result_preview")]))
                for name in ("completed", "failed", "cancelled") for entry in answer.get(name, [])]
        return "They ended so: " + ", ".join(sorted(ends)) + "."

    @staticmethod
    def call(name, **arguments):
        return tool(PREFIX + name, arguments)


def patient(script, prefix=PREFIX):
    """A model that has our tools before it does what `script` says.

    On a busy machine 2.1.197 begins its first turn before the server has answered. It gives the model a tool to wait
    with, which does not count as a round of the script. `prefix` is that of our tools' names.
    """
    def answer(turn):
        waited = [results for results in turn.rounds if any(one.name == WAIT_TOOL for one in results)]
        turn.rounds = [results for results in turn.rounds if results not in waited]
        offered = {one["name"] for one in turn.body["tools"]}
        if WAIT_TOOL in offered and not waited and not any(name.startswith(prefix) for name in offered):
            return [tool(WAIT_TOOL)]
        return script(turn)  # when waiting did not help, its calls fail and say why
    return answer


def options(world):
    """What gives a CLI our server and nothing else."""
    config = world.root / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"awm": {
        "command": world.server_command[0], "args": world.server_command[1:],
        # The server inherits the lead's environment: so that its workers meet their own script, they are told where.
        "env": {"ANTHROPIC_BASE_URL": world.workers.base_url}}}}))
    return ["--mcp-config", str(config), "--strict-mcp-config", "--allowedTools", "mcp__awm"]


def model(world, script):
    """The environment of a CLI whose model is `script`."""
    lead = world.api.scenario("lead")
    lead.script = patient(script)
    return {"ANTHROPIC_BASE_URL": lead.base_url}


def kill_server(world):
    for pid in [pid for pid, command in marked(world.root) if command.startswith(world.server_command[0])]:
        os.kill(pid, signal.SIGKILL)
