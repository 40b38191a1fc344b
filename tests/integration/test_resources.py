"""Workers as resources, with completion of their ids and news of changes; prompts."""

import json

import pytest
from harness import Arena, async_test, finish, spawn
from mcp_client import ProtocolError


async def read(server, uri: str) -> str:
    (contents,) = (await server.request("resources/read", {"uri": uri}))["contents"]
    assert contents["uri"] == uri
    return contents["text"]


async def complete(server, ref: dict, name: str, value: str) -> list[str]:
    asked = {"ref": ref, "argument": {"name": name, "value": value}}
    return (await server.request("completion/complete", asked))["completion"]["values"]


@async_test
async def test_a_worker_can_be_read(arena: Arena):
    async with arena.session() as server:
        done = await finish(server, "MOCK say the result")
        base = f"worker://{done['worker_id']}"
        assert await read(server, f"{base}/result") == "the result"
        assert json.loads(await read(server, f"{base}/transcript"))["result"] == "the result"
        (agent,) = json.loads(await read(server, "worker://status"))["agents"]
        assert (agent["id"], agent["status"]) == (done["worker_id"], "completed")
        listed = {one["uri"] for one in (await server.request("resources/list"))["resources"]}
        assert listed == {"worker://status", f"{base}/result", f"{base}/transcript"}


@async_test
async def test_a_worker_of_an_earlier_server_can_be_read(arena: Arena):
    async with arena.session() as server:
        done = await finish(server, "MOCK say the result")
    async with arena.session() as server:
        assert await read(server, f"worker://{done['worker_id']}/result") == "the result"
        assert json.loads(await read(server, f"worker://{done['worker_id']}/transcript"))["result"] == "the result"


@async_test
async def test_a_worker_at_work_has_no_result_yet(arena: Arena):
    gate = arena.gate()
    async with arena.session() as server:
        spawned = await spawn(server, f"{gate}\nMOCK say later")
        assert "at work" in await read(server, f"worker://{spawned['worker_id']}/result")
        gate.open()
        await server.call("wait")


@pytest.mark.parametrize("uri", ["worker://nobody/result", "worker://../../etc/passwd/transcript", "worker://", "file:///etc"])
@async_test
async def test_what_is_no_worker_is_not_found(arena: Arena, uri):
    async with arena.session() as server:
        with pytest.raises(ProtocolError) as refused:
            await read(server, uri)
        assert refused.value.code == -32002
    async with arena.session(stateless={}) as server:
        with pytest.raises(ProtocolError) as refused:
            await read(server, uri)
        assert refused.value.code == -32602


@async_test
async def test_ids_are_completed(arena: Arena):
    async with arena.session() as server:
        done = await finish(server, "MOCK say x")
        ref = {"type": "ref/resource", "uri": "worker://{id}/result"}
        assert await complete(server, ref, "id", done["worker_id"][:4]) == [done["worker_id"]]
        assert await complete(server, ref, "id", "nobody") == []


@async_test
async def test_who_subscribed_hears_of_changes(arena: Arena):
    gate = arena.gate()
    async with arena.session() as server:
        spawned = await spawn(server, f"{gate}\nMOCK say x")
        uri = f"worker://{spawned['worker_id']}/result"
        await server.request("resources/subscribe", {"uri": uri})
        gate.open()
        await server.notified("notifications/resources/updated", lambda params: params["uri"] == uri)
        await server.notified("notifications/resources/list_changed")
        await server.call("wait")


@async_test
async def test_who_listens_hears_of_changes(arena: Arena):
    gate = arena.gate()
    async with arena.session(stateless={}) as server:
        await spawn(server, f"{gate}\nMOCK say x")
        wanted = {"resourceSubscriptions": ["worker://status", "file:///etc"]}
        server.start_request("subscriptions/listen", {"notifications": wanted})
        heard = await server.notified("notifications/subscriptions/acknowledged")
        assert heard["notifications"] == {"resourceSubscriptions": ["worker://status"]}
        gate.open()
        await server.notified("notifications/resources/updated", lambda params: params["uri"] == "worker://status")
        await server.call("wait")


@async_test
async def test_prompts_tell_how_to_work_with_workers(arena: Arena):
    async with arena.session() as server:
        prompts = {one["name"]: one for one in (await server.request("prompts/list"))["prompts"]}
        assert set(prompts) == {"parallel", "sweep", "review", "pipeline"}
        asked = {"name": "sweep", "arguments": {"task": "Name the colour", "temperatures": "0.1,0.9"}}
        (message,) = (await server.request("prompts/get", asked))["messages"]
        assert "Name the colour" in message["content"]["text"] and "0.1,0.9" in message["content"]["text"]
        for name in prompts:
            (message,) = (await server.request("prompts/get", {"name": name}))["messages"]
            assert "spawn_worker" in message["content"]["text"] and "wait once" in message["content"]["text"]
        ref = {"type": "ref/prompt", "name": "sweep"}
        assert "0.2,0.6,1.0" in await complete(server, ref, "temperatures", "0.2")
