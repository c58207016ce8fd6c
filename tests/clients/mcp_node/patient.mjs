// Calls a tool that ends only when it has kept its caller waiting for longer than the time limit of a
// request, once with a limit that progress extends and once without. Arguments: URL, the limit in ms,
// and after how many notifications of progress the tool may end. Prints what became of both calls.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, timeout, enough] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const client = new Client({ name: "test", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));

const wait = (options) => client.callTool({ name: "wait" }, undefined, { timeout, ...options });
const begun = performance.now();
let heard = 0;
let ended;
const [patient, impatient] = await Promise.all([
  wait({
    resetTimeoutOnProgress: true,
    onprogress: () => {
      heard += 1;
      if (heard === enough) ended = client.callTool({ name: "end" });
    },
  }),
  wait({ onprogress: () => {} }).catch(({ code }) => ({ code })),
]);
const ms = Math.round(performance.now() - begun);
// Closing before its answer is here would refuse that call, which would end the program with an error.
await ended;
await client.close();
console.log(JSON.stringify({ patient: patient.content[0].text, impatient: impatient.code, ms }));
