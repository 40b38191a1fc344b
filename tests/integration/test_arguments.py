"""What the tools say of themselves, and of arguments that they cannot take."""

import pytest
from harness import ToolResult, approve, async_test, spawn, transcript
from mcp_client import ProtocolError

TOOLS = {
    "spawn_worker",
    "wait",
    "resume_worker",
    "approve_permission",
    "list_workers",
    "worker_output",
    "send_message",
    "cancel_worker",
}
CHANGE_NOTHING = {"wait", "worker_output", "list_workers"}
WORKER = {"description": "x", "prompt": "MOCK say x"}
NOBODY = "00000000-0000-4000-8000-000000000000"


def conforms(value, schema: dict, root: dict, path: str = "result") -> list[str]:
    """The part of JSON Schema that output schemas use."""
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = target
    for key in ("anyOf", "oneOf"):
        if key in schema:
            tries = [conforms(value, one, root, path) for one in schema[key]]
            return [] if [] in tries else tries[0]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    wanted = schema.get("type")
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if wanted and not any(isinstance(value, kinds[w]) and not (isinstance(value, bool) and w != "boolean") for w in wanted):
        return [f"{path}: {value!r} is no {wanted}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{path}: {value!r} is not in {schema['enum']}"]
    wrong = []
    if isinstance(value, dict):
        wrong += [f"{path}.{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            if name in schema.get("properties", {}):
                wrong += conforms(inner, schema["properties"][name], root, f"{path}.{name}")
            elif schema.get("additionalProperties") is False:
                wrong.append(f"{path}.{name} is not declared")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for i, inner in enumerate(value):
            wrong += conforms(inner, schema["items"], root, f"{path}[{i}]")
    return wrong


@async_test
async def test_the_tools_introduce_themselves(arena):
    async with arena.session() as server:
        tools = {tool["name"]: tool for tool in await server.list_tools()}
        assert set(tools) == TOOLS
        for tool in tools.values():
            assert 40 < len(tool["description"]) < 2048
            assert tool["inputSchema"]["type"] == "object" and tool["outputSchema"]["type"] == "object"
        hinted = {name for name, tool in tools.items() if tool["annotations"]["readOnlyHint"]}
        assert hinted == CHANGE_NOTHING, "clients run these in parallel"
        assert 40 < len(server.info["instructions"]) < 2048
        assert server.info["capabilities"]["tools"] is not None


@async_test
async def test_results_keep_to_the_published_schema(arena):
    async with arena.session() as server:
        schemas = {tool["name"]: tool["outputSchema"] for tool in await server.list_tools()}

        def check(name: str, result: ToolResult) -> ToolResult:
            assert conforms(result.structured, schemas[name], schemas[name]) == []
            return result

        spawned = check("spawn_worker", await spawn(server, 'MOCK permission Bash {"command":"touch /x/y"}', temperature=0.1))
        await spawn(server, "MOCK crash")
        done = check("wait", await server.call("wait"))
        while not done["pending_permissions"]:
            done = check("wait", await server.call("wait"))
        question = done["pending_permissions"][0]
        check("approve_permission", await approve(server, question["request_id"]))
        check("wait", await server.call("wait"))
        no_retries = {"rate_limit_retries": 0}
        arguments = {"worker_id": spawned["worker_id"], "prompt": "MOCK error 529", "options": no_retries}
        check("resume_worker", await server.call("resume_worker", arguments))
        assert len(check("wait", await server.call("wait"))["failed"]) == 1
        ended = {"worker_id": spawned["worker_id"]}
        check("worker_output", await server.call("worker_output", ended))
        check("cancel_worker", await server.call("cancel_worker", ended))
        check("list_workers", await server.call("list_workers"))


@async_test
async def test_the_results_of_tools_that_reach_into_a_running_worker_keep_to_the_schema(arena):
    async with arena.session() as server:
        schemas = {tool["name"]: tool["outputSchema"] for tool in await server.list_tools()}

        async def check(name: str, arguments: dict) -> ToolResult:
            result = await server.call(name, arguments)
            assert conforms(result.structured, schemas[name], schemas[name]) == []
            return result

        running = {"worker_id": (await spawn(server, "MOCK hang-tool Bash {}"))["worker_id"]}
        await check("worker_output", {**running, "block": False})
        await check("list_workers", {})
        await check("wait", {"timeout_s": 0})
        await check("send_message", {**running, "text": "x", "mode": "queue"})
        await check("cancel_worker", running)
        assert len((await check("wait", {}))["cancelled"]) == 1


@pytest.mark.parametrize(
    "tool, arguments, words",
    [
        ("spawn_worker", {"prompt": "x"}, ["description"]),
        ("spawn_worker", {"description": "x"}, ["prompt"]),
        ("spawn_worker", {}, ["description"]),
        ("spawn_worker", {**WORKER, "description": ""}, ["description"]),
        ("spawn_worker", {**WORKER, "prompt": 7}, ["prompt", "7", "string"]),
        ("spawn_worker", {**WORKER, "promt": "x"}, ["promt", "prompt"]),
        ("spawn_worker", {**WORKER, "agent_typ": "Explore"}, ["agent_typ", "agent_type"]),
        ("spawn_worker", {**WORKER, "options": []}, ["options", "object"]),
        ("spawn_worker", {**WORKER, "options": {"tempreture": 0.1}}, ["tempreture", "temperature"]),
        ("spawn_worker", {**WORKER, "options": {"max_token": 1}}, ["max_token", "max_tokens"]),
        ("spawn_worker", {**WORKER, "options": {"temperature": 3}}, ["temperature", "3", "1"]),
        ("spawn_worker", {**WORKER, "options": {"temperature": "hot"}}, ["temperature", "hot", "number"]),
        ("spawn_worker", {**WORKER, "options": {"top_p": -1}}, ["top_p", "-1", "0"]),
        ("spawn_worker", {**WORKER, "options": {"max_turns": 0}}, ["max_turns", "0", "1"]),
        ("spawn_worker", {**WORKER, "options": {"max_budget_usd": 0}}, ["max_budget_usd", "0"]),
        ("spawn_worker", {**WORKER, "options": {"permission_mode": "yolo"}}, ["permission_mode", "yolo", "acceptEdits", "plan"]),
        ("spawn_worker", {**WORKER, "options": {"effort": "lots"}}, ["effort", "lots", "high"]),
        ("spawn_worker", {**WORKER, "options": {"thinking": "maybe"}}, ["thinking", "maybe"]),
        ("spawn_worker", {**WORKER, "options": {"mcp": "everything"}}, ["mcp", "everything", "inherit"]),
        ("spawn_worker", {**WORKER, "options": {"env": {"A": 1}}}, ["env", "1"]),
        ("spawn_worker", {**WORKER, "options": {"allowed_tools": "Bash"}}, ["allowed_tools", "Bash", "array"]),
        ("spawn_worker", {**WORKER, "options": {"cwd": "/no/such/folder"}}, ["cwd", "/no/such/folder"]),
        ("spawn_worker", {**WORKER, "options": {"add_dirs": ["/no/such/folder"]}}, ["add_dirs", "/no/such/folder"]),
        ("wait", {"timeout": 5}, ["timeout", "timeout_s"]),
        ("wait", {"timeout_s": -1}, ["timeout_s", "-1", "0"]),
        ("wait", {"mode": "first"}, ["mode", "first", "any", "all"]),
        ("wait", {"worker_ids": []}, ["worker_ids"]),
        ("wait", {"worker_ids": "x"}, ["worker_ids", "x", "array"]),
        ("wait", {"worker_ids": ["nobody"]}, ["worker_id", "nobody", "list_workers"]),
        ("wait", {"worker_ids": [NOBODY]}, [NOBODY, "list_workers"]),
        ("list_workers", {"state": "sleeping"}, ["state", "sleeping"]),
        ("list_workers", {"since": "last tuesday"}, ["since", "last tuesday", "RFC 3339"]),
        ("worker_output", {}, ["worker_id"]),
        ("worker_output", {"worker_id": NOBODY}, [NOBODY, "list_workers"]),
        ("worker_output", {"worker_id": NOBODY, "timeout": 700000}, ["timeout", "700000", "600000"]),
        ("worker_output", {"worker_id": "../../etc/passwd"}, ["worker_id", "../../etc/passwd"]),
        ("send_message", {"worker_id": NOBODY}, ["text"]),
        ("send_message", {"worker_id": NOBODY, "text": "x"}, [NOBODY, "list_workers"]),
        ("send_message", {"worker_id": NOBODY, "text": "x", "mode": "shout"}, ["mode", "shout", "steer"]),
        ("cancel_worker", {}, ["worker_id"]),
        ("cancel_worker", {"worker_id": NOBODY}, [NOBODY, "list_workers"]),
        ("spawn_worker", {**WORKER, "after": [NOBODY]}, ["after", NOBODY]),
        ("spawn_worker", {**WORKER, "after": []}, ["after"]),
        ("spawn_worker", {**WORKER, "after_policy": "never"}, ["after_policy", "never", "always"]),
        ("spawn_worker", {**WORKER, "options": {"permissions": {"allow": ["Bash("]}}}, ["permissions", "Bash("]),
        ("spawn_worker", {**WORKER, "options": {"ask": "nobody"}}, ["ask", "nobody", "human"]),
        ("resume_worker", {"prompt": "x"}, ["worker_id"]),
        ("resume_worker", {"worker_id": "x"}, ["prompt"]),
        ("resume_worker", {"worker_id": 7, "prompt": "x"}, ["worker_id", "7"]),
        ("resume_worker", {"worker": "x", "prompt": "x"}, ["worker_id"]),
        ("resume_worker", {"worker_id": "x", "prompt": "x", "options": {"modell": "x"}}, ["modell", "model"]),
        ("approve_permission", {"allow": True}, ["request_id"]),
        ("approve_permission", {"request_id": "x"}, ["allow"]),
        ("approve_permission", {"request_id": "x", "allow": "yes"}, ["allow", "yes", "true"]),
        ("approve_permission", {"request_id": "x", "allow": True, "updated_input": "rm"}, ["updated_input", "rm", "object"]),
        ("approve_permission", {"request_id": "x", "allow": True, "reson": "y"}, ["reson", "reason"]),
        ("approve_permission", {"request_id": "nobody asked", "allow": True}, ["nobody asked"]),
        ("approve_permission", {"request_id": [], "allow": True}, ["request_id"]),
        ("approve_permission", {"request_id": ["a", "nobody"], "allow": True}, ["\"a\"", "Nothing was answered"]),
        ("approve_permission", {"request_id": "x", "allow": True, "scope": "ever"}, ["scope", "ever", "once"]),
    ],
)
@async_test
async def test_bad_arguments_are_answered_with_field_value_and_what_is_allowed(arena, tool, arguments, words):
    async with arena.session() as server:
        text = await server.call_error(tool, arguments)
        for word in words:
            assert word in text
        assert "No active workers" in await server.call_error("wait"), "nothing was started"
        assert not list(arena.logs.glob("worker-*")) if arena.logs.exists() else True


@async_test
async def test_an_unknown_agent_type_is_a_role_and_a_known_one_an_agent(arena):
    async with arena.session() as server:
        role = "You are a pirate who reviews code."
        await server.call("spawn_worker", {**WORKER, "prompt": "MOCK echo-options", "agent_type": role})
        done = (await server.call("wait"))["completed"][0]
        assert role in transcript(done)["result"]
        await server.call("spawn_worker", {**WORKER, "prompt": "MOCK echo-options", "agent_type": "Explore"})
        done = (await server.call("wait"))["completed"][0]
        record = transcript(done)
        assert record["agent_type"] == "Explore" and "--agent" in record["result"]


@async_test
async def test_an_unknown_tool_is_a_protocol_error_that_names_it(arena):
    async with arena.session() as server:
        with pytest.raises(ProtocolError) as raised:
            await server.call("spawn_workers", WORKER)
        assert raised.value.code == -32602 and "spawn_workers" in raised.value.message


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
@async_test
async def test_every_version_of_the_initialize_era_is_spoken(arena, version):
    async with arena.server() as server:
        assert (await server.initialize(version))["protocolVersion"] == version
        assert len(await server.list_tools()) == len(TOOLS)
        assert await server.close() == 0


@async_test
async def test_lines_that_are_no_requests_are_answered_by_the_book_and_harm_nothing(arena):
    async with arena.session() as server:
        for line in (b"not json\n", b"[]\n", b"{}\n", b'"x"\n', b"\xff\xfe\n", b"\n"):
            server.send_raw(line)
        assert await server.request("ping") == {}
        with pytest.raises(ProtocolError) as raised:
            await server.request("no/such/method")
        assert raised.value.code == -32601
        server.stray.clear()  # the errors to lines without an id
