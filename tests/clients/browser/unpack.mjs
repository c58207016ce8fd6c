// Unpack the Chromium of @sparticuz/chromium, and the shared libraries that a bare machine lacks, to
// node_modules/.chromium: node unpack.mjs
import { execFileSync } from "node:child_process";
import { chmodSync, createReadStream, createWriteStream, mkdirSync, rmSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";

const packed = new URL("node_modules/@sparticuz/chromium/bin/", import.meta.url);
const target = new URL("node_modules/.chromium/", import.meta.url);

async function unpack(name, file) {
  const output = new URL(file, target);
  await pipeline(
    createReadStream(new URL(name, packed)), createBrotliDecompress(), createWriteStream(output),
  );
  return output.pathname;
}

mkdirSync(target, { recursive: true });
for (const name of ["al2023.tar", "fonts.tar"]) {
  const archive = await unpack(`${name}.br`, name);
  execFileSync("tar", ["-xf", archive, "-C", target.pathname]);
  rmSync(archive);
}
chmodSync(await unpack("chromium.br", "chromium"), 0o755);
