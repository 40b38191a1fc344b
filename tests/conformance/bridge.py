"""Streamable HTTP in front of a stdio MCP server, since the conformance suite speaks nothing else.

    bridge.py [--port N] COMMAND [ARGUMENT...]      prints its URL, serves until it gets SIGINT or SIGTERM

It knows both eras of MCP. A legacy client (up to 2025-11-25) opens a session, and each session has a child of its own.
A modern client (2026-07-28) has no session: all of them share one child, which must tell eras apart by the request.

Nothing is interpreted beyond what HTTP needs: sessions, status codes, the headers that mirror the body, and which
response a message belongs on. Stdio does not say the last one for log messages and for requests of the server, so these
go to the newest request in flight: a violation of the server's shall reach the suite, not vanish here.
"""
import argparse
import asyncio
import contextlib
import json
import signal
import sys
import uuid
from urllib.parse import urlsplit

LEGACY_VERSIONS = {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion"
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
INVALID_REQUEST = -32600
PARSE_ERROR = -32700
HEADER_MISMATCH = -32020
# 2026-07-28, basic/transports: 404 for an unknown method, 400 for a request that is malformed, of an unsupported
# version, or lacks a capability.
MODERN_STATUS = {-32601: 404, **dict.fromkeys((PARSE_ERROR, INVALID_REQUEST, HEADER_MISMATCH, -32602, -32021, -32022),
                                             400)}
# The parameter that the header Mcp-Name repeats.
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri",
            "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId"}
REASONS = {200: "OK", 202: "Accepted", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 409: "Conflict"}
MAX_MESSAGE_BYTES = 32 << 20
# A server must end when its input does. One that does not is killed, and the bridge says so.
END_TIMEOUT_S = 30


def complain(text):
    print(f"bridge: {text}", file=sys.stderr, flush=True)


class Refusal(Exception):
    """A request that the bridge answers itself, with an HTTP error."""

    def __init__(self, status, message, code=INVALID_REQUEST, request_id=None):
        super().__init__(message)
        self.status = status
        self.body = {"jsonrpc": "2.0", "error": {"code": code, "message": message}}
        if request_id is not None:
            self.body["id"] = request_id


class Exchange:
    """A request that the server has not answered, and what came for it so far. Its last message is the answer."""

    def __init__(self, request):
        self.request = request
        self.messages = asyncio.Queue()

    def take(self, message):
        """Puts the client's own id and progress token back in place of the bridge's."""
        params = message.get("params", {})
        if "method" not in message:
            message["id"] = self.request["id"]
        if message.get("method") == "notifications/progress":
            params["progressToken"] = self.request["params"]["_meta"]["progressToken"]
        if message.get("method") == "notifications/cancelled":
            params["requestId"] = self.request["id"]
        for meta in (params.get("_meta"), message.get("result", {}).get("_meta")):
            if meta and SUBSCRIPTION_ID in meta:
                meta[SUBSCRIPTION_ID] = self.request["id"]
        self.messages.put_nowait(message)


class Child:
    """The server as a child process, and its open exchanges.

    Clients that share a child may choose the same ids and progress tokens. So each request gets an id of the bridge's,
    which is its progress token as well.
    """

    def __init__(self):
        self.exchanges = {}                 # by the bridge's id, oldest first
        self.unsolicited = asyncio.Queue()  # what came while no request was in flight
        self.has_listener = False           # a GET response reads `unsolicited`
        self.has_ended = False
        self._last_id = 0

    async def start(self, command):
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=MAX_MESSAGE_BYTES)
        self._reading = asyncio.create_task(self._read())
        return self

    def send(self, message):
        if not self.has_ended:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    def ask(self, request):
        self._last_id += 1
        exchange = self.exchanges[self._last_id] = Exchange(request)
        message = {**request, "id": self._last_id}
        meta = (request.get("params") or {}).get("_meta") or {}
        if "progressToken" in meta:
            message["params"] = {**request["params"], "_meta": {**meta, "progressToken": self._last_id}}
        self.send(message)
        if self.has_ended:
            self._give_up()
        return exchange

    def notify(self, notification):
        if notification["method"] == "notifications/cancelled":
            wanted = notification["params"].get("requestId")
            found = [id for id, exchange in self.exchanges.items() if exchange.request["id"] == wanted]
            if not found:
                return
            notification["params"]["requestId"] = found[-1]
        self.send(notification)

    def abandon(self, exchange):
        """The client closed the response of a request, which is how a modern one cancels it."""
        for id in [id for id, known in self.exchanges.items() if known is exchange]:
            del self.exchanges[id]
            self.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})

    async def close(self):
        self._process.stdin.close()
        # A server that ended before its input did breaks the pipe; its clients have been told.
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.wait_closed()
        try:
            await asyncio.wait_for(self._process.wait(), END_TIMEOUT_S)
        except asyncio.TimeoutError:
            complain(f"the server still ran {END_TIMEOUT_S} s after the end of its input, and was killed")
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self):
        try:
            while line := await self._process.stdout.readline():
                self._deliver(json.loads(line))
        except ValueError as error:
            complain(f"the server wrote what is no message: {error}")
            self._process.kill()
        self.has_ended = True
        self._give_up()

    def _give_up(self):
        for id in list(self.exchanges):
            error = {"code": -32000, "message": "the server ended before it answered"}
            self._deliver({"jsonrpc": "2.0", "id": id, "error": error})

    def _deliver(self, message):
        if "method" in message:
            known = self.exchanges.get(_id_named_in(message))
            newest = next(reversed(self.exchanges.values()), None)
            if exchange := known or newest:
                exchange.take(message) if known else exchange.messages.put_nowait(message)
            else:
                self.unsolicited.put_nowait(message)
        elif exchange := self.exchanges.pop(message.get("id"), None):
            exchange.take(message)
        else:
            complain(f"an answer to no open request: {json.dumps(message)[:200]}")


def _id_named_in(notification):
    """The bridge's id in a notification: as progress token, as subscription, or as the request that is cancelled."""
    params = notification.get("params", {})
    if notification["method"] == "notifications/progress":
        return params.get("progressToken")
    if notification["method"] == "notifications/cancelled":
        return params.get("requestId")
    return params.get("_meta", {}).get(SUBSCRIPTION_ID)


class HttpRequest:
    """One request of HTTP/1.1; each connection carries one."""

    def __init__(self, method, headers, body):
        self.method, self.headers, self.body = method, headers, body

    @classmethod
    async def read(cls, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return cls(head[0].split(" ")[0], headers, body)

    def check_origin(self):
        """A web page that resolves its own name to 127.0.0.1 must not get in."""
        for url in ("//" + self.headers.get("host", ""), self.headers.get("origin")):
            if url and urlsplit(url).hostname not in LOOPBACK:
                raise Refusal(403, f"{url!r} is not on this machine")

    def message(self):
        try:
            message = json.loads(self.body)
        except ValueError as error:
            raise Refusal(400, f"the body is not JSON: {error}", PARSE_ERROR) from None
        if not isinstance(message, dict):
            raise Refusal(400, "the body must be one JSON-RPC message")
        return message

    def is_modern(self):
        version = self.headers.get("mcp-protocol-version")
        return "mcp-session-id" not in self.headers and version is not None and version not in LEGACY_VERSIONS

    def check_mirrors(self, message):
        """The headers of a modern request repeat parts of its body, and must not contradict it."""
        params = message.get("params") or {}
        method = message.get("method")
        meta = params.get("_meta") or {}
        mirrors = {"mcp-method": method, "mcp-name": params.get(NAMED_BY.get(method)),
                   "mcp-protocol-version": meta.get(PROTOCOL_VERSION)}
        for header, value in mirrors.items():
            if value is not None and self.headers.get(header) != value:
                text = f"the header {header} is {self.headers.get(header)!r}, the body says {value!r}"
                raise Refusal(400, text, HEADER_MISMATCH, message.get("id"))


class HttpResponse:
    def __init__(self, reader, writer):
        self._writer = writer
        # The client has sent all it wants to send: the next that can be read is that it went away.
        self._gone = asyncio.create_task(reader.read(1))

    def plain(self, status, body=None, **headers):
        data = b"" if body is None else json.dumps(body).encode()
        self._head(status, content_type="application/json", content_length=len(data), **headers)
        self._writer.write(data)

    def open_stream(self):
        self._head(200, content_type="text/event-stream", cache_control="no-store")

    def event(self, message):
        self._writer.write(b"data: " + json.dumps(message).encode() + b"\n\n")

    async def next_of(self, queue):
        """The next message for this response, or None once the client is gone."""
        getting = asyncio.create_task(queue.get())
        await asyncio.wait((getting, self._gone), return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        getting.cancel()
        return None

    async def close(self):
        self._gone.cancel()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def _head(self, status, **headers):
        lines = [f"HTTP/1.1 {status} {REASONS[status]}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))


class Bridge:
    """`async with Bridge(command) as bridge:` serves `command` at `bridge.url`, and ends with all its children."""

    def __init__(self, command, port=0):
        self._command = command
        self._port = port
        self._sessions = {}
        self._shared = None
        self._handling = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=MAX_MESSAGE_BYTES)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/mcp"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for handler in self._handling:
            handler.cancel()
        await asyncio.gather(*self._handling, return_exceptions=True)
        children = [*self._sessions.values(), *([self._shared] if self._shared else [])]
        await asyncio.gather(*(child.close() for child in children))

    async def _serve(self, reader, writer):
        self._handling.add(task := asyncio.current_task())
        try:
            request = await HttpRequest.read(reader)
            response = HttpResponse(reader, writer)
            try:
                await self._answer(request, response)
            except Refusal as refusal:
                response.plain(refusal.status, refusal.body)
            finally:
                await response.close()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()
        finally:
            self._handling.discard(task)

    async def _answer(self, request, response):
        request.check_origin()
        if request.method == "POST":
            message = request.message()
            await (self._modern if request.is_modern() else self._legacy)(request, message, response)
        elif request.method == "GET" and "mcp-session-id" in request.headers:
            await self._listen(self._session(request), response)
        elif request.method == "DELETE" and "mcp-session-id" in request.headers:
            child = self._session(request)
            del self._sessions[request.headers["mcp-session-id"]]
            await child.close()
            response.plain(200)
        else:
            raise Refusal(405, f"{request.method} needs the header Mcp-Session-Id")

    def _session(self, request):
        child = self._sessions.get(request.headers["mcp-session-id"])
        if not child:
            raise Refusal(404, "there is no such session")
        return child

    async def _legacy(self, request, message, response):
        headers = {}
        if "mcp-session-id" in request.headers:
            child = self._session(request)
            version = request.headers.get("mcp-protocol-version", "2025-03-26")
            if version not in LEGACY_VERSIONS:
                raise Refusal(400, f"a session cannot speak {version!r}", request_id=message.get("id"))
        elif message.get("method") == "initialize" and "id" in message:
            session = uuid.uuid4().hex
            child = self._sessions[session] = await Child().start(self._command)
            headers["mcp_session_id"] = session
        else:
            raise Refusal(400, "the header Mcp-Session-Id is missing", request_id=message.get("id"))
        if "method" in message and "id" in message:
            await self._relay(child.ask(message), response, **headers)
        else:
            child.notify(message) if "method" in message else child.send(message)
            response.plain(202)

    async def _modern(self, request, message, response):
        request.check_mirrors(message)
        if not self._shared or self._shared.has_ended:
            self._shared = await Child().start(self._command)
        child = self._shared
        if "method" not in message:
            raise Refusal(400, "a modern client sends no responses", request_id=message.get("id"))
        if "id" not in message:
            child.notify(message)
            response.plain(202)
        elif "mcp-method" not in request.headers:
            raise Refusal(400, "the header Mcp-Method is missing", HEADER_MISMATCH, message["id"])
        else:
            exchange = child.ask(message)
            if not await self._relay(exchange, response, MODERN_STATUS):
                child.abandon(exchange)

    async def _relay(self, exchange, response, statuses=None, **headers):
        """Answers with JSON when the answer comes first, else with a stream. False when the client went away."""
        message = await response.next_of(exchange.messages)
        if message and "method" not in message:
            code = message.get("error", {}).get("code")
            response.plain((statuses or {}).get(code, 200), message, **headers)
            return True
        if message:
            response.open_stream()
        while message:
            response.event(message)
            if "method" not in message:
                return True
            message = await response.next_of(exchange.messages)
        return False

    async def _listen(self, child, response):
        if child.has_listener:
            raise Refusal(409, "the session has a GET response already")
        child.has_listener = True
        response.open_stream()
        while message := await response.next_of(child.unsolicited):
            response.event(message)
        child.has_listener = False


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Bridge(options.command, options.port) as bridge:
        print(bridge.url, flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
