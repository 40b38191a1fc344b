"""Every option of `spawn_worker` reaches the API request that the real CLI sends, or a warning says why it does not.

A start of the CLI costs a second of CPU, so all cases of this file run as one batch on one server, and each test reads
what became of its own. A case is a line in `CASES`: its prompt, and the arguments of `spawn_worker`.
"""
import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from world import ToolError, transcript

AGENT_FILE = "---\nname: {name}\ndescription: an agent of the test\ntools: Read, Grep\n{more}---\n{prompt}\n"
TINY_SERVER = Path(__file__).with_name("tiny_mcp_server.py")
# Longer than 2.1.197 waits by itself for a server before it starts a turn without its tools (2 to 3 s; 5 s at most).
SLOW_START_S = 6
SAMPLING = ("temperature", "top_p", "top_k")


def tiny(answer, start_seconds=0):
    return {"command": sys.executable, "args": [str(TINY_SERVER), answer, str(start_seconds)]}


def use(name, **arguments):
    return f"TOOL {name} {json.dumps(arguments)}"


def cases(world):
    """Every case: what stands in its prompt, and what else `spawn_worker` is given."""
    project, extra, elsewhere = world.project, world.root / "extra", world.root / "elsewhere"
    two_steps = use("Bash", command="echo one") + "\n" + use("Bash", command="echo two")
    return {
        "plain": (use("ListAgents") + "\nSAY done", {}),
        "slash": ("/compact this is text", {}),
        "unknown_slash": ("/nosuchcommand is text", {}),
        "model": ("SAY done", dict(model="claude-sonnet-4-6", max_tokens=1234, effort="low")),
        "system": ("SAY done", dict(system="You are the SYSTEM PROMPT of the test.")),
        "sampling": ("SAY done", dict(temperature=0.3, top_k=40)),
        "top_p": ("SAY done", dict(top_p=0.9)),
        "sampling_refused": ("SAY done", dict(model="sonnet", temperature=0.3, top_p=0.9, top_k=40)),
        "one_of": ("SAY done", dict(model="claude-sonnet-4-5", temperature=0.3, top_p=0.9)),
        "sampling_and_thinking": ("SAY done", dict(model="claude-haiku-4-5", temperature=0.3, thinking=5000)),
        "thinking_on": ("SAY done", dict(model="claude-sonnet-4-5", thinking=True)),
        "thinking_off": ("SAY done", dict(model="claude-haiku-4-5", thinking=False)),
        "thinking_off_newest": ("SAY done", dict(model="sonnet", thinking=False)),
        "budget": ("SAY done", dict(model="claude-haiku-4-5", thinking=5000)),
        "budget_optional": ("SAY done", dict(model="claude-sonnet-4-6", thinking=5000)),
        "budget_refused": ("SAY done", dict(model="sonnet", thinking=5000)),
        "fallback": ('ERROR 529 {"model": "sonnet-4-6"}\nSAY fell back',
                     dict(model="claude-sonnet-4-6", fallback_model="haiku")),
        "max_turns": (two_steps, dict(max_turns=1)),
        "max_budget": (two_steps, dict(max_budget_usd=0.0001)),
        "accept_edits": (use("Write", file_path=str(project / "accepted"), content="x"),
                         dict(permission_mode="acceptEdits")),
        "bypass": (use("Bash", command="touch bypassed"),
                   dict(permission_mode="bypassPermissions", env={"IS_SANDBOX": "1"})),
        "allowed": (use("Bash", command="touch allowed"), dict(allowed_tools=["Bash(touch *)"])),
        "disallowed": (use("Bash", command="touch disallowed"), dict(disallowed_tools=["Bash"])),
        "place": (use("Bash", command="pwd; echo $AWM_PROBE") + "\n" + use("Read", file_path=str(extra / "note")),
                  dict(cwd=str(elsewhere), add_dirs=[str(extra)], env={"AWM_PROBE": "probed"},
                       allowed_tools=["Bash"])),
        "mcp_none": (use("mcp__inherited__ping"), {}),
        "mcp_inherit": (use("mcp__inherited__ping"), dict(mcp="inherit", allowed_tools=["mcp__inherited"])),
        "mcp_map": (use("mcp__given__ping"),
                    dict(mcp={"given": tiny("pong of the given one", SLOW_START_S)}, allowed_tools=["mcp__given"])),
        "explore": (use("Write", file_path=str(project / "explored"), content="x"),
                    dict(agent_type="Explore", permission_mode="acceptEdits")),
        "plan": (use("Write", file_path=str(project / "planned"), content="x"),
                 dict(agent_type="Plan", permission_mode="acceptEdits")),
        "general": ("SAY done", dict(agent_type="general-purpose")),
        "project_agent": ("SAY done", dict(agent_type="reviewer")),
        "user_agent": ("SAY done", dict(agent_type="tester")),
        "agent_path": ("SAY done", dict(agent_type=str(world.root / "writer.md"))),
        "plugin_agent": ("SAY done", dict(agent_type="handy:helper")),
        "role": ("SAY done", dict(agent_type="You are the ROLE of the test, a careful one.")),
    }


def furnish(world):
    """Puts the things that the cases name into the world."""
    for folder in ("extra", "elsewhere"):
        (world.root / folder).mkdir()
    (world.root / "extra" / "note").write_text("a note in another folder")
    agents = {
        world.project / ".claude/agents/reviewer.md": ("reviewer", "", "The PROJECT AGENT of the test."),
        world.home / ".claude/agents/tester.md": ("tester", "", "The USER AGENT of the test."),
        world.root / "writer.md": ("writer", "model: haiku\n", "The AGENT FILE of the test."),
        world.root / "market/handy/agents/helper.md": ("helper", "", "The PLUGIN AGENT of the test."),
    }
    for path, (name, more, prompt) in agents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(AGENT_FILE.format(name=name, more=more, prompt=prompt))
    install_plugin(world, world.root / "market")
    settings = world.home / ".claude.json"
    known = json.loads(settings.read_text()) if settings.exists() else {}
    settings.write_text(json.dumps({**known, "mcpServers": {"inherited": tiny("pong of the inherited one")}}))


def install_plugin(world, market):
    """Installs the plugin `handy` into the world's HOME the way a user does, from a marketplace that is a folder."""
    for folder in (market / ".claude-plugin", market / "handy/.claude-plugin"):
        folder.mkdir(parents=True)
    (market / ".claude-plugin/marketplace.json").write_text(json.dumps({
        "name": "market", "owner": {"name": "the test"}, "plugins": [{"name": "handy", "source": "./handy"}]}))
    (market / "handy/.claude-plugin/plugin.json").write_text(json.dumps({
        "name": "handy", "version": "1.0.0", "description": "a plugin of the test"}))
    for command in (["marketplace", "add", str(market)], ["install", "handy@market"]):
        done = subprocess.run([world.claude, "plugin", *command], env=world.environment, cwd=world.project,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Outcome:
    """What became of a case. `requests` are those of its session, in order."""
    spawned: dict = None
    refused: str = None
    entry: dict = None
    completed: bool = None
    requests: list = field(default_factory=list)
    questions: list = field(default_factory=list)

    @property
    def request(self):
        return self.requests[0]

    @property
    def body(self):
        return self.requests[0].body

    @property
    def prompt_block(self):
        """The third block of the system prompt: the two before it are the CLI's billing line and identity."""
        return self.body["system"][2]["text"]

    @property
    def results(self):
        """The tool results that the model has seen, in order."""
        return self.requests[-1].conversation.results

    @property
    def warnings(self):
        return " ".join(self.spawned.get("warnings", []))


async def run_all(world):
    outcomes = {}
    async with world.manager(CLAUDE_CODE_ENTRYPOINT="the-caller", CLAUDECODE="1") as manager:
        for name, (prompt, arguments) in cases(world).items():
            outcome = outcomes[name] = Outcome()
            try:
                outcome.spawned = await manager.spawn(prompt, description=f"case {name}", **arguments)
            except ToolError as error:
                outcome.refused = str(error)
        by_worker = {o.spawned["worker_id"]: o for o in outcomes.values() if o.spawned}
        while any(outcome.entry is None for outcome in by_worker.values()):
            answer = await manager.wait()
            for entry in answer["completed"] + answer["failed"]:
                by_worker[entry["worker_id"]].entry = entry
                by_worker[entry["worker_id"]].completed = entry in answer["completed"]
            for question in answer["pending_permissions"]:  # no case is meant to ask: its own test will tell
                by_worker[question["worker_id"]].questions.append(question["tool"])
                await manager.approve(question["request_id"], False, reason="nobody expected this question")
    for outcome in by_worker.values():
        outcome.requests = [request for request in world.workers.conversations
                            if request.session_id == outcome.entry["claude_session_id"]]
    return outcomes


@pytest.fixture(scope="module")
def outcomes(shared_world):
    furnish(shared_world)
    return asyncio.run(run_all(shared_world))


@pytest.fixture
def case(outcomes, shared_world):
    """Looks a case up that is expected to run, and by default to complete without a question."""
    def look_up(name, completed=True):
        outcome = outcomes[name]
        assert outcome.spawned, outcome.refused
        assert not outcome.questions
        assert outcome.completed == completed, outcome.entry
        assert outcome.requests, "the CLI sent no request"
        return outcome
    return look_up


def thinking_of(outcome):
    return (outcome.body.get("thinking") or {}).get("type")


def test_without_options_the_model_is_what_the_cli_calls_sonnet(case, shared_world):
    assert case("plain").body["model"] == ("claude-sonnet-5" if shared_world.is_197 else "claude-sonnet-5-5")
    assert not any(name in case("plain").body for name in SAMPLING)
    assert not case("plain").warnings


def test_workers_cannot_talk_to_each_other(case, shared_world):
    names = set(case("plain").request.tool_names)
    assert "ListAgents" not in names
    # That of 2.1.197 reaches a session's own subagents only.
    assert shared_world.is_197 or "SendMessage" not in names
    listing, = case("plain").results
    assert listing.is_error and "No such tool" in listing.text


def test_nothing_can_be_put_into_the_background(case):
    schemas = {tool["name"]: tool["input_schema"]["properties"] for tool in case("plain").body["tools"]
               if tool["name"] in ("Bash", "Agent")}
    assert set(schemas) == {"Bash", "Agent"}
    assert not any("run_in_background" in properties for properties in schemas.values())


def test_the_callers_own_identity_does_not_reach_the_worker(case):
    assert "the-caller" not in case("plain").request.headers["user-agent"]


@pytest.mark.parametrize("name, prompt", [("slash", "/compact this is text"),
                                          ("unknown_slash", "/nosuchcommand is text")])
def test_a_prompt_that_looks_like_a_command_reaches_the_model_literally(case, name, prompt):
    assert case(name).request.prompt == prompt


def test_model(case):
    assert case("model").body["model"] == "claude-sonnet-4-6"


def test_max_tokens(case):
    assert case("model").body["max_tokens"] == 1234


def test_effort(case):
    assert case("model").body["output_config"]["effort"] == "low"


def test_system_replaces_the_prompt(case):
    assert case("system").prompt_block == "You are the SYSTEM PROMPT of the test."


def test_sampling_without_a_model_chooses_one_that_takes_it_and_says_so(case):
    sampling = case("sampling")
    assert sampling.body["model"] == "claude-sonnet-4-5"
    assert thinking_of(sampling) in (None, "disabled")
    assert sampling.body["temperature"] == 0.3
    assert sampling.body["top_k"] == 40
    assert "claude-sonnet-4-5" in sampling.warnings and "thinking" in sampling.warnings
    assert transcript(sampling.entry)["warnings"] == sampling.spawned["warnings"]


def test_top_p_goes_out_without_a_temperature_beside_it(case):
    """With thinking off the CLI adds `temperature: 1` by itself, and the API takes only one of the two."""
    body = case("top_p").body
    assert body["top_p"] == 0.9
    assert "temperature" not in body
    assert thinking_of(case("top_p")) in (None, "disabled")


def test_top_p_does_not_go_out_with_a_clearing_of_thoughts(case):
    """The API refuses `clear_thinking_20251015` in a request whose thinking is off (anthropics/claude-code#11971)."""
    edits = (case("top_p").body.get("context_management") or {}).get("edits", [])
    assert not [edit for edit in edits if edit["type"].startswith("clear_thinking")]


def test_sampling_is_dropped_with_a_warning_where_the_named_model_refuses_it(case):
    refused = case("sampling_refused")
    assert refused.body["model"].startswith("claude-sonnet-5")
    assert not any(name in refused.body for name in SAMPLING)
    assert all(name in refused.warnings for name in SAMPLING)


def test_one_of_temperature_and_top_p_is_dropped_with_a_warning(case):
    one_of = case("one_of")
    sent = [name for name in ("temperature", "top_p") if one_of.body.get(name) in (0.3, 0.9)]
    assert len(sent) == 1
    assert len({"temperature", "top_p"} & set(one_of.body)) == 1
    assert "temperature" in one_of.warnings and "top_p" in one_of.warnings


def test_sampling_and_thinking_never_go_out_together(case):
    both = case("sampling_and_thinking")
    assert (thinking_of(both) == "enabled") != (both.body.get("temperature") == 0.3)
    assert "thinking" in both.warnings and "temperature" in both.warnings


def test_thinking_on(case):
    assert thinking_of(case("thinking_on")) == "enabled"


@pytest.mark.parametrize("name", ["thinking_off", "thinking_off_newest"])
def test_thinking_off(case, name):
    assert thinking_of(case(name)) in (None, "disabled")


@pytest.mark.parametrize("name", ["budget", "budget_optional"])
def test_thinking_budget(case, name):
    assert thinking_of(case(name)) == "enabled"
    assert case(name).body["thinking"]["budget_tokens"] == 5000


def test_a_thinking_budget_that_the_model_does_not_take_is_named_in_a_warning(case):
    assert case("budget_refused").body["thinking"].get("budget_tokens") is None
    assert "thinking" in case("budget_refused").warnings


def test_fallback_model_answers_when_the_first_is_overloaded(case):
    fallback = case("fallback")
    assert fallback.body["model"] == "claude-sonnet-4-6"
    assert "haiku" in fallback.requests[-1].body["model"]
    assert fallback.entry["result_preview"] == "fell back"


def test_max_turns_ends_the_turn_as_failed(case):
    limited = case("max_turns", completed=False)
    assert len(limited.requests) == 1
    assert "turns" in limited.entry["error_hint"]


def test_max_budget_ends_the_turn_as_failed(case):
    limited = case("max_budget", completed=False)
    assert len(limited.requests) == 1
    assert "budget" in limited.entry["error_hint"]


@pytest.mark.parametrize("name, made", [("accept_edits", "accepted"), ("bypass", "bypassed")])
def test_permission_mode(case, shared_world, name, made):
    assert not case(name).results[0].is_error
    assert (shared_world.project / made).exists()


def test_allowed_tools_are_not_asked_for(case, shared_world):
    assert not case("allowed").results[0].is_error
    assert (shared_world.project / "allowed").exists()


def test_disallowed_tools_are_gone(case, shared_world):
    assert "Bash" not in case("disallowed").request.tool_names
    assert case("disallowed").results[0].is_error
    assert not (shared_world.project / "disallowed").exists()


def test_cwd(case, shared_world):
    assert case("place").results[0].text.splitlines()[0] == str(shared_world.root / "elsewhere")


def test_env(case):
    assert case("place").results[0].text.splitlines()[1] == "probed"


def test_add_dirs_can_be_read_without_a_question(case):
    assert "a note in another folder" in case("place").results[1].text


def test_mcp_none_is_the_default(case):
    assert case("mcp_none").results[0].is_error
    assert not [name for name in case("mcp_none").request.tool_names if name.startswith("mcp__")]


def test_mcp_inherit_gives_the_users_servers(case):
    inherited = case("mcp_inherit")
    assert inherited.results[0].text == "pong of the inherited one", inherited.request.tool_names


def test_mcp_server_map_and_a_slow_server_is_waited_for(case):
    assert case("mcp_map").results[0].text == "pong of the given one"


@pytest.mark.parametrize("name, made", [("explore", "explored"), ("plan", "planned")])
def test_read_only_agents_cannot_write_and_have_a_prompt_of_their_own(case, shared_world, name, made):
    agent = case(name)
    assert not {"Write", "Edit", "NotebookEdit"} & set(agent.request.tool_names)
    assert agent.results[0].is_error
    assert not (shared_world.project / made).exists()
    assert agent.prompt_block != case("plain").prompt_block
    assert "only read" in agent.prompt_block


def test_general_purpose_has_a_prompt_of_its_own_and_every_tool(case):
    assert case("general").prompt_block != case("plain").prompt_block
    assert set(case("general").request.tool_names) >= {"Bash", "Write", "Edit"}


@pytest.mark.parametrize("name, prompt", [
    ("project_agent", "The PROJECT AGENT of the test."), ("user_agent", "The USER AGENT of the test."),
    ("agent_path", "The AGENT FILE of the test."), ("plugin_agent", "The PLUGIN AGENT of the test.")])
def test_an_agents_file_gives_prompt_and_tools(case, name, prompt):
    agent = case(name)
    assert agent.prompt_block.startswith(prompt)
    assert {"Read", "Grep"} == set(agent.request.tool_names) - {"DeferredToolPlaceholder"}


def test_the_model_of_an_agent_file_is_honoured(case):
    assert "haiku" in case("agent_path").body["model"]


def test_a_role_description_is_added_to_the_system_prompt(case):
    role = case("role").prompt_block
    assert role.endswith("You are the ROLE of the test, a careful one.")
    assert len(role) > len(case("plain").prompt_block)
