// Logs in to an MCP endpoint with the TypeScript SDK, and uses it. Argument: URL.
// Prints each address that its user is to open, and reads where they were sent back to.
import { createInterface } from "node:readline";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const redirect = "http://127.0.0.1:33418/callback";
const kept = {};
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const authProvider = {
  redirectUrl: redirect,
  clientMetadata: {
    redirect_uris: [redirect],
    client_name: "Probe",
    token_endpoint_auth_method: "none",
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => (kept.verifier = verifier),
  redirectToAuthorization: (url) => console.log(JSON.stringify({ open: url.href })),
};

const url = new URL(process.argv[2]);
const transportOf = () => new StreamableHTTPClientTransport(url, { authProvider });

async function loggedIn(transport, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const back = new URL((await lines.next()).value);
    await transport.finishAuth(back.searchParams.get("code"));
    return undefined;
  }
}

let client = new Client({ name: "test", version: "1" });
let transport = transportOf();
await loggedIn(transport, () => client.connect(transport));
client = new Client({ name: "test", version: "1" });
transport = transportOf();
await client.connect(transport);
const scopes = [kept.tokens.scope];
const refreshedFrom = kept.tokens.access_token;
kept.tokens = { ...kept.tokens, access_token: "expired" };
const status = await client.callTool({ name: "check_status", arguments: {} });
const refreshed = ![refreshedFrom, "expired"].includes(kept.tokens.access_token);
// This SDK would refresh its token, which gives it no more rights, instead of asking for them.
delete kept.tokens.refresh_token;
const call = () =>
  client.callTool({ name: "set_env", arguments: { key: "COLOUR", value: "green" } });
const stored = (await loggedIn(transport, call)) ?? (await call());
scopes.push(kept.tokens.scope);
const again = await client.callTool({ name: "get_env", arguments: { key: "COLOUR" } });
await client.close();
console.log(
  JSON.stringify({
    scopes,
    failed: [status, stored, again].map(({ isError }) => isError === true),
    read: again.content[0].text,
    refreshed,
  }),
);
process.exit(0);
