// The echo server on the TypeScript SDK, 2.x line, which speaks both eras.
import { McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import * as z from "zod";

serveStdio(() => {
  const server = new McpServer({ name: "echo", version: "1" });
  const echo = { description: "Answers with its text.", inputSchema: z.object({ text: z.string() }) };
  server.registerTool("echo", echo, ({ text }) => ({ content: [{ type: "text", text }] }));
  return server;
});
