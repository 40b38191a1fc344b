"""The stand-in against the CLI alone: when these fail, the fault is not the server's."""
import json
import subprocess

import pytest

from stand_in_api import say, tool
from world import CLI_TIMEOUT_S

pytestmark = pytest.mark.no_server


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
