// Calls the sample service with types made from its document. Prints what it got, as JSON.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };
declare const console: { log(text: string): void };

const client = createClient<paths>({ baseUrl: process.argv[2]! });

const sum = await client.POST("/add", { body: { a: 1.5, b: 2 } });
const greeting = await client.GET("/greet", { params: { query: { name: "Ada" } } });
const words = await client.POST("/text.count_words", { body: { text: "so far so good" } });
const countdown = await client.POST("/countdown", { body: { start: 1 }, parseAs: "text" });
const failure = await client.POST("/add", { body: { a: 1, b: 2 }, bodySerializer: () => "[1" });
const error: components["schemas"]["Error"] | components["schemas"]["Problem"] | undefined =
  failure.error;

const headers = { Authorization: "Bearer forged" };
const stranger = await client.GET("/greet", { params: { query: { name: "Ada" } }, headers });

console.log(
  JSON.stringify({
    sum: sum.data,
    greeting: greeting.data,
    words: words.data,
    countdown: countdown.data,
    failure: [failure.response.status, error?.code],
    stranger: [stranger.response.status, stranger.error?.code],
  }),
);
