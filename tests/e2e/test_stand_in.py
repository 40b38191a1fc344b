"""The stand-in against the CLI alone: when these fail, the fault is not the server's."""
import json
import os
import subprocess

import pytest

from stand_in_api import say, tool
from stream_json import Cli
from world import CLI_TIMEOUT_S

pytestmark = pytest.mark.no_server


def uuid(number):
    return f"44444444-1111-4111-8111-{number:012}"


def tool_behind(gate, **more):
    """A directive: a shell that runs until `release(gate)`. (Of a `cat` the CLI would open the FIFO itself.)"""
    os.mkfifo(gate)
    return "TOOL Bash " + json.dumps({"command": f"read _ < {gate}; echo open", **more})


def release(gate):
    """Waits until the shell runs, and ends it."""
    with open(gate, "w"):
        pass


def run(world, prompt, *flags):
    done = subprocess.run([world.claude, "-p", "--model", "sonnet", "--output-format", "json", *flags],
                          input=prompt, env=world.environment, cwd=world.project, capture_output=True, text=True,
                          timeout=CLI_TIMEOUT_S)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_directives_in_the_prompt_decide_what_the_model_answers(world):
    prompt = 'THINK hm\nTOOL Bash {"command": "echo one"}\nALSO Bash {"command": "echo two"}\nSAY done'
    assert run(world, prompt, "--allowedTools", "Bash")["result"] == "done"

    first, second = world.workers.conversations
    assert first.headers["x-api-key"] == "sk-ant-stand-in-key"
    assert first.session_id == second.session_id
    assert [result.text for result in second.conversation.last_results] == ["one", "two"]


def test_a_function_of_the_test_can_be_the_model(world):
    def model(turn):
        if not turn.results:
            return [tool("Bash", {"command": "echo 42"})]
        return [say("it is " + turn.results[0].text)]

    world.workers.script = model
    assert run(world, "what is it?", "--allowedTools", "Bash")["result"] == "it is 42"


def test_an_error_reaches_the_cli_with_its_headers(world):
    result = run(world, 'ERROR 429 {"message": "slow down", "headers": {"x-should-retry": "false"}}')
    assert result["is_error"] and "slow down" in result["result"]


def test_a_rate_limit_passes_after_some_requests(world):
    with Cli(world) as cli:
        cli.prompt('ERROR 429 {"times": 2, "headers": {"retry-after": 1}}\nSAY through')
        assert cli.result()["result"] == "through"
        retries = [m for m in cli.lines if m.get("subtype") == "api_retry"]
        assert [(m["attempt"], m["error_status"], m["error"]) for m in retries] == [(1, 429, "rate_limit"), (2, 429, "rate_limit")]
        assert all(m["retry_delay_ms"] >= 1000 for m in retries)


def test_a_stream_goes_on_until_it_is_interrupted(world):
    with Cli(world) as cli:
        cli.prompt("STREAM one two")
        world.workers.wait_for(lambda r: r.streaming)
        cli.request("interrupt")
        end = cli.result()
        assert (end["subtype"], end["terminal_reason"]) == ("error_during_execution", "aborted_streaming")
        world.workers.wait_for(lambda r: r.closed)
        cli.prompt("SAY afterwards")
        assert cli.result()["result"] == "afterwards"


def test_an_urgent_message_ends_a_stream(world):
    with Cli(world, "--include-partial-messages") as cli:
        cli.prompt("STREAM one two", uuid=uuid(1))
        cli.until(lambda m: m["type"] == "stream_event" and m["event"]["type"] == "content_block_delta")
        cli.prompt("SAY urgent", uuid=uuid(2), priority="now")
        first, second = cli.result(), cli.result()
        assert (first["subtype"], first["is_error"], first["terminal_reason"]) == ("success", False, "aborted_streaming")
        assert second["result"] == "urgent"
        cli.end()
        states = [(m["command_uuid"], m["state"]) for m in cli.lines if m["type"] == "command_lifecycle"]
        ended = {} if world.is_197 else {uuid(1): "cancelled", uuid(2): "completed"}
        assert dict(states) == ended


def test_an_urgent_message_before_the_first_word_is_an_error_of_the_turn(world):
    with Cli(world) as cli:
        cli.prompt("HOLD first word\nSAY never")
        world.workers.wait_for(lambda r: r.is_conversation)
        cli.prompt("SAY urgent", priority="now")
        first, second = cli.result(), cli.result()
        assert (first["subtype"], first["is_error"]) == ("error_during_execution", True)
        assert first["terminal_reason"] == "aborted_streaming" and second["result"] == "urgent"


def test_a_foreground_loop_runs_until_it_is_interrupted(world):
    with Cli(world) as cli:
        cli.prompt('TOOL Bash {"command": "tail -f /dev/null"}')
        cli.tool_use()
        cli.until(lambda m: m.get("subtype") == "task_started")  # some seconds later: now it runs for sure
        cli.request("interrupt")
        assert cli.result()["terminal_reason"] == "aborted_tools"
        assert cli.end() == []  # a CLI that is killed at once leaves the loop behind


def test_an_urgent_message_waits_for_a_tool_and_makes_it_deaf_to_interrupts(world):
    with Cli(world) as cli:
        cli.prompt(tool_behind(world.project / "gate"))
        cli.tool_use()
        cli.until(lambda m: m.get("subtype") == "task_started")
        cli.prompt("SAY urgent", priority="now")
        cli.request("interrupt")
        release(world.project / "gate")
        first, second = cli.result(), cli.result()
        assert (first["subtype"], first["result"], first["terminal_reason"]) == ("success", "", "aborted_tools")
        assert second["result"] == "urgent"


def test_a_message_in_the_middle_of_a_tool_is_seen_by_the_model(world):
    with Cli(world) as cli:
        cli.prompt(tool_behind(world.project / "gate"))
        cli.tool_use()
        cli.prompt("look at x")
        cli.request("set_max_thinking_tokens", max_thinking_tokens=None)  # once this is answered the message is in
        release(world.project / "gate")
        assert cli.result()["result"] == "tool said: open\nsteered: look at x"


def test_structured_output_reaches_the_result(world):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with Cli(world) as cli:
        cli.request("initialize", hooks=None, jsonSchema=schema)
        cli.prompt('TOOL StructuredOutput {"n": 3}')
        end = cli.result()
        assert end["structured_output"] == {"n": 3} and end["result"] == '{"n":3}'


def test_the_end_of_a_background_task_begins_a_turn(world):
    with Cli(world) as cli:
        cli.prompt(tool_behind(world.project / "gate", run_in_background=True) + "\nSAY started\nNOTIFIED heard of it")
        assert cli.result()["result"] == "started"
        release(world.project / "gate")
        end = cli.result()
        assert end["result"] == "heard of it" and end["origin"]["kind"] == "task-notification"
        assert cli.end() == []


def test_the_tokens_of_a_reply_can_be_set(world):
    with Cli(world) as cli:
        cli.prompt("USAGE 5000 700\nSAY dear")
        dear = cli.result()
        cli.prompt("SAY cheap")
        cheap = cli.result()
    assert (dear["usage"]["input_tokens"], dear["usage"]["output_tokens"]) == (5000, 700)
    assert (cheap["usage"]["input_tokens"], cheap["usage"]["output_tokens"]) == (100, 20)
    assert 0 < cheap["total_cost_usd"] - dear["total_cost_usd"] < dear["total_cost_usd"]
