// @modelcontextprotocol/sdk 1.x: the client of the legacy era, which opens with `initialize`.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import {
  ElicitRequestSchema,
  EmptyResultSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

const notifications = {
  "notifications/message": LoggingMessageNotificationSchema,
  "notifications/resources/updated": ResourceUpdatedNotificationSchema,
};

/** Starts the server and connects. `person(params)` answers elicitation; without it the client declares none. */
export async function connect(server, { person } = {}) {
  const client = new Client({ name: "sdk-1", version: "1" }, { capabilities: person ? { elicitation: {} } : {} });
  if (person) client.setRequestHandler(ElicitRequestSchema, (request) => person(request.params));
  const transport = new StdioClientTransport(server);
  let version;
  transport.setProtocolVersion = (negotiated) => (version = negotiated);
  await client.connect(transport);
  return {
    client,
    era: "legacy",
    version,
    call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, undefined, options),
    request: (method, params) => client.request({ method, params }, EmptyResultSchema),
    on: (method, handler) => client.setNotificationHandler(notifications[method], ({ params }) => handler(params)),
    close: () => client.close(),
  };
}
