"""The test client itself, against a server of a few lines: how it answers what a server asks."""

import asyncio
import sys

from mcp_client import McpServer, ProtocolError, run

# Asks whatever the client tells it to, and reports each answer as a notification.
SERVER = """
import json, sys
def say(**message): print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        say(id=message["id"], result={"saw": message["params"]["capabilities"]})
    elif message.get("method", "").startswith("say/"):
        say(**message["params"])
    elif "method" not in message:
        say(method="answered", params=message)
"""


def test_answers_what_a_server_asks(tmp_path):
    async def main():
        async with McpServer([sys.executable, "-c", SERVER], home=tmp_path) as server:
            info = await server.initialize(capabilities={"elicitation": {"form": {}}})
            assert info["saw"] == {"elicitation": {"form": {}}}

            async def ask(request_id, method, **params):
                await server.notify("say/", {"id": request_id, "method": method, "params": params})

            async def answer_to(request_id):
                return await server.notified("answered", lambda answer: answer["id"] == request_id)

            async def thoughtful(params):
                return {"action": "accept", "content": params}

            def refusing(_):
                raise ProtocolError({"code": -1, "message": "no"})

            server.on_request["elicitation/create"] = thoughtful
            server.on_request["refused"] = refusing
            await ask("a", "elicitation/create", message="?")
            assert (await answer_to("a"))["result"] == {"action": "accept", "content": {"message": "?"}}
            await ask("b", "refused")
            assert (await answer_to("b"))["error"] == {"code": -1, "message": "no"}
            await ask("c", "sampling/createMessage")
            assert (await answer_to("c"))["error"]["code"] == -32601

    run(main())


def test_does_not_answer_what_the_server_has_cancelled(tmp_path):
    async def main():
        async with McpServer([sys.executable, "-c", SERVER], home=tmp_path) as server:
            await server.initialize()
            seen = asyncio.Event()
            taken_back = asyncio.Event()

            async def for_ever(_):
                seen.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    taken_back.set()

            server.on_request["elicitation/create"] = for_ever
            await server.notify("say/", {"id": "a", "method": "elicitation/create"})
            await seen.wait()
            await server.notify("say/", {"method": "notifications/cancelled", "params": {"requestId": "a"}})
            assert (await server.notified("notifications/cancelled"))["requestId"] == "a"
            await taken_back.wait()
            await server.notify("say/", {"id": "b", "method": "ping"})
            await server.notified("answered")
            answered = [m["params"]["id"] for m in server.notifications if m["method"] == "answered"]
            assert answered == ["b"]

    run(main())
