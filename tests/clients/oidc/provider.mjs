// An OpenID Connect provider where whoever gives a name has an account, on a free port. Writes its
// address, and ends when its standard input does.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const server = createServer();
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "polyport",
      client_secret: "a-secret-of-the-client",
      redirect_uris: ["http://127.0.0.1:1/oauth/callback/oidc"],
      grant_types: ["authorization_code", "client_credentials"],
    },
  ],
  claims: {
    openid: ["sub"],
    email: ["email", "email_verified"],
    profile: ["name", "roles"],
  },
  conformIdTokenClaims: false,
  cookies: { keys: ["a key for the tests"] },
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: "use",
        audience: resource,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "RS256" } },
      }),
    },
    clientCredentials: { enabled: true },
  },
  pkce: { required: () => true },
  async findAccount(_ctx, id) {
    return {
      accountId: id,
      async claims() {
        return {
          sub: id,
          email: `${id}@example.org`,
          email_verified: true,
          name: "Ada Lovelace",
          roles: ["crew", "admin"],
        };
      },
    };
  },
});
// The gateway's port is known only when it has started, with the address of this provider.
provider.Client.prototype.redirectUriAllowed = (uri) =>
  /^http:\/\/127\.0\.0\.1:\d+\/oauth\/callback\/oidc$/.test(uri);
server.on("request", provider.callback());
console.log(JSON.stringify({ issuer }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
