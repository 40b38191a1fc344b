// @modelcontextprotocol/client 2.x in its three ways to open: "legacy" (`initialize`), "modern" (2026-07-28 and nothing
// else) and "auto" (asks a short-lived sibling of the server with `server/discover`, and takes what it speaks).
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const anything = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
const modes = { legacy: "legacy", modern: { pin: "2026-07-28" }, auto: "auto" };

/** Requests past the client's own checks and decorations: (method, params) => the response message. */
function raw_requests(transport) {
  const asked = new Map();
  const others = transport.onmessage;
  transport.onmessage = (message, extra) => {
    const answered = "method" in message ? undefined : asked.get(message.id);
    if (answered) answered(message);
    else others(message, extra);
  };
  return (method, params) =>
    new Promise((resolve, reject) => {
      const id = `raw-${asked.size}`;
      asked.set(id, resolve);
      transport.send({ jsonrpc: "2.0", id, method, params }).catch(reject);
    });
}

/** Starts the server and connects. `person(params)` answers elicitation, which in the modern era comes as the
    `input_required` of a call and is answered by the client's own retry; without it the client declares none. */
export async function connect(server, { person, mode, ...options } = {}) {
  const client = new Client(
    { name: `sdk-2-${mode}`, version: "1" },
    { capabilities: person ? { elicitation: {} } : {}, versionNegotiation: { mode: modes[mode] ?? mode }, ...options },
  );
  if (person) client.setRequestHandler("elicitation/create", (request) => person(request.params));
  const transport = new StdioClientTransport(server);
  await client.connect(transport);
  return {
    client,
    era: client.getProtocolEra(),
    version: client.getNegotiatedProtocolVersion(),
    call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options),
    request: (method, params) => client.request({ method, params }, anything),
    raw: raw_requests(transport),
    on: (method, handler) => client.setNotificationHandler(method, ({ params }) => handler(params)),
    close: () => client.close(),
  };
}
