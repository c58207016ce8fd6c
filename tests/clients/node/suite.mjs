// Runs tests of the JavaScript client itself and prints a line of JSON for each. They come with its
// package, bundled for a browser. The argument is JSON: where the bundle is, the server's URL, a file
// of tests, and either the names of those to run, or those to leave out, the part and the parts.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const wanted = JSON.parse(process.argv[2]);
const WRITTEN_FOR = "127.0.0.1:9394";
const SECONDS = 100;

// The bundle is a list of modules. Those of the client are replaced by the ones that are installed.
globalThis.require = createRequire(import.meta.url);
globalThis.webpackChunkhyphaWebsocketClient = [];
const bundle = readFileSync(wanted.bundle, "utf-8");
(0, eval)(bundle.replaceAll(WRITTEN_FOR, new URL(wanted.url).host));
const modules = globalThis.webpackChunkhyphaWebsocketClient[0][1];
const loaded = {};
const installed = new URL("node_modules/hypha-rpc/", import.meta.url);
for (const name of Object.keys(modules))
  if (name.startsWith("./src/")) loaded[name] = await import(new URL(name, installed));

function load(name) {
  if (!(name in loaded)) {
    const module = { exports: (loaded[name] = {}) };
    modules[name].call(module.exports, module, module.exports, load);
    loaded[name] = module.exports;
  }
  return loaded[name];
}
load.r = () => {};
load.d = (exports, getters) => {
  for (const [key, get] of Object.entries(getters))
    Object.defineProperty(exports, key, { enumerable: true, get });
};

// As much of mocha as the tests use.
const tests = [];
class Skipped extends Error {}
const context = {
  timeout() {},
  skip() {
    throw new Skipped();
  },
};
globalThis.describe = (title, define) => define.call(context);
globalThis.it = (title, run) => {
  tests.push({ title, run });
  return { timeout() {} };
};
load(`./tests/${wanted.file}`);

const print = console.log;
let said = [];
for (const level of ["log", "info", "debug", "warn", "error"])
  console[level] = (...words) => said.push(words.map(String).join(" ").slice(0, 300));
process.on("unhandledRejection", (error) => said.push(`unhandled: ${error}`));

async function outcome(run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${SECONDS} s`)), SECONDS * 1000);
  });
  try {
    await Promise.race([run.call(context), late]);
    return { passed: true };
  } catch (error) {
    if (error instanceof Skipped) return { skipped: true };
    return { error: String(error?.stack ?? error), said: said.slice(-20) };
  } finally {
    clearTimeout(timer);
  }
}

const { only, leftOut = [], part = 0, parts = 1 } = wanted;
const chosen = tests.filter(({ title }) => (only ? only.includes(title) : !leftOut.includes(title)));
for (const { title, run } of chosen.filter((_, index) => index % parts === part)) {
  said = [];
  const start = Date.now();
  print(JSON.stringify({ test: title, ...(await outcome(run)), ms: Date.now() - start }));
}
process.exit(0);
