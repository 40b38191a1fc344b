"""The MCP Inspector's command line against the real server: one process, one server and one method a command."""

import asyncio
import json
from typing import Any

import npm
import pytest
from conftest import HERE, had
from harness import GUARD, MARK, Arena, async_test, finish, spawn

ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])
NEEDS_NODE = (22, 19)
REFUSED = 5  # the Inspector's exit code for a tool that is not there or says isError


class Inspector:
    def __init__(self, arena: Arena):
        # Its optional packages are for its web pages and for keychains.
        modules = had(npm.project, HERE / "inspector", "--omit=optional") / "node_modules"
        launcher = modules / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
        self.command = [had(npm.node, NEEDS_NODE), launcher, "--cli"]
        self.arena = arena
        self.server = arena.server()

    async def __call__(self, method: str, *flags: str, era: str = "legacy", code: int = 0) -> Any:
        """Runs one method; returns what it printed. Fails when the exit code is another one than `code`."""
        environment = [word for name, value in self.server.env.items() for word in ("-e", f"{name}={value}")]
        command = [*self.command, *environment, *self.server.command, "--method", method, *flags]
        process = await asyncio.create_subprocess_exec(
            *command, "--protocol-era", era, "--format", "json", "--quiet",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**self.server.env, MARK: self.arena.mark}, cwd=self.arena.cwd,
        )  # fmt: skip
        async with asyncio.timeout(2 * GUARD):
            out, err = await process.communicate()
        assert process.returncode == code, f"exit code {process.returncode}\n{out.decode()}\n{err.decode()}"
        return json.loads(out)["result"] if out.strip() else json.loads(err)

    async def call(self, tool: str, arguments: dict[str, Any] | None = None, **how: Any) -> Any:
        return await self("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments or {}), **how)


@pytest.fixture
def inspector(arena):
    return Inspector(arena)


@async_test
async def test_the_handshake_is_shown(inspector):
    shown = await inspector("initialize")
    assert shown["protocolVersion"] == "2025-11-25"
    assert shown["serverInfo"]["name"] == "async-worker-manager"


@ERAS
@async_test
async def test_tools_are_listed_and_their_schemas_are_portable(inspector, era):
    # --strict: an exit code of 6 when a schema has what other clients and models choke on.
    tools = (await inspector("tools/list", "--strict", era=era))["tools"]
    assert {"spawn_worker", "wait", "approve_permission", "list_workers"} <= {tool["name"] for tool in tools}


@ERAS
@async_test
async def test_a_result_that_waits_for_its_collector_is_collected_by_the_command_line(arena, inspector, era):
    bell = arena.bell()
    async with arena.session() as server:
        spawned = await spawn(server, f"MOCK say for whoever comes\nMOCK result\nMOCK eof\n{bell}")
        await bell.rings()
    collected = (await inspector.call("wait", era=era))["structuredContent"]["completed"]
    assert [one["worker_id"] for one in collected] == [spawned["worker_id"]]
    assert collected[0]["result_preview"] == "for whoever comes"


@ERAS
@async_test
async def test_bad_arguments_are_explained(inspector, era):
    refused = await inspector.call("spawn_worker", {"description": "lacks a prompt"}, era=era, code=REFUSED)
    assert refused["isError"] and "prompt" in refused["content"][0]["text"]
    assert "no_such_tool" in json.dumps(await inspector.call("no_such_tool", era=era, code=REFUSED))


@ERAS
@async_test
async def test_a_load_of_calls_has_no_error(inspector, era):
    load = ("--tool-name", "list_workers", "--load", "--load-requests", "200", "--load-concurrency", "50")
    summary = await inspector("tools/call", *load, era=era)
    assert (summary["requests"], summary["errors"]) == (200, 0), summary


@ERAS
@async_test
async def test_resources_are_listed_and_read(arena, inspector, era):
    async with arena.session() as server:
        worker = (await finish(server, "MOCK say as a resource"))["worker_id"]
    assert "worker://status" in [one["uri"] for one in (await inspector("resources/list", era=era))["resources"]]
    assert (await inspector("resources/templates/list", era=era))["resourceTemplates"]
    read = await inspector("resources/read", "--uri", f"worker://{worker}/result", era=era)
    assert "as a resource" in read["contents"][0]["text"]


@ERAS
@async_test
async def test_prompts_are_listed_and_filled_in(inspector, era):
    prompts = (await inspector("prompts/list", era=era))["prompts"]
    sweep = next(prompt for prompt in prompts if prompt["name"] == "sweep")
    arguments = [f"{argument['name']}=something" for argument in sweep["arguments"]]
    got = await inspector("prompts/get", "--prompt-name", "sweep", "--prompt-args", *arguments, era=era)
    assert "something" in got["messages"][0]["content"]["text"]
