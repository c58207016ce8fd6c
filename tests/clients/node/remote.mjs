// Gets a service by its URL alone and prints what it adds up. Arguments: the server's URL, the
// service's URL. This version of the client needs the server's URL as well.
const [server_url, serviceUrl] = process.argv.slice(2);
const service = await hyphaWebsocketClient.getRemoteService(serviceUrl, { server_url });
console.log(JSON.stringify({ id: service.id, sum: await service.add(1, 2) }));
process.exit(0);
