// Offers a function; every line of input breaks the connection. Argument: the server's URL.
import { createInterface } from "node:readline";
import { WebSocket } from "ws";

globalThis.WebSocket = WebSocket; // the one of Node.js cannot break a connection

const server = await hyphaWebsocketClient.connectToServer({ server_url: process.argv[2] });

const service = await server.registerService({
  id: "offer",
  config: { visibility: "public" },
  answer: () => 42,
  ask_manager: (value) => server.echo(value),
  manager: () => server.config.manager_id,
  settled: () => !server.rpc._connection._reconnecting,
});

console.log(JSON.stringify({ id: service.id }));
const lines = createInterface({ input: process.stdin });
lines.on("line", () => server.rpc._connection._websocket.terminate());
lines.on("close", () => process.exit(0));
