"""The bridge between the conformance suite and a stdio server, with a server that does what it is told."""
import asyncio
import functools
import json
import os
import sys
from pathlib import Path

import pytest

from bridge import HEADER_MISMATCH, PROTOCOL_VERSION, SUBSCRIPTION_ID, Bridge

PUPPET = [sys.executable, str(Path(__file__).with_name("puppet.py"))]
MODERN = {PROTOCOL_VERSION: "2026-07-28"}
# Only a test that would hang for ever meets it.
TIMEOUT_S = 60


class Response:
    """What came back: the status and the headers at once, the messages as they come."""

    @classmethod
    async def of(cls, url, method, headers, body=b""):
        self = cls()
        host, _, self._path = url.removeprefix("http://").partition("/")
        self._reader, self._writer = await asyncio.open_connection(*host.split(":"))
        lines = [f"{method} /{self._path} HTTP/1.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in {"Host": host, **headers}.items()]
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        self.is_stream = self.headers.get("content-type") == "text/event-stream"
        return self

    async def message(self):
        """The next message; None at the end."""
        if not self.is_stream:
            body = await self._reader.read()
            return json.loads(body) if body else None
        while line := await self._reader.readline():
            if line.startswith(b"data: "):
                return json.loads(line[6:])
        return None

    async def close(self):
        self._writer.close()
        await self._writer.wait_closed()


class Client:
    """A client of one era. Modern requests get the headers that mirror them."""

    def __init__(self, url, session=None):
        self._url = url
        self.headers = {"Mcp-Session-Id": session} if session else {}

    @classmethod
    async def with_session(cls, url):
        response = await cls(url).legacy({"id": 0, "method": "initialize"})
        return cls(url, response.headers["mcp-session-id"])

    async def send(self, method, headers, message=None):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode() if message else b""
        return await Response.of(self._url, method, {**self.headers, **headers}, body)

    async def legacy(self, message):
        return await self.send("POST", {}, message)

    async def result(self, message):
        return (await (await self.legacy(message)).message())["result"]

    async def modern(self, method, params=None, id=7, **headers):
        params = params or {}
        message = {"id": id, "method": method, "params": {**params, "_meta": {**MODERN, **params.get("_meta", {})}}}
        mirrors = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **headers}
        return await self.send("POST", {name: value for name, value in mirrors.items() if value}, message)


def with_bridge(test):
    @functools.wraps(test)
    def run():
        async def bridged():
            async with Bridge(PUPPET) as bridge:
                await test(bridge.url)
        asyncio.run(asyncio.wait_for(bridged(), TIMEOUT_S))
    # Else pytest takes the parameter of the wrapped function for a fixture.
    del run.__wrapped__
    return run


def exists(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


@with_bridge
async def test_a_session_has_a_child_of_its_own_until_it_is_deleted(url):
    first, second = await Client.with_session(url), await Client.with_session(url)
    pids = [await client.result({"id": 1, "method": "x"}) for client in (first, second)]
    pids = [result["pid"] for result in pids]
    assert pids[0] != pids[1]
    assert (await first.send("DELETE", {})).status == 200
    assert not exists(pids[0]) and exists(pids[1])
    assert (await first.legacy({"id": 2, "method": "x"})).status == 404


@with_bridge
async def test_a_legacy_request_needs_a_session(url):
    assert (await Client(url).legacy({"id": 1, "method": "tools/list"})).status == 400
    assert (await Client(url, "unknown").legacy({"id": 1, "method": "tools/list"})).status == 404


@with_bridge
async def test_a_notification_is_accepted_without_a_body(url):
    client = await Client.with_session(url)
    response = await client.legacy({"method": "notifications/initialized"})
    assert (response.status, await response.message()) == (202, None)
    heard = (await client.result({"id": 1, "method": "heard"}))["heard"]
    assert "notifications/initialized" in [message["method"] for message in heard]


PROGRESS = {"method": "notifications/progress", "params": {"progressToken": "$id", "progress": 1}}


@with_bridge
async def test_clients_of_the_shared_child_may_choose_the_same_id_and_progress_token(url):
    params = {"messages": [PROGRESS], "_meta": {"progressToken": "t"}}
    held = await Client(url).modern("hold", params, id=1)
    said = await Client(url).modern("say", params, id=1)
    for response in (held, said):
        assert (await response.message())["params"] == {"progressToken": "t", "progress": 1}
    pid = (await said.message())["result"]["pid"]
    released = await (await Client(url).modern("release", id=1)).message()
    assert released["result"]["pid"] == pid
    answer = await held.message()
    assert answer == {"jsonrpc": "2.0", "id": 1, "result": {}}


@with_bridge
async def test_an_answer_that_comes_first_is_json_and_one_behind_other_messages_ends_a_stream(url):
    plain = await Client(url).modern("say")
    assert (plain.status, plain.is_stream) == (200, False)
    stream = await Client(url).modern("say", {"messages": [{"method": "notifications/message"}]})
    assert stream.is_stream
    assert (await stream.message())["method"] == "notifications/message"
    assert "result" in await stream.message()
    assert await stream.message() is None


@with_bridge
async def test_a_request_of_the_server_comes_on_the_response_and_is_answered_by_a_post(url):
    client = await Client.with_session(url)
    question = {"id": "s1", "method": "roots/list"}
    asking = await client.legacy({"id": 1, "method": "ask", "params": {"messages": [question]}})
    assert (await asking.message())["id"] == "s1"
    assert (await client.legacy({"id": "s1", "result": {"roots": []}})).status == 202
    assert (await asking.message())["result"] == {"roots": []}


@with_bridge
async def test_what_comes_while_no_request_is_in_flight_goes_to_the_get_response(url):
    client = await Client.with_session(url)
    await client.legacy({"method": "tell", "params": {"messages": [{"method": "notifications/early"}]}})
    listening = await client.send("GET", {})
    assert (await listening.message())["method"] == "notifications/early"
    assert (await client.send("GET", {})).status == 409
    await client.legacy({"method": "tell", "params": {"messages": [{"method": "notifications/late"}]}})
    assert (await listening.message())["method"] == "notifications/late"


@pytest.mark.parametrize("code, status", [(-32601, 404), (-32602, 400), (-32021, 400), (-32022, 400), (-32603, 200)])
def test_an_error_of_a_modern_request_has_its_http_status(code, status):
    @with_bridge
    async def check(url):
        response = await Client(url).modern("fail", {"error": {"code": code, "message": "no"}})
        assert response.status == status
        assert (await response.message())["id"] == 7
    check()


@pytest.mark.parametrize("headers", [{"Mcp-Method": "other"}, {"Mcp-Method": None}, {"MCP-Protocol-Version": "v999"},
                                     {"Mcp-Name": "other"}, {}])
def test_headers_that_contradict_a_modern_body_are_refused(headers):
    @with_bridge
    async def check(url):
        response = await Client(url).modern("tools/call", {"name": "x"}, **headers)
        assert response.status == 400
        error = await response.message()
        assert (error["error"]["code"], error["id"]) == (HEADER_MISMATCH, 7)
    check()


@with_bridge
async def test_a_modern_response_that_is_closed_cancels_its_request(url):
    notification = {"method": "notifications/x", "params": {"_meta": {SUBSCRIPTION_ID: "$id"}}}
    listening = await Client(url).modern("hold", {"messages": [notification]}, id=3)
    assert (await listening.message())["params"]["_meta"] == {SUBSCRIPTION_ID: 3}
    await listening.close()
    cancelled = []
    while not cancelled:  # the bridge learns of it by itself
        heard = (await (await Client(url).modern("heard")).message())["result"]["heard"]
        cancelled = [message for message in heard if message["method"] == "notifications/cancelled"]
    assert cancelled[0]["params"]["requestId"] == heard[0]["id"]


@with_bridge
async def test_a_cancellation_names_the_request_as_the_server_knows_it(url):
    client = await Client.with_session(url)
    params = {"messages": [{"method": "notifications/x"}]}
    held = await client.legacy({"id": "mine", "method": "hold", "params": params})
    await client.legacy({"method": "notifications/cancelled", "params": {"requestId": "mine"}})
    heard = (await client.result({"id": 2, "method": "heard"}))["heard"]
    assert heard[2]["params"]["requestId"] == heard[1]["id"]
    await held.close()


@pytest.mark.parametrize("headers", [{"Host": "evil.example.com"}, {"Origin": "http://evil.example.com"}])
def test_only_this_machine_gets_in(headers):
    @with_bridge
    async def check(url):
        assert (await Client(url).modern("say", **headers)).status == 403
    check()


@with_bridge
async def test_a_server_that_ends_answers_what_it_left_and_the_next_request_starts_another(url):
    died = await (await Client(url).modern("die")).message()
    assert died["error"]["code"] == -32000
    assert "result" in await (await Client(url).modern("say")).message()


def test_the_children_end_with_the_bridge():
    pids = []

    @with_bridge
    async def ask(url):
        client = await Client.with_session(url)
        for asking in (client.legacy({"id": 1, "method": "x"}), Client(url).modern("x")):
            pids.append((await (await asking).message())["result"]["pid"])
    ask()
    assert len(pids) == 2 and not any(exists(pid) for pid in pids)
