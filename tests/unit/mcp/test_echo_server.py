"""The server of docs/mcp.md: it is as short as promised, the page shows it as it is, and it speaks both eras."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from mcp_client import McpServer, ProtocolError, run  # noqa: E402

SOURCE = (ROOT / "examples" / "mcp" / "echo_server.cpp").read_text()
PROGRAM = Path(os.environ["AWM_BIN_DIR"]) / "mcp-echo-server"
SHOUT = {"name": "echo", "arguments": {"text": "hi", "loud": True}}


def modern(params=None, **capabilities):
    """The params of a request of the stateless era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    return {**(params or {}), "_meta": meta}


def test_the_page_shows_the_program_as_it_is():
    page = (ROOT / "docs" / "mcp.md").read_text()
    assert f"```cpp\n{SOURCE}```" in page, "docs/mcp.md differs from examples/mcp/echo_server.cpp"


def test_is_a_complete_server_of_less_than_sixty_lines():
    assert len(SOURCE.splitlines()) < 60


def test_speaks_the_legacy_era(tmp_path):
    async def main():
        async with McpServer([PROGRAM], home=tmp_path) as server:
            asked = []

            def agree(params):
                asked.append(params["message"])
                return {"action": "accept", "content": {}}

            server.on_request["elicitation/create"] = agree
            info = await server.initialize(capabilities={"elicitation": {}})
            assert info["serverInfo"] == {"name": "echo", "version": "1.0"}
            assert [tool["name"] for tool in await server.list_tools()] == ["echo"]
            assert (await server.call("echo", {"text": "hi"})).structured == {"echo": "hi"}
            assert asked == []
            assert (await server.call("echo", SHOUT["arguments"])).structured == {"echo": "HI"}
            assert asked == ["Really shout?"]
            assert "text" in await server.call_error("echo", {"loud": True})
            read = await server.request("resources/read", {"uri": "hello://Ada"})
            assert read["contents"][0]["text"] == "Hello, Ada!"
            prompt = await server.request("prompts/get", {"name": "shout", "arguments": {"text": "hi"}})
            assert prompt["messages"][0]["content"]["text"] == "Call echo, loud: hi"
            assert await server.close() == 0
            assert not server.noise and not server.stray

    run(main())


def test_speaks_the_stateless_era(tmp_path):
    async def main():
        async with McpServer([PROGRAM], home=tmp_path) as server:
            found = await server.request("server/discover", modern())
            assert found["supportedVersions"] == ["2026-07-28"]
            plain = await server.request("tools/call", modern({"name": "echo", "arguments": {"text": "hi"}}))
            assert plain["structuredContent"] == {"echo": "hi"} and plain["resultType"] == "complete"

            asked = await server.request("tools/call", modern(SHOUT, elicitation={}))
            assert asked["resultType"] == "input_required"
            [key] = asked["inputRequests"]
            assert asked["inputRequests"][key]["params"]["message"] == "Really shout?"
            back = {"inputResponses": {key: {"action": "accept", "content": {}}}, "requestState": asked["requestState"]}
            answer = await server.request("tools/call", modern({**SHOUT, **back}, elicitation={}))
            assert answer["structuredContent"] == {"echo": "HI"}

            refused = await server.request("tools/call", modern(SHOUT))
            assert refused["isError"]
            try:
                await server.request("resources/read", modern({"uri": "nothing://here"}))
                raise AssertionError("a resource that does not exist was read")
            except ProtocolError as error:
                assert error.code == -32602
            assert await server.close() == 0

    run(main())
