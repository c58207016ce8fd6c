// Calls the sample functions and prints what came of it. Arguments: the server's URL, a service id,
// a transport.
const [url, id, transport] = process.argv.slice(2);
const server = await hyphaWebsocketClient.connectToServer({ server_url: url, transport });
const workspace = id.split("/")[0];
const listed = await server.listServices({ workspace });
const sample = await server.getService(id);

async function items(generator) {
  const seen = [];
  for await (const item of generator) seen.push(item);
  return seen;
}

async function messageOf(promise) {
  try {
    await promise;
    return "no error";
  } catch (error) {
    return String(error.message ?? error);
  }
}

const seen = [];
const tell = (i) => {
  seen.push(i);
  return i * 10;
};

const endless = await sample.endless();
const first = (await endless.next()).value;
await endless.return();

const partly = [];
const falters = messageOf(
  (async () => {
    for await (const item of await sample.falter()) partly.push(item);
  })(),
);

const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
const bytesBack = await sample.echo(bytes);
const long = new Uint8Array(1_500_000).fill(7);
const longBack = await sample.echo(long);
const fromGateway = await server.echo(long);

console.log(
  JSON.stringify({
    listed: listed.map((service) => service.id),
    id: sample.id,
    version: sample.version,
    sum: await sample.add(1, 2),
    product: await sample.maths.multiply(3, 4),
    object: await sample.echo({ deep: [1, null, { text: "é" }], flag: true, pi: 3.5 }),
    error: await messageOf(sample.fail("no such colour")),
    unknown: await messageOf(server.getService(`${workspace}/no-such-service`)),
    visited: [await sample.visit(3, tell), seen],
    count: await items(await sample.count(4)),
    words: await items(await sample.words("to be made")),
    falter: await falters,
    partly,
    endless: [first, await sample.closed()],
    typed: [
      await sample.total(new Float32Array([1.5, 2.5])),
      await sample.total(new Int16Array([-3, 1])),
      await sample.total(new Float64Array(200_000).fill(0.5)),
    ],
    bytes: [bytesBack.constructor.name, Buffer.compare(bytesBack, bytes)],
    long: [longBack.length, Buffer.compare(longBack, long)],
    gateway: [fromGateway.length, Buffer.compare(fromGateway, long)],
    who: await sample.who(),
    me: {
      ws: server.config.workspace,
      from: `${server.config.workspace}/${server.config.client_id}`,
      user: server.config.user.id,
    },
  }),
);
await server.disconnect();
process.exit(0);
