"""The plugin in the real Claude Code: it validates, loads, and has a place for whatever Task users know.

Where the scripted model calls our tools they are those of the plugin, and where it calls Agent, the plugin's hook has
its say. A server that the plugin starts is the built one, behind a script that AWM_BINARY names.
"""
import json
import os
import re
import shlex
import shutil
import subprocess

import claude_cli
import leads
import pytest
from scenes import scene
from stand_in_api import say, tool
from test_options import AGENT_FILE, install_plugin
from world import CLI_TIMEOUT_S

PLUGIN = claude_cli.REPOSITORY / "plugin"
SERVER = "plugin:async-workers:workers"
PREFIX = "mcp__plugin_async-workers_workers__"
TOOLS = {"spawn_worker", "wait", "approve_permission", "resume_worker", "send_message", "worker_output", "list_workers",
         "cancel_worker"}
SKILLS = {"async-workers:async-workers", "async-workers:plan"}
COMMANDS = {"async-workers:" + path.stem for path in (PLUGIN / "commands").glob("*.md")}


def server_of(world):
    """A program that runs our server in this world, whatever environment the CLI gives it."""
    path = world.root / "server"
    path.write_text(f"#!/bin/sh\nexport ANTHROPIC_BASE_URL={world.workers.base_url}\n"
                    f"exec {shlex.join(world.server_command)} \"$@\"\n")
    path.chmod(0o755)
    return str(path)


def drive(world, script, prompt="begin", plugin=PLUGIN, **environment):
    """Runs the CLI with the plugin and `script` as its model. Returns what it printed, as messages."""
    lead = world.api.scenario("lead")
    lead.script = leads.patient(script, PREFIX)
    variables = {**world.environment, "ANTHROPIC_BASE_URL": lead.base_url, "AWM_BINARY": server_of(world),
                 **environment}
    try:
        done = subprocess.run(
            [world.claude, "-p", "--model", "sonnet", "--output-format", "stream-json", "--verbose", "--plugin-dir",
             str(plugin), "--allowedTools", PREFIX.removesuffix("__"), "Task"],
            input=prompt, cwd=world.project, capture_output=True, text=True, timeout=CLI_TIMEOUT_S,
            env={name: value for name, value in variables.items() if value is not None})
    except subprocess.TimeoutExpired as late:
        answers = [request.answer for request in lead.conversations]
        prompts = [request.prompt for request in world.workers.conversations]
        raise AssertionError(f"the lead did not end; it said {answers}, and its workers were asked {prompts}") from late
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def call(name, **arguments):
    return tool(PREFIX + name, arguments)


def init_of(messages):
    return next(one for one in messages if one["type"] == "system" and one["subtype"] == "init")


@pytest.mark.no_server
@pytest.mark.parametrize("what", [PLUGIN, claude_cli.REPOSITORY], ids=["plugin", "marketplace"])
def test_it_is_valid_for_the_strict(world, what):
    done = subprocess.run([world.claude, "plugin", "validate", "--strict", str(what)], env=world.environment,
                          cwd=world.project, capture_output=True, text=True, timeout=CLI_TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr


@scene
def test_its_tools_skills_and_commands_are_there(world):
    init = init_of(drive(world, lambda turn: [say("ready")]))
    assert [one["path"] for one in init["plugins"] if one["name"] == "async-workers"] == [str(PLUGIN)]
    assert SERVER in {one["name"] for one in init["mcp_servers"]}
    assert SKILLS <= set(init["skills"])
    assert len(COMMANDS) >= 5 and SKILLS | COMMANDS <= set(init["slash_commands"])

    # What the model itself is given: the tools that ask for it in full, the others at least by name.
    request = world.api.scenario("lead").conversations[-1]
    assert {PREFIX + name for name in ("spawn_worker", "wait", "resume_worker", "approve_permission")} \
        <= set(request.tool_names)
    told = json.dumps(request.body)
    assert all(PREFIX + name in told for name in TOOLS)
    assert all(name in told for name in SKILLS)


@scene
def test_a_command_reaches_the_model_with_its_arguments(world):
    drive(world, lambda turn: [say("ready")], prompt="/async-workers:fan-out the three parsers")
    messages = json.dumps(world.api.scenario("lead").conversations[-1].body["messages"])
    assert "Divide this among workers: the three parsers" in messages


class TaskUser:
    """A model that knows the Task tool and does, by our tools, what each of its parameters does."""

    def __init__(self):
        self.steps = [self.spawn, self.look, self.stop, self.collect, self.resume, self.collect, self.output]
        self.answers = []

    def __call__(self, turn):
        assert not any(result.is_error for result in turn.last_results), turn.last_results
        if turn.rounds:
            self.answers.append([result.json() for result in turn.last_results])
        return self.steps[turn.step]() if turn.step < len(self.steps) else [say("done")]

    def spawn(self):
        return [call("spawn_worker", description="by name", prompt="SAY named", agent_type="reviewer"),
                call("spawn_worker", description="of a plugin", prompt="SAY plugged", agent_type="handy:helper"),
                call("spawn_worker", description="by model", prompt="SAY modelled",
                     options={"model": "haiku"}),
                call("spawn_worker", description="with effort", prompt="SAY tried", options={"effort": "low"}),
                call("spawn_worker", description="in a worktree", prompt="SAY isolated",
                     options={"isolation": "worktree"}),
                call("spawn_worker", description="to be stopped", prompt="HOLD for ever\nSAY never")]

    def id(self, index):
        return self.answers[0][index]["worker_id"]

    def look(self):
        return [call("worker_output", worker_id=self.id(5), block=False)]

    def stop(self):
        return [call("cancel_worker", worker_id=self.id(5), reason="no longer wanted")]

    @staticmethod
    def collect():
        return [call("wait")]

    def resume(self):
        return [call("resume_worker", worker_id=self.id(0), prompt="SAY resumed")]

    def output(self):
        return [call("worker_output", worker_id=self.id(0), block=True, timeout=60000)]


@scene
def test_every_parameter_of_task_has_its_place(world):
    """The rows of docs/task-users.md."""
    for path, name in ((world.project / ".claude/agents/reviewer.md", "reviewer"),
                       (world.root / "market/handy/agents/helper.md", "helper")):
        path.parent.mkdir(parents=True)
        path.write_text(AGENT_FILE.format(name=name, more="", prompt=f"The AGENT {name} of the test."))
    install_plugin(world, world.root / "market")
    git = {**world.environment, "GIT_CONFIG_GLOBAL": "/dev/null"}
    for command in (["init", "-q"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *command], cwd=world.project, env=git, check=True)

    user = TaskUser()
    drive(world, user)
    spawned, (looked,), (stopped,), (first,), (resumed,), (second,), (output,) = user.answers

    # run_in_background: always. All were at work when spawn_worker had answered.
    assert all(one["state"] in ("running", "queued") for one in spawned)
    # TaskOutput with block false; TaskStop
    assert looked["worker_id"] == spawned[5]["worker_id"] and looked["finished"] is False
    assert stopped["cancelled"] == [spawned[5]["worker_id"]]
    assert [one["description"] for one in first["cancelled"]] == ["to be stopped"]
    # description, prompt and the result
    assert {one["description"]: one["result_preview"] for one in first["completed"]} == {
        "by name": "named", "of a plugin": "plugged", "by model": "modelled", "with effort": "tried",
        "in a worktree": "isolated"}
    # subagent_type: a name, and plugin:name
    assert "The AGENT reviewer of the test." in world.workers.conversation_about("SAY named").system
    assert "The AGENT helper of the test." in world.workers.conversation_about("SAY plugged").system
    # model, effort, isolation
    models = {word: world.workers.conversation_about("SAY " + word).body["model"] for word in ("named", "modelled")}
    assert "haiku" in models["modelled"] and "haiku" not in models["named"]
    effort = world.workers.conversation_about("SAY tried").body
    assert effort.get("output_config", {}).get("effort") == "low", effort
    worktree, = [one["worktree"] for one in first["completed"] if one["description"] == "in a worktree"]
    assert worktree["branch"].startswith("worker/")
    # resume; TaskOutput with block true
    assert resumed["worker_id"] == spawned[0]["worker_id"]
    assert [(one["turn"], one["result_preview"]) for one in second["completed"]] == [(2, "resumed")]
    assert "SAY named" in json.dumps(world.workers.conversation_about("SAY resumed").body["messages"])
    assert output["finished"] is True and output["result"] == "resumed"


@scene
def test_the_table_for_task_users_names_every_parameter(world):
    """Whatever the CLI offers its model for agents stands in docs/task-users.md, and a tool of ours that exists."""
    drive(world, lambda turn: [say("ready")], ENABLE_TOOL_SEARCH="false")
    tools = {one["name"]: one for one in world.api.scenario("lead").conversations[-1].body["tools"]}
    table = (claude_cli.REPOSITORY / "docs/task-users.md").read_text()
    assert "Agent" in tools and "TaskStop" in tools
    rows = {name: re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", table, re.S | re.M) for name in tools}
    for name in {"Agent", "TaskOutput", "TaskStop", "SendMessage"} & set(tools):
        assert rows[name], f"docs/task-users.md has no section {name}"
        named = set(re.findall(r"^\| `(\w+)`", rows[name].group(1), re.M))
        assert set(tools[name]["input_schema"]["properties"]) <= named, name
    # The other way round: what the table offers is what the tools take.
    parameters = tools[PREFIX + "spawn_worker"]["input_schema"]["properties"]
    options = set(parameters["options"]["properties"])
    assert set(re.findall(r"`options\.(\w+)", table)) <= options
    assert set(re.findall(r"`(\w+_worker|\w+_workers|worker_output|wait|send_message)`", table)) <= TOOLS

    # And what the skill says of them.
    skill = (PLUGIN / "skills/async-workers/SKILL.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", skill, re.M))
    assert set(rows) == TOOLS
    for name, row in rows.items():
        schema = tools[PREFIX + name]["input_schema"]
        row = re.sub(r"\([^)]*\)", "", row)
        named = {parameter: not optional for parameter, optional in re.findall(r"`(\w+)(\??)`", row)}
        required = set(schema.get("required", []))
        assert named == {parameter: parameter in required for parameter in schema["properties"]}, name
    listed = re.search(r"^`options`: (.*?)\. The answer", skill, re.S | re.M).group(1)
    assert set(re.findall(r"`(\w+)`", listed)) == options


def agent_call(turn):
    """Calls Agent once and tells what came of it."""
    if turn.prompt.startswith("SAY"):
        return [say("the agent's answer")]
    if not turn.rounds:
        return [tool("Agent", {"description": "an agent", "prompt": "SAY it", "subagent_type": "general-purpose",
                               "run_in_background": False})]
    return [say(f"{turn.last_results[0].is_error}: {turn.last_results[0].text}")]


def said(messages):
    return next(one["result"] for one in messages if one["type"] == "result")


@scene
def test_task_is_left_alone_by_default(world):
    words = said(drive(world, agent_call))
    assert words.startswith("False: ") and "the agent's answer" in words and "spawn_worker" not in words


@scene
def test_task_is_pointed_to_workers_when_a_variable_says_so(world):
    words = said(drive(world, agent_call, AWM_REPLACE_TASK="1"))
    assert words.startswith("True: ") and PREFIX + "spawn_worker" in words


@scene
def test_task_is_pointed_to_workers_when_the_plugins_option_says_so(world):
    settings = world.home / ".claude/settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps({"pluginConfigs": {"async-workers@inline": {"options": {"replace_task": True}}}}))
    words = said(drive(world, agent_call))
    assert words.startswith("True: ") and PREFIX + "spawn_worker" in words


@pytest.mark.no_server
@pytest.mark.parametrize("given, denied", [
    ({}, False), ({"AWM_REPLACE_TASK": "0"}, False), ({"AWM_REPLACE_TASK": "1"}, True),
    ({"CLAUDE_PLUGIN_OPTION_REPLACE_TASK": "true"}, True),
    ({"AWM_REPLACE_TASK": "0", "CLAUDE_PLUGIN_OPTION_REPLACE_TASK": "true"}, False),
    ({"AWM_REPLACE_TASK": "1", "AWM_DEPTH": "1"}, False)])  # inside a worker
def test_the_hook_goes_by_its_setting(world, given, denied):
    def ask(**tool_input):
        done = subprocess.run(["/bin/sh", PLUGIN / "scripts/task_to_worker.sh"], capture_output=True, text=True,
                              input=json.dumps({"tool_name": "Agent", "tool_input": tool_input}),
                              env={"PATH": "/usr/bin:/bin", **given})
        assert done.returncode == 0, done.stderr
        return done.stdout and json.loads(done.stdout)["hookSpecificOutput"]

    answer = ask(prompt="quote \"subagent_type\": \"fork\"")
    assert bool(answer) == denied
    if denied:
        assert answer["permissionDecision"] == "deny" and "spawn_worker" in answer["permissionDecisionReason"]
    assert not ask(subagent_type="fork"), "a fork has no counterpart among workers"


def status(world, *agents):
    logs = world.project / "logs"
    logs.mkdir()
    (logs / "current-session.json").write_text(json.dumps({"session_id": "s", "cost_usd": 0.125, "agents": agents}))


@scene
def test_the_user_sees_which_workers_run_when_claude_stops(world):
    """Of the server's own status file: the worker is held while the lead stops."""
    hold = "HOLD go\nSAY late"

    def lead(turn):
        if not turn.rounds:
            return [call("spawn_worker", description="the slow one", prompt=hold)]
        world.workers.wait_for(lambda request: "SAY late" in request.prompt)
        return [say("gone on")]

    path = world.root / "said"
    hooked = world.root / "plugin"
    shutil.copytree(PLUGIN, hooked)
    script = hooked / "scripts/workers.py"
    script.write_text(script.read_text() + f"\n    open({str(path)!r}, 'w').write(line(status()))\n")
    drive(world, lead, plugin=hooked, AWM_LOG_DIR=str(world.logs))
    assert path.read_text().startswith("1 worker at work: the slow one"), path.read_text()


@pytest.mark.no_server
def test_the_line_of_running_workers(world):
    def line(*arguments):
        done = subprocess.run(["python3", PLUGIN / "scripts/workers.py", *arguments], capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", "CLAUDE_PROJECT_DIR": str(world.project)}, check=True)
        return done.stdout

    assert line() == line("--hook") == ""
    status(world, {"id": "1", "status": "running", "description": "one\x1b[2J", "activity": "Bash: make"},
           {"id": "2", "status": "awaiting_permission", "description": "two", "pending_requests": 1},
           {"id": "3", "status": "completed", "description": "three"})
    expected = "2 workers at work: one [2J (Bash: make), two asks for a permission; $0.12 so far"
    assert line() == expected + "\n"
    assert json.loads(line("--hook")) == {"systemMessage": expected}
    assert len(line("--all").splitlines()) == 3
    (world.project / "logs/current-session.json").write_text("{half")
    assert line() == ""


@scene
def test_without_a_binary_it_says_how_to_install(world):
    """A copy of the plugin: in this checkout it would find what was built."""
    copy = world.root / "copy" / "plugin"
    shutil.copytree(PLUGIN, copy)

    def lead(turn):
        return [say(turn.last_results[0].text)] if turn.rounds else [call("how_to_install")]

    words = said(drive(world, lead, plugin=copy, AWM_BINARY=None))
    assert "not installed" in words and "scripts/build release" in words and "AWM_BINARY" in words


@pytest.mark.no_server
def test_the_launcher_looks_where_it_says(world):
    copy = world.root / "copy" / "plugin"
    shutil.copytree(PLUGIN, copy)

    def program(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {shlex.quote(str(path))} \"$@\"\n")
        path.chmod(0o755)
        return path

    def launch(*arguments, **environment):
        return subprocess.run(["/bin/sh", copy / "scripts/launch.sh", *arguments], capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(world.home), **environment},
                              stdin=subprocess.DEVNULL)

    assert "not installed" in launch().stderr and "scripts/build release" in launch().stderr
    built = program(world.root / "copy/build/release/bin/async-worker-manager")
    assert os.path.samefile(launch().stdout.strip(), built)
    local = program(world.home / ".local/bin/async-worker-manager")
    assert launch("--log-level", "debug").stdout == f"{local} --log-level debug\n"
    in_path = program(world.root / "path/async-worker-manager")
    assert launch(PATH=f"{in_path.parent}:/usr/bin:/bin").stdout.strip() == str(in_path)
    named = program(world.root / "named")
    assert launch(AWM_BINARY=str(named)).stdout.strip() == str(named)
    wrong = launch(AWM_BINARY="/nowhere/at/all")
    assert wrong.stdout == "" and "/nowhere/at/all" in wrong.stderr
