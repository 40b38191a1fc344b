// @modelcontextprotocol/client 2.x in its three ways to open: "legacy" (`initialize`), "modern" (2026-07-28 and nothing
// else) and "auto" (asks a short-lived sibling of the server with `server/discover`, and takes what it speaks).
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const anything = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
const modes = { legacy: "legacy", modern: { pin: "2026-07-28" }, auto: "auto" };

/** Starts the server and connects. `person(params)` answers elicitation, which in the modern era comes as the
    `input_required` of a call and is answered by the client's own retry; without it the client declares none. */
export async function connect(server, { person, mode, ...options } = {}) {
  const client = new Client(
    { name: `sdk-2-${mode}`, version: "1" },
    { capabilities: person ? { elicitation: {} } : {}, versionNegotiation: { mode: modes[mode] ?? mode }, ...options },
  );
  if (person) client.setRequestHandler("elicitation/create", (request) => person(request.params));
  await client.connect(new StdioClientTransport(server));
  return {
    client,
    era: client.getProtocolEra(),
    version: client.getNegotiatedProtocolVersion(),
    call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options),
    request: (method, params) => client.request({ method, params }, anything),
    on: (method, handler) => client.setNotificationHandler(method, ({ params }) => handler(params)),
    close: () => client.close(),
  };
}
