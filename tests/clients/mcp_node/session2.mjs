// Uses an MCP endpoint with the second generation of the TypeScript SDK, and prints what it got.
// Arguments: URL, how the version is agreed on (auto, legacy, or a version to insist on).
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, word] = process.argv.slice(2);
const mode = ["auto", "legacy"].includes(word) ? word : { pin: word };
const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const { tools } = await client.listTools();
const greeted = await client.callTool({ name: "greet", arguments: { name: "Ada" } });
const refused = await client.callTool({ name: "greet", arguments: {} });
const progress = [];
const counted = await client.callTool(
  { name: "count", arguments: { n: 2 } },
  { onprogress: ({ message }) => progress.push(message) },
);
const version = client.getNegotiatedProtocolVersion();
await client.close();
console.log(
  JSON.stringify({
    version,
    tools: tools.map(({ name }) => name),
    greeted: greeted.content[0].text,
    refused: refused.isError === true,
    counted: counted.content[0].text,
    progress: progress.join("\n"),
  }),
);
