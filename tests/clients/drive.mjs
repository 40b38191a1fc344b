// Runs one scenario with one client: node drive.mjs <sdk_1|sdk_2> <mode> <file>:<scenario>, with the facts of its world as
// JSON on stdin. An exit code of 0 means that all of its assertions held.
import { readFileSync } from "node:fs";

import { World } from "./world.mjs";

const [library, mode, where] = process.argv.slice(2);
const [file, name] = where.split(":");
const { connect } = await import(`./${library}.mjs`);
const scenarios = await import(`./${file}.mjs`);
const facts = JSON.parse(readFileSync(0, "utf8"));
const sessions = [];
const world = new World(facts, async (server, options) => {
  const session = await connect(server, { mode, ...options });
  sessions.push(session);
  return session;
});
try {
  await scenarios[name](world);
} finally {
  // The server ends with its client; one that is left open would keep this process alive.
  await Promise.all(sessions.map((session) => session.close()));
}
