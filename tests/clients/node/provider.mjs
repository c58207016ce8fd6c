// Offers the sample functions until its input ends. Arguments: the server's URL, a transport.
const [url, transport] = process.argv.slice(2);
const server = await hyphaWebsocketClient.connectToServer({ server_url: url, transport });

let closed = false;

const service = await server.registerService({
  id: "sample",
  name: "Sample from Node.js",
  config: { visibility: "public", require_context: ["who"] },
  version: 7,
  add: (a, b) => a + b,
  maths: { multiply: (a, b) => a * b },
  echo: (value) => value,
  total: (array) => array.reduce((sum, item) => sum + item, 0),
  fail: (message) => {
    throw new RangeError(message);
  },
  visit: async (count, tell) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += await tell(i);
    return sum;
  },
  count: function* (n) {
    for (let i = 0; i < n; i++) yield i;
  },
  words: async function* (text) {
    yield* text.split(" ");
  },
  falter: async function* () {
    yield 1;
    throw new RangeError("out of numbers");
  },
  endless: async function* () {
    try {
      while (true) yield 1;
    } finally {
      closed = true;
    }
  },
  closed: () => closed,
  who: (context) => ({ ws: context.ws, from: context.from, user: context.user.id }),
});

console.log(JSON.stringify({ id: service.id, workspace: server.config.workspace }));
process.stdin.resume().on("end", async () => {
  await server.unregisterService("sample");
  await server.disconnect();
  process.exit(0);
});
