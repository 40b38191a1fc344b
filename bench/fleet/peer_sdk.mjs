// The same workers from the TypeScript Agent SDK:
//     peer_sdk.mjs WORKERS AT_ONCE PROMPT WORKER_PROGRAM
// Prints its figures as JSON: CPU is this process's own, user and system, from the first worker to the last.
import { query } from "@anthropic-ai/claude-agent-sdk";

const [workers, atOnce, prompt, program] = [Number(process.argv[2]), Number(process.argv[3]), ...process.argv.slice(4)];

async function runWorker() {
  let bytes = 0;
  let completed = false;
  const options = {
    pathToClaudeCodeExecutable: program,
    permissionMode: "default",
    settingSources: [],
    env: { PATH: process.env.PATH, HOME: process.env.HOME },
  };
  for await (const message of query({ prompt, options })) {
    if (message.type === "assistant") bytes += message.message.content[0].text.length;
    if (message.type === "result") completed = !message.is_error;
  }
  return { completed, bytes };
}

let started = 0;
let delivered = 0;
let bytes = 0;
async function place() {
  while (started < workers) {
    started += 1;
    const done = await runWorker();
    delivered += done.completed ? 1 : 0;
    bytes += done.bytes;
  }
}

const cpu = process.cpuUsage();
const begin = performance.now();
await Promise.all(Array.from({ length: Math.min(atOnce, workers) }, place));
const used = process.cpuUsage(cpu);
console.log(
  JSON.stringify({
    workers,
    delivered,
    bytes,
    cpu_s: (used.user + used.system) / 1e6,
    wall_s: (performance.now() - begin) / 1e3,
  }),
);
process.exit(0);
