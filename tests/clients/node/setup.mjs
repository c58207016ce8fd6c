// What a web page with the client has, and an older Node.js has not: load with `node --import`.
import { hyphaWebsocketClient } from "hypha-rpc";
import { WebSocket } from "ws";

globalThis.WebSocket ??= WebSocket;
globalThis.hyphaWebsocketClient = hyphaWebsocketClient;
