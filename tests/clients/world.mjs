// What the scenarios stand on: the server's command, the scripts of mock workers, and events instead of time.
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A promise and its resolve: what somebody waits for, and who tells that it came. */
export function event() {
  let set;
  const happened = new Promise((resolve) => (set = resolve));
  return { happened, set };
}

/** `server`: command, args, env and cwd; `folder`: the test's own, for gates. */
export class World {
  #gates = 0;

  constructor({ server, folder }, connect) {
    this.server = { ...server, stderr: "inherit" };
    this.folder = folder;
    this.connect = (options) => connect(this.server, options);
  }

  /** A directive that holds a worker until `open()`. */
  gate() {
    const path = join(this.folder, `gate-${++this.#gates}`);
    return { directive: `MOCK wait-file ${path}`, open: () => writeFileSync(path, ""), isOpen: () => existsSync(path) };
  }
}

/** The structured result of a call that is to succeed. */
export function succeeded(result) {
  assert.ok(!result.isError, `the call failed: ${textOf(result)}`);
  assert.ok(result.structuredContent, "a result has structured content");
  return result.structuredContent;
}

export const textOf = (result) => result.content.map((block) => block.text ?? "").join("\n");

export async function spawn(session, prompt, description = "a test worker") {
  return succeeded(await session.call("spawn_worker", { description, prompt })).worker_id;
}

/** Waits for everything; returns the answers' ids in `completed`. */
export async function wait(session, args = {}, options = {}) {
  const done = succeeded(await session.call("wait", args, options));
  assert.deepEqual(done.failed, []);
  return done;
}

export const idsOf = (entries) => entries.map((entry) => entry.worker_id).sort();
