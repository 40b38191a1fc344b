"""The directives of mock-claude that no recording covers: what they print, and what they leave on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from harness import MOCK_CLAUDE  # noqa: E402

VERSIONS = ("2.1.197", "2.1.329")
PRICE = {"2.1.197": 0.001, "2.1.329": 0.0008}  # of one call, when the script says nothing
SESSION = "bbbbbbbb-1111-4111-8111-000000000001"
OTHER_SESSION = "cccccccc-1111-4111-8111-000000000002"


def uuid(number: int) -> str:
    return f"44444444-1111-4111-8111-{number:012}"


class Mock:
    """One process of the mock and the client's side of it. Every line read is kept in `lines`."""

    def __init__(self, version: str, cwd: Path, *options: str, **environment: str):
        command = [MOCK_CLAUDE, "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        command += ["--permission-prompt-tool", "stdio", *options]
        variables = {"PATH": os.defpath, "HOME": str(cwd), "MOCK_CLAUDE_VERSION": version, **environment}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=variables, cwd=cwd)
        self.lines: list[dict] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def send(self, message: dict) -> None:
        os.write(self.process.stdin.fileno(), json.dumps(message).encode() + b"\n")

    def prompt(self, *directives: str, **members) -> None:
        text = "\n".join("MOCK " + one for one in directives)
        self.say(text, **members)

    def say(self, text: str, **members) -> None:
        self.send({"type": "user", "message": {"role": "user", "content": text}, **members})

    def request(self, subtype: str, **members) -> dict:
        self.send({"type": "control_request", "request_id": "r", "request": {"subtype": subtype, **members}})
        return self.until(lambda m: m["type"] == "control_response")["response"]

    def until(self, wanted) -> dict:
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if wanted(self.lines[-1]):
                return self.lines[-1]
        raise AssertionError(f"the mock ended before that: {self.process.stderr.read().decode()}")

    def result(self) -> dict:
        return self.until(lambda m: m["type"] == "result")

    def tool_use(self) -> dict:
        return self.until(lambda m: m["type"] == "assistant" and m["message"]["content"][0]["type"] == "tool_use")

    def rest(self) -> list[dict]:
        """What still comes when stdin ends."""
        self.process.stdin.close()
        more = [json.loads(line) for line in self.process.stdout]
        self.lines += more
        self.process.wait()
        return more

    def texts(self) -> list[str]:
        blocks = [m["message"]["content"][0] for m in self.lines if m["type"] == "assistant"]
        return [block["text"] for block in blocks if block["type"] == "text"]

    def tool_results(self) -> list[dict]:
        users = [m for m in self.lines if m["type"] == "user" and isinstance(m["message"]["content"], list)]
        return [b for m in users for b in m["message"]["content"] if b["type"] == "tool_result"]

    def states(self) -> list[tuple[str, str]]:
        return [(m["command_uuid"][-1], m["state"]) for m in self.lines if m["type"] == "command_lifecycle"]

    def kinds(self) -> list[str]:
        return [m.get("subtype") or m["type"] for m in self.lines]


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def mock(version, tmp_path):
    with Mock(version, tmp_path) as process:
        yield process


def test_many_turns_in_one_process_add_up_their_cost_and_keep_their_history(mock, version):
    totals, since = [], []
    for script in (["cost 0.25"], ["say plain"], ["cost 0.5", "history"]):
        mock.prompt(*script)
        result = mock.result()
        totals.append(result["total_cost_usd"])
        since += [usage["costUSD"] for usage in result.get("model_usage_since_last_result", {}).values()]
    price = PRICE[version]
    assert totals == pytest.approx([0.25, 0.25 + price, 0.75 + price])
    assert since == ([] if version == "2.1.197" else pytest.approx([0.25, price, 0.5]))
    assert json.loads(mock.texts()[-1]) == ["MOCK cost 0.25", "MOCK say plain"]
    assert mock.rest() == [] and mock.process.returncode == 0


def test_the_cost_of_a_resumed_session_goes_on_only_in_the_newer_version_and_after_an_orderly_end(version, tmp_path):
    def total(*options: str, orderly: bool = True) -> float:
        with Mock(version, tmp_path, *options) as process:
            process.prompt("cost 0.25")
            result = process.result()
            if orderly:
                process.rest()
            return result["total_cost_usd"]

    goes_on = version == "2.1.329"
    assert total("--session-id", SESSION) == 0.25
    assert total("--resume", SESSION, orderly=False) == (0.5 if goes_on else 0.25)
    assert total("--resume", SESSION) == 0.25
    assert total("--resume", SESSION) == (0.5 if goes_on else 0.25)


def test_usage_sets_the_tokens_of_the_turn(mock):
    mock.prompt("usage 1234 56")
    result = mock.result()
    assert (result["usage"]["input_tokens"], result["usage"]["output_tokens"]) == (1234, 56)
    (model,) = result["modelUsage"].values()
    assert (model["inputTokens"], model["outputTokens"]) == (1234, 56)


def test_a_message_that_comes_while_a_tool_runs_is_folded_into_the_turn(mock, version):
    mock.prompt("tool-until 2", "received", "say end", uuid=uuid(1))
    mock.tool_use()
    mock.say("look at x", uuid=uuid(2))
    mock.say("and y", uuid=uuid(3))
    result = mock.result()
    assert mock.texts() == ["steered: look at x | and y", '["look at x","and y"]', "end"]
    assert mock.rest() == [] or version == "2.1.329"
    if version == "2.1.329":
        assert result["user_message_uuids"] == [uuid(1), uuid(2), uuid(3)]
        assert mock.states() == [("1", "queued"), ("1", "started"), ("2", "queued"), ("3", "queued"), ("2", "started"),
                                 ("3", "started"), ("2", "completed"), ("3", "completed"), ("1", "completed")]
    else:
        assert mock.states() == []


def test_a_message_that_comes_during_a_question_is_folded_when_it_is_answered(mock):
    mock.prompt('permission Bash {"command":"echo hi"}')
    asked = mock.until(lambda m: m["type"] == "control_request")
    mock.say("be quick")
    mock.send({"type": "control_response", "response": {"subtype": "success", "request_id": asked["request_id"],
                                                        "response": {"behavior": "allow", "updatedInput": {}}}})
    assert mock.result()["result"] == "steered: be quick"
    assert mock.texts() == ["tool said: hi", "steered: be quick"]


def test_a_tool_that_waits_for_a_gate_folds_what_came_before_it_opened(mock, tmp_path):
    mock.prompt(f"tool-until {tmp_path}/gate")
    mock.tool_use()
    mock.say("hurry")
    (tmp_path / "gate").touch()
    assert mock.result()["result"] == "steered: hurry"


def test_a_tool_without_a_message_says_what_it_printed(mock, tmp_path):
    (tmp_path / "gate").touch()
    mock.prompt(f"tool-until {tmp_path}/gate")
    assert mock.result()["result"] == "tool said: waited"


def test_an_urgent_message_ends_a_stream_and_runs_before_what_was_queued(mock, version):
    mock.prompt("hang some text", uuid=uuid(1))
    mock.until(lambda m: m.get("subtype") == "init")
    mock.prompt("say later", uuid=uuid(2))
    mock.prompt("say urgent", uuid=uuid(3), priority="now")
    ends = [mock.result() for _ in range(3)]
    assert [end["result"] for end in ends] == ["some text", "urgent", "later"]
    assert [end["terminal_reason"] for end in ends] == ["aborted_streaming", "completed", "completed"]
    assert not any(end["is_error"] for end in ends)
    mock.rest()
    if version == "2.1.329":
        assert dict(mock.states()) == {"1": "cancelled", "2": "completed", "3": "completed"}


def test_an_urgent_message_before_the_first_word_is_an_error_of_the_turn(mock, tmp_path):
    mock.prompt(f"wait-file {tmp_path}/never")
    mock.until(lambda m: m.get("subtype") == "init")
    mock.prompt("say urgent", priority="now")
    end = mock.result()
    assert (end["subtype"], end["is_error"], end["terminal_reason"]) == ("error_during_execution", True, "aborted_streaming")
    assert mock.result()["result"] == "urgent"


def test_an_urgent_message_waits_for_a_tool_and_makes_it_deaf_to_interrupts(mock, tmp_path):
    mock.prompt(f"tool-until {tmp_path}/gate", "say never")
    mock.tool_use()
    mock.say("later")
    mock.prompt("say urgent", priority="now")
    assert mock.request("interrupt")["subtype"] == "success"
    (tmp_path / "gate").touch()
    ends = [mock.result() for _ in range(3)]
    assert [(end["subtype"], end["result"]) for end in ends] == [("success", ""), ("success", "urgent"), ("success", "later")]
    assert ends[0]["terminal_reason"] == "aborted_tools" and ends[0]["stop_reason"] == "tool_use"


def test_an_interrupted_tool_leaves_the_process_usable(mock, tmp_path):
    mock.prompt(f"tool-until {tmp_path}/gate")
    mock.tool_use()
    mock.request("interrupt")
    end = mock.result()
    assert (end["subtype"], end["is_error"], end["terminal_reason"]) == ("error_during_execution", True, "aborted_tools")
    mock.prompt("say again")
    assert mock.result()["result"] == "again"


def finished(task: str):
    return lambda m: m.get("subtype") == "task_updated" and m["task_id"] == task


def test_background_work_ends_in_a_turn_that_nobody_asked_for(mock, version, tmp_path):
    mock.prompt(f"background b1 {tmp_path}/gate", "say started")
    assert "origin" not in mock.result()
    (tmp_path / "gate").touch()
    end = mock.result()
    assert end["result"] == "background b1 done" and end["origin"]["kind"] == "task-notification"
    if version == "2.1.329":
        live = [[task["task_id"] for task in m["tasks"]] for m in mock.lines if m.get("subtype") == "background_tasks_changed"]
        assert live == [["b1"], []]
        assert end["origin"]["runId"] == "run-b1"


def test_background_work_can_take_a_time_and_end_without_a_turn(mock):
    mock.prompt("background b1 1 quiet", "say started")
    mock.result()
    # A millisecond may be over before the turn is.
    if "task_notification" not in [m.get("subtype") for m in mock.lines]:
        mock.until(lambda m: m.get("subtype") == "task_notification")
    assert "init" not in [m.get("subtype") for m in mock.rest()]


def test_a_failed_task_says_so(mock, tmp_path):
    mock.prompt(f"background a1 {tmp_path}/gate agent fails", "say started")
    mock.result()
    (tmp_path / "gate").touch()
    assert mock.until(finished("a1"))["patch"]["status"] == "failed"
    assert mock.until(lambda m: m.get("subtype") == "task_notification")["status"] == "failed"
    assert mock.result()["result"] == "background a1 done"


def test_the_turn_after_a_task_can_have_a_script(mock, tmp_path):
    mock.prompt(f"background b1 {tmp_path}/gate", "on-done b1 cost 2", "on-done b1 say all is well", "say started")
    before = mock.result()["total_cost_usd"]
    (tmp_path / "gate").touch()
    end = mock.result()
    assert end["result"] == "all is well" and end["total_cost_usd"] == pytest.approx(before + 2)


def test_a_task_that_ends_before_a_tool_does_is_folded_into_the_turn(mock, version, tmp_path):
    mock.prompt(f"background b1 {tmp_path}/task", f"tool-until {tmp_path}/tool", "say end")
    mock.tool_use(), mock.tool_use()
    (tmp_path / "task").touch()
    mock.until(finished("b1"))
    (tmp_path / "tool").touch()
    assert mock.result()["result"] == "end"
    assert mock.rest() == []
    # 2.1.197 tells the model only, and nobody who reads the stream.
    assert ("task_notification" in mock.kinds()) == (version == "2.1.329")


def test_without_background_tasks_the_work_is_done_in_the_foreground(version, tmp_path):
    with Mock(version, tmp_path, CLAUDE_CODE_DISABLE_BACKGROUND_TASKS="1") as mock:
        mock.prompt(f"background b1 {tmp_path}/gate")
        mock.tool_use()
        (tmp_path / "gate").touch()
        assert mock.result()["result"] == "tool said: background b1 done"
        assert mock.rest() == [] and "task_started" not in mock.kinds()


def test_a_stopped_agent_is_reported_in_a_turn_and_a_stopped_shell_is_not(mock, tmp_path):
    mock.prompt(f"background b1 {tmp_path}/g1", f"background a1 {tmp_path}/g2 agent", "say started")
    mock.result()
    for task in ("b1", "a1"):
        mock.request("stop_task", task_id=task)
    assert mock.result()["result"] == "background a1 done"
    assert mock.rest() == []


def test_fail_first_counts_over_all_processes(version, tmp_path):
    ends = []
    for _ in range(3):
        with Mock(version, tmp_path) as mock:
            mock.prompt(f"fail-first 2 429 {tmp_path}/count", "say at last")
            ends.append(mock.result())
    assert [end["is_error"] for end in ends] == [True, True, False]
    assert [end["api_error_status"] for end in ends] == [429, 429, None]
    assert ends[2]["result"] == "at last" and (tmp_path / "count").stat().st_size == 3


def test_a_rate_limit_lasts_until_its_file_is_there(mock, tmp_path):
    mock.prompt(f"rate-limit-until {tmp_path}/over", "say free")
    assert mock.result()["api_error_status"] == 429
    (tmp_path / "over").touch()
    mock.prompt(f"rate-limit-until {tmp_path}/over", "say free")
    assert mock.result()["result"] == "free"


def test_retries_and_rate_limit_events_say_what_they_are_told(mock):
    mock.prompt("retry 2 429 61000", "rate-limit-event rejected 1795264551 seven_day 0.5", "rate-limit-event allowed 7")
    mock.result()
    retries = [m for m in mock.lines if m.get("subtype") == "api_retry"]
    assert [(m["attempt"], m["retry_delay_ms"], m["error_status"]) for m in retries] == [(1, 61000, 429), (2, 61000, 429)]
    events = [m["rate_limit_info"] for m in mock.lines if m["type"] == "rate_limit_event"]
    assert events == [
        {"status": "rejected", "resetsAt": 1795264551, "rateLimitType": "seven_day", "utilization": 0.5},
        {"status": "allowed", "resetsAt": 7, "rateLimitType": "five_hour", "utilization": 1},
    ]


def test_structured_output_is_for_those_who_asked_for_it(mock):
    mock.prompt('structured {"n": 1}')
    end = mock.result()
    assert "structured_output" not in end and mock.tool_results()[0]["is_error"]
    mock.request("initialize", jsonSchema={"type": "object"})
    mock.prompt('structured {"text": "a b", "list": [1, 2]}')
    end = mock.result()
    assert end["structured_output"] == {"text": "a b", "list": [1, 2]}
    assert end["result"] == '{"text":"a b","list":[1,2]}' and end["stop_reason"] == "tool_use"


def test_write_and_edit_change_the_file_when_they_run(version, tmp_path):
    with Mock(version, tmp_path, "--allowedTools", "Write") as mock:
        path = tmp_path / "note"
        edit = json.dumps({"file_path": str(path), "old_string": "one", "new_string": "two"})
        mock.prompt('write note "line one\\n"', f"tool Edit {edit}", f"tool Edit {edit}")
        mock.result()
        assert path.read_text() == "line two\n"
        assert [bool(one.get("is_error")) for one in mock.tool_results()] == [False, False, True]


def test_a_write_is_asked_for_and_a_refused_one_leaves_no_file(mock, tmp_path):
    mock.prompt("write note hi")
    asked = mock.until(lambda m: m["type"] == "control_request")
    assert asked["request"]["input"] == {"file_path": str(tmp_path / "note"), "content": "hi"}
    answer = {"behavior": "deny", "message": "no"}
    mock.send({"type": "control_response",
               "response": {"subtype": "success", "request_id": asked["request_id"], "response": answer}})
    assert mock.result()["permission_denials"][0]["tool_name"] == "Write"
    assert not (tmp_path / "note").exists()


def test_a_write_can_fail(mock, tmp_path):
    mock.prompt("write-fails note", f"tool Write {json.dumps({'file_path': '/proc/none/x', 'content': 'x'})}")
    assert "EACCES" in mock.result()["result"]
    assert [one["is_error"] for one in mock.tool_results()] == [True, True]
    assert not (tmp_path / "note").exists()


def test_a_resume_can_go_on_under_another_id_without_its_context(version, tmp_path):
    with Mock(version, tmp_path, "--session-id", SESSION) as mock:
        mock.prompt("say before")
        mock.result()
        mock.rest()
    with Mock(version, tmp_path, "--resume", SESSION) as mock:
        mock.prompt(f"resume-as {OTHER_SESSION}", "history")
        end = mock.result()
        assert end["session_id"] == OTHER_SESSION and end["result"] == "[]"
        assert mock.lines[0]["session_id"] == OTHER_SESSION
        mock.prompt("say again")
        assert mock.result()["session_id"] == OTHER_SESSION
        mock.rest()
    with Mock(version, tmp_path, "--resume", OTHER_SESSION) as mock:
        mock.prompt(f"resume-as {OTHER_SESSION}", "history")
        assert len(json.loads(mock.result()["result"])) == 2
