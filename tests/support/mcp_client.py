"""A small MCP client over stdio: starts a server, speaks JSON-RPC with it, and waits for events, never for time.

    async with McpServer([binary, "--claude", mock], home=tmp_path) as server:   # clean environment, own HOME
        await server.initialize()                                # the handshake; its result is server.info
        tools = await server.list_tools()                        # [{"name": …, "inputSchema": …}, …]
        spawned = await server.call("spawn_worker", {"description": "count", "prompt": "1 2 3"})
        spawned["worker_id"]                                     # structuredContent; a ToolError when isError is set
        waiting = server.start_call("wait", {})                  # a call in flight: several may be
        await waiting.progress_until(lambda p: p["progress"] == 1)   # its notifications, also in waiting.progress
        answer = await waiting                                   # a ToolResult: .structured, .text, .is_error
        await waiting.cancel()                                   # notifications/cancelled; an answer after it: .late
        await server.initialize(capabilities={"elicitation": {}})    # what the server may ask of us, and the answer:
        server.on_request["elicitation/create"] = lambda params: {"action": "decline"}   # or a coroutine function
        await server.notified("notifications/message")           # the next such notification's params
        code = await server.close()                              # ends stdin and waits for the exit
        await server.signal(signal.SIGTERM)                      # or any signal; then await server.exited()

`run(coroutine)` runs a test's coroutine. `GUARD` seconds without the awaited event fail a test that hangs: the only use
of time here, and no test's success depends on it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Awaitable, Callable, Coroutine, Mapping, Sequence

GUARD = float(os.environ.get("AWM_TEST_GUARD", "60"))
PROTOCOL_VERSION = "2025-11-25"
LONGEST_LINE = 1 << 28


def run(coroutine: Coroutine[Any, Any, Any], guard: float = 4 * GUARD) -> Any:
    """Runs a test's coroutine to its end; a test that hangs altogether fails."""

    async def guarded() -> Any:
        async with asyncio.timeout(guard):
            return await coroutine

    return asyncio.run(guarded())


class ProtocolError(Exception):
    """A JSON-RPC error response."""

    def __init__(self, error: Mapping[str, Any]):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code")
        self.message = error.get("message")
        self.data = error.get("data")


class ToolError(Exception):
    """A tool result with isError; its text is the message."""


class ServerGone(Exception):
    """The server ended before it answered."""


class ToolResult:
    """What tools/call returned."""

    def __init__(self, raw: Mapping[str, Any]):
        self.raw = raw
        self.is_error = bool(raw.get("isError", False))
        self.text = "\n".join(block["text"] for block in raw.get("content", []) if block.get("type") == "text")
        self.structured = raw.get("structuredContent")

    def __getitem__(self, key: str) -> Any:
        return self.structured[key]

    def __contains__(self, key: str) -> bool:
        return key in self.structured

    def __repr__(self) -> str:
        return f"ToolResult({json.dumps(self.raw)[:2000]})"


class Request:
    """A request in flight. Awaiting it gives the raw result; see `Call` for tools."""

    def __init__(self, server: "McpServer", request_id: int):
        self.server = server
        self.id = request_id
        self.progress: list[dict] = []
        self.late: list[dict] = []  # what came for this request after it was cancelled
        self.cancelled = False
        self._answer: asyncio.Future = asyncio.get_running_loop().create_future()
        self._news = asyncio.Condition()

    def __await__(self):
        return self._result().__await__()

    @property
    def done(self) -> bool:
        return self._answer.done()

    async def _result(self) -> Any:
        # Shielded: an await that is given up does not give up the request.
        return await guarded(asyncio.shield(self._answer), f"the answer to request {self.id}", self.server)

    async def progress_until(self, holds: Callable[[dict], bool]) -> dict:
        """Waits for a progress notification that satisfies `holds`, also one that came before."""

        async def wait() -> dict:
            seen = 0
            async with self._news:
                while True:
                    for params in self.progress[seen:]:
                        if holds(params):
                            return params
                    seen = len(self.progress)
                    if self.done:
                        raise AssertionError(f"request {self.id} was answered before that progress: {self.progress}")
                    await self._news.wait()

        return await guarded(wait(), f"progress of request {self.id}", self.server)

    async def cancel(self, reason: str = "test") -> None:
        """Sends notifications/cancelled. From now on an answer is an error of the server and lands in `late`."""
        self.cancelled = True
        await self.server.notify("notifications/cancelled", {"requestId": self.id, "reason": reason})

    async def _take_progress(self, params: dict) -> None:
        (self.late if self.cancelled else self.progress).append(params)
        await self._tell()

    async def _take_answer(self, message: dict) -> None:
        if self.cancelled:
            self.late.append(message)
        elif not self._answer.done():
            if "error" in message:
                self._answer.set_exception(ProtocolError(message["error"]))
            else:
                self._answer.set_result(message["result"])
        await self._tell()

    async def _lost(self) -> None:
        if not self._answer.done() and not self.cancelled:
            self._answer.set_exception(ServerGone(f"no answer to request {self.id}: the server is gone"))
            self._answer.exception()  # nobody has to look
        await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


class Call(Request):
    """A tools/call in flight. Awaiting it gives a `ToolResult`, also one with isError."""

    async def _result(self) -> ToolResult:
        return ToolResult(await super()._result())


async def guarded(awaitable: Awaitable[Any], what: str, server: "McpServer | None" = None) -> Any:
    try:
        async with asyncio.timeout(GUARD):
            return await awaitable
    except TimeoutError:
        tail = server.stderr[-3000:] if server else ""
        raise AssertionError(f"waited {GUARD:.0f} s for {what}\n--- the server's stderr ends with:\n{tail}") from None


class McpServer:
    """A server process and the session with it.

    command    argv; the program first
    home       the server's HOME, made when missing; its stderr is kept there in server-stderr.log
    cwd        its working directory (default: home)
    env        additions to a clean environment of PATH and HOME; a value of None removes a name
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike],
        *,
        home: str | os.PathLike,
        cwd: str | os.PathLike | None = None,
        env: Mapping[str, str | None] | None = None,
    ):
        self.command = [os.fspath(word) for word in command]
        self.home = Path(home)
        self.cwd = Path(cwd) if cwd is not None else self.home
        environment: dict[str, str | None] = {"PATH": os.defpath, "HOME": str(self.home), **(env or {})}
        self.env = {name: value for name, value in environment.items() if value is not None}
        # What answers the server's requests: method -> (params) -> result, which may be awaitable. Raising a
        # ProtocolError answers with that error; a method that is not here is answered with -32601. A request that the
        # server cancels is not answered any more.
        self.on_request: dict[str, Callable[[dict], Any]] = {"ping": lambda _: {}, "roots/list": lambda _: {"roots": []}}
        self.info: dict = {}
        self.meta: dict = {}  # what each request says of itself, in the stateless era
        self.notifications: list[dict] = []  # all but progress, in order
        self.noise: list[bytes] = []  # lines on stdout that are no JSON-RPC message
        self.stray: list[dict] = []  # answers to requests that were never sent
        self.returncode: int | None = None
        self._requests: dict[int, Request] = {}
        self._answering: dict[Any, asyncio.Task] = {}  # the server's requests that are not answered yet
        self._next_id = 0
        self._news: asyncio.Condition
        self._process: subprocess.Popen
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task
        self._tasks: list[asyncio.Task] = []

    # -- life ----------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> "McpServer":
        await self.start()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.kill()

    async def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self._news = asyncio.Condition()
        self._exit = asyncio.get_running_loop().create_future()
        self.stderr_path = self.home / "server-stderr.log"
        with open(self.stderr_path, "ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=self.cwd, env=self.env
            )
        self.pid = self._process.pid
        self._watch_exit()
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, self._process.stdin)
        self._writer = asyncio.StreamWriter(transport, protocol, None, loop)
        self._reader = asyncio.StreamReader(limit=LONGEST_LINE)
        self._stdout_transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), self._process.stdout
        )
        self._reading = asyncio.create_task(self._read())
        self._tasks.append(self._reading)

    def _watch_exit(self) -> None:
        # The pidfd tells of the exit itself, whatever still holds the pipes open.
        loop = asyncio.get_running_loop()
        pidfd = os.pidfd_open(self.pid)

        def gone() -> None:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            self.returncode = self._process.wait()
            if not self._exit.done():
                self._exit.set_result(self.returncode)

        loop.add_reader(pidfd, gone)

    async def exited(self) -> int:
        """Waits for the exit. Returns the exit status, -N for a death by signal N."""
        return await guarded(asyncio.shield(self._exit), "the server's exit", self)

    async def close(self) -> int:
        """Ends stdin, as a client that is done, and waits for the exit."""
        self.end_stdin()
        return await self.exited()

    def end_stdin(self) -> None:
        self._writer.close()

    async def close_stdout(self) -> None:
        """Stops reading and closes our end of the server's stdout: from now on its writes fail."""
        self._stdout_transport.close()
        await asyncio.wait([self._reading])  # it ends when the descriptor is closed, which is not at once

    def pause_reading(self) -> None:
        """Leaves the server's stdout unread until `resume_reading`."""
        self._stdout_transport.pause_reading()

    def resume_reading(self) -> None:
        self._stdout_transport.resume_reading()

    async def signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    async def kill(self) -> None:
        """Ends whatever is left of the server and of this session. Safe to call twice."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)
            await self.exited()
        self._writer.close()
        self._stdout_transport.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    # -- the session ---------------------------------------------------------------------------------------------------

    async def initialize(self, version: str = PROTOCOL_VERSION, capabilities: Mapping | None = None) -> dict:
        """The handshake: initialize and notifications/initialized. Returns (and keeps in `info`) its result."""
        self.info = await self.request(
            "initialize",
            {
                "protocolVersion": version,
                "capabilities": dict(capabilities or {}),
                "clientInfo": {"name": "test-client", "version": "1"},
            },
        )
        await self.notify("notifications/initialized")
        return self.info

    async def discover(self, capabilities: Mapping | None = None) -> dict:
        """server/discover of MCP 2026-07-28; from here on every request is one of that version."""
        self.meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test-client", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": dict(capabilities or {}),
        }
        self.info = await self.request("server/discover", {})
        return self.info

    async def list_tools(self) -> list[dict]:
        return (await self.request("tools/list", {}))["tools"]

    async def call(self, tool: str, arguments: Mapping | None = None, **options: Any) -> ToolResult:
        """Calls a tool and returns its result; raises `ToolError` when it says isError."""
        result = await self.start_call(tool, arguments, **options)
        if result.is_error:
            raise ToolError(result.text)
        return result

    async def call_error(self, tool: str, arguments: Mapping | None = None) -> str:
        """Calls a tool that has to fail with isError; returns its text."""
        result = await self.start_call(tool, arguments)
        assert result.is_error, f"{tool} was expected to fail: {result}"
        return result.text

    def start_call(self, tool: str, arguments: Mapping | None = None, *, progress: bool = True) -> Call:
        """Sends a tools/call and returns at once. `progress`: give a token, so that the server may notify."""
        params: dict[str, Any] = {"name": tool, "arguments": dict(arguments or {})}
        if progress:
            params["_meta"] = {"progressToken": self._next_id}
        return self.start_request("tools/call", params, Call)

    async def request(self, method: str, params: Mapping | None = None) -> Any:
        """Sends a request and returns its result; raises `ProtocolError` for an error."""
        return await self.start_request(method, params)

    def start_request(self, method: str, params: Mapping | None = None, kind: type[Request] = Request) -> Any:
        request = kind(self, self._next_id)
        self._next_id += 1
        self._requests[request.id] = request
        message = {"jsonrpc": "2.0", "id": request.id, "method": method}
        if self.meta:
            params = {**(params or {}), "_meta": {**self.meta, **(params or {}).get("_meta", {})}}
        if params is not None:
            message["params"] = params
        self.send(message)
        return request

    async def notify(self, method: str, params: Mapping | None = None) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        self.send(message)
        await self.drained()

    def send(self, message: Any) -> None:
        self.send_raw(json.dumps(message).encode() + b"\n")

    def send_raw(self, line: bytes) -> None:
        self._writer.write(line)

    async def drained(self) -> None:
        try:
            await self._writer.drain()
        except (ConnectionError, OSError):
            pass  # a server that is gone is noticed by whoever waits for an answer

    async def notified(self, method: str, holds: Callable[[dict], bool] = lambda _: True) -> dict:
        """Waits for a notification, also one that came before. Returns its params."""

        async def wait() -> dict:
            async with self._news:
                while True:
                    for message in self.notifications:
                        if message["method"] == method and holds(message.get("params", {})):
                            return message.get("params", {})
                    await self._news.wait()

        return await guarded(wait(), method, self)

    # -- what comes in -------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                await self._take(line)
        finally:
            for request in self._requests.values():
                await request._lost()

    async def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            assert message["jsonrpc"] == "2.0"
        except (ValueError, TypeError, KeyError, AssertionError):
            self.noise.append(line)
            return
        if "method" in message and "id" in message:
            task = asyncio.create_task(self._answer(message))
            self._answering[message["id"]] = task
            self._tasks.append(task)
        elif message.get("method") == "notifications/progress":
            request = self._requests.get(message["params"]["progressToken"])
            if request is not None:
                await request._take_progress(message["params"])
        elif "method" in message:
            if message["method"] == "notifications/cancelled":
                task = self._answering.pop(message["params"]["requestId"], None)
                if task is not None:
                    task.cancel()
            async with self._news:
                self.notifications.append(message)
                self._news.notify_all()
        else:
            request = self._requests.get(message["id"])
            if request is None:
                self.stray.append(message)
            else:
                await request._take_answer(message)

    async def _answer(self, message: dict) -> None:
        handler = self.on_request.get(message["method"])
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if handler is None:
            answer["error"] = {"code": -32601, "message": "Method not found"}
        else:
            try:
                result = handler(message.get("params", {}))
                answer["result"] = await result if inspect.isawaitable(result) else result
            except ProtocolError as error:
                answer["error"] = {"code": error.code, "message": error.message}
        self._answering.pop(message["id"], None)
        self.send(answer)
        await self.drained()
