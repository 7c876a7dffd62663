/**
 * Tries to break the package (`npm run test:reliability`, after `npm run build`): every program of test/reliability, one
 * after the other. What each one found goes into docs/reliability.md.
 *
 *     npm run test:reliability [-- --long] [-- NAME …]
 *
 * A program is run by Node from the repository's root, prints its outcome on its last line and exits 0 if nothing
 * broke. With `--long` it goes on for as long as the table of docs/reliability.md says. The last line printed here is
 * `N passed, N failed`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const given = process.argv.slice(2);
const long = given.includes("--long");
const wanted = given.filter((word) => word !== "--long");
const programs = readdirSync("test/reliability")
  .filter((file) => file.endsWith(".mjs"))
  .map((file) => basename(file, ".mjs"));
const unknown = wanted.filter((name) => !programs.includes(name));
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(", ")}; there are ${programs.join(", ")}`);
  process.exit(2);
}

let failed = 0;
const chosen = programs.filter((name) => wanted.length === 0 || wanted.includes(name));
for (const name of chosen) {
  console.log(`── ${name}`);
  const start = performance.now();
  const child = spawn(process.execPath, [`test/reliability/${name}.mjs`, ...(long ? ["--long"] : [])], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [status, signal] = await once(child, "close");
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${status === 0 ? "held" : `BROKE (${signal ?? `status ${status}`})`}, ${seconds} s\n`);
  if (status !== 0) failed++;
}
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
