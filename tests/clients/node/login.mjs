// Logs in and out as a program does, and prints what came of it. Arguments: the server's URL, a
// token to report, and the workspace that it is for.
const [url, token, workspace] = process.argv.slice(2);
const seen = [];

async function report(context) {
  seen.push(context.login_url);
  const parameters = new URLSearchParams({ key: context.key, token });
  const answer = await fetch(`${context.report_url}?${parameters}`);
  if (!answer.ok) throw new Error(await answer.text());
}

async function messageOf(promise) {
  try {
    await promise;
    return "no error";
  } catch (error) {
    return String(error.message ?? error);
  }
}

const { login, logout } = hyphaWebsocketClient;
const plain = { server_url: url, login_callback: report, login_timeout: 30 };
const scoped = { ...plain, workspace, expires_in: 90, profile: true };
const out = [];

console.log(
  JSON.stringify({
    token: await login(plain),
    profile: await login(scoped),
    asked: new URL(seen[1]).search,
    timeout: await messageOf(
      login({ server_url: url, login_callback: () => {}, login_timeout: 0.2 }),
    ),
    out: await logout({ server_url: url, logout_callback: (context) => out.push(context) }),
    shown: out,
  }),
);
process.exit(0);
