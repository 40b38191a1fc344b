// The echo server on the TypeScript SDK, 1.x line.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import * as z from "zod";

const server = new McpServer({ name: "echo", version: "1" });
const echo = { description: "Answers with its text.", inputSchema: { text: z.string() } };
server.registerTool("echo", echo, ({ text }) => ({ content: [{ type: "text", text }] }));
await server.connect(new StdioServerTransport());
