// Offers a function that works until its caller leaves, and says how it ended. Argument: the server's URL.
const [url] = process.argv.slice(2);
const server = await hyphaWebsocketClient.connectToServer({ server_url: url });
const tell = (event) => console.log(JSON.stringify(event));

async function work(interaction) {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  interaction.left().then(stop, stop); // rejected if the caller has left before it was asked
  tell("started");
  await new Promise((resolve) => stopping.signal.addEventListener("abort", resolve));
  tell("stopped");
}

const described = hyphaWebsocketClient.schemaFunction(work, {
  name: "work",
  description: "Work until the caller leaves.",
  parameters: { type: "object", properties: { interaction: { type: "object" } } },
});
const service = await server.registerService({
  id: "worker",
  config: { visibility: "public" },
  work: described,
});
tell(service.id);
process.stdin.resume().on("end", async () => {
  await server.disconnect();
  process.exit(0);
});
