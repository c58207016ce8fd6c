// Uses an MCP endpoint with the TypeScript SDK, and prints what it got. Argument: URL.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const client = new Client({ name: "test", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
const { tools } = await client.listTools();
const greeted = await client.callTool({ name: "greet", arguments: { name: "Ada" } });
const refused = await client.callTool({ name: "greet", arguments: {} });
const progress = [];
const counted = await client.callTool({ name: "count", arguments: { n: 2 } }, undefined, {
  onprogress: ({ message }) => progress.push(message),
});
await client.close();
console.log(
  JSON.stringify({
    tools: tools.map(({ name }) => name),
    greeted: greeted.content[0].text,
    refused: refused.isError === true,
    counted: counted.content[0].text,
    progress: progress.join("\n"),
  }),
);
