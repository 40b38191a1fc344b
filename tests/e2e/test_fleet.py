"""What a lead does with a fleet of real workers: it reaches into turns, ends and limits them, and believes results."""
import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

from shells import Shell, ended
from stand_in_api import ApiError, say, tool, usage
from stories import story
from world import ToolError, transcript

SAME = ("turn", "result_preview", "state", "num_turns")

CHEAP = "claude-haiku-4-5"  # 1 and 5 dollars for a million tokens, in both versions

# What became of a message, on a machine on which it takes more than the five seconds that a call of send_message waits.
UNKNOWN_YET = "pending"


def bash(command, **more):
    return tool("Bash", {"command": command, **more})


def said_to(request):
    """The conversation that a request carries: who said what, without what the CLI adds of its own."""
    texts = request.conversation._all_texts
    return [(message["role"], [text for text in texts(message) if "<system-reminder>" not in text])
            for message in request.body["messages"] if message["role"] in ("user", "assistant")]


@story
async def test_a_turn_that_takes_too_long_is_told_to_wrap_up_and_then_ended(stage):
    """The first of the file, because it takes the longest. Of its 75 s the model has 15 to hear that they end: all stories of
    the file begin at once, and with two cores a start can take half a minute."""
    shell = Shell(stage.folder)

    def model(turn):
        return [bash(shell.stays if turn.steered else shell.pauses)]

    stage.api.script = model
    worker = await stage.spawn("work for ever", allowed_tools=["Bash"], timeout_s=75)
    pid = await shell.pid()
    entry, = await stage.finish(worker)
    await ended(pid)
    assert (entry["state"], entry["cap"]) == ("failed", "timeout_s")
    assert "timeout_s" in entry["error_hint"]
    advice, = stage.requests[-1].conversation.steered
    assert advice.startswith("Your time is nearly over")


# ---- messages into a turn ----


@story
async def test_a_steering_message_is_read_in_the_turn_that_runs(stage):
    shell = Shell(stage.folder)

    def model(turn):
        if turn.steered:
            return [say("heard: " + " | ".join(turn.steered))]
        return [bash(shell.waits if turn.step == 0 else shell.pauses)]

    stage.api.script = model
    worker = await stage.spawn("work until you are told otherwise", allowed_tools=["Bash"])
    await shell.pid()
    sending = asyncio.create_task(stage.send(worker, "look at x", "steer"))
    shell.open()
    assert await sending in ("delivered", UNKNOWN_YET)
    entry = await stage.completed(worker)
    assert (entry["turn"], entry["result_preview"]) == (1, "heard: look at x")
    assert {request.prompt for request in stage.requests} == {"work until you are told otherwise"}
    assert len(transcript(entry)["turns"]) == 1


@story
async def test_an_interrupting_message_ends_the_tool_and_is_what_the_model_reads_next(stage):
    shell = Shell(stage.folder)
    worker = await stage.spawn(Shell.directive(shell.stays), allowed_tools=["Bash"])
    pid = await shell.pid()
    assert await stage.send(worker, "SAY something else", "interrupt") in ("after_interrupt", UNKNOWN_YET)
    entry = await stage.completed(worker)
    await ended(pid)
    assert (entry["turn"], entry["result_preview"]) == (1, "something else")
    first, second = stage.requests
    assert first.session_id == second.session_id
    assert second.prompt == "SAY something else"
    assert Shell.directive(shell.stays) in json.dumps(said_to(second)[0]).replace('\\"', '"').replace("\\\\", "\\")


@story
async def test_a_queued_message_begins_the_next_turn(stage):
    shell = Shell(stage.folder)
    worker = await stage.spawn(Shell.directive(shell.waits), allowed_tools=["Bash"])
    await shell.pid()
    assert await stage.send(worker, "SAY second", "queue") == "next_turn"
    shell.open()
    first, second = await stage.finish(worker, turns=2)
    assert [(entry["turn"], entry["result_preview"]) for entry in (first, second)] == [
        (1, "tool said: open"), (2, "second")]
    assert "SAY second" not in json.dumps(stage.requests[1].body["messages"])
    assert stage.requests[2].prompt == "SAY second"
    assert stage.requests[2].session_id == stage.requests[0].session_id


@story
async def test_an_interrupting_message_ends_a_reply_in_the_middle(stage):
    worker = await stage.spawn("STREAM one two")
    await stage.asked(lambda request: request.streaming)
    assert await stage.send(worker, "SAY something else", "interrupt") in ("after_interrupt", UNKNOWN_YET)
    entry = await stage.completed(worker)
    assert (entry["turn"], entry["result_preview"]) == (1, "something else")
    first, second = stage.requests
    assert first.session_id == second.session_id
    await stage.asked(lambda request: request.closed)


@story
async def test_a_steering_message_without_a_tool_to_stand_behind_begins_the_next_turn(stage):
    worker = await stage.spawn("HOLD reply\nSAY one")
    await stage.asked(lambda request: request.is_conversation)
    sending = asyncio.create_task(stage.send(worker, "SAY two", "steer"))
    # The server takes its calls in their order: once this one is answered, it knows the message.
    await asyncio.sleep(0)
    await stage.manager.call("list_workers", {"state": "running"})
    stage.api.release("reply")
    assert await sending in ("next_turn", UNKNOWN_YET)
    first, second = await stage.finish(worker, turns=2)
    assert [(entry["turn"], entry["result_preview"]) for entry in (first, second)] == [(1, "one"), (2, "two")]
    assert [request.prompt for request in stage.requests] == ["HOLD reply\nSAY one", "SAY two"]


# ---- the end of a turn ----


@story
async def test_a_cancelled_worker_is_gone_with_its_tool_and_can_be_resumed(stage):
    shell = Shell(stage.folder)
    worker = await stage.spawn("the first task\n" + Shell.directive(shell.stays), allowed_tools=["Bash"])
    pid = await shell.pid()
    assert os.getsid(pid) not in (os.getsid(0), os.getsid(stage.manager.server.pid))  # so no signal to a group does it
    answer = await stage.manager.call("cancel_worker", {"worker_id": worker, "reason": "no longer wanted"})
    assert stage.processes() == []
    assert answer["cancelled"] == [worker]
    entry, = await stage.finish(worker)
    assert entry["state"] == "cancelled" and "no longer wanted" in entry["error_hint"]
    assert [message["role"] for message in transcript(entry)["messages"]][:2] == ["user", "assistant"]

    await stage.resume(worker, "SAY back")
    assert (await stage.completed(worker))["result_preview"] == "back"
    assert "the first task" in json.dumps(stage.requests[-1].body["messages"])
    assert {request.session_id for request in stage.requests} == {entry["claude_session_id"]}


@story
async def test_a_worker_with_a_background_task_is_cancelled_with_it(stage):
    shell = Shell(stage.folder)
    worker = await stage.spawn(Shell.directive(shell.stays, run_in_background=True) + "\nSAY started",
                               allowed_tools=["Bash"], background=True)
    await shell.pid()
    await in_background(stage, worker)
    await stage.manager.call("cancel_worker", {"worker_id": worker})
    assert stage.processes() == []
    entry, = await stage.finish(worker)
    assert entry["state"] == "cancelled"


async def in_background(stage, worker):
    """Waits until the worker's turn is over but for its background tasks."""
    while not (await stage.manager.wait(worker_ids=[worker], timeout_s=0.2))["outstanding"].get("background"):
        pass


# ---- caps ----


@story
async def test_a_turn_is_told_of_its_last_reply_and_ends_with_it(stage):
    def model(turn):
        return [bash("echo again")]

    stage.api.script = model
    # The tools are allowed by the server, behind the advice on the same pipe: so the CLI has read it when they run.
    worker = await stage.spawn("never come to an end", permissions={"allow": ["Bash"]}, max_turns=3)
    entry, = await stage.finish(worker)
    assert (entry["state"], entry["cap"]) == ("failed", "max_turns")
    assert len(stage.requests) == 3
    assert [len(request.conversation.steered) for request in stage.requests] == [0, 0, 1]
    assert stage.requests[-1].conversation.steered[0].startswith("You have one reply left")


@story
async def test_a_turn_is_told_when_its_money_runs_out_and_ends_with_it(stage):
    shell = Shell(stage.folder)

    def model(turn):
        return [usage(100, 1000) if turn.step == 0 or turn.steered else usage(1, 1), bash(shell.pauses)]

    stage.api.script = model
    worker = await stage.spawn("spend", model=CHEAP, allowed_tools=["Bash"], max_budget_usd=0.006)
    entry, = await stage.finish(worker)
    assert (entry["state"], entry["cap"]) == ("failed", "max_budget_usd")
    assert entry["cost_usd"] > 0.006
    advice, = stage.requests[-1].conversation.steered
    assert advice.startswith("Most of your budget is spent")


@story
async def test_a_fleet_whose_money_is_spent_winds_down_and_starts_nothing(stage):
    shell = Shell(stage.folder)

    def model(turn):
        if "spend" in turn.prompt:
            return [usage(100, 2000), say("spent")]
        return [usage(1, 1), say("told: " + turn.steered[0]) if turn.steered else bash(shell.pauses)]

    stage.api.script = model
    async with stage.server("--budget-usd", "0.006"):
        works = await stage.spawn("work", model=CHEAP, allowed_tools=["Bash"])
        await stage.asked(lambda request: request.prompt == "work")
        spends = await stage.spawn("spend", model=CHEAP)
        told, spent = await stage.finish(works, spends)
        assert told["state"] == "completed"
        assert told["result_preview"].startswith("told: The money for all workers is spent")
        assert spent["cost_usd"] > 0.006
        try:
            await stage.spawn("SAY more")
            assert False, "it was started"
        except ToolError as refused:
            assert "budget" in str(refused)
    assert not [request for request in stage.requests if "more" in request.prompt]


# ---- what the API refuses ----


@story
async def test_a_rate_limit_that_one_worker_meets_holds_the_others_back(stage):
    async with stage.server("--rate-limit-pause", "1") as manager:
        first = await stage.spawn('ERROR 429 {"times": 1, "headers": {"retry-after": 15}}\nSAY through')
        while "rate_limited_until" not in await manager.wait(worker_ids=[first], timeout_s=0.2):
            pass
        second = await manager.call("spawn_worker", {"description": "held back", "prompt": "SAY me too", "options": {
            "env": {"ANTHROPIC_BASE_URL": stage.api.base_url}}})
        assert second["state"] == "queued"
        shown = await manager.call("list_workers", {"state": "queued"})
        assert "waiting for rate limit until" in shown["workers"][0]["held_by"]
        one, other = await stage.finish(first, second["worker_id"])
    assert (one["result_preview"], other["result_preview"]) == ("through", "me too")


@story
async def test_a_turn_that_failed_for_a_rate_limit_is_taken_up_again_on_its_session(stage):
    refusal = 'ERROR 429 {"times": 1, "headers": {"x-should-retry": "false"}}'
    refused = []

    def model(turn):
        if turn.prompt.startswith("Your last request was refused"):
            return [say("went on")]
        if turn.step == 0:
            return [bash("echo done so far")]
        refused.append(turn)
        return ApiError(429, headers={"x-should-retry": "false"})

    in_the_middle = stage.world.api.scenario("rate limit in the middle".replace(" ", "-"))
    in_the_middle.script = model
    async with stage.server("--rate-limit-pause", "1"):
        first = await stage.spawn(refusal + "\nSAY through")
        second = await stage.spawn("work", allowed_tools=["Bash"], env={"ANTHROPIC_BASE_URL": in_the_middle.base_url})
        one, other = await stage.finish(first, second)
    assert (one["state"], one["turn"], one["result_preview"]) == ("completed", 1, "through")
    assert {request.session_id for request in stage.requests} == {one["claude_session_id"]}
    assert isinstance(stage.requests[0].answer, ApiError) and len(stage.requests) == 2
    assert transcript(one)["turns"][0]["retries"] == 1

    assert (other["state"], other["turn"], other["result_preview"]) == ("completed", 1, "went on")
    assert len(refused) == 1
    last = in_the_middle.conversations[-1]
    assert last.session_id == other["claude_session_id"]
    assert "done so far" in json.dumps(last.body["messages"])


@story
async def test_a_refused_key_stops_the_queue_with_one_message(stage):
    async with stage.server("--max-workers", "1") as manager:
        refused = await stage.spawn("ERROR 401 {}", env={"CLAUDE_CODE_MAX_RETRIES": "0"})
        held = [await stage.spawn(f"SAY held {n}") for n in range(3)]
        answer = await manager.wait()
        assert [entry["worker_id"] for entry in answer["failed"]] == [refused]
        assert not answer["completed"] and answer["outstanding"]["queued"] == 3
        assert "3 queued worker(s) are held back" in answer["queue_stopped"]
        assert {request.prompt for request in stage.requests} == {"ERROR 401 {}"}

        held.append(await stage.spawn("SAY held 3"))  # signed in again
        entries = await stage.finish(*held)
        assert [entry["result_preview"] for entry in entries] == [f"held {n}" for n in range(4)]


# ---- results one can believe ----


@story
async def test_a_structured_result_is_delivered_and_its_absence_is_a_failure(stage):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    good = await stage.spawn('TOOL StructuredOutput {"n": 3}', json_schema=schema)
    bad = await stage.spawn("SAY it is three", json_schema=schema)
    given, absent = await stage.finish(good, bad)
    assert given["state"] == "completed" and given["structured_output"] == {"n": 3}
    assert transcript(given)["structured_output"] == {"n": 3}
    assert absent["state"] == "failed" and "json_schema" in absent["error_hint"]


@story
async def test_a_worker_with_a_background_task_completes_after_it(stage):
    shell = Shell(stage.folder)
    worker = await stage.spawn(
        Shell.directive(shell.waits, run_in_background=True) + "\nSAY started\nNOTIFIED heard of it",
        allowed_tools=["Bash"], background=True)
    await shell.pid()
    await in_background(stage, worker)
    shell.open()
    entry = await stage.completed(worker)
    assert (entry["turn"], entry["result_preview"]) == (1, "heard of it")
    assert stage.requests[-1].conversation.notification
    assert len(transcript(entry)["turns"]) == 1


@story
async def test_a_worker_with_an_agent_in_the_background_completes_after_it(stage):
    agent = {"description": "looks", "prompt": "HOLD agent\nSAY seen", "subagent_type": "general-purpose",
             "run_in_background": True}
    worker = await stage.spawn("TOOL Agent " + json.dumps(agent) + "\nSAY started\nNOTIFIED heard of it",
                               background=True)
    await stage.asked(lambda request: request.is_conversation and request.prompt.endswith("SAY seen"))
    await in_background(stage, worker)
    stage.api.release("agent")
    entry = await stage.completed(worker)
    assert (entry["turn"], entry["result_preview"]) == (1, "heard of it")
    assert "seen" in stage.requests[-1].conversation.notification


@story
async def test_written_files_are_named_and_two_writers_of_one_are_warned_of(stage):
    shared = stage.folder / "shared"
    write = {"file_path": str(shared), "content": "first"}
    fails = {"file_path": str(shared / "is no folder"), "content": "x"}
    first = await stage.spawn("TOOL Write " + json.dumps(write) + "\nTOOL Write " + json.dumps(fails),
                              allowed_tools=["Write"])
    entry = await stage.completed(first)
    assert entry["files_written"] == [str(shared)]
    assert stage.requests[-1].conversation.last_results[0].is_error

    edit = {"file_path": str(shared), "old_string": "first", "new_string": "second"}
    second = await stage.spawn(
        "TOOL Read " + json.dumps({"file_path": str(shared)}) + "\nTOOL Edit " + json.dumps(edit),
        allowed_tools=["Read", "Edit"])
    entry = await stage.completed(second)
    assert shared.read_text() == "second"
    assert entry["files_written"] == [str(shared)]
    conflict, = stage.conflicts
    assert conflict["path"] == str(shared) and set(conflict["worker_ids"]) == {first, second}


@story
async def test_a_worktree_is_kept_with_its_work_and_removed_when_untouched(stage):
    project = stage.folder / "repository"

    def git(*words, cwd=project):
        return subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=cwd, check=True,
                              capture_output=True, text=True, env=stage.world.environment).stdout

    project.mkdir()
    git("init", "-q", "-b", "main")
    (project / "tracked").write_text("of main")
    git("add", "tracked")
    git("commit", "-q", "-m", "first")
    options = dict(cwd=str(project), isolation="worktree", allowed_tools=["Bash"])
    changes = await stage.spawn(Shell.directive("pwd; echo of the worker > tracked; echo x > new"), **options)
    reads = await stage.spawn(Shell.directive("pwd; cat tracked"), **options)
    changed, untouched = await stage.finish(changes, reads)

    assert changed["state"] == untouched["state"] == "completed"
    places = {}
    for entry in (changed, untouched):
        request = [request for request in stage.requests if request.session_id == entry["claude_session_id"]][-1]
        places[entry["worker_id"]] = Path(request.conversation.last_results[0].text.splitlines()[0])
    assert len(set(places.values())) == 2 and project not in places.values()
    kept = places[changes]
    assert changed["worktree"]["kept"] and changed["worktree"]["path"] == str(kept)
    assert (kept / "tracked").read_text() == "of the worker\n" and (kept / "new").exists()
    assert git("rev-parse", "--abbrev-ref", "HEAD", cwd=kept).strip() == changed["worktree"]["branch"]
    assert (project / "tracked").read_text() == "of main"

    assert not untouched["worktree"]["kept"] and not places[reads].exists()
    assert str(places[reads]) not in git("worktree", "list")
    assert untouched["worktree"]["branch"] not in git("branch")


# ---- warm, cold, killed ----


@story
async def test_a_warm_worker_answers_as_a_cold_one_from_the_same_process(stage):
    async def run(between):
        worker = await stage.spawn("the first\n" + Shell.directive("echo $AWM_STORY") + "\nSAY one",
                                   allowed_tools=["Bash"])
        first = await stage.completed(worker)
        await between(first)
        await stage.resume(worker, "SAY two")
        second = await stage.completed(worker)
        assert stage.requests[-1].session_id == first["claude_session_id"]
        return stage.requests[-1], first, second

    async def note_process(entry):
        assert not pids
        pids.update(pid for pid, command in stage.processes() if entry["claude_session_id"] in command)

    async def await_end(_):
        assert await stage.leftovers() == []

    pids = set()
    async with stage.server("--keep-warm", "300"):
        warm = await run(note_process)
        assert {pid for pid, _ in stage.processes()} == pids and len(pids) == 1
    cold = await run(await_end)

    assert len(said_to(warm[0])) == 5 and said_to(warm[0]) == said_to(cold[0])
    assert warm[0].system == cold[0].system
    assert warm[0].body["model"] == cold[0].body["model"] and warm[0].tool_names == cold[0].tool_names
    for one, other in zip(warm[1:], cold[1:]):
        assert [one[key] for key in SAME] == [other[key] for key in SAME]
        assert abs(one["total_cost_usd"] - other["total_cost_usd"]) < 1e-9


@story
async def test_a_killed_server_is_followed_by_one_that_knows_everything(stage):
    shell = Shell(stage.folder)
    async with stage.server() as killed:
        done = await stage.spawn("SAY finished before")
        assert (await killed.call("worker_output", {"worker_id": done, "timeout": 600_000}))["state"] == "completed"
        works = await stage.spawn("the task\nTOOL Bash " + json.dumps({"command": shell.stays}), allowed_tools=["Bash"])
        await shell.pid()
        await killed.server.signal(signal.SIGKILL)
        await killed.server.exited()
    async with stage.server():
        shown = {worker["worker_id"]: worker for worker in
                 (await stage.manager.call("list_workers", {}))["workers"]}
        assert {worker: entry["state"] for worker, entry in shown.items()} == {
            done: "completed", works: "interrupted"}
        assert await stage.leftovers() == []
        finished, interrupted = await stage.finish(done, works)
        assert finished["result_preview"] == "finished before"
        assert interrupted["state"] == "interrupted"
        await stage.resume(works, "SAY back")
        entry = await stage.completed(works)
        assert (entry["turn"], entry["result_preview"]) == (2, "back")
    assert "the task" in json.dumps(stage.requests[-1].body["messages"])
    assert stage.requests[-1].session_id == interrupted["claude_session_id"]
    assert await stage.leftovers() == []
