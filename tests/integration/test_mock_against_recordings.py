"""mock-claude against recorded streams of the real CLI: the same conversation has to give the same order of messages,
and every message the same keys with values of the same types."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from harness import MOCK_CLAUDE  # noqa: E402

STREAMS = Path(__file__).parent.parent / "fixtures" / "streams"
INDEX = json.loads((STREAMS / "index.json").read_text())

# A turn's script, by recording. `{0}` is the first tool use of that turn in the recording, `{1}` the second …
SCRIPTS = {
    "simple-success": ["MOCK say hello"],
    "permission-allow": ["MOCK permission {0}"],
    "permission-deny": ["MOCK permission {0}"],
    "permission-deny-interrupt": ["MOCK permission {0}"],
    "permission-interrupt": ["MOCK permission {0}"],
    "eof-during-permission": ["MOCK permission {0}"],
    "ask-user-question": ["MOCK permission {0}"],
    "exit-plan-mode": ["MOCK permission {0}\nMOCK say planned"],
    "parallel-permissions": ["MOCK request {0}\nMOCK request {1}\nMOCK request {2}\nMOCK request {3}\nMOCK request {4}"],
    "thinking": ["MOCK think let me see\nMOCK say the answer"],
    "multi-turn": ["MOCK say one", "MOCK say two"],
    "api-400": ["MOCK error 400 lab says 400"],
    "api-529-default": ["MOCK retry 2 529\nMOCK error 529"],
    "interrupt": ["MOCK hang one two"],
    "max-turns": ["MOCK tool {0} x\nMOCK tool {1} x\nMOCK max-turns 2"],
    "uuid-echo": ["MOCK think x\nMOCK say a", "MOCK say b", "MOCK say c"],
    "end-session": ["MOCK say first", "MOCK hang-tool {0}"],
    "resume-invalid": ["MOCK say again"],
    "resume-same-cwd": ["MOCK say again"],
    "permission-always": ["MOCK permission {0}", "MOCK permission {0}", "MOCK write w1 hi", "MOCK write w2 hi"],
    "queued-message-during-tool": ["MOCK tool-until 1", "consider X"],
    "queued-message-priority-now": ["MOCK hang one two", "MOCK say urgent"],
    "queued-message-cancel": ["MOCK wait-file gate\nMOCK say one", "MOCK say second"],
    "uuid-fold": ["MOCK tool-until 2", "consider X", "consider Y"],
    "uuid-merge": ["MOCK wait-file gate\nMOCK say a", "MOCK say q1", "MOCK say q2"],
    "interrupt-during-tool": ["MOCK hang-tool {0}", "MOCK say afterwards"],
    "interrupt-still-queued": ["MOCK hang a b", "MOCK say q1", "MOCK say nouuid"],
    "interrupt-cancel-queued": ["MOCK hang a b", "MOCK say q1", "MOCK say nouuid"],
    "interrupt-with-background": ["MOCK background a gate0 agent\nMOCK background b gate\nMOCK hang a b"],
    "bash-background": ["MOCK background b gate\nMOCK say started"],
    "bash-background-eof": ["MOCK background b gate\nMOCK say started"],
    "subagent-background": ["MOCK background a gate agent\nMOCK say waiting"],
    "subagent-background-eof-early": ["MOCK background a gate agent\nMOCK eof\nMOCK say waiting"],
    "stop-task-shell-then-eof": ["MOCK background b3d1gtm83 gate\nMOCK say ok"],
    "kill-bg-tail-end_session": ["MOCK background b gate\nMOCK say fin"],
    "json-schema": ['MOCK say thinking about it\nMOCK structured {"name": "x", "n": 3}'],
    "json-schema-never": ["MOCK say no"],
    "api-429-noretry": ["MOCK error 429 lab says 429", "MOCK say still alive"],
    "api-429-retry": ["MOCK retry 2 429 2000\nMOCK say ok", "MOCK say still alive"],
}
# What the client does at which line of the mock: sends the recording's next message, opens the gate or ends stdin. No
# line: at once. A recording without a plan goes on at every result.
READY, TOOL_USE, RESULT = "control_response/success", "assistant/tool_use", "result/success"
PLANS = {
    "queued-message-during-tool": [(READY, "next"), (TOOL_USE, "next"), (RESULT, "eof")],
    "queued-message-priority-now": [(READY, "next"), ("system/init", "next"), (RESULT, ""), (RESULT, "eof")],
    "queued-message-cancel": [(READY, "next"), ("system/init", "next"), ("", "next"), (READY, "open"), (RESULT, "eof")],
    "uuid-fold": [(READY, "next"), (TOOL_USE, "next"), ("", "next"), (RESULT, "eof")],
    "uuid-merge": [(READY, "next"), ("system/init", "next"), ("", "next"), ("command_lifecycle/queued", ""),
                   ("command_lifecycle/queued", "open"), (RESULT, ""), (RESULT, "eof")],
    "interrupt-during-tool": [(READY, "next"), (TOOL_USE, "next"), ("result/error_during_execution", "next"),
                              (RESULT, "eof")],
    "interrupt-still-queued": [(READY, "next"), ("system/init", "next"), ("", "next"), ("", "next"), (RESULT, "eof")],
    "interrupt-cancel-queued": [(READY, "next"), ("system/init", "next"), ("", "next"), ("", "next"),
                                ("result/error_during_execution", "eof")],
    "interrupt-with-background": [(READY, "next"), ("user/tool_result", ""), ("user/tool_result", "next"),
                                  ("result/error_during_execution", "open"), (RESULT, "eof")],
    "bash-background": [(READY, "next"), (RESULT, "open"), (RESULT, "eof")],
    "2.1.197-bash-background-eof": [(READY, "next"), (RESULT, "eof")],
    "2.1.329-bash-background-eof": [(READY, "next"), (RESULT, "eof"), ("", "open")],
    "subagent-background": [(READY, "next"), (RESULT, "open"), (RESULT, "eof")],
    "subagent-background-eof-early": [(READY, "next"), ("user/tool_result", "eof"), ("assistant/text", "open")],
    "stop-task-shell-then-eof": [(READY, "next"), (RESULT, "next"), (READY, "eof")],
}
# Left out of a recording: the question before a tool that `hang-tool` does not ask, and the lines about a foreground
# shell, which depend on how long it runs.
LEFT_OUT = {
    "interrupt-during-tool": {"control_request/can_use_tool"},
    "queued-message-during-tool": {"system/task_started", "system/task_notification"},
}
NOT_SPOKEN = {"subagent"}  # recorded for the protocol's readers; a mock has no subagents

# What differs by nature: what depends on the machine or the model's words, not on the protocol.
IGNORED = re.compile(
    r"^(message\.content\[\]\.input|request\.input|permission_denials\[\]\.tool_input|memory_paths)\."
    r"|^(modelUsage|model_usage_since_last_result)\.\*"
    r"|^response\.response\.(commands|agents|models)\[\]"
)


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def label(message: dict) -> str:
    """A message's place in the order: its type, subtype and the kinds of its content."""
    parts = [message["type"]]
    if message["type"] == "control_response":
        parts.append(message["response"]["subtype"])
    elif message["type"] == "control_request":
        parts.append(message["request"]["subtype"])
    else:
        parts.append(message.get("subtype") or message.get("state") or "")
    content = message.get("message", {}).get("content", [])
    parts += [block["type"] for block in content if isinstance(block, dict)]
    return "/".join(part for part in parts if part)


def shape(value, path: str = "") -> set[tuple[str, str]]:
    """Every path in a message with the type at its end."""
    if isinstance(value, dict):
        wild = path in ("modelUsage", "model_usage_since_last_result")
        found = {(path, "object")}
        for key, inner in value.items():
            found |= shape(inner, f"{path}.{'*' if wild else key}".lstrip("."))
        return found
    if isinstance(value, list):
        found = {(path, "array")}
        for inner in value:
            found |= shape(inner, path + "[]")
        return found
    kind = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}[type(value)]
    return {(path, kind)}


def differences(recorded: dict, mocked: dict) -> list[str]:
    left, right = shape(recorded), shape(mocked)
    # An element can only be compared when both arrays have one.
    arrays = {p for p, kind in left | right if kind == "array"}
    empty = {p for p in arrays if not (has_elements(left, p) and has_elements(right, p))}
    skip = lambda p: bool(IGNORED.search(p + ".") or any(p.startswith(e + "[]") for e in empty))  # noqa: E731
    only = [f"only in the recording: {p} ({k})" for p, k in sorted(left - right) if not skip(p)]
    return only + [f"only in the mock: {p} ({k})" for p, k in sorted(right - left) if not skip(p)]


def has_elements(found: set[tuple[str, str]], path: str) -> bool:
    return any(p.startswith(path + "[]") for p, _ in found)


class Conversation:
    """Plays the client's side of a recording against the mock."""

    def __init__(self, name: str, tmp_path: Path):
        self.version, _, self.scenario = name.partition("-")
        left_out = LEFT_OUT.get(self.scenario, set())
        self.recorded = [m for m in lines_of(STREAMS / f"{name}.out.ndjson") if label(m) not in left_out]
        self.plan = list(PLANS.get(name) or PLANS.get(self.scenario) or [])
        self.sent = lines_of(STREAMS / f"{name}.in.ndjson")
        self.options = list(INDEX[name]["options"])
        self.environment = {"PATH": os.defpath, "HOME": str(tmp_path), "MOCK_CLAUDE_VERSION": self.version}
        self.cwd = tmp_path
        self.mocked: list[dict] = []

    def scripts(self) -> list[str]:
        """The scripts of the turns, the recording's tool uses filled in."""
        turns: list[list[str]] = [[]]
        for message in self.recorded:
            if message["type"] == "result":
                turns.append([])
            for block in message.get("message", {}).get("content", []) if message["type"] == "assistant" else []:
                if block["type"] == "tool_use":
                    turns[-1].append(f"{block['name']} {json.dumps(block['input'])}")
        turns += [[]] * len(SCRIPTS[self.scenario])
        return [
            re.sub(r"\{(\d)\}", lambda found: uses[int(found[1])], script)
            for script, uses in zip(SCRIPTS[self.scenario], turns)
        ]

    def start(self, extra: list[str]) -> subprocess.Popen:
        command = [MOCK_CLAUDE, "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        command += ["--permission-prompt-tool", "stdio", *extra]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment, cwd=self.cwd)

    def make_session(self, session_id: str) -> None:
        with self.start(["--session-id", session_id]) as earlier:
            earlier.communicate(b'{"type":"user","message":{"role":"user","content":"before"}}\n')

    def play(self) -> int:
        if self.scenario == "resume-same-cwd":
            self.make_session(self.options[self.options.index("--resume") + 1])
        asked = [m["request_id"] for m in self.recorded if m["type"] == "control_request"]
        answers = {m["response"]["request_id"]: m for m in self.sent if m["type"] == "control_response"}
        steps = iter([m for m in self.sent if m["type"] != "control_response"])
        scripts = iter(self.scripts())
        with self.start(self.options) as mock:

            def send(message: dict) -> None:
                with contextlib.suppress(BrokenPipeError):  # a refused start may be gone already
                    os.write(mock.stdin.fileno(), json.dumps(message).encode() + b"\n")

            def next_step() -> None:
                message = next(steps, None)
                if message is None:
                    mock.stdin.close()
                    return
                if message["type"] == "user":
                    message["message"]["content"] = next(scripts)
                    uuids = [m.get("uuid") for m in self.sent if m["type"] == "user"]
                    send(message)
                    if message.get("uuid") and uuids.count(message["uuid"]) > 1 and message["uuid"] in self.swallowed:
                        next_step()  # nothing comes for a uuid that was there before
                    self.swallowed.add(message.get("uuid"))
                else:
                    send(message)

            def follow_plan(kind: str) -> None:
                while self.plan and self.plan[0][0] in (kind, ""):
                    action = self.plan.pop(0)[1]
                    kind = ""  # a line is the cue of one action, and of those that wait for none
                    if action == "next":
                        next_step()
                    elif action == "open":
                        (self.cwd / "gate").touch()
                    elif action == "eof":
                        mock.stdin.close()

            self.swallowed: set = set()
            planned = bool(self.plan)
            try:
                next_step()
                if self.scenario == "resume-invalid":
                    next_step()  # such a start never answers the initialize request
                questions = 0
                for line in mock.stdout:
                    message = json.loads(line)
                    self.mocked.append(message)
                    kind = label(message)
                    if planned:
                        follow_plan(kind)
                    elif kind == "control_request/can_use_tool":
                        if self.scenario == "eof-during-permission":
                            mock.stdin.close()
                        elif self.scenario == "permission-interrupt":
                            next_step()
                        else:
                            answer = answers[asked[questions]]
                            answer["response"]["request_id"] = message["request_id"]
                            if "file_path" in message["request"]["input"]:  # the mock really writes: not there
                                answer["response"]["response"]["updatedInput"] = message["request"]["input"]
                            send(answer)
                        questions += 1
                    elif kind == "system/init" and self.scenario == "interrupt":
                        next_step()
                    elif kind == "assistant/tool_use" and self.scenario == "end-session":
                        next_step()
                    elif kind.startswith("result") or (kind == "control_response/success" and len(self.mocked) == 1):
                        if not mock.stdin.closed:
                            next_step() if self.scenario != "interrupt" or kind[0] == "c" else mock.stdin.close()
            finally:
                mock.stdin.close()
                self.stderr = mock.stderr.read().decode()
            return mock.wait()


def without_repeats(labels: list[str]) -> list[str]:
    """How often a progress line comes depends on time; that it comes does not."""
    repeated = "system/thinking_tokens"
    return [one for i, one in enumerate(labels) if one != repeated or i == 0 or labels[i - 1] != repeated]


@pytest.mark.parametrize("name", sorted(n for n in INDEX if n.partition("-")[2] not in NOT_SPOKEN))
def test_mock_speaks_as_the_recorded_cli(name, tmp_path):
    played = Conversation(name, tmp_path)
    code = played.play()
    recorded = played.recorded
    assert without_repeats([label(m) for m in played.mocked]) == without_repeats([label(m) for m in recorded])
    by_label: dict[str, list[dict]] = {}
    for message in recorded:
        by_label.setdefault(label(message), []).append(message)
    wrong = []
    for message in played.mocked:
        alike = by_label[label(message)]
        counterpart = alike.pop(0) if len(alike) > 1 else alike[0]
        wrong += [f"{label(message)}: {text}" for text in differences(counterpart, message)]
    assert wrong == []
    if INDEX[name]["rc"] is not None:
        assert code == INDEX[name]["rc"]
    assert bool(played.stderr) == bool(INDEX[name]["stderr"])


def test_every_recording_is_played():
    assert {n.partition("-")[2] for n in INDEX} == set(SCRIPTS) | NOT_SPOKEN


@pytest.mark.parametrize("version", ["2.1.197", "2.1.329", "2.1.400"])
def test_version_is_worded_as_the_real_one(version, tmp_path):
    run = subprocess.run(
        [MOCK_CLAUDE, "--version"], env={"MOCK_CLAUDE_VERSION": version, "HOME": str(tmp_path)}, capture_output=True
    )
    assert run.stdout.decode() == f"{version} (Claude Code)\n" and run.returncode == 0


@pytest.mark.parametrize(
    "options, words",
    [
        (["--nosuch"], "error: unknown option '--nosuch'"),
        (["--model"], "error: option '--model <model>' argument missing"),
        (["--permission-mode", "foo"], "error: option '--permission-mode <mode>' argument 'foo' is invalid."),
        (["--session-id", "abc"], "Error: Invalid session ID. Must be a valid UUID."),
        (["--resume", "not-a-uuid"], "Error: --resume requires a valid session ID"),
    ],
)
def test_a_bad_start_is_refused_in_the_words_of_the_real_one(options, words, tmp_path):
    command = [MOCK_CLAUDE, "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    run = subprocess.run([*command, *options], env={"HOME": str(tmp_path)}, input=b"", capture_output=True, cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr.decode().startswith(words)


def test_a_resumed_mock_knows_what_was_said_before_and_the_id_cannot_be_taken_twice(tmp_path):
    played = Conversation("2.1.329-simple-success", tmp_path)
    session = "bbbbbbbb-1111-4111-8111-000000000001"
    played.make_session(session)
    with played.start(["--resume", session]) as again:
        out, _ = again.communicate(b'{"type":"user","message":{"role":"user","content":"MOCK history"}}\n')
    assert json.loads(json.loads(out.splitlines()[-1])["result"]) == ["before"]
    with played.start(["--session-id", session]) as taken:
        out, err = taken.communicate(b"")
    assert (out, err, taken.returncode) == (b"", f"Error: Session ID {session} is already in use.\n".encode(), 1)


def test_it_is_small_enough_for_thousands(tmp_path):
    if b"__asan_init" in Path(MOCK_CLAUDE).read_bytes():
        pytest.skip("a sanitizer's memory is not the mock's")
    with Conversation("2.1.329-simple-success", tmp_path).start([]) as mock:
        mock.stdin.write(b'{"type":"user","message":{"role":"user","content":"MOCK say x\\nMOCK result\\nMOCK eof"}}\n')
        mock.stdin.flush()
        while json.loads(mock.stdout.readline())["type"] != "result":
            pass
        rollup = Path(f"/proc/{mock.pid}/smaps_rollup").read_text()
        private_kib = int(re.search(r"Anonymous: +(\d+) kB", rollup)[1])  # the rest is the program file, shared by all
        mock.stdin.close()
    assert private_kib < 1024


def test_an_unknown_directive_fails_loudly(tmp_path):
    played = Conversation("2.1.329-simple-success", tmp_path)
    with played.start([]) as mock:
        _, err = mock.communicate(b'{"type":"user","message":{"role":"user","content":"MOCK nosuchverb"}}\n')
    assert mock.returncode == 2 and b"nosuchverb" in err
