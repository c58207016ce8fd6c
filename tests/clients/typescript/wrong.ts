// What the types have to refuse; each line would be an error of its own without its comment.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const client = createClient<paths>();
export const calls = () => [
  // @ts-expect-error There is no such function.
  client.POST("/subtract", { body: { a: 1, b: 2 } }),
  // @ts-expect-error Half of the arguments are missing.
  client.POST("/add", { body: { a: 1 } }),
  // @ts-expect-error A number is no name.
  client.GET("/greet", { params: { query: { name: 1 } } }),
];
