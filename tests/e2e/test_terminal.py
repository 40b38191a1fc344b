"""A user at the terminal of the real CLI, whose scripted model leads workers: dialogs, interruptions, crashes."""
import itertools
import json

import leads
from leads import Lead
from scenes import scene
from terminal import DOWN, ENTER, ESCAPE, RIGHT, Terminal, input_line

# Under the input line of a CLI that does nothing.
IDLE = "? for shortcuts"
# The one that knows tasks.
NEWEST = ["2.1.329"]
# 2.1.329 in a terminal makes a task of a wait, unless it is told not to.
WITHOUT_TASKS = {"CLAUDE_CODE_DISABLE_MCP_TASKS": "1"}


def terminal(world, lead, **environment):
    """The CLI with our server, on the side of the user whose model is `lead`."""
    return Terminal(world, "--model", "sonnet", "--permission-mode", "default", *leads.options(world),
                    **leads.model(world, lead), **environment)


def connect(user):
    """Waits until the lead has our tools: the CLI takes prompts before the server has answered."""
    for attempt in itertools.count(1):
        user.prompt(f"ready {attempt}")
        if f"Yes, {attempt}." in user.until(lambda screen: f", {attempt}." in screen):
            return


def has_input_line(screen):
    """Whether no dialog is open."""
    return input_line(screen) is not None


def begin(user, sign=None):
    """Has the lead start its workers; `sign` is what shows that it waits for them."""
    connect(user)
    user.prompt("begin")
    if sign:
        user.until(sign)


def allow(user, shown):
    """Waits for a permission's form, which has to show `shown`, and answers it with its first choice."""
    screen = user.until("Decision: ▸ not set")
    assert "MCP server “awm” requests your input" in screen and shown in screen, screen
    # Enter takes the choice under the cursor, goes to the next field, and at the end accepts or, where a choice is
    # missing, goes back to it.
    user.walk([("❯ ◯ Allow once", ENTER), ("Decision: ▸ not set", RIGHT), ("❯ Accept", ENTER), ("", ENTER)],
              has_input_line)


def decisions(world):
    lines = (world.logs / "permissions.ndjson").read_text().splitlines()
    return [(line["decision"], line["by"]) for line in map(json.loads, lines)]


@scene
def test_a_question_of_a_worker_is_answered_in_the_dialog(world):
    lead = Lead('TOOL Bash {"command": "touch made-by-a-worker"}')
    with terminal(world, lead, **WITHOUT_TASKS) as user:
        begin(user)
        allow(user, "touch made-by-a-worker")
        user.until("They ended so: completed tool said: (Bash completed with no output).")
    assert (world.project / "made-by-a-worker").exists()
    assert decisions(world) == [("allow", "human")]


@scene
def test_a_wait_that_the_user_interrupts_loses_nothing(world):
    lead = Lead("HOLD gate\nSAY the late answer")
    with terminal(world, lead, **WITHOUT_TASKS) as user:
        begin(user, "0 of 1 finished")  # the progress of a wait
        user.press(ESCAPE, IDLE)
        world.workers.release("gate")
        user.prompt("wait")
        user.until("They ended so: completed the late answer.")
    assert len(lead.waits) == 1


@scene
def test_a_server_that_was_killed_is_followed_by_one_that_knows_everything(world):
    """In a terminal neither version starts a server anew by itself: the user does."""
    lead = Lead("SAY an early answer", "HOLD gate\nSAY back again")
    with terminal(world, lead, **WITHOUT_TASKS) as user:
        begin(user, "1 of 2 finished")
        leads.kill_server(world)
        world.workers.release("gate")
        user.until("It failed:")
        user.prompt("/mcp reconnect awm", "econnected to awm")
        user.prompt("wait")
        user.until("They ended so: completed an early answer, interrupted.")
        user.prompt("resume")
        user.until("They ended so: completed back again.")
    interrupted, = lead.waits[0]["failed"]
    resumed, = lead.waits[1]["completed"]
    assert (interrupted["worker_id"], 2) == (resumed["worker_id"], resumed["turn"])


# From the input line to the page of the only task.
TO_THE_TASK = [("enter to view tasks", ENTER), ("1 MCP task", DOWN)]
BACK = [("x to stop", ESCAPE), ("Esc to close", ESCAPE)]


@scene(versions=NEWEST)
def test_a_wait_becomes_a_task_whose_end_is_told(world):
    lead = Lead("HOLD gate\nSAY the late answer")
    with terminal(world, lead) as user:
        begin(user, "The wait is a task.")
        user.prompt("hello")
        user.until("You said hello.")
        world.workers.release("gate")
        user.until("They ended so: completed the late answer.")
    assert len(lead.waits) == 1


@scene(versions=NEWEST)
def test_a_question_in_the_middle_of_a_task_is_answered_in_the_dialog(world):
    lead = Lead('TOOL Bash {"command": "touch made-by-a-worker"}')
    with terminal(world, lead) as user:
        begin(user, "The wait is a task.")
        allow(user, "touch made-by-a-worker")
        user.until("They ended so: completed tool said: (Bash completed with no output).")
    assert (world.project / "made-by-a-worker").exists()
    assert decisions(world) == [("allow", "human")]


@scene(versions=NEWEST)
def test_a_task_that_the_user_stops_loses_nothing(world):
    lead = Lead("HOLD gate\nSAY the late answer")
    with terminal(world, lead) as user:
        begin(user, "The wait is a task.")
        user.walk([("x to stop", "x"), *TO_THE_TASK], "No tasks currently running")
        user.walk(BACK, has_input_line)
        world.workers.release("gate")
        user.prompt("wait")
        user.until("They ended so: completed the late answer.")
    assert len(lead.waits) == 1


@scene(versions=NEWEST)
def test_a_task_of_a_server_that_was_killed_ends_and_the_next_wait_knows_everything(world):
    """The CLI asks the next server about the task that it had from the one before, for as long as it gets errors."""
    lead = Lead("SAY an early answer", "HOLD gate\nSAY back again")
    with terminal(world, lead) as user:
        begin(user, "The wait is a task.")
        user.walk([("x to stop", ""), *TO_THE_TASK], "1 of 2 finished")
        user.walk(BACK, has_input_line)
        leads.kill_server(world)
        world.workers.release("gate")
        user.prompt("/mcp reconnect awm")
        user.until("A task failed:")
        user.prompt("wait")
        user.until("They ended so: completed an early answer, interrupted.")
