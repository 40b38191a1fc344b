// What only the era of `initialize` has.
import assert from "node:assert/strict";

import { event, spawn, wait } from "./world.mjs";

export async function a_ping_is_answered(world) {
  const session = await world.connect();
  await session.client.ping();
}

export async function a_subscriber_hears_that_the_status_changed(world) {
  const session = await world.connect();
  const updated = event();
  session.on("notifications/resources/updated", updated.set);
  await session.client.subscribeResource({ uri: "worker://status" });
  await spawn(session, "MOCK say news");
  assert.equal((await updated.happened).uri, "worker://status");
  await session.client.unsubscribeResource({ uri: "worker://status" });
  await wait(session);
}

export async function the_log_level_can_be_set(world) {
  const session = await world.connect();
  await session.client.setLoggingLevel("debug");
  await assert.rejects(session.request("logging/setLevel", { level: "loud" }), { code: -32602 });
}
