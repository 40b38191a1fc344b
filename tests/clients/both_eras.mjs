// What every client has to be able to do with the server, whichever way it opened the conversation.
import assert from "node:assert/strict";

import { event, idsOf, spawn, succeeded, textOf, wait } from "./world.mjs";

const versions = { legacy: "2025-11-25", modern: "2026-07-28" };
const tools = ["approve_permission", "cancel_worker", "list_workers", "resume_worker"];
tools.push("send_message", "spawn_worker", "wait", "worker_output");
const asksToEcho = (word) => `MOCK permission Bash {"command":"echo ${word}"}`;
const accept = (decision) => ({ action: "accept", content: { decision } });

export async function the_server_introduces_itself(world) {
  const session = await world.connect();
  assert.equal(session.version, versions[session.era]);
  assert.equal(session.client.getServerVersion().name, "async-worker-manager");
  assert.ok(session.client.getServerCapabilities().tools);
  assert.match(session.client.getInstructions(), /spawn_worker/);
}

export async function tools_are_listed_with_schemas_and_hints(world) {
  const session = await world.connect();
  const listed = (await session.client.listTools()).tools;
  assert.deepEqual(listed.map((tool) => tool.name).sort(), tools);
  for (const tool of listed) {
    assert.equal(tool.inputSchema.type, "object", tool.name);
    assert.ok(tool.description.length > 0 && tool.description.length <= 2048, tool.name);
  }
  const wait = listed.find((tool) => tool.name === "wait");
  assert.equal(wait.annotations.readOnlyHint, true);
}

export async function workers_run_side_by_side_and_a_wait_tells_how_far_they_are(world) {
  const session = await world.connect();
  await session.client.listTools(); // from here on the client checks results against the tools' output schemas
  const gate = world.gate();
  const workers = [];
  for (const word of ["one", "two", "three"]) workers.push(await spawn(session, `${gate.directive}\nMOCK say ${word}`));
  const told = [];
  const onprogress = (progress) => {
    told.push(progress);
    if (!gate.isOpen()) gate.open();
  };
  const done = await wait(session, {}, { onprogress });
  assert.deepEqual(idsOf(done.completed), workers.sort());
  assert.deepEqual(done.completed.map((entry) => entry.result_preview).sort(), ["one", "three", "two"]);
  assert.ok(told[0].message.length > 0);
  told.reduce((last, next) => (assert.ok(next.progress > last.progress, JSON.stringify(told)), next));
}

export async function a_wait_that_was_aborted_loses_nothing(world) {
  const session = await world.connect();
  const gate = world.gate();
  const worker = await spawn(session, `${gate.directive}\nMOCK say still here`);
  const abort = new AbortController();
  const given_up = wait(session, {}, { signal: abort.signal, onprogress: () => abort.abort("changed my mind") });
  await assert.rejects(given_up, /changed my mind/);
  gate.open();
  const done = await wait(session);
  assert.deepEqual(idsOf(done.completed), [worker]);
  assert.equal(done.completed[0].result_preview, "still here");
}

export async function the_person_at_the_client_answers_what_a_worker_asks(world) {
  const asked = [];
  const person = (params) => {
    asked.push(params);
    return accept("Allow once");
  };
  const session = await world.connect({ person });
  await spawn(session, asksToEcho("hello"), "the curious one");
  const done = await wait(session);
  assert.equal(done.completed[0].result_preview, "tool said: hello");
  assert.equal(asked.length, 1);
  assert.match(asked[0].message, /the curious one[^]*Bash[^]*echo hello/);
  assert.deepEqual(asked[0].requestedSchema.required, ["decision"]);
}

export async function several_questions_are_answered_one_by_one(world) {
  const asked = [];
  const person = (params) => {
    asked.push(params.message);
    return params.message.includes("echo no") ? { action: "decline" } : accept("Allow once");
  };
  const session = await world.connect({ person });
  for (const word of ["yes", "no", "maybe"]) await spawn(session, asksToEcho(word));
  const ends = [];
  while (ends.length < 3) ends.push(...(await wait(session)).completed.map((entry) => entry.result_preview));
  assert.deepEqual(ends.sort(), ["tool said: The user declined.", "tool said: maybe", "tool said: yes"]);
  assert.equal(asked.length, 3);
}

export async function a_person_who_waves_it_away_leaves_the_question_to_the_model(world) {
  const session = await world.connect({ person: () => ({ action: "cancel" }) });
  const worker = await spawn(session, asksToEcho("hello"));
  await answer_as_the_model(session, worker);
}

export async function without_elicitation_the_model_answers_by_a_tool(world) {
  const session = await world.connect();
  const worker = await spawn(session, asksToEcho("hello"));
  await answer_as_the_model(session, worker);
}

async function answer_as_the_model(session, worker) {
  const cut_short = await wait(session);
  assert.deepEqual(idsOf(cut_short.pending_permissions), [worker]);
  const { request_id } = cut_short.pending_permissions[0];
  const answered = succeeded(await session.call("approve_permission", { request_id, allow: true }));
  assert.equal(answered.decision, "allow");
  assert.equal((await wait(session)).completed[0].result_preview, "tool said: hello");
}

export async function bad_arguments_are_explained_and_unknown_names_are_errors(world) {
  const session = await world.connect();
  const without_prompt = await session.call("spawn_worker", { description: "lacks a prompt" });
  assert.equal(without_prompt.isError, true);
  assert.match(textOf(without_prompt), /prompt/);
  const nobody = await session.call("worker_output", { worker_id: "no-such-worker" });
  assert.equal(nobody.isError, true);
  assert.match(textOf(nobody), /no-such-worker/);
  await assert.rejects(session.call("no_such_tool"), { code: -32602, message: /no_such_tool/ });
  await assert.rejects(session.request("no/such/method", {}), { code: -32601 });
  assert.deepEqual(succeeded(await session.call("list_workers")).workers, []);
}

export async function a_hundred_calls_at_once_are_all_answered(world) {
  const session = await world.connect();
  const worker = await spawn(session, "MOCK say done");
  await wait(session);
  const calls = Array.from({ length: 100 }, () => session.call("worker_output", { worker_id: worker }));
  for (const result of await Promise.all(calls)) assert.equal(succeeded(result).state, "completed");
}

export async function a_worker_is_resumed_and_told_more(world) {
  const session = await world.connect();
  const worker = await spawn(session, "MOCK say first");
  await wait(session);
  succeeded(await session.call("resume_worker", { worker_id: worker, prompt: "MOCK say second" }));
  const done = await wait(session);
  assert.deepEqual([done.completed[0].turn, done.completed[0].result_preview], [2, "second"]);
}

export async function a_client_that_leaves_takes_server_and_workers_with_it(world) {
  const session = await world.connect();
  const closed = event();
  session.client.onclose = closed.set;
  const hang = world.gate(); // never opened; the test behind this one looks for processes that are left
  await spawn(session, `${hang.directive}`);
  await session.close();
  await closed.happened;
}

export async function results_and_transcripts_are_resources(world) {
  const session = await world.connect();
  const worker = await spawn(session, "MOCK say as a resource");
  await wait(session);
  const { client } = session;
  const listed = (await client.listResources()).resources.map((resource) => resource.uri);
  assert.ok(listed.includes("worker://status"), listed.join());
  const templates = (await client.listResourceTemplates()).resourceTemplates.map((one) => one.uriTemplate);
  for (const kind of ["result", "transcript"]) {
    const template = templates.find((uri) => uri.endsWith(`/${kind}`));
    assert.ok(template, templates.join());
    const read = await client.readResource({ uri: `worker://${worker}/${kind}` });
    assert.match(read.contents[0].text, /as a resource/);
    const variable = template.match(/\{(\w+)\}/)[1];
    const ref = { type: "ref/resource", uri: template };
    const { completion } = await client.complete({ ref, argument: { name: variable, value: worker.slice(0, 4) } });
    assert.deepEqual(completion.values, [worker]);
  }
  // -32002 in the legacy era, which the 2.x client reports as the newer -32602.
  const isMissing = (error) => [-32002, -32602].includes(error.code) && /not found/.test(error.message);
  await assert.rejects(client.readResource({ uri: "worker://nobody/result" }), isMissing);
}

export async function prompts_show_the_patterns_of_use(world) {
  const session = await world.connect();
  const { prompts } = await session.client.listPrompts();
  for (const name of ["parallel", "pipeline", "review", "sweep"]) {
    const prompt = prompts.find((one) => one.name === name);
    assert.ok(prompt, `there is a prompt "${name}"`);
    const args = Object.fromEntries((prompt.arguments ?? []).map((argument) => [argument.name, "something"]));
    const got = await session.client.getPrompt({ name, arguments: args });
    assert.match(got.messages[0].content.text, /spawn_worker/);
  }
  await assert.rejects(session.client.getPrompt({ name: "no such prompt" }), { code: -32602 });
}
