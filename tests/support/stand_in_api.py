"""A loopback stand-in for the Anthropic Messages API, so that the real CLI runs without a key and without a model.

The model behind it is scripted. Every request is recorded, so that a test can assert on what the CLI really sent.

    with StandInApi() as api:
        workers = api.scenario("workers")          # ANTHROPIC_BASE_URL = workers.base_url
        ...run the CLI...
        request = workers.wait_for(lambda r: r.is_conversation and "hello" in r.prompt)
        assert request.body["model"] == "claude-sonnet-5"

A *scenario* is a path prefix (`/s/<name>`) with its own script and its own record. All other paths are the scenario "".

The script decides what the model answers. By default it is read from the prompt itself, one directive a line; a line
that is none is ignored, and a prompt without directives is answered with `echo: <prompt>`:

    SAY text               the reply is this text (and the turn ends)
    THINK text             a thinking block in front of the next block
    TOOL Name {json}       the reply is a tool call; the next directive is the reply to its result
    ALSO Name {json}       one more call in the same reply as the TOOL above it
    ASK Which?|A|B         an AskUserQuestion call
    ERROR 429 {json}       an HTTP error. Keys: "type", "message", "headers" {…}, "times" n (then the directive is
                           passed over), "model" (only for models whose name holds this text)
    HOLD gate              the reply after it is sent only when the test calls `scenario.release(gate)`
    STREAM text            the reply is this text, and more of it word by word until the CLI closes the connection:
                           `scenario.wait_for(lambda r: r.streaming)`, interrupt, `scenario.wait_for(lambda r: r.closed)`
    USAGE in out           the tokens of the reply after it (else 100 and 20)
    NOTIFIED text          not a reply to the prompt, but to the news that a background task of it has ended (else
                           `notified`)

When the directives are used up and the model got tool results last, it says `tool said: <their text>`, and in a line of
its own `steered: <text> | <text>` when the user sent messages meanwhile.

What tests of single features need: a limit that passes is `ERROR 429 {"times": 2, "headers": {"retry-after": 1}}`. A
tool that runs until something ends it is `TOOL Bash {"command": "tail -f /dev/null"}` (2.1.329 refuses a plain sleep),
one that runs until the test opens a FIFO for writing is `read _ < FIFO`; `"run_in_background": true` in it makes it a
background task. Structured output is `TOOL StructuredOutput {…}`.

A test that needs more sets `scenario.script` to a function from a `Conversation` to a list of blocks (`say`, `think`,
`tool`, `stream`, `usage`) or to an `ApiError`. An exception in it is kept in `scenario.failures` and answered with a 400.
"""
import json
import re
import select
import socket
import threading
import traceback
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ERROR_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error",
}
# Each request that waits for a gate holds a thread; a test that dies without opening it must not hang for ever.
GATE_TIMEOUT_S = 120
FIRST_WORDS = 2  # the event with the first text, behind the two that open the message and its block
# Between two words of a reply that does not end. Nothing waits for it: it only bounds how much is written.
STREAM_PACE_S = 0.05
NOTIFICATION = json.dumps("<task-notification>\n<task-id>").strip('"')
STEERED = re.compile(r"The user sent a new message while you were working:\n(.*?)\n\n(?:IMPORTANT:|This is how)", re.S)


def say(text):
    return {"type": "text", "text": text}


def think(text):
    return {"type": "thinking", "thinking": text, "signature": "c3RhbmQtaW4="}


def tool(name, arguments=None):
    return {"type": "tool_use", "id": "toolu_" + uuid.uuid4().hex[:24], "name": name, "input": arguments or {}}


def stream(text):
    """A last block that does not end: `text`, and then words until the CLI closes the connection."""
    return {"type": "text", "text": text, "endless": True}


def usage(input_tokens, output_tokens):
    """Not a block, but what the reply it stands in is charged with."""
    return {"type": "usage", "input_tokens": input_tokens, "output_tokens": output_tokens}


@dataclass
class ApiError:
    status: int
    message: str = ""
    type: str = ""
    headers: dict = field(default_factory=dict)

    def body(self):
        return {"type": "error", "request_id": "req_stand_in",
                "error": {"type": self.type or ERROR_TYPES.get(self.status, "api_error"),
                          "message": self.message or f"stand-in error {self.status}"}}


@dataclass
class ToolResult:
    name: str
    text: str
    is_error: bool

    def json(self):
        return json.loads(self.text)


def _texts_of(content):
    """The texts in a message's or a tool result's content, without the reminders that the CLI adds."""
    if isinstance(content, str):
        texts = [content]
    else:
        texts = [block["text"] for block in content or [] if block.get("type") == "text"]
    stripped = [re.sub(r"<system-reminder>.*?</system-reminder>", "", text, flags=re.S).strip() for text in texts]
    return [text for text in stripped if text]


class Conversation:
    """What a script needs to know of a request: the newest prompt, and what has happened since.

    A turn that the CLI began by itself when a background task ended is a prompt's second beginning: `prompt` is still
    that of the user, and `notification` is the text that tells of the task.
    """

    def __init__(self, scenario, body):
        self.scenario = scenario
        self.body = body
        messages = [m for m in body.get("messages", []) if m.get("role") in ("user", "assistant")]
        start, self.prompt, self.notification = 0, "", None
        for index, message in enumerate(messages):
            raw = json.dumps(message["content"])
            if message["role"] == "user" and not self._holds_results(message) and NOTIFICATION in raw:
                start, self.notification = index, raw
            elif message["role"] == "user" and _texts_of(message["content"]):
                # The last text only: a prompt that got no answer stands merged in front of the next one, and so do the
                # tool results of a turn that was stopped.
                start, self.prompt, self.notification = index, _texts_of(message["content"])[-1], None
        newest = next((i for i, m in enumerate(body.get("messages", [])) if messages and m is messages[start]), 0)
        # What the user said in the middle of the turn comes as a note of the system; for older models it stands in a
        # tool's result.
        self.steered = [text for message in body.get("messages", [])[newest:] for note in self._all_texts(message)
                        for text in STEERED.findall(note)]
        # One round a reply since the prompt: the results of its tool calls.
        self.rounds = []
        for message in messages[start + 1:]:
            blocks = message["content"] if isinstance(message["content"], list) else []
            if message["role"] == "assistant":
                calls = {block["id"]: block["name"] for block in blocks if block.get("type") == "tool_use"}
                self.rounds.append([])
            elif self.rounds:
                answered = {block["tool_use_id"]: block for block in blocks if block.get("type") == "tool_result"}
                # The CLI sends results in the order in which they came; a script wants them in the order of its calls.
                self.rounds[-1] += [ToolResult(name, "\n".join(_texts_of(answered[call].get("content"))),
                                               bool(answered[call].get("is_error")))
                                    for call, name in calls.items() if call in answered]

    @staticmethod
    def _all_texts(message):
        content = message.get("content") or ""
        if isinstance(content, str):
            return [content]
        texts = []
        for block in content:
            is_result = block.get("type") == "tool_result"
            texts += Conversation._all_texts(block) if is_result else [block.get("text", "")]
        return texts

    @staticmethod
    def _holds_results(message):
        content = message["content"]
        return isinstance(content, list) and any(block.get("type") == "tool_result" for block in content)

    @property
    def step(self):
        """How many replies the model has given since the prompt."""
        return len(self.rounds)

    @property
    def last_results(self):
        """The results of the newest round of tool calls, in order."""
        return self.rounds[-1] if self.rounds else []

    @property
    def results(self):
        return [result for one_round in self.rounds for result in one_round]


@dataclass
class Request:
    """One recorded request. `answer` is what the model said to it, or the `ApiError`.

    `streaming`: the first text of an answer without an end was sent (the CLI need not have read it: for that, await a
    `stream_event` of --include-partial-messages); `closed`: the CLI has closed the connection under it.
    """
    method: str
    path: str
    headers: dict
    body: dict
    conversation: Conversation = None
    answer: object = None
    streaming: bool = False
    closed: bool = False

    @property
    def is_conversation(self):
        """A turn of an agent, and not one of the CLI's own questions (titles, probes), which carry no tools."""
        return self.conversation is not None and bool(self.body.get("tools")) and self.body.get("max_tokens") != 1

    @property
    def prompt(self):
        return self.conversation.prompt if self.conversation else ""

    @property
    def session_id(self):
        found = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(self.body.get("metadata", "")))
        return found[-1] if found else None

    @property
    def system(self):
        """The whole system prompt as one text."""
        system = self.body.get("system", "")
        return system if isinstance(system, str) else "\n\n".join(block.get("text", "") for block in system)

    @property
    def tool_names(self):
        return [one["name"] for one in self.body.get("tools", [])]


def directives(conversation):
    """The script that reads its answers from the prompt; see the top of this file."""
    if conversation.notification is not None:
        told = re.search(r"^\s*NOTIFIED\s+(.*)", conversation.prompt, re.M)
        return [say(told.group(1) if told else "notified")]
    replies = _replies(conversation.prompt)
    if not replies and conversation.step == 0:
        return [say("echo: " + conversation.prompt)]
    given = conversation.step
    for reply in replies:
        if reply[-1][0] == "ERROR":  # leaves no message in the conversation, so it does not count as one
            error = _error(conversation, reply) if given == 0 else None
            if error:
                return error
        elif given == 0:
            return _blocks(conversation.scenario, reply)
        else:
            given -= 1
    said = "tool said: " + "\n".join(result.text for result in conversation.last_results)
    return [say(said + ("\nsteered: " + " | ".join(conversation.steered) if conversation.steered else ""))]


def _replies(prompt):
    """The directives in `prompt`, as a list of (word, rest) for each reply."""
    replies, complete = [], True
    for line in prompt.splitlines():
        match = re.match(r"(SAY|THINK|TOOL|ALSO|ASK|ERROR|HOLD|STREAM|USAGE)\s+(.*)", line.strip())
        if not match:
            continue
        word = match.group(1)
        if complete and word != "ALSO":
            replies.append([])
        replies[-1].append(match.groups())
        complete = word not in ("THINK", "HOLD", "USAGE")
    return replies


def _blocks(scenario, reply):
    blocks = []
    for word, rest in reply:
        if word == "HOLD":
            scenario.pass_gate(rest.strip())
        elif word == "THINK":
            blocks.append(think(rest))
        elif word == "SAY":
            blocks.append(say(rest))
        elif word == "STREAM":
            blocks.append(stream(rest))
        elif word == "USAGE":
            blocks.append(usage(*map(int, rest.split())))
        elif word == "ASK":
            question, *options = rest.split("|")
            blocks.append(tool("AskUserQuestion", {"questions": [{
                "question": question, "header": "Pick", "multiSelect": False,
                "options": [{"label": option, "description": "the option " + option} for option in options]}]}))
        else:
            name, _, arguments = rest.partition(" ")
            blocks.append(tool(name, json.loads(arguments or "{}")))
    return blocks


def _error(conversation, reply):
    """The error that `reply` asks for; None when it does not concern this request."""
    scenario = conversation.scenario
    status, _, detail = reply[-1][1].partition(" ")
    detail = json.loads(detail or "{}")
    if detail.get("model", "") not in conversation.body.get("model", ""):
        return None
    if "times" in detail:
        key = (conversation.prompt, detail["times"], status)
        with scenario.lock:
            scenario.counts[key] = scenario.counts.get(key, 0) + 1
            if scenario.counts[key] > detail["times"]:
                return None
    _blocks(scenario, reply[:-1])
    return ApiError(int(status), detail.get("message", ""), detail.get("type", ""), detail.get("headers", {}))


class Scenario:
    def __init__(self, api, name):
        self.name = name
        self.base_url = f"{api.url}/s/{name}" if name else api.url
        self.script = directives
        self.requests = []
        self.failures = []
        self.counts = {}
        self.lock = threading.Lock()
        self._arrived = threading.Condition(self.lock)
        self._gates = {}

    @property
    def conversations(self):
        """The requests of agents' turns so far, in order of arrival."""
        with self.lock:
            return [request for request in self.requests if request.is_conversation]

    def conversation_about(self, text):
        """The first request whose newest prompt holds `text`."""
        return next(request for request in self.conversations if text in request.prompt)

    def wait_for(self, predicate, timeout=60):
        """Blocks until a recorded request satisfies `predicate` and returns it; TimeoutError otherwise."""
        found = []

        def look():
            found[:] = [request for request in self.requests if predicate(request)][:1]
            return found

        with self._arrived:
            if not self._arrived.wait_for(look, timeout):
                raise TimeoutError(f"no such request among {len(self.requests)} in scenario {self.name!r}")
        return found[0]

    def release(self, gate):
        """Lets every reply behind `HOLD gate` go, now and later."""
        self._gate(gate).set()

    def pass_gate(self, gate):
        if not self._gate(gate).wait(GATE_TIMEOUT_S):
            raise TimeoutError(f"nobody opened gate {gate!r}")

    def release_all(self):
        with self.lock:
            gates = list(self._gates.values())
        for gate in gates:
            gate.set()

    def _gate(self, name):
        with self.lock:
            return self._gates.setdefault(name, threading.Event())

    def record(self, request):
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()

    def note(self, request, **changes):
        """Changes a recorded request, for those who wait for that."""
        with self._arrived:
            for name, value in changes.items():
                setattr(request, name, value)
            self._arrived.notify_all()

    def answer(self, request):
        if not request.is_conversation:
            return [say("ok")]
        try:
            return self.script(request.conversation)
        except Exception:  # a test's script failed: the test has to hear of it, and the CLI must not retry for minutes
            self.failures.append(traceback.format_exc())
            return ApiError(400, "the test's script failed")


class StandInApi:
    """The server. A context manager: it serves on a free loopback port until the block ends."""

    def __init__(self):
        self._scenarios = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        for scenario in list(self._scenarios.values()):
            scenario.release_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def scenario(self, name):
        with self._lock:
            if name not in self._scenarios:
                self._scenarios[name] = Scenario(self, name)
            return self._scenarios[name]

    @property
    def failures(self):
        return [failure for scenario in list(self._scenarios.values()) for failure in scenario.failures]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """Says nothing: a CLI that is killed in mid-request breaks its connection, and many tests do just that."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # The events of a reply are small writes; Nagle's algorithm would hold each of them back for 40 ms.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._route()
        self._send(200, b"")

    def do_GET(self):
        self._route()
        self._send_json(404, ApiError(404, "the stand-in has no such page").body())

    def do_POST(self):
        scenario, request = self._route()
        path = urlsplit(request.path).path
        if path.endswith("/v1/messages/count_tokens"):
            self._send_json(200, {"input_tokens": 100})
        elif path.endswith("/v1/messages"):
            request.answer = scenario.answer(request)
            self._answer(scenario, request)
        else:
            self._send_json(200, {})

    def _route(self):
        match = re.match(r"/s/([^/?]+)(.*)", self.path)
        scenario = self.server.api.scenario(match.group(1) if match else "")
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = {}
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = Request(self.command, match.group(2) if match else self.path, headers, body)
        if self.command == "POST" and urlsplit(request.path).path.endswith("/v1/messages"):
            request.conversation = Conversation(scenario, body)
        scenario.record(request)
        return scenario, request

    def _answer(self, scenario, request):
        answer = request.answer
        if isinstance(answer, ApiError):
            self._send_json(answer.status, answer.body(), answer.headers)
            return
        charged = next((block for block in answer if block["type"] == "usage"), usage(100, 20))
        answer = [block for block in answer if block["type"] != "usage"]
        message = {
            "id": "msg_" + uuid.uuid4().hex[:24], "type": "message", "role": "assistant",
            "model": request.body.get("model", ""), "content": answer, "stop_sequence": None,
            "stop_reason": "tool_use" if any(b["type"] == "tool_use" for b in answer) else "end_turn",
            "usage": {"input_tokens": charged["input_tokens"], "output_tokens": charged["output_tokens"],
                      "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
        }
        if not request.body.get("stream"):
            self._send_json(200, message)
            return
        if answer[-1].get("endless"):
            self._stream_until_closed(scenario, request, message)
            return
        self._send(200, b"".join(_events(message)), "text/event-stream")

    def _stream_until_closed(self, scenario, request, message):
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for number, event in enumerate(_endless_events(message)):
                self.wfile.write(event)
                if number == FIRST_WORDS:
                    scenario.note(request, streaming=True)
                readable, _, _ = select.select([self.connection], [], [], STREAM_PACE_S)
                if readable and not self.connection.recv(1, socket.MSG_PEEK):
                    break
        except OSError:
            pass  # closed with something unread
        scenario.note(request, closed=True)

    def _send_json(self, status, value, headers=None):
        self._send(status, json.dumps(value).encode(), "application/json", headers)

    def _send(self, status, data, content_type="application/json", headers=None):
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        self.send_header("request-id", "req_" + uuid.uuid4().hex[:24])
        for key, value in (headers or {}).items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _event(name, **fields):
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def _head(message):
    return _event("message_start", message={**message, "content": [], "stop_reason": None,
                                            "usage": {**message["usage"], "output_tokens": 1}})


def _endless_events(message):
    """A reply of one text block whose end never comes."""
    yield _head(message)
    yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    text = message["content"][-1]["text"]
    while True:
        yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text + " "})
        text = "more"


def _events(message):
    """The reply as the API streams it: https://docs.anthropic.com/en/api/messages-streaming."""
    yield _head(message)
    for index, block in enumerate(message["content"]):
        empty, deltas = {
            "text": lambda b: ({"type": "text", "text": ""}, [{"type": "text_delta", "text": b["text"]}]),
            "thinking": lambda b: ({"type": "thinking", "thinking": "", "signature": ""},
                                   [{"type": "thinking_delta", "thinking": b["thinking"]},
                                    {"type": "signature_delta", "signature": b["signature"]}]),
            "tool_use": lambda b: ({**b, "input": {}},
                                   [{"type": "input_json_delta", "partial_json": json.dumps(b["input"])}]),
        }[block["type"]](block)
        yield _event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    yield _event("message_delta", delta={"stop_reason": message["stop_reason"], "stop_sequence": None},
                usage={"output_tokens": message["usage"]["output_tokens"]})
    yield _event("message_stop")
