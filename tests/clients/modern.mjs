// What only 2026-07-28 has: no handshake, facts in every request, input asked by results, streams of changes, tasks.
import assert from "node:assert/strict";

import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client";

import { event, idsOf, spawn, succeeded, wait } from "./world.mjs";

const version = "2026-07-28";
const meta = (name) => `io.modelcontextprotocol/${name}`;
const facts = { [meta("protocolVersion")]: version, [meta("clientCapabilities")]: {} };

export async function discover_tells_everything_at_once(world) {
  const { client } = await world.connect();
  const found = await client.discover();
  assert.deepEqual(found.supportedVersions, [version], "those that a request can name in its _meta");
  assert.ok(found.capabilities.tools && found.capabilities.resources && found.capabilities.prompts);
  assert.match(found.instructions, /spawn_worker/);
}

export async function a_client_that_takes_any_era_gets_the_newest(world) {
  const session = await world.connect({ mode: "auto" });
  assert.equal(session.version, version);
  assert.equal(succeeded(await session.call("list_workers")).workers.length, 0);
}

export async function a_version_that_there_is_not_is_refused_by_name(world) {
  await assert.rejects(world.connect({ mode: { pin: "2031-01-01" } }));
  const session = await world.connect();
  const params = { _meta: { ...facts, [meta("protocolVersion")]: "2031-01-01" } };
  const { error } = await session.raw("tools/list", params);
  assert.equal(error.code, -32022);
  assert.equal(error.data.requested, "2031-01-01");
  assert.ok(error.data.supported.includes(version));
}

export async function every_result_says_what_it_is_and_from_whom(world) {
  const session = await world.connect();
  const requests = [
    ["server/discover", {}],
    ["tools/list", {}],
    ["resources/list", {}],
    ["resources/templates/list", {}],
    ["prompts/list", {}],
    ["tools/call", { name: "list_workers", arguments: {} }],
  ];
  for (const [method, params] of requests) {
    const { result } = await session.raw(method, { ...params, _meta: facts });
    assert.equal(result.resultType, "complete", method);
    assert.equal(result._meta[meta("serverInfo")].name, "async-worker-manager", method);
    if (method === "tools/call") continue;
    assert.ok(Number.isInteger(result.ttlMs) && result.ttlMs >= 0, method);
    assert.ok(["public", "private"].includes(result.cacheScope), method);
  }
}

export async function facts_that_lack_are_named(world) {
  const session = await world.connect();
  const _meta = { [meta("protocolVersion")]: version }; // which alone makes the request one of this era
  const { error } = await session.raw("tools/list", { _meta });
  assert.equal(error.code, -32602);
  assert.match(error.message, /clientCapabilities/);
}

export async function what_the_version_removed_is_not_there(world) {
  const session = await world.connect();
  for (const method of ["ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]) {
    const params = { _meta: facts, uri: "worker://status", level: "debug" };
    const { error } = await session.raw(method, params);
    assert.equal(error?.code, -32601, method);
  }
}

export async function a_question_is_an_input_that_the_call_requires(world) {
  const person = () => assert.fail("the client was told not to answer by itself");
  const session = await world.connect({ inputRequired: { autoFulfill: false }, person });
  await spawn(session, 'MOCK permission Bash {"command":"echo hello"}');
  const ask = { name: "wait", arguments: {} };
  const asked = await session.client.callTool(ask, { allowInputRequired: true });
  assert.equal(asked.resultType, "input_required");
  const [key] = Object.keys(asked.inputRequests);
  assert.equal(asked.inputRequests[key].method, "elicitation/create");
  const _meta = { ...facts, [meta("clientCapabilities")]: { elicitation: {} } };
  const answer = { [key]: { action: "accept", content: { decision: "Allow once" } } };

  const forged = { ...ask, _meta, inputResponses: answer, requestState: `${asked.requestState}x` };
  assert.ok((await session.raw("tools/call", forged)).error, "a state that the server did not give is refused");

  const answered = { ...forged, requestState: asked.requestState };
  const { result } = await session.raw("tools/call", answered);
  assert.equal(result.structuredContent.completed[0].result_preview, "tool said: hello");
}

export async function a_listener_hears_what_it_asked_for(world) {
  const session = await world.connect();
  const updated = event();
  session.on("notifications/resources/updated", updated.set);
  const subscription = await session.client.listen({ resourceSubscriptions: ["worker://status"] });
  assert.deepEqual(subscription.honoredFilter.resourceSubscriptions, ["worker://status"]);
  await spawn(session, "MOCK say news");
  assert.equal((await updated.happened).uri, "worker://status");
  await subscription.close();
  assert.equal(await subscription.closed, "local");
  await wait(session);
}

/** The official Tasks client on top of this one, which by itself does not take a task for a result. */
function tasks(session, options = {}) {
  const clientCapabilities = options.onInputRequest ? { elicitation: {} } : {};
  return createTaskSessionFromClient(session.client, {
    endpointId: "the-server-under-test",
    v2RequestFraming: { protocolVersion: version, clientInfo: { name: "ext-tasks", version: "1" }, clientCapabilities },
    rawDispatch: async ({ method, params }) => {
      const { result, error } = await session.raw(method, params);
      return error ? { kind: "error", error } : { kind: "result", result };
    },
    onError: (error) => assert.fail(error),
    ...options,
  });
}

export async function a_wait_is_a_task_that_says_how_far_it_is(world) {
  const session = await world.connect();
  const gate = world.gate();
  const worker = await spawn(session, `${gate.directive}\nMOCK say at last`);
  const waiting = await tasks(session).callTool("wait", {});
  assert.equal(waiting.kind, "task");
  const seen = [];
  const { outcome } = await waiting.settle({
    onEvent: (event) => {
      if (event.type !== "task") return;
      seen.push(event.task);
      if (event.task.status === "working" && !gate.isOpen()) gate.open();
    },
  });
  const result = resultFromTaskOutcome(outcome);
  assert.deepEqual(idsOf(result.structuredContent.completed), [worker]);
  assert.equal(seen[0].status, "working");
  assert.ok(seen[0].statusMessage.length > 0 && seen[0].suggestedPollIntervalMs > 0, JSON.stringify(seen[0]));
}

export async function a_permission_is_asked_in_mid_task(world) {
  const session = await world.connect({ person: () => assert.fail("it is the task that asks") });
  await spawn(session, 'MOCK permission Bash {"command":"echo hello"}', "the curious one");
  const asked = [];
  const onInputRequest = (request) => {
    asked.push(request);
    return { action: "accept", content: { decision: "Allow once" } };
  };
  const { outcome } = await (await tasks(session, { onInputRequest }).callTool("wait", {})).settle();
  const result = resultFromTaskOutcome(outcome);
  assert.equal(result.structuredContent.completed[0].result_preview, "tool said: hello");
  assert.equal(asked.length, 1);
  assert.equal(asked[0].kind, "elicitation");
  assert.match(asked[0].params.message, /the curious one/);
}

export async function cancelling_the_task_stops_the_waiting_and_not_the_worker(world) {
  const session = await world.connect();
  const gate = world.gate();
  const worker = await spawn(session, `${gate.directive}\nMOCK say unharmed`);
  const waiting = await tasks(session).callTool("wait", {});
  await waiting.cancel();
  assert.equal((await waiting.settle()).outcome.status, "cancelled");
  const _meta = { ...facts, [meta("clientCapabilities")]: { extensions: { [meta("tasks")]: {} } } };
  const again = await session.raw("tasks/cancel", { taskId: waiting.handle.taskId, _meta });
  assert.equal(again.error, undefined, "a second cancel is no error");
  gate.open();
  const done = await wait(session);
  assert.deepEqual(idsOf(done.completed), [worker]);
  assert.equal(done.completed[0].result_preview, "unharmed");
}

export async function who_does_not_declare_tasks_gets_results(world) {
  const session = await world.connect();
  const worker = await spawn(session, "MOCK say plainly");
  const params = { name: "wait", arguments: {}, _meta: facts };
  const { result } = await session.raw("tools/call", params);
  assert.equal(result.resultType, "complete");
  assert.deepEqual(idsOf(result.structuredContent.completed), [worker]);
}
